"""StableHLO operators: few of them run in LiteRT, so the shapes are the specification's and the counts closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

f32 = np.float32
FORMAT = {
    "inputBatchDimension": 0, "inputFeatureDimension": 3, "inputSpatialDimensions": [1, 2],
    "kernelInputFeatureDimension": 2, "kernelOutputFeatureDimension": 3, "kernelSpatialDimensions": [0, 1],
    "outputBatchDimension": 0, "outputFeatureDimension": 3, "outputSpatialDimensions": [1, 2], "batchGroupCount": 1,
}  # fmt: skip


@pytest.fixture
def hlo(build: Any, case: Callable[..., Any], options: Callable[..., Any]) -> Callable[..., Any]:
    """A file of one operator whose output has the shape given; ``body`` is the operator of its subgraph."""

    def make(
        code: str, operands: list[Any], shape: tuple[int, ...], table: str, *, body: str = "", **fields: Any
    ) -> Any:
        graph = build.graph()
        inputs = [
            graph.constant(x)
            if isinstance(x, np.ndarray)
            else graph.input(x[1], x[0])
            if isinstance(x[0], str)
            else graph.input(x)
            for x in operands
        ]
        y = graph.tensor(shape, name="y")
        graph.op(code, inputs, [y], options(table, **fields) if table else None)
        graph.output(y)
        if body:
            inner = build.graph()
            a, b, c = inner.input(()), inner.input(()), inner.tensor(())
            inner.op(body, [a, b], [c])
            inner.output(c)
        return case(build)

    return make


def test_convolution(hlo: Callable[..., Any]) -> None:
    """Weight HWIO, 2 groups: 8·8·6 outputs of 3·3·(4/2) macs."""
    made = hlo(
        "STABLEHLO_CONVOLUTION", [(1, 8, 8, 4), np.ones((3, 3, 2, 6), f32)], (1, 8, 8, 6), "StablehloConvolution",
        **FORMAT, featureGroupCount=2, windowStrides=[1, 1], padding=[1, 1, 1, 1],
    )  # fmt: skip
    report = made.report()
    assert report.macs == 8 * 8 * 6 * 9 * 2
    assert report.graph.layers[0].attrs["padding"] == ((1, 1), (1, 1))
    assert report.graph.layers[0].attrs["groups"] == 2


def test_a_dilated_input_is_a_transposed_convolution(hlo: Callable[..., Any]) -> None:
    """|x|·K·C_o = 4·4·8·16·5, not the 8·8 outputs' work."""
    made = hlo(
        "STABLEHLO_CONVOLUTION", [(1, 4, 4, 8), np.ones((4, 4, 8, 5), f32)], (1, 8, 8, 5), "StablehloConvolution",
        **FORMAT, featureGroupCount=1, lhsDilation=[2, 2], padding=[2, 2, 2, 2],
    )  # fmt: skip
    report = made.report()
    assert report.macs == 4 * 4 * 8 * 16 * 5
    assert report.graph.layers[0].op == "conv_transpose"


@pytest.mark.parametrize("weight", [True, False])
def test_dot_general(hlo: Callable[..., Any], weight: bool) -> None:
    """Batch 2, contraction of 4, free 3 and 5."""
    other = np.ones((2, 5, 4), f32) if weight else (2, 5, 4)
    made = hlo(
        "STABLEHLO_DOT_GENERAL", [(2, 3, 4), other], (2, 3, 5), "StablehloDotGeneral", lhsBatchingDimensions=[0],
        rhsBatchingDimensions=[0], lhsContractingDimensions=[2], rhsContractingDimensions=[2],
    )  # fmt: skip
    report = made.report()
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["equation"]) == ("linear" if weight else "einsum", "acb,adb->acd")
    assert layer.y.shape == (2, 3, 5)
    assert report.macs == 2 * 3 * 4 * 5


@pytest.mark.parametrize(
    ("body", "op"), [("ADD", "sum"), ("STABLEHLO_MAXIMUM", "max"), ("MINIMUM", "min"), ("MUL", "prod")]
)
def test_reduce(hlo: Callable[..., Any], body: str, op: str) -> None:
    made = hlo(
        "STABLEHLO_REDUCE", [(2, 3, 4), np.zeros((), f32)], (2, 4), "StablehloReduce", body=body, dimensions=[1],
        bodySubgraphIndex=1,
    )  # fmt: skip
    report = made.report()
    assert report.graph.layers[0].op == op
    assert report.flops == 8 * 2  # 3 elements each: 2 operations


def test_reduce_window(hlo: Callable[..., Any]) -> None:
    """2×2 windows with stride 2 over 4×6: 6 results of 3 comparisons."""
    made = hlo(
        "STABLEHLO_REDUCE_WINDOW", [(4, 6), np.zeros((), f32)], (2, 3), "StablehloReduceWindow", body="MAXIMUM",
        windowDimensions=[2, 2], windowStrides=[2, 2], baseDilations=[1, 1], windowDilations=[1, 1],
        padding=[0, 0, 0, 0], bodySubgraphIndex=1,
    )  # fmt: skip
    report = made.report()
    assert (report.graph.outputs[0].shape, report.flops) == ((2, 3), 18)


