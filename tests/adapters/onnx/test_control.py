"""If, Loop and Scan as regions; the sizes of their results as ONNX Runtime computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import multiprof
from multiprof.errors import ModelError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def dense(models: Any, weight: str, label: str) -> onnx.GraphProto:
    """A branch: x (of the graph around) times a weight of that graph."""
    return models.graph(
        [node("MatMul", ["x", weight], [f"{label}_y"], name=f"{label}_mm")], [], [f"{label}_y"], name=label
    )


def choice(models: Any, condition: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
    chosen = node(
        "If", ["c"], ["y"], name="choose", then_branch=dense(models, "w0", "a"), else_branch=dense(models, "w1", "b")
    )
    return models.model(
        [*condition, chosen, node("Relu", ["y"], ["z"], name="act")], [models.info("x", [2, 8]), *inputs], ["z"],
        [models.weight("w0", (8, 16)), models.weight("w1", (8, 32))],
    )  # fmt: skip


def test_both_branches_are_shown_and_the_dearer_counted(models: Any) -> None:
    model = choice(models, [], [models.info("c", [], BOOL)])
    graph = models.read(model)
    assert {(r.id, r.kind, r.group) for r in graph.regions.values()} == {
        ("choose/then", "branch", "choose"),
        ("choose/else", "branch", "choose"),
    }
    where = {layer.name: layer.region for layer in graph.layers}
    assert where == {"choose/then/a_mm": "choose/then", "choose/else/b_mm": "choose/else", "act": None}
    assert graph.layers[-1].x.shape == (2, None)  # 16 or 32 columns
    report = multiprof.analyze(models.save(model))
    assert report.macs == 2 * 8 * 32
    assert any("of the branches of choose only the dearest" in w for w in report.warnings)


@pytest.mark.parametrize(("limit", "columns"), [(1, 16), (5, 32)])
def test_a_condition_that_the_shapes_decide(models: Any, limit: int, columns: int) -> None:
    """Branch a where the batch of 2 is above the limit; ONNX Runtime's result has the same shape."""
    arithmetic = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Greater", ["n", "limit"], ["c"]),
    ]  # fmt: skip
    model = choice(models, arithmetic, [])
    model.graph.initializer.extend([models.tensor("zero", np.int64(0)), models.tensor("limit", np.int64(limit))])
    graph = models.read(model)
    assert not graph.regions
    assert [layer.op for layer in graph.layers] == ["linear", "relu"]
    assert graph.outputs[0].shape == (2, columns)
    assert models.run(model, {"x": np.zeros((2, 8), np.float32)})["z"].shape == (2, columns)
    assert any("known beforehand" in w for w in graph.metadata["warnings"])


def test_a_branch_that_cannot_run_on_the_shapes_given(models: Any) -> None:
    """One convolution for each length, as speech models have it: only the one that fits counts."""

    def branch(kernel: int, label: str) -> onnx.GraphProto:
        return models.graph([node("Conv", ["x", f"w{kernel}"], [label], name="conv")], [], [label], name=label)

    model = models.model(
        [node("If", ["c"], ["y"], name="choose", then_branch=branch(64, "long"), else_branch=branch(4, "short"))],
        [models.info("x", [1, 1, 16]), models.info("c", [], BOOL)], ["y"],
        [models.weight("w64", (2, 1, 64)), models.weight("w4", (2, 1, 4))],
    )  # fmt: skip
    graph = models.read(model)
    assert set(graph.regions) == {"choose/else"}
    assert graph.outputs[0].shape == (1, 2, 13)
    assert models.run(model, {"x": np.zeros((1, 1, 16), np.float32), "c": np.array(False)})["y"].shape == (1, 2, 13)
    assert any("then branch cannot run" in warning for warning in graph.metadata["warnings"])
    model.graph.input[0].CopyFrom(models.info("x", [1, 1, 2]))
    with pytest.raises(ModelError, match="neither branch can run"):
        models.read(model)


