"""What ONNX Runtime makes of a model, its own fused and quantised operators, forms the same products."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import multiprof

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
RNG = np.random.default_rng(19)


def optimised(source: Path, made: Path, level: str = "EXTENDED") -> multiprof.Report:
    """The model after all fusions that do not depend on the machine, or ``ALL``."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(made)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return multiprof.analyze(made)


def fused(report: multiprof.Report) -> set[str]:
    return {layer.layer.source.rpartition(".")[2] for layer in report.layers if "." in layer.layer.source}


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)


def saved(path: Path, nodes: list[onnx.NodeProto], shape: tuple[int, ...], stored: list[onnx.TensorProto]) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


@pytest.fixture
def transformer(tmp_path: Path) -> Path:
    """x → x·W + b, gelu by erf, ·V + c, + x, layer norm; then scores of the result with itself."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Add", ["h", "b"], ["hb"]),
        node("Div", ["hb", "root"], ["scaled"]),
        node("Erf", ["scaled"], ["erf"]),
        node("Add", ["erf", "one"], ["erf1"]),
        node("Mul", ["hb", "erf1"], ["twice"]),
        node("Mul", ["twice", "half"], ["g"]),
        node("MatMul", ["g", "v"], ["o"]),
        node("Add", ["o", "c"], ["oc"]),
        node("Add", ["oc", "x"], ["sum"]),
        node("LayerNormalization", ["sum", "gamma", "beta"], ["n"], axis=-1),
        node("Transpose", ["n"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["n", "t"], ["y"]),
    ]
    scalars = [
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("root", 2**0.5), ("one", 1.0), ("half", 0.5))
    ]
    stored = [
        weight("w", 16, 32),
        weight("b", 32),
        weight("v", 32, 16),
        weight("c", 16),
        weight("gamma", 16),
        weight("beta", 16),
    ]
    return saved(tmp_path / "transformer.onnx", nodes, (2, 5, 16), stored + scalars)


@pytest.fixture
def convolutional(tmp_path: Path) -> Path:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c1"], name="conv1", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "v", "c"], ["c2"], name="conv2", pads=[1, 1, 1, 1], group=2),
        node("Add", ["c2", "r1"], ["s"], name="add"),
        node("Sigmoid", ["s"], ["a"], name="sigmoid"),
        node("GlobalAveragePool", ["a"], ["p"], name="pool"),
        node("Flatten", ["p"], ["f"], name="flatten"),
        node("Gemm", ["f", "u", "d"], ["y"], name="fc", transB=1),
    ]
    stored = [
        weight("w", 8, 3, 3, 3),
        weight("b", 8),
        weight("v", 8, 4, 3, 3),
        weight("c", 8),
        weight("u", 5, 8),
        weight("d", 5),
    ]
    return saved(tmp_path / "convolutional.onnx", nodes, (1, 3, 16, 16), stored)


def test_a_transformer_block(transformer: Path, tmp_path: Path) -> None:
    plain, made = multiprof.analyze(transformer), optimised(transformer, tmp_path / "made.onnx")
    assert {"Gelu", "SkipLayerNormalization", "FusedMatMul"} <= fused(made)
    # two products of 2·5 tokens, and the scores of every token with every token
    assert plain.macs == made.macs == 2 * 5 * 16 * 32 * 2 + 2 * 5 * 5 * 16
    assert plain.params == made.params == 16 * 32 * 2 + 32 + 16 + 16 + 16
    assert not made.unsupported()


def test_a_convolutional_net(convolutional: Path, tmp_path: Path) -> None:
    plain, made = multiprof.analyze(convolutional), optimised(convolutional, tmp_path / "made.onnx")
    assert fused(made) == {"FusedConv"}
    assert plain.macs == made.macs == 64 * 8 * 27 + 64 * 8 * 36 + 40
    assert (plain.flops, plain.params) == (made.flops, made.params)


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "resnet50"])
def test_the_light_models(name: str, tmp_path: Path) -> None:
    source = LIGHT / f"light_{name}.onnx"
    made = optimised(source, tmp_path / "made.onnx")
    assert made.macs == multiprof.analyze(source).macs
    assert "FusedConv" in fused(made)
    assert not made.unsupported()


def test_channels_in_blocks(tmp_path: Path) -> None:
    """Where the machine has instructions for it; all channels of ResNet-50 but the image's fill whole blocks."""
    source = LIGHT / "light_resnet50.onnx"
    made = optimised(source, tmp_path / "made.onnx", "ALL")
    assert made.macs == multiprof.analyze(source).macs == 4_089_184_256
    assert not made.unsupported()


def test_blocks_are_filled_and_emptied(tmp_path: Path) -> None:
    """6 channels in and 6 out again; in between there are 8."""
    node = helper.make_node
    nodes = [
        node("ReorderInput", ["x"], ["a"], domain="com.microsoft.nchwc"),
        node("Conv", ["a", "w"], ["b"], domain="com.microsoft.nchwc", activation="Relu", pads=[1, 1, 1, 1]),
        node("MaxPool", ["b"], ["c"], domain="com.microsoft.nchwc", kernel_shape=[2, 2], strides=[2, 2]),
        node("ReorderOutput", ["c"], ["y"], domain="com.microsoft.nchwc", channels=6),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 6, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight("w", 8, 8, 3, 3)],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft.nchwc", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / "blocks.onnx")
    report = multiprof.analyze(tmp_path / "blocks.onnx")
    assert [layer.layer.op for layer in report.layers] == ["copy", "conv", "relu", "max_pool", "copy"]
    assert report.macs == 64 * 8 * 8 * 9
    assert report.graph.outputs[0].shape == (1, 6, 4, 4)


class Samples:
    """What a quantiser calibrates by."""

    def __init__(self) -> None:
        self.left: Iterator[dict[str, np.ndarray]] = iter([{"x": RNG.random((1, 3, 16, 16), dtype=np.float32)}] * 2)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


@pytest.mark.parametrize("style", ["QDQ", "QOperator"])
def test_a_quantised_net_has_the_products_and_parameters_of_its_float_twin(
    convolutional: Path, tmp_path: Path, style: str
) -> None:
    from onnxruntime import quantization

    quantised = tmp_path / "quantised.onnx"
    quantization.quantize_static(
        convolutional, quantised, Samples(), quant_format=getattr(quantization.QuantFormat, style)
    )
    plain, stored = multiprof.analyze(convolutional), multiprof.analyze(quantised)
    made = optimised(quantised, tmp_path / "made.onnx")
    assert plain.macs == stored.macs == made.macs
    assert plain.params == stored.params == made.params
    assert not stored.unsupported()
    assert not made.unsupported()
    assert {"QGemm", "QLinearGlobalAveragePool"} <= fused(made)
