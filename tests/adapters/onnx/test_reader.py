"""Whole files: inputs and free axes, versions, what the report says of the file, real networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import multiprof
from multiprof.errors import InputsError, ModelError

node = helper.make_node
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def dense(models: Any, shape: Any = ("batch", 8), **more: Any) -> onnx.ModelProto:
    model: onnx.ModelProto = models.model(
        [node("MatMul", ["x", "w"], ["y"], name="fc")], [models.info("x", shape)], ["y"], [models.weight("w", (8, 4))],
        **more,
    )  # fmt: skip
    return model


def test_free_axes_by_name_or_by_shape(models: Any) -> None:
    path = models.save(dense(models))
    with pytest.raises(InputsError, match=r"free axes: input 'x' batch×8: batch .* --dim batch=1"):
        multiprof.analyze(path)
    for report in (
        multiprof.analyze(path, (5, 8)), multiprof.analyze(path, {"x": (5, 8)}),
        multiprof.analyze(path, dims={"batch": 5}),
    ):  # fmt: skip
        assert report.macs == 5 * 8 * 4
        assert report.batch == 5


@pytest.mark.parametrize("name", ["?", "-1", ""])
def test_axes_that_all_have_the_same_non_name(models: Any, name: str) -> None:
    graph = models.read(dense(models, (name, name, 8)), x=(2, 3, 8))
    assert graph.outputs[0].shape == (2, 3, 4)
    assert graph.metadata["dims"] == ("x[0]", "x[1]")


def test_a_size_of_minus_one_is_a_free_axis(models: Any) -> None:
    assert models.read(dense(models, (-1, 8)), dims={"x[0]": 3}).outputs[0].shape == (3, 4)


def test_static_sizes_are_binding(models: Any) -> None:
    with pytest.raises(InputsError, match="declared 2×8; 3×8 is given"):
        models.read(dense(models, (2, 8)), x=(3, 8))


def test_inputs_of_unknown_rank(models: Any) -> None:
    with pytest.raises(InputsError, match="rank is not declared"):
        models.read(dense(models, None))
    assert models.read(dense(models, None), x=(7, 8)).outputs[0].shape == (7, 4)


def test_initializers_among_the_inputs_are_no_inputs(models: Any) -> None:
    """As files of IR version 3 had it."""
    model = dense(models)
    model.ir_version = 3
    model.graph.input.append(models.info("w", (8, 4)))
    graph = models.read(model, dims={"batch": 1})
    assert [spec.name for spec in graph.inputs] == ["x"]
    assert graph.parameters["w"].kind == "parameter"


def test_what_the_report_says_of_the_file(models: Any) -> None:
    model = dense(models, domains=["com.microsoft"])
    model.producer_name, model.producer_version = "pytorch", "2.13"
    report = multiprof.analyze(models.save(model), dims={"batch": 1})
    assert report.environment["onnx"] == "ir_version 10, opset 17, com.microsoft 1 (producer pytorch 2.13)"
    assert report.graph.metadata["rung"] == "file"
    assert (report.model["format"], report.model["file_bytes"]) == ("onnx", len(model.SerializeToString()))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda m: setattr(m, "ir_version", onnx.IR_VERSION + 1), "IR version .* pip install --upgrade onnx"),
        (lambda m: setattr(m.opset_import[0], "version", 999), "opset 999 of ai.onnx, newer .* pip install"),
        (lambda m: setattr(m.opset_import[0], "version", -1), "opset -1"),
        (lambda m: m.ClearField("graph"), "holds no graph"),
    ],
)
def test_versions_and_files_without_a_graph(models: Any, change: Any, what: str) -> None:
    model = dense(models)
    change(model)
    with pytest.raises(ModelError, match=what):
        models.read(model, dims={"batch": 1})


def test_texts_have_no_size_in_bytes(models: Any) -> None:
    nodes = [
        node("StringNormalizer", ["x"], ["n"], name="tidy"),
        node("TfIdfVectorizer", ["n"], ["v"], name="count", mode="TF", min_gram_length=1, max_gram_length=1,
             max_skip_count=0, ngram_counts=[0], ngram_indexes=[0, 1], pool_strings=["a", "b"]),
        node("MatMul", ["v", "w"], ["y"], name="fc"),
    ]  # fmt: skip
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"one", b"three"])
    model = models.model(nodes, [models.info("x", [5], TensorProto.STRING)], ["y"], [models.weight("w", (2, 3)), words])
    report = multiprof.analyze(models.save(model))
    assert report.macs == 2 * 3
    assert report.graph.inputs[0].dtype == "string"
    assert report.constant_bytes == len("one") + len("three")
    assert str(report) and multiprof.Report.from_dict(report.to_dict()) == report


def test_models_of_classical_learning_are_foreign_layers(models: Any) -> None:
    nodes = [node("ZipMap", ["x"], ["m"], name="zip", domain="ai.onnx.ml", classlabels_int64s=[0, 1])]
    graph = models.read(models.model(nodes, [models.info("x", [1, 2])], ["m"], domains=["ai.onnx.ml"]))
    assert [layer.op for layer in graph.layers] == ["onnx.ai.onnx.ml.ZipMap"]


# Multiply-adds and parameters by hand: each convolution's output elements times its kernel, from the papers' tables.
# AlexNet in its two-tower form (groups of 2), https://dgschwend.github.io/netscope: 654,560,384 without biases.
def test_alexnet(models: Any) -> None:
    report = multiprof.analyze(LIGHT / "light_bvlc_alexnet.onnx")
    conv = 96 * 54 * 54 * 3 * 121 + 256 * 26 * 26 * 48 * 25 + 384 * 12 * 12 * 256 * 9
    conv += 384 * 12 * 12 * 192 * 9 + 256 * 12 * 12 * 192 * 9
    dense_ = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    assert report.macs == conv + dense_
    weights = 96 * 3 * 121 + 256 * 48 * 25 + 384 * 256 * 9 + 384 * 192 * 9 + 256 * 192 * 9 + dense_
    assert report.params == weights + 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000
    assert report.coverage == 1.0


def test_resnet50(models: Any) -> None:
    """The strides in the 3×3: 4,089,184,256; one unused parameter of one element beside the 25,557,032."""
    report = multiprof.analyze(LIGHT / "light_resnet50.onnx")
    assert (report.macs, report.params - 1) == (4_089_184_256, 25_557_032)
    assert [report.graph.parameters[name].spec.numel for name in report.unused_parameters() if "queue" in name] == [1]


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda path: path.stem)
def test_shapes_of_all_tensors_of_the_light_networks(models: Any, path: Path) -> None:
    """Every tensor between the layers has the shape that ONNX Runtime's execution gives it."""
    graph = models.read(path)
    shapes = {spec.name: spec.shape for layer in graph.layers for spec in layer.outputs.values()}
    model = onnx.load(path)
    names = [name for n in model.graph.node for name in n.output if name in shapes]
    feeds = {spec.name: np.zeros(spec.shape, np.float32) for spec in graph.inputs}
    made = models.run(model, feeds, names)
    assert {name: value.shape for name, value in made.items()} == {name: shapes[name] for name in made}
    assert len(made) > 20