def body(models: Any, size: int, *, condition: str = "always") -> onnx.GraphProto:
    """h = tanh(h · w); gathers h. The loop goes on always, or while the sum of h is positive."""
    nodes = [node("MatMul", ["h", "w"], ["p"], name="mm"), node("Tanh", ["p"], ["h_next"], name="act")]
    if condition == "always":
        nodes.append(node("Identity", ["go"], ["go_on"]))
    else:
        nodes += [node("ReduceSum", ["h_next"], ["total"], keepdims=0), node("Greater", ["total", "nought"], ["go_on"])]
    return models.graph(
        nodes,
        [models.info("i", [], INT64), models.info("go", [], BOOL), models.info("h", [1, size])],
        [models.info("go_on", [], BOOL), models.info("h_next", [1, size]), models.info("h_next", [1, size])],
        name="body",
    )


def looped(models: Any, trips: int | None, *, condition: str = "always", stored_state: bool = False) -> onnx.ModelProto:
    names = ["trips" if trips is not None else "", "", "h0"]
    stored = [models.weight("w", (8, 8)), models.tensor("nought", np.float32(0))]
    if trips is not None:
        stored.append(models.tensor("trips", np.int64(trips)))
    inputs = [] if stored_state else [models.info("h0", [1, 8])]
    if stored_state:
        stored.append(models.weight("h0", (1, 8)))
    nodes = [node("Loop", names, ["h_end", "all"], name="steps", body=body(models, 8, condition=condition))]
    return models.model(nodes, inputs, ["h_end", "all"], stored)


@pytest.mark.parametrize("trips", [0, 1, 7])
def test_a_loop_with_known_trips(models: Any, trips: int) -> None:
    model = looped(models, trips)
    graph = models.read(model)
    (region,) = graph.regions.values()
    assert (region.id, region.kind, region.trips, region.stateful) == ("steps", "loop", trips, True)
    assert [(layer.name, layer.op, layer.region) for layer in graph.layers if layer.region] == [
        ("steps/mm", "linear", "steps"), ("steps/act", "tanh", "steps"),
    ]  # fmt: skip
    made = models.run(model, {"h0": np.ones((1, 8), np.float32)})
    assert [spec.shape for spec in graph.outputs] == [made["h_end"].shape, made["all"].shape]
    assert multiprof.analyze(models.save(model)).macs == trips * 8 * 8


def test_a_loop_that_may_stop_earlier_counts_all_its_trips(models: Any) -> None:
    graph = models.read(looped(models, 5, condition="sum"))
    assert graph.regions["steps"].trips == 5
    assert any("may stop before its 5 trips" in w for w in graph.metadata["warnings"])


@pytest.mark.parametrize("trips", [None, (1 << 63) - 1])
def test_a_loop_of_unknown_length_asks_for_it(models: Any, trips: int | None) -> None:
    model = looped(models, trips, condition="sum")
    path = models.save(model)
    assert models.read(path).regions["steps"].trips is None
    assert models.read(path, trips={"steps": 3}).outputs[1].shape == (3, 1, 8)
    assert "--trips steps=n" in multiprof.analyze(path).layer("steps/mm").reason
    assert multiprof.analyze(path, trips={"steps": 3}).macs == 3 * 8 * 8


def test_a_state_that_starts_as_a_weight_is_no_weight_in_the_loop(models: Any) -> None:
    """Else the whole recurrence would count as prepared beforehand."""
    report = multiprof.analyze(models.save(looped(models, 4, stored_state=True)))
    assert report.macs == 4 * 8 * 8
    assert not report.prepared()


def test_a_state_that_grows_has_an_unknown_size(models: Any) -> None:
    """Each trip appends a row; ONNX Runtime ends with 1 + 3 rows, and one row more is gathered each time."""
    grow = models.graph(
        [node("Concat", ["h", "row"], ["h_next"], axis=0, name="join"), node("Identity", ["go"], ["go_on"])],
        [models.info("i", [], INT64), models.info("go", [], BOOL), models.info("h", None)],
        [models.info("go_on", [], BOOL), models.info("h_next", None)],
    )
    model = models.model(
        [node("Loop", ["trips", "", "h0"], ["y"], name="steps", body=grow)], [models.info("h0", [1, 8])], ["y"],
        [models.tensor("trips", np.int64(3)), models.weight("row", (1, 8))],
    )  # fmt: skip
    graph = models.read(model)
    assert graph.outputs[0].shape == (None, 8)
    assert models.run(model, {"h0": np.ones((1, 8), np.float32)})["y"].shape == (4, 8)
    join = next(layer for layer in graph.layers if layer.op == "concat")
    assert join.y.shape == (None, 8)


