"""Control flow: loops with their trips, branches, calls, compositions, variables; against what LiteRT executes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flatbuffers import flexbuffers

import multiprof

W = np.full((4, 4), 0.1, np.float32)
MACS = 2 * 4 * 4  # a (2, 4) tensor times a 4×4 weight


def scalar(value: int) -> np.ndarray:
    return np.array(value, np.int32)


def dense(graph: Any, x: int, options: Callable[..., Any], shape: tuple[int, ...] = (2, 4), name: str = "") -> int:
    y = graph.tensor(shape, name=name)
    graph.op("FULLY_CONNECTED", [x, graph.constant(W), -1], [y], options("FullyConnected"))
    return y


def looped(
    build: Any, options: Callable[..., Any], *, compare: str = "LESS", start: int = 0, limit: int = 7, step: int = 1,
    mirrored: bool = False, computed: bool = False,
) -> None:  # fmt: skip
    """while counter < limit: counter += step; y = y·W, with the counter first or second in the comparison."""
    main, condition, body = build.graph(), build.graph(), build.graph()
    x = main.input((2, 4), name="x")
    begin = main.input((), "int32", name="n") if computed else main.constant(scalar(start), name="start")
    i, y = main.tensor((), "int32", name="i"), main.tensor((2, 4), name="net/lstm/while")
    main.op("WHILE", [begin, x], [i, y], options("While", condSubgraphIndex=1, bodySubgraphIndex=2))
    main.output(y)
    counter, _ = condition.input((), "int32"), condition.input((2, 4))
    flag = condition.tensor((), "bool")
    pair = [counter, condition.constant(scalar(limit))]
    condition.op(compare, pair[::-1] if mirrored else pair, [flag])
    condition.output(flag)
    counter, state = body.input((), "int32"), body.input((2, 4))
    more = body.tensor((), "int32")
    body.op("ADD", [counter, body.constant(scalar(step))], [more], options("Add"))
    body.output(more, dense(body, state, options))


@pytest.mark.parametrize(
    ("given", "trips"),
    [
        ({}, 7),
        ({"start": 2, "step": 2}, 3),  # 2, 4, 6
        ({"compare": "LESS_EQUAL"}, 8),
        ({"compare": "GREATER", "start": 9, "limit": 1, "step": -3}, 3),  # 9, 6, 3
        ({"compare": "GREATER_EQUAL", "mirrored": True, "limit": 6}, 7),  # 6 ≥ counter
        ({"start": 8}, 0),
        ({"step": 0}, None),
        ({"step": -1}, None),
        ({"computed": True}, None),
        ({"compare": "NOT_EQUAL"}, None),
    ],
)
def test_trips_of_a_counting_loop(
    build: Any, options: Callable[..., Any], case: Callable[..., Any], given: dict[str, Any], trips: int | None
) -> None:
    looped(build, options, **given)
    made = case(build)
    graph = made.graph()
    (region,) = graph.regions.values()
    assert (region.id, region.kind, region.trips, region.stateful) == ("lstm/while", "loop", trips, True)
    if trips is None:
        report = made.report(trips={region.id: 5})
        assert report.macs == 5 * MACS
        assert "linear" in made.report().unsupported()
    else:
        assert made.report().macs == trips * MACS
        executed = made.executed()
        assert graph.outputs[0].shape == executed["net/lstm/while"]


def test_what_a_loop_carries(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    """Every state is read before the body makes it; what the loop began with keeps its place in memory."""
    looped(build, options)
    graph = case(build).graph()
    first = graph.layers[0]
    assert (first.name, first.op, set(first.inputs)) == ("lstm/while/state0", "identity", {"x", "alias0"})
    makers = {spec.name: n for n, layer in enumerate(graph.layers) for spec in layer.outputs.values()}
    assert makers[first.inputs["x"].name] > 0
    assert first.inputs["alias0"].name in graph.parameters
    assert not graph.marks


@pytest.mark.parametrize("known", [True, False])
def test_two_conditions_at_once(build: Any, options: Callable[..., Any], case: Callable[..., Any], known: bool) -> None:
    """A recurrent layer's loop: the counter below one number *and* below another."""
    main, condition, body = build.graph(), build.graph(), build.graph()
    x = main.input((2, 4), name="x")
    limit = main.constant(scalar(9)) if known else main.input((), "int32", name="limit")
    outs = [main.tensor((), "int32"), main.tensor((2, 4)), main.tensor((), "int32")]
    main.op(
        "WHILE", [main.constant(scalar(0)), x, limit], outs, options("While", condSubgraphIndex=1, bodySubgraphIndex=2)
    )
    main.output(outs[1])
    counter, _, most = condition.input((), "int32"), condition.input((2, 4)), condition.input((), "int32")
    flags = [condition.tensor((), "bool") for _ in range(3)]
    condition.op("LESS", [counter, condition.constant(scalar(11))], flags[:1])
    condition.op("LESS", [counter, most], flags[1:2])
    condition.op("LOGICAL_AND", flags[:2], flags[2:])
    condition.output(flags[2])
    counter, state, most = body.input((), "int32"), body.input((2, 4)), body.input((), "int32")
    more = body.tensor((), "int32")
    body.op("ADD", [counter, body.constant(scalar(1))], [more], options("Add"))
    body.output(more, dense(body, state, options), most)
    (region,) = case(build).graph().regions.values()
    assert region.trips == (9 if known else None)