def test_scatter_adds(hlo: Callable[..., Any]) -> None:
    made = hlo(
        "STABLEHLO_SCATTER", [(5, 3), ("int32", (2, 1)), (2, 3)], (5, 3), "StablehloScatter", body="ADD",
        updateWindowDims=[1], insertedWindowDims=[0], scatterDimsToOperandDims=[0], indexVectorDim=1,
        updateComputationSubgraphIndex=1,
    )  # fmt: skip
    report = made.report()
    assert report.graph.layers[0].op == "index_reduce"
    assert not report.unsupported()


@pytest.mark.parametrize(
    ("code", "operands", "shape", "table", "fields", "op"),
    [
        ("STABLEHLO_ADD", [(2, 3), (2, 3)], (2, 3), "", {}, "add"),
        ("STABLEHLO_CLAMP", [np.zeros((), f32), (2, 3), np.ones((), f32)], (2, 3), "", {}, "clip"),
        ("STABLEHLO_COMPARE", [(2, 3), (2, 3)], (2, 3), "StablehloCompare", {"comparisonDirection": 5}, "less"),
        ("STABLEHLO_CBRT", [(2, 3)], (2, 3), "", {}, "pow"),
        ("STABLEHLO_CONCATENATE", [(2, 3), (4, 3)], (6, 3), "StablehloConcatenate", {"dimension": 0}, "concat"),
        ("STABLEHLO_RESHAPE", [(2, 3)], (6,), "", {}, "reshape"),
        ("STABLEHLO_TRANSPOSE", [(2, 3)], (3, 2), "StablehloTranspose", {"permutation": [1, 0]}, "transpose"),
        (
            "STABLEHLO_BROADCAST_IN_DIM",
            [(3,)],
            (2, 3),
            "StablehloBroadcastInDim",
            {"broadcastDimensions": [1]},
            "expand",
        ),
        (
            "STABLEHLO_SLICE",
            [(8, 3)],
            (3, 3),
            "StablehloSlice",
            {"startIndices": [1, 0], "limitIndices": [6, 3], "strides": [2, 1]},
            "slice",
        ),
        (
            "STABLEHLO_DYNAMIC_SLICE",
            [(8, 3), ("int32", ()), ("int32", ())],
            (2, 3),
            "StablehloDynamicSlice",
            {"sliceSizes": [2, 3]},
            "slice",
        ),
        (
            "STABLEHLO_PAD",
            [(2, 3), np.zeros((), f32)],
            (4, 7),
            "StablehloPad",
            {"edgePaddingLow": [1, 0], "edgePaddingHigh": [1, 2], "interiorPadding": [0, 1]},
            "pad",
        ),
        ("STABLEHLO_IOTA", [], (4, 2), "StablehloIota", {"iotaDimension": 0}, "arange"),
        ("STABLEHLO_SORT", [(2, 8)], (2, 8), "StablehloSort", {"dimension": 1}, "sort"),
        (
            "STABLEHLO_GATHER",
            [(9, 4), ("int32", (3, 1))],
            (3, 4),
            "StablehloGather",
            {
                "offsetDims": [1],
                "collapsedSliceDims": [0],
                "startIndexMap": [0],
                "indexVectorDim": 1,
                "sliceSizes": [1, 4],
            },
            "gather",
        ),
        ("STABLEHLO_SELECT", [("bool", (2, 3)), (2, 3), (2, 3)], (2, 3), "", {}, "where"),
        ("STABLEHLO_DYNAMIC_UPDATE_SLICE", [(4, 5), (2, 3), ("int32", ()), ("int32", ())], (4, 5), "", {}, "index_put"),
        ("STABLEHLO_CONVERT", [(2, 3)], (2, 3), "", {}, "cast"),
    ],
)
def test_the_rest_by_name(
    hlo: Callable[..., Any],
    code: str,
    operands: list[Any],
    shape: tuple[int, ...],
    table: str,
    fields: dict[str, Any],
    op: str,
) -> None:
    made = hlo(code, operands, shape, table, **fields)
    graph = made.graph()
    assert [layer.op for layer in graph.layers] == [op]
    assert graph.outputs[0].shape == shape
    report = made.report()
    assert not report.unsupported()
    assert op == "sort" or not report.warnings


def test_unknown_calls_are_foreign(hlo: Callable[..., Any]) -> None:
    made = hlo("STABLEHLO_CUSTOM_CALL", [(2, 3)], (2, 3), "StablehloCustomCall", callTargetName=b"cu_threefry")
    assert list(made.report().unsupported()) == ["tflite.stablehlo.cu_threefry"]
