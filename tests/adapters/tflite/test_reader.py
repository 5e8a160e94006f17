"""Inputs, free axes, signatures, names, parameters, types: what a whole file is read as."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multiprof

f32 = np.float32


def conv_net(build: Any, options: Callable[..., Any], signature: tuple[int, ...] | None = None) -> Any:
    """A convolution, a reshape by shape arithmetic (batch × the rest), and a dense layer."""
    graph = build.graph()
    x = graph.input((1, 8, 8, 3), name="net/x", signature=signature)
    weight = graph.constant(np.ones((4, 3, 3, 3), f32), name="net/conv/kernel")
    bias = graph.constant(np.ones(4, f32), name="net/conv/bias")
    free = None if signature is None else (-1, 4, 4, 4)
    y = graph.tensor((1, 4, 4, 4), name="net/block/conv/BiasAdd;net/block/conv/Conv2D", signature=free)
    graph.op("CONV_2D", [x, weight, bias], [y], options("Conv2D", strideH=2, strideW=2, fusedActivationFunction=1))
    shape, batch, target = (
        graph.tensor((4,), "int32", name="net/flat/Shape"),
        graph.tensor((), "int32", name="net/flat/strided_slice"),
        graph.tensor((2,), "int32", name="net/flat/stack"),
    )
    graph.op("SHAPE", [y], [shape], options("Shape", outType=2))
    begin, end, ones = (graph.constant(np.array([v], np.int32)) for v in (0, 1, 1))
    graph.op("STRIDED_SLICE", [shape, begin, end, ones], [batch], options("StridedSlice", shrinkAxisMask=1))
    graph.op("PACK", [batch, graph.constant(np.array(64, np.int32))], [target], options("Pack", valuesCount=2))
    flat = graph.tensor((1, 64), name="net/flat/Reshape", signature=None if signature is None else (-1, 64))
    graph.op("RESHAPE", [y, target], [flat], options("Reshape"))
    out = graph.tensor((1, 10), name="StatefulPartitionedCall:0", signature=None if signature is None else (-1, 10))
    head = graph.constant(np.ones((10, 64), f32), name="net/head/MatMul")
    graph.op("FULLY_CONNECTED", [flat, head, -1], [out], options("FullyConnected"))
    graph.output(out)
    return graph


CONV, DENSE = 4 * 4 * 4 * 9 * 3, 640


def test_names_scopes_and_counts(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    conv_net(build, options)
    report = case(build).report()
    assert [(layer.name, layer.op, layer.scope) for layer in report.graph.layers] == [
        ("block.conv/conv_2d", "conv", "block.conv"),
        ("block.conv/conv_2d/relu", "relu", "block.conv"),
        ("flat/shape", "constant", "flat"),
        ("flat/strided_slice", "slice", "flat"),
        ("flat/pack", "stack", "flat"),
        ("flat/reshape", "reshape", "flat"),
        ("head/fully_connected", "linear", "head"),
    ]
    assert report.macs == CONV + DENSE
    assert report.params == 4 * 27 + 4 + 640
    states = {layer.layer.name: layer.state for layer in report.layers}
    assert states["flat/strided_slice"] == states["flat/pack"] == "prepared"
    assert report.graph.layers[0].attrs == {
        "kernel_size": (3, 3), "stride": (2, 2), "padding": ((0, 1), (0, 1)), "dilation": (1, 1), "groups": 1,
        "in_channels": 3, "out_channels": 4, "data_format": "NHWC",
    }  # fmt: skip
    assert not report.warnings
    version = report.graph.metadata["framework_version"]
    assert version == "schema 3 (test)"


@pytest.mark.parametrize("signature", [None, (-1, 8, 8, 3)])
@pytest.mark.parametrize("batch", [1, 5])
def test_other_sizes_go_through_shape_arithmetic(
    build: Any, options: Callable[..., Any], case: Callable[..., Any], signature: Any, batch: int
) -> None:
    conv_net(build, options, signature)
    made = case(build)
    executed = made.executed({"net/x": (batch, 8, 8, 3)})
    graph = made.graph((batch, 8, 8, 3))
    for layer in graph.layers:
        for spec in layer.outputs.values():
            assert "#" in spec.name or spec.shape == executed[spec.name]
    report = made.report((batch, 8, 8, 3))
    assert report.macs == batch * (CONV + DENSE)
    assert report.batch == (batch if signature else None)
    assert not report.warnings


def test_a_free_batch_is_one_unless_given(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    conv_net(build, options, (-1, 8, 8, 3))
    made = case(build)
    assert made.report().macs == CONV + DENSE
    assert made.report(dims={"net/x[0]": 3}).macs == 3 * (CONV + DENSE)
    with pytest.raises(multiprof.UsageError, match="no free dimension 'n'"):
        made.report(dims={"n": 3})


def test_other_free_axes_have_to_be_given(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    graph = build.graph()
    x = graph.input((1, 1, 1, 3), name="x", signature=(-1, -1, -1, 3))
    y = graph.tensor((1, 1, 1, 4), name="y", signature=(-1, -1, -1, 4))
    graph.op(
        "CONV_2D",
        [x, graph.constant(np.ones((4, 3, 3, 3), f32)), graph.constant(np.ones(4, f32))],
        [y],
        options("Conv2D", strideH=1, strideW=1),
    )
    graph.output(y)
    made = case(build)
    with pytest.raises(multiprof.InputsError, match=r"free axes.*x\[1\] \(axis 1\), x\[2\] \(axis 2\)"):
        made.report()
    assert made.report(dims={"x[1]": 6, "x[2]": 7}).macs == 6 * 7 * 4 * 27
    assert made.report((2, 6, 7, 3)).macs == 2 * 6 * 7 * 4 * 27


def test_a_default_other_than_one_is_used_and_said(build: Any, case: Callable[..., Any]) -> None:
    graph = build.graph()
    x = graph.input((1, 16), name="x", signature=(-1, -1))
    y = graph.tensor((1, 16), name="y", signature=(-1, -1))
    graph.op("RELU", [x], [y])
    graph.output(y)
    report = case(build).report()
    assert report.flops == 16
    assert report.warnings == ("the free axis x[1] has the size 16 that the file gives",)


def signatures(build: Any) -> None:
    for size in (4, 6):
        graph = build.graph()
        x = graph.input((1, size), name=f"x{size}")
        y = graph.tensor((1, size), name=f"y{size}")
        graph.op("RELU", [x], [y])
        graph.output(y)


def test_signatures_choose_the_subgraph(build: Any, case: Callable[..., Any]) -> None:
    signatures(build)
    build.signature("small", {"image": 0}, {"out": 1}, 0)
    build.signature("large", {"image": 0}, {"out": 1}, 1)
    made = case(build)
    report = made.report()
    assert (report.flops, report.graph.metadata["signature"]) == (4, "small")
    assert report.warnings == ("the signature 'small' is read; --signature takes the others: large",)
    assert made.report(signature="large").flops == 6
    assert made.report({"image": (3, 6)}, signature="large").flops == 18
    with pytest.raises(multiprof.UsageError, match="no signature 'huge'; it has small, large"):
        made.report(signature="huge")


def test_the_default_signature_goes_first(build: Any, case: Callable[..., Any]) -> None:
    signatures(build)
    build.signature("small", {"image": 0}, {"out": 1}, 0)
    build.signature("serving_default", {"image": 0}, {"out": 1}, 1)
    assert case(build).report().flops == 6


def test_shared_contents_are_one_parameter(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    graph = build.graph()
    buffer = build.buffer(np.ones((4, 4), f32).tobytes())
    x = graph.input((2, 4), name="x")
    for number in range(2):
        weight = graph.tensor((4, 4), name=f"w{number}", buffer=buffer)
        y = graph.tensor((2, 4))
        graph.op("FULLY_CONNECTED", [x, weight, -1], [y], options("FullyConnected"))
        x = y
    graph.constant(np.ones(7, f32), name="unused")
    graph.output(x)
    report = case(build).report()
    assert report.params == 16 + 7
    assert report.graph.parameters["w0"].tied == ("w1",)
    assert list(report.unused_parameters()) == ["unused"]


@pytest.mark.parametrize("per_axis", [False, True])
def test_quantised_kernels(build: Any, options: Callable[..., Any], case: Callable[..., Any], per_axis: bool) -> None:
    """The same layers as the real-valued net, on quantised tensors; one byte a weight, four a bias."""
    graph = build.graph()
    scales = [0.1, 0.2] if per_axis else [0.1]
    x = graph.input((1, 4, 4, 3), "int8", name="x", scale=[0.5], zero=[3])
    weight = graph.constant(np.ones((2, 3, 3, 3), np.int8), name="w", scale=scales)
    bias = graph.constant(np.ones(2, np.int32), name="b", scale=[s * 0.5 for s in scales])
    y = graph.tensor((1, 4, 4, 2), "int8", name="y", scale=[0.3], zero=[-1])
    graph.op("CONV_2D", [x, weight, bias], [y], options("Conv2D", strideH=1, strideW=1), version=3)
    z = graph.tensor((1, 4, 4, 2), name="z")
    graph.op("DEQUANTIZE", [y], [z], version=2)
    graph.output(z)
    made = case(build)
    assert made.executed()["z"] == (1, 4, 4, 2)
    report = made.report()
    first, last = report.graph.layers
    assert (first.op, last.op) == ("conv", "dequantize")
    assert first.inputs["weight"].quant.axis == (0 if per_axis else None)
    assert first.inputs["x"].quant.zero_point == (3,)
    assert report.macs == 4 * 4 * 2 * 27
    assert report.flops == 2 * report.macs + 32 + 2 * 32  # bias adds; an add and a mul to dequantise
    assert (report.params, report.weight_bytes) == (54 + 2, 54 + 8)


def test_half_float_weights_are_unpacked_ahead_of_time(
    build: Any, options: Callable[..., Any], case: Callable[..., Any]
) -> None:
    graph = build.graph()
    x, y = graph.input((2, 4), name="x"), graph.tensor((2, 6), name="y")
    half, full = graph.constant(np.ones((6, 4), np.float16), name="w"), graph.tensor((6, 4), name="w32")
    graph.op("DEQUANTIZE", [half], [full], version=3)
    graph.op("FULLY_CONNECTED", [x, full, -1], [y], options("FullyConnected"))
    graph.output(y)
    made = case(build)
    assert made.executed()["y"] == (2, 6)
    report = made.report()
    assert [layer.state for layer in report.layers] == ["prepared", "priced"]
    assert report.graph.layers[1].inputs["weight"].dtype == "float32"
    assert (report.macs, report.params, report.weight_bytes) == (48, 24, 48)


def test_views_take_no_memory_of_their_own(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    """x (4·1000 bytes) lives until RELU has made y: 8,000 bytes, whatever is reshaped in between."""
    graph = build.graph()
    x = graph.input((10, 100), name="x")
    a, b, c, y = (
        graph.tensor(shape, name=name)
        for shape, name in (((1000,), "a"), ((1, 1000), "b"), ((1000,), "c"), ((1000,), "y"))
    )
    graph.op("RESHAPE", [x, graph.constant(np.array([1000], np.int32))], [a], options("Reshape"))
    graph.op("EXPAND_DIMS", [a, graph.constant(np.array(0, np.int32))], [b])
    graph.op("SQUEEZE", [b], [c], options("Squeeze", squeezeDims=[0]))
    graph.op("RELU", [c], [y])
    graph.output(y)
    report = case(build).report()
    assert report.peak_bytes == 8000
    assert report.activation_bytes == 4000


def test_a_fused_activation_works_in_place(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    """x 4·10·4 bytes and y 4·30·4 bytes exist together; the sums before the ReLU stand where y will."""
    graph = build.graph()
    x, y = graph.input((4, 10), name="x"), graph.tensor((4, 30), name="y")
    weight = graph.constant(np.ones((30, 10), np.float32), name="w")
    graph.op("FULLY_CONNECTED", [x, weight, -1], [y], options("FullyConnected", fusedActivationFunction=1))
    graph.output(y)
    report = case(build).report()
    assert [layer.op for layer in report.layers] == ["linear", "relu"]
    assert (report.peak_bytes, report.activation_bytes) == (4 * 10 * 4 + 4 * 30 * 4, 4 * 30 * 4)


def test_operators_nobody_knows_are_foreign(build: Any, case: Callable[..., Any]) -> None:
    graph = build.graph()
    x = graph.input((2, 3), name="x")
    last = x
    for code, custom in (("CUSTOM", "MyOp"), ("CUSTOM", "FlexErfinv"), ("250", "")):
        y = graph.tensor((2, 3))
        graph.op(code, [last], [y], custom=custom)
        last = y
    graph.output(last)
    report = case(build).report()
    assert list(report.unsupported()) == ["tflite.custom.MyOp", "tflite.flex.Erfinv", "tflite.code_250"]
    assert report.coverage == 0
    assert report.graph.layers[0].inputs["x0"].shape == (2, 3)


def test_a_transposed_convolution_of_mediapipe(build: Any, case: Callable[..., Any]) -> None:
    """Options: padding SAME, strides 2 and 2; 3·3 images of 8 channels meet 4·4·5 weights each."""
    graph = build.graph()
    x, y = graph.input((1, 3, 3, 8), name="x"), graph.tensor((1, 6, 6, 5), name="y")
    weight, bias = graph.constant(np.ones((5, 4, 4, 8), f32)), graph.constant(np.ones(5, f32))
    options = np.array([1, 2, 2], np.int32).tobytes()
    graph.op("CUSTOM", [x, weight, bias], [y], custom="Convolution2DTransposeBias", custom_options=options)
    graph.output(y)
    report = case(build).report()
    assert report.macs == 9 * 8 * 16 * 5
    assert report.graph.layers[0].op == "conv_transpose"
    assert report.flops == 2 * report.macs + 180
    assert not report.warnings


def test_no_framework_is_loaded(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    conv_net(build, options)
    code = "import sys, multiprof; multiprof.analyze(sys.argv[1]); print(*sys.modules)"
    made = case(build).path
    root = Path(multiprof.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code, made], cwd=root, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "multiprof.adapters.tflite" in loaded
    assert not loaded & {"tensorflow", "numpy", "ai_edge_litert", "torch", "onnx", "flatbuffers"}


def test_pooling_of_mediapipe(build: Any, case: Callable[..., Any]) -> None:
    """Options: padding SAME, strides 2 and 2, windows of 2×3; and back again by the places found."""
    graph = build.graph()
    x = graph.input((1, 4, 6, 8), name="x")
    y, places = graph.tensor((1, 2, 3, 8), name="y"), graph.tensor((1, 2, 3, 8), name="places")
    back = graph.tensor((1, 4, 6, 8), name="back")
    options = np.array([1, 2, 2, 3, 2], np.int32).tobytes()
    graph.op("CUSTOM", [x], [y, places], custom="MaxPoolingWithArgmax2D", custom_options=options)
    graph.op("CUSTOM", [y, places], [back], custom="MaxUnpooling2D")
    graph.output(back)
    report = case(build).report()
    assert [layer.op for layer in report.graph.layers] == ["max_pool", "max_unpool"]
    assert report.graph.layers[0].attrs["kernel_size"] == (2, 3)
    assert report.flops == 2 * 3 * 8 * (6 - 1)
    assert report.coverage == 1


@pytest.mark.parametrize(
    ("kind", "packed", "nbytes"), [(17, b"\x11" * 8, 8), (19, b"\x11" * 4, 4), (8, b"\0" * 128, 128)]
)
def test_other_element_types(build: Any, case: Callable[..., Any], kind: int, packed: bytes, nbytes: int) -> None:
    """Sixteen elements of 4 bits, of 2 bits, and complex ones of 64."""
    graph = build.graph()
    x = graph.input((16,), name="x")
    weight = graph.tensor((16,), kind=kind, data=packed, name="w", scale=[0.1] if kind != 8 else ())
    y = graph.tensor((16,), name="y")
    graph.op("ADD", [x, weight], [y])
    graph.output(y)
    report = case(build).report()
    assert (report.params, report.weight_bytes) == (16, nbytes)


def test_texts_are_counted_as_a_byte(build: Any, case: Callable[..., Any]) -> None:
    graph = build.graph()
    x, y = graph.input((4,), kind=5, name="x"), graph.tensor((4,), name="y")
    graph.op("CUSTOM", [x], [y], custom="Tokenize")
    graph.output(y)
    report = case(build).report()
    assert report.graph.inputs[0].nbytes == 4
    assert any("texts" in warning for warning in report.warnings)