def test_of_two_branches_the_dearer_counts(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    main, first, second = build.graph(), build.graph(), build.graph()
    flag, x = main.input((), "bool", name="flag"), main.input((2, 4), name="x")
    y = main.tensor((2, 4), name="y")
    main.op("IF", [flag, x], [y], options("If", thenSubgraphIndex=1, elseSubgraphIndex=2))
    main.output(y)
    first.output(dense(first, first.input((2, 4)), options))
    second.output(dense(second, dense(second, second.input((2, 4)), options), options))
    made = case(build)
    assert made.graph().outputs[0].shape == made.executed()["y"]
    report = made.report()
    assert report.macs == 2 * MACS
    kinds = {(region.kind, region.group) for region in report.graph.regions.values()}
    assert kinds == {("branch", "y")}
    assert any("dearest" in warning for warning in report.warnings)
    last = report.graph.layers[-1]
    assert last.op == "identity" and last.y.name == "y"


def test_compositions_are_what_their_subgraph_says(
    build: Any, options: Callable[..., Any], case: Callable[..., Any]
) -> None:
    main, body = build.graph(), build.graph()
    x, y = main.input((2, 4), name="x"), main.tensor((2, 4), name="y")
    table = options("StableHLOComposite", name=b"odml.norm", decompositionSubgraphIndex=1)
    table.compositeAttributes = list(flexbuffers.Dumps({}))
    main.op("STABLEHLO_COMPOSITE", [x], [y], table)
    main.output(y)
    body.output(dense(body, body.input((2, 4)), options))
    made = case(build)
    assert made.executed()["y"] == (2, 4)
    report = made.report()
    assert report.macs == MACS
    assert [region.kind for region in report.graph.regions.values()] == ["call"]


def variables(build: Any, options: Callable[..., Any], *, written: bool) -> None:
    """y = state·W; if ``written`` then state = tanh(x). The state begins as what a subgraph assigns once."""
    main, once = build.graph(), build.graph()
    resource = 13
    x = main.input((2, 4), name="x")
    main.op("CALL_ONCE", [], [], options("CallOnce", initSubgraphIndex=1))
    handle, value, y = main.tensor((), kind=resource), main.tensor((2, 4)), main.tensor((2, 4), name="y")
    main.op("VAR_HANDLE", [], [handle], options("VarHandle", sharedName=b"state"))
    main.op("READ_VARIABLE", [handle], [value])
    product = dense(main, value, options)
    main.op("ADD", [product, x], [y], options("Add"))
    main.output(y)
    if written:
        new = main.tensor((2, 4))
        main.op("TANH", [x], [new])
        main.op("ASSIGN_VARIABLE", [handle, new], [])
    handle = once.tensor((), kind=resource)
    once.op("VAR_HANDLE", [], [handle], options("VarHandle", sharedName=b"state"))
    once.op("ASSIGN_VARIABLE", [handle, once.constant(np.ones((2, 4), np.float32))], [])


@pytest.mark.parametrize("written", [True, False])
def test_variables(build: Any, options: Callable[..., Any], case: Callable[..., Any], written: bool) -> None:
    """State that runs write is a buffer, and work on it counts; one that they only read is a weight, prepared."""
    variables(build, options, written=written)
    made = case(build)
    assert made.executed()["y"] == (2, 4)
    report = made.report()
    assert report.graph.parameters["state"].kind == ("buffer" if written else "parameter")
    assert report.macs == (MACS if written else 0)
    assert any("runs once" in warning for warning in report.warnings)


@pytest.mark.parametrize("code", ["WHILE", "IF", "STABLEHLO_COMPOSITE"])
def test_a_subgraph_that_calls_itself(
    build: Any, options: Callable[..., Any], case: Callable[..., Any], code: str
) -> None:
    main, body = build.graph(), build.graph()
    flag, y = main.input((), "bool"), main.tensor((), "bool")
    tables = {
        "WHILE": ("While", {"condSubgraphIndex": 1, "bodySubgraphIndex": 1}),
        "IF": ("If", {"thenSubgraphIndex": 1, "elseSubgraphIndex": 1}),
        "STABLEHLO_COMPOSITE": ("StableHLOComposite", {"decompositionSubgraphIndex": 1}),
    }
    name, fields = tables[code]
    operands = [flag, flag] if code == "IF" else [flag]
    main.op(code, operands, [y], options(name, **fields))
    main.output(y)
    inner, again = body.input((), "bool"), body.tensor((), "bool")
    body.op(code, [inner, inner] if code == "IF" else [inner], [again], options(name, **fields))
    body.output(again)
    with pytest.raises(multiprof.ModelError, match=rf"net.tflite: subgraph 1, operator 0 \({code}\).*calls itself"):
        case(build).graph()


def test_many_calls_of_many_calls(build: Any, options: Callable[..., Any], case: Callable[..., Any]) -> None:
    """Thirty subgraphs, each calling the next eight times: 8³⁰ operators would run."""
    for number in range(30):
        graph = build.graph()
        x = graph.input((2, 4))
        for _ in range(8):
            y = graph.tensor((2, 4))
            graph.op(
                "STABLEHLO_COMPOSITE", [x], [y], options("StableHLOComposite", decompositionSubgraphIndex=number + 1)
            )
            x = y
        graph.output(x)
    last = build.graph()
    last.output(dense(last, last.input((2, 4)), options))
    with pytest.raises(multiprof.ModelError, match="subgraphs run"):
        case(build).graph()
