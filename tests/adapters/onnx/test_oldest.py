"""Opsets 1 to 5, of which onnx infers nothing: a network in every opset there is, and the oldest forms of operators."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import defs, helper

import multiprof

NEWEST = min(28, defs.onnx_opset_version())
IMAGE, CHANNELS, WIDTH, CLASSES = 8, 3, 4, 5
# 3×3 without padding: 8 → 6; the classifier sees the mean of each channel
MACS = 2 * WIDTH * 6 * 6 * 9 * CHANNELS + 2 * CLASSES * WIDTH


@pytest.mark.parametrize("opset", range(1, NEWEST + 1))
def test_one_network_has_the_same_products_in_every_opset(models, opset: int) -> None:
    old = {"is_test": 1} if opset < 7 else {}
    if opset < 6:
        old["consumed_inputs"] = [0] * 5
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "s", "s", "s", "v"], ["n"], **old),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "k", "b"], ["y"], transB=1, **({"broadcast": 1} if opset < 7 else {})),
    ]
    stored = [
        models.weight("w", (WIDTH, CHANNELS, 3, 3)), models.weight("s", (WIDTH,)), models.weight("v", (WIDTH,)),
        models.weight("k", (CLASSES, WIDTH)), models.weight("b", (CLASSES,)),
    ]  # fmt: skip
    model = models.model(nodes, [models.info("x", (2, CHANNELS, IMAGE, IMAGE))], ["y"], stored, opset=opset)
    report = multiprof.analyze(models.save(model))
    assert (report.macs, report.unsupported()) == (MACS, {})


@pytest.mark.parametrize(
    ("op_type", "attributes", "operands", "expected"),
    [
        ("Add", {"broadcast": 1, "axis": 1}, [(2, 3, 4), (3,)], (2, 3, 4)),
        ("Concat", {}, [(2, 3, 4), (2, 5, 4)], (2, 8, 4)),
        ("Concat", {"axis": 2}, [(2, 3, 4), (2, 3, 1)], (2, 3, 5)),
        ("Gemm", {"transA": 1}, [(6, 2), (6, 7), (2, 7)], (2, 7)),
        ("Pad", {"paddings": [0, 1, 2, 0, 3, 4]}, [(2, 3, 4)], (2, 7, 10)),
        ("Reshape", {"shape": [0, -1, 2]}, [(2, 3, 4)], (2, 6, 2)),
        ("Sum", {}, [(2, 3), (2, 3)], (2, 3)),
    ],
)
def test_shapes_of_first_versions(models, op_type, attributes, operands, expected) -> None:
    infos = [models.info(f"x{number}", shape) for number, shape in enumerate(operands)]
    node = helper.make_node(op_type, [info.name for info in infos], ["y"], **attributes)
    report = multiprof.analyze(models.save(models.model([node], infos, ["y"], opset=1)))
    assert [spec.shape for spec in report.graph.outputs] == [expected]
    assert report.unsupported() == {}


def test_a_cast_to_a_type_by_name(models) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to="DOUBLE"), helper.make_node("Cast", ["k"], ["z"], to="FLOAT")]
    stored = [models.tensor("k", np.arange(3))]
    report = multiprof.analyze(
        models.save(models.model(nodes, [models.info("x", (2, 3))], ["y", "z"], stored, opset=1))
    )
    assert [(spec.shape, spec.dtype) for spec in report.graph.outputs] == [((2, 3), "float64"), ((3,), "float32")]