def test_what_a_loop_hands_on_unchanged_stays_a_weight(models: Any) -> None:
    carry = models.graph(
        [node("MatMul", ["h", "v"], ["h_next"], name="mm"), node("Identity", ["go"], ["go_on"])],
        [models.info("i", [], INT64), models.info("go", [], BOOL), models.info("h", [1, 8]), models.info("v", [8, 8])],
        [models.info("go_on", [], BOOL), models.info("h_next", [1, 8]), models.info("v", [8, 8])],
    )
    model = models.model(
        [node("Loop", ["trips", "", "h0", "w"], ["y", "same"], name="steps", body=carry)],
        [models.info("h0", [1, 8])], ["y"], [models.tensor("trips", np.int64(3)), models.weight("w", (8, 8))],
    )  # fmt: skip
    graph = models.read(model)
    (product,) = (layer for layer in graph.layers if layer.region)
    assert product.op == "linear" and product.inputs["weight"].name == "w"


def test_the_number_of_the_trip_is_made_by_the_loop(models: Any) -> None:
    counting = models.graph(
        [
            node("Cast", ["i"], ["f"], to=FLOAT),
            node("Mul", ["h", "f"], ["h_next"]),
            node("Identity", ["go"], ["go_on"]),
        ],
        [models.info("i", [], INT64), models.info("go", [], BOOL), models.info("h", [1, 8])],
        [models.info("go_on", [], BOOL), models.info("h_next", [1, 8])],
    )
    model = models.model(
        [node("Loop", ["trips", "", "h0"], ["y"], name="steps", body=counting)], [models.info("h0", [1, 8])], ["y"],
        [models.tensor("trips", np.int64(3))],
    )  # fmt: skip
    graph = models.read(model)
    assert [(layer.op, layer.region) for layer in graph.layers] == [
        ("arange", "steps"), ("cast", "steps"), ("mul", "steps"),
    ]  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1])
def test_scan_runs_its_body_once_a_slice(models: Any, axis: int) -> None:
    step = models.graph(
        [node("MatMul", ["row", "w"], ["p"], name="mm"), node("Add", ["h", "p"], ["h_next"], name="sum")],
        [models.info("h", [1, 4]), models.info("row", [1, 8])],
        [models.info("h_next", [1, 4]), models.info("p", [1, 4])],
    )
    shape = (6, 1, 8) if axis == 0 else (1, 6, 8)
    model = models.model(
        [node("Scan", ["h0", "x"], ["h_end", "rows"], name="steps", body=step, num_scan_inputs=1,
              scan_input_axes=[axis], scan_output_axes=[axis])],
        [models.info("h0", [1, 4]), models.info("x", shape)], ["h_end", "rows"], [models.weight("w", (8, 4))],
    )  # fmt: skip
    graph = models.read(model)
    (region,) = graph.regions.values()
    assert (region.kind, region.trips, region.stateful) == ("loop", 6, True)
    made = models.run(model, {"h0": np.ones((1, 4), np.float32), "x": np.ones(shape, np.float32)})
    assert [spec.shape for spec in graph.outputs] == [made["h_end"].shape, made["rows"].shape]
    assert multiprof.analyze(models.save(model)).macs == 6 * 8 * 4


def test_loops_in_loops_multiply(models: Any) -> None:
    outer = models.graph(
        [node("Loop", ["three", "", "h"], ["h_next", "gathered"], name="inner", body=body(models, 8)),
         node("Identity", ["go"], ["go_on"])],
        [models.info("j", [], INT64), models.info("go", [], BOOL), models.info("h", [1, 8])],
        [models.info("go_on", [], BOOL), models.info("h_next", [1, 8]), models.info("gathered", None)],
    )  # fmt: skip
    model = models.model(
        [node("Loop", ["two", "", "h0"], ["y", "all"], name="outer", body=outer)], [models.info("h0", [1, 8])],
        ["y", "all"],
        [models.tensor("two", np.int64(2)), models.tensor("three", np.int64(3)), models.weight("w", (8, 8))],
    )  # fmt: skip
    graph = models.read(model)
    assert graph.regions["outer/inner"].parent == "outer"
    assert graph.outputs[1].shape == models.run(model, {"h0": np.ones((1, 8), np.float32)})["all"].shape
    assert multiprof.analyze(models.save(model)).macs == 2 * 3 * 8 * 8


