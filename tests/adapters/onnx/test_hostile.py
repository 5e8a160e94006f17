"""Broken and hostile files: a Graph or a ModelError that names the file, quickly, in little memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import multiprof
from multiprof.errors import InputsError, ModelError, MultiprofError

node = helper.make_node
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"


def network(models: Any) -> bytes:
    """A little of everything: convolution, arithmetic on shapes, a choice, a loop, a function, sequences."""
    branch = models.graph([node("Relu", ["f"], ["r"], name="relu")], [], ["r"])
    body = models.graph(
        [node("MatMul", ["h", "v"], ["h2"], name="mm"), node("Identity", ["go"], ["go2"])],
        [models.info("i", [], 7), models.info("go", [], 9), models.info("h", [1, 48])],
        [models.info("go2", [], 9), models.info("h2", [1, 48])],
    )
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]), node("Shape", ["c"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]), node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["f"], name="view"),
        node("If", ["b"], ["g"], name="choose", then_branch=branch, else_branch=branch),
        node("Loop", ["trips", "", "g"], ["l"], name="steps", body=body), node("F", ["l"], ["m"], domain="local"),
        node("SequenceConstruct", ["m", "m"], ["q"]), node("ConcatFromSequence", ["q"], ["y"], axis=0),
    ]  # fmt: skip
    function = helper.make_function(
        "local", "F", ["a"], ["o"], [node("Tanh", ["a"], ["o"])], [helper.make_opsetid("", 17)]
    )
    stored = [
        models.weight("w", (3, 3, 3, 3)), models.weight("v", (48, 48)), models.tensor("zero", np.array([0])),
        models.tensor("rest", np.array([-1])), models.tensor("trips", np.int64(3)),
    ]  # fmt: skip
    made = models.model(
        nodes, [models.info("x", [1, 3, 4, 4]), models.info("b", [], 9)], ["y"], stored, domains=["local"],
        functions=[function],
    )  # fmt: skip
    return bytes(made.SerializeToString())


def survives(path: Path) -> bool:
    """Whether a file is read: anything but a result or one of our errors fails the test."""
    try:
        report = multiprof.analyze(path)
        report.to_dict()
    except MultiprofError as error:
        assert str(error) and "Traceback" not in str(error)
        return False
    return True


def test_truncated_at_every_percent(models: Any) -> None:
    data = network(models)
    assert survives(models.save(data))
    read = [cut for cut in range(100) if survives(models.save(data[: len(data) * cut // 100]))]
    assert read == []  # the opset is written behind the graph, whose length no longer fits


def test_flipped_bits(models: Any) -> None:
    """Four hundred files with one to five bits flipped; some stay readable, some do not."""
    data = network(models)
    chance = random.Random(3)
    outcomes = []
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        outcomes.append(survives(models.save(bytes(changed))))
    assert True in outcomes and False in outcomes


def test_flipped_bits_in_a_real_network(models: Any) -> None:
    data = (DATA / "light" / "light_squeezenet.onnx").read_bytes()
    chance = random.Random(5)
    for _ in range(100):
        changed = bytearray(data)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        survives(models.save(bytes(changed)))


def test_a_tensor_of_10_to_the_18(models: Any) -> None:
    stored = [TensorProto(name="w", dims=[10**9, 10**9], data_type=TensorProto.FLOAT)]
    model = models.model([node("MatMul", ["x", "w"], ["y"])], [models.info("x", [1, 10**9])], ["y"], stored)
    report = multiprof.analyze(models.save(model))
    assert (report.macs, report.params) == (10**18, 10**18)


@pytest.mark.parametrize("place", ["initializer", "input", "value"])
def test_a_dimension_of_minus_five(models: Any, place: str) -> None:
    stored = [TensorProto(name="w", dims=[4, -5 if place == "initializer" else 4], data_type=TensorProto.FLOAT)]
    graph = models.graph(
        [node("MatMul", ["x", "w"], ["m"], name="mm"), node("Own", ["m"], ["y"], name="own", domain="com.acme")],
        [models.info("x", [1, -5 if place == "input" else 4])], [models.info("y", [-5] if place == "value" else None)],
        stored,
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"model\.onnx.*-5"):
        models.read(models.model(graph, domains=["com.acme"]))


def test_sizes_of_zero(models: Any) -> None:
    model = models.model(
        [node("MatMul", ["x", "w"], ["y"])], [models.info("x", [0, 8])], ["y"], [models.weight("w", (8, 0))]
    )  # fmt: skip
    report = multiprof.analyze(models.save(model))
    assert (report.macs, report.graph.outputs[0].shape) == (0, (0, 0))


def nested(models: Any, depth: int) -> onnx.ModelProto:
    graph = models.graph([node("Relu", ["x"], ["y"])], [], ["y"])
    for level in range(depth):
        made = node("If", ["b"], ["y"], name=f"if{level}", then_branch=graph, else_branch=models.graph(
            [node("Relu", ["x"], ["y"])], [], ["y"]))  # fmt: skip
        graph = models.graph([made], [], ["y"])
    graph.input.extend([models.info("x", [1]), models.info("b", [], TensorProto.BOOL)])
    model: onnx.ModelProto = models.model(graph)
    return model


def test_choices_in_choices(models: Any) -> None:
    assert len(models.read(nested(models, 12)).regions) == 24
    with pytest.raises(ModelError, match="nested"):
        models.read(nested(models, 26))


def test_loops_in_loops_are_looked_at_a_bounded_number_of_times(models: Any) -> None:
    """A body is looked at twice: at every level, that would be a million looks at 20 loops inside one another."""
    graph = models.graph(
        [node("Relu", ["h0"], ["h_next"]), node("Identity", ["go"], ["go_next"])],
        [models.info("i", [], 7), models.info("go", [], 9), models.info("h0", [1])],
        [models.info("go_next", [], 9), models.info("h_next", [1])],
    )
    for level in range(1, 20):
        inner = node("Loop", ["n", "", f"h{level}"], ["h_next"], name=f"l{level}", body=graph)
        graph = models.graph(
            [inner, node("Identity", ["go"], ["go_next"])],
            [models.info("i", [], 7), models.info("go", [], 9), models.info(f"h{level}", [1])],
            [models.info("go_next", [], 9), models.info("h_next", [1])],
        )  # fmt: skip
    outer = node("Loop", ["n", "", "x"], ["y"], name="outer", body=graph)
    model = models.model([outer], [models.info("x", [1])], ["y"], [models.tensor("n", np.int64(2))])
    graph_read = models.read(model)
    assert len(graph_read.regions) == 20
    assert multiprof.analyze(models.save(model)).flops == 2**20  # one comparison, in 20 loops of 2 trips


def test_contents_that_would_fill_the_memory(models: Any) -> None:
    """Two thousand progressions of 60,000 integers each: 1 GB, if all were kept."""
    nodes = [node("Range", ["zero", "many", "one"], [f"r{i}"]) for i in range(2_000)]
    stored = [
        models.tensor("zero", np.int64(0)),
        models.tensor("one", np.int64(1)),
        models.tensor("many", np.int64(60_000)),
    ]
    graph = models.read(models.model(nodes, [], [models.info("r1999", None, TensorProto.INT64)], stored))
    assert graph.outputs[0].shape == (60_000,)


def damage(model: onnx.ModelProto, change: Callable[[onnx.GraphProto], None]) -> onnx.ModelProto:
    change(model.graph)
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda g: setattr(g.initializer[0], "data_type", 99),
        lambda g: setattr(g.initializer[0], "data_type", 0),
        lambda g: setattr(g.node[0], "op_type", ""),
        lambda g: g.initializer[0].dims.extend([1] * 100),
        lambda g: g.input[0].type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension(dim_value=1)] * 100),
        lambda g: setattr(g.node[0].attribute[0], "name", "unheard_of"),
        lambda g: g.node[0].attribute.append(helper.make_attribute("strides", [0, 0])),
        lambda g: g.node[0].attribute.append(helper.make_attribute("dilations", [1 << 62, 1 << 62])),
        lambda g: g.node[0].attribute.append(helper.make_attribute("group", 0)),
        lambda g: g.node[0].attribute.append(helper.make_attribute("kernel_shape", [0, -1])),
        lambda g: g.node[0].output.append("second"),
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense(models: Any, change: Any) -> None:
    model = onnx.ModelProto.FromString(network(models))
    with pytest.raises((ModelError, InputsError), match=r"model(\.onnx)?: "):
        models.read(damage(model, change))
