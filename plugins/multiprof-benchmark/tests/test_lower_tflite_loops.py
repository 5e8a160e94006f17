"""Loops as WHILE: what they carry, read step by step, and write step by step, against the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flat_files import KINDS, kinds, main_graph, run_as_given
from handmade import priced, spec
from multiprof_benchmark.lower.tflite import lower

from multiprof import Graph, Layer, Parameter, Region

STEPS, BATCH, FEATURES, UNITS = 5, 2, 3, 4


def layer(name: str, op: str, inputs: dict, output, region: str | None = "loop", **attrs) -> Layer:
    return Layer(name, op, inputs, {"y": output}, attrs, region=region)


def product(name: str, x, weight, output, region: str = "loop") -> Layer:
    rows, columns = weight.shape
    sizes = {"in_features": rows, "out_features": columns, "equation": "ij,jk->ik"}
    return Layer(name, "linear", {"x": x, "weight": weight}, {"y": output}, sizes, region=region)


def recurrent(steps: int = STEPS) -> Graph:
    """h ← tanh(x_t·W + h·U) + c with c = relu(z) from before the loop; every h is kept in a sequence."""
    x, z = spec("x", steps, BATCH, FEATURES), spec("z", BATCH, UNITS)
    w, u = spec("w", FEATURES, UNITS), spec("u", UNITS, UNITS)
    rows = {name: spec(name, BATCH, UNITS) for name in ("a", "b", "sum", "new", "next", "h", "c", "out")}
    kept, list_ = spec("written", steps, BATCH, UNITS), spec("list", steps, BATCH, UNITS)
    layers = (
        layer("read", "slice", {"x": x}, spec("xt", BATCH, FEATURES), index="step"),
        product("from x", spec("xt", BATCH, FEATURES), w, rows["a"]),
        layer("outside", "relu", {"x": z}, rows["c"], None),  # before the loop, which reads it
        product("from h", rows["h"], u, rows["b"]),
        layer("add", "add", {"x0": rows["a"], "x1": rows["b"]}, rows["sum"]),
        layer("bound", "tanh", {"x": rows["sum"]}, rows["new"]),
        layer("shift", "add", {"x0": rows["new"], "x1": rows["c"]}, rows["next"]),
        layer("write", "index_put", {"x": list_, "src": rows["next"]}, kept, index="step"),
        layer("carry h", "identity", {"x": rows["next"]}, rows["h"]),
        layer("carry list", "identity", {"x": kept}, list_),
        layer("after", "neg", {"x": rows["h"]}, rows["out"], None),
    )
    return Graph(
        "recurrent", "toy", (x, z), (list_, rows["out"]), layers, {"w": Parameter(w), "u": Parameter(u)},
        {"loop": Region("loop", None, "loop", steps, stateful=True)},
    )  # fmt: skip


def results(data: bytes, *arrays: np.ndarray) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_recurrent_network(steps, precision):
    source = np.random.default_rng(0)
    x, z, w, u = (
        source.normal(size=shape).astype(np.float32)
        for shape in ((steps, BATCH, FEATURES), (BATCH, UNITS), (FEATURES, UNITS), (UNITS, UNITS))
    )
    flat = lower(priced(recurrent(steps)), values={"w": w, "u": u}, precision=precision)
    assert flat.share.complete, str(flat.share)
    assert kinds(flat.data) == ["RELU", "WHILE", "NEG"]
    assert ("the weights inside loops stay in 32 bits" in flat.notes) == (precision == "fp16")
    state, states = np.zeros((BATCH, UNITS)), []
    for row in x:
        state = np.tanh(row @ w + state @ u) + np.maximum(z, 0)
        states.append(state)
    kept, out = results(flat.data, x, z)
    assert np.abs(kept - np.stack(states)).max() <= 1e-5
    assert np.abs(out + state).max() <= 1e-5


def test_a_loop_stays_in_floats_between_integers():
    flat = lower(priced(recurrent()), precision="int8")
    assert [kind for kind in kinds(flat.data) if "QUANTIZE" not in kind] == ["RELU", "WHILE", "NEG"]
    assert "WHILE (1)" in flat.notes[-1]
    assert flat.integer == 0
    shapes = [(STEPS, BATCH, FEATURES), (BATCH, UNITS)]
    kept, out = results(flat.data, *(np.ones(shape, np.int8) for shape in shapes))
    assert kept.shape == (STEPS, BATCH, UNITS)
    assert out.shape == (BATCH, UNITS)


def test_a_loop_in_a_loop():
    """s ← s + x·W, three times in each of two trips, from zeros: 6·x·W."""
    x, w = spec("x", BATCH, UNITS), spec("w", UNITS, UNITS)
    made, total, s = spec("made", BATCH, UNITS), spec("total", BATCH, UNITS), spec("s", BATCH, UNITS)
    graph = Graph(
        "nested", "toy", (x,), (s,),
        (
            product("mul", x, w, made, "inner"),
            layer("add", "add", {"x0": s, "x1": made}, total, "inner"),
            layer("carry", "identity", {"x": total}, s, "inner"),
        ),
        {"w": Parameter(w)},
        {"outer": Region("outer", None, "loop", 2), "inner": Region("inner", "outer", "loop", 3, stateful=True)},
    )  # fmt: skip
    report = priced(graph)
    assert report.macs == 6 * BATCH * UNITS * UNITS
    source = np.random.default_rng(0)
    given, weight = (source.normal(size=shape).astype(np.float32) for shape in ((BATCH, UNITS), (UNITS, UNITS)))
    flat = lower(report, values={"w": weight})
    assert flat.share.complete, str(flat.share)
    model, _ = main_graph(flat.data)
    names = [[KINDS[model.operatorCodes[o.opcodeIndex].builtinCode] for o in g.operators] for g in model.subgraphs]
    assert sum("WHILE" in found for found in names) == 2
    assert len(model.subgraphs) == 5  # the network, and a body and a condition for each loop
    assert model.subgraphs[0].operators[0].builtinOptionsType == schema.BuiltinOptions.WhileOptions
    assert np.abs(run_as_given(flat.data, given) - 6 * given @ weight).max() <= 1e-4


def test_what_a_loop_does_that_cannot_be_written_is_named():
    x, y = spec("x", 2, 8), spec("y", 2, 8)
    graph = Graph(
        "odd", "toy", (x,), (y,), (layer("odd", "toy.odd", {"x": x}, y),), {},
        {"loop": Region("loop", None, "loop", 3)},
    )  # fmt: skip
    assert list(lower(priced(graph), least=0.0).share.missing) == ["toy.odd"]