def test_initializers_of_a_subgraph_are_declared(models: Any) -> None:
    """Both branches call their weight w; the file has two weights."""

    def branch(columns: int) -> onnx.GraphProto:
        return models.graph(
            [node("MatMul", ["x", "w"], ["r"])], [], ["r"], [models.weight("w", (8, columns))], name=f"b{columns}"
        )  # fmt: skip

    model = models.model(
        [node("If", ["c"], ["y"], name="choose", then_branch=branch(3), else_branch=branch(5))],
        [models.info("x", [2, 8]), models.info("c", [], BOOL)], ["y"],
    )  # fmt: skip
    report = multiprof.analyze(models.save(model))
    assert report.params == 8 * 3 + 8 * 5


@pytest.mark.parametrize("length", [16, 100])
def test_what_a_branch_left_out_stores_is_declared(models: Any, length: int) -> None:
    """One network for short inputs and one for long ones in a file: their weights are all in it, whichever runs."""

    def branch(kernel: int, label: str) -> onnx.GraphProto:
        table = node("Constant", [], ["bias"], value=onnx.numpy_helper.from_array(np.zeros(2, np.float32)))
        nodes = [
            table,
            node("Conv", ["x", "w", "bias"], [f"{label}_c"], name="conv"),
            node("BatchNormalization", [f"{label}_c", "g", "g", "m", "m"], [label], name="norm"),
        ]
        stored = [models.weight("w", (2, 1, kernel)), models.weight("g", (2,)), models.weight("m", (2,))]
        return models.graph(nodes, [], [label], stored, name=label)

    arithmetic = [
        node("Shape", ["x"], ["s"], start=2), node("Greater", ["s", "limit"], ["c"]),
        node("If", ["c"], ["y"], name="choose", then_branch=branch(64, "long"), else_branch=branch(4, "short")),
    ]  # fmt: skip
    model = models.model(
        arithmetic, [models.info("x", [1, 1, length])], ["y"], [models.tensor("limit", np.array([50]))]
    )
    graph = models.read(model)
    assert [layer.op for layer in graph.layers] == ["conv", "batch_norm"]
    stored = sorted((p.kind, p.spec.shape) for p in graph.parameters.values() if p.spec.dtype == "float32")
    each = [("buffer", (2,)), ("parameter", (2,)), ("parameter", (2,))]  # statistics; scale, bias
    assert stored == sorted([*each, *each, ("parameter", (2, 1, 4)), ("parameter", (2, 1, 64))])


@pytest.mark.parametrize("op_type", ["If", "Loop", "Scan"])
def test_a_body_that_is_missing(models: Any, op_type: str) -> None:
    model = models.model(
        [node(op_type, ["c", "c"], ["y"], name="broken")], [models.info("c", [], BOOL)], ["y"]
    )  # fmt: skip
    with pytest.raises(ModelError, match="'broken'"):
        models.read(model)


def test_scopes_inside(models: Any) -> None:
    """PyTorch writes the paths of a body's nodes from the top; what has none stands where the If or Loop does."""
    inner = models.graph(
        [node("Relu", ["x"], ["r"], name="/decoder/rnn/act/Relu"), node("Tanh", ["r"], ["t"], name="Tanh_3")], [], ["t"]
    )
    model = models.model(
        [node("If", ["c"], ["y"], name="/decoder/If", then_branch=inner, else_branch=inner)],
        [models.info("x", [2]), models.info("c", [], BOOL)], ["y"],
    )  # fmt: skip
    assert [layer.scope for layer in models.read(model).layers] == ["decoder.rnn.act", "decoder"] * 2
