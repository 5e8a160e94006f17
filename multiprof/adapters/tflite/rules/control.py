"""Control flow: subgraphs that are called, chosen or repeated, and variables that outlive a run."""

from __future__ import annotations

from collections.abc import Sequence

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.trips import trips_of
from multiprof.adapters.tflite.walk import Given
from multiprof.ir import ALIAS_ROLE, BRANCH, CALL, CONSTANT, INTEGER_DTYPES, LOOP, Layer, Shape, TensorSpec


def _given(node: Node, first: int = 0) -> list[Given]:
    count = len(node.operator.inputs)
    return [Given(node.x(i), node.values(i)) for i in range(first, count)]


def _bind(node: Node, results: Sequence[Given]) -> None:
    if len(results) != node.outputs:
        raise node.fail(f"it has {node.outputs} outputs, its subgraph {len(results)}")
    for number, result in enumerate(results):
        node.bind(number, result.spec)
        if result.values is not None:
            node.know(result.values, number)


def _call(node: Node, number: int, name: str) -> None:
    with node.walker.writer.region(name, CALL):
        results = node.walker.run(number, _given(node), node.operator.where, node.scope)
    _bind(node, results)


@rule("CALL")
def call(node: Node) -> None:
    _call(node, node.options["subgraph"], node.name)


@rule("STABLEHLO_COMPOSITE")
def composite(node: Node) -> None:
    """An operation by name, with a subgraph that says what it does."""
    name = node.options["name"]
    _call(node, node.options["decomposition_subgraph_index"], f"{node.name}/{name}" if name else node.name)


# -- choices ---------------------------------------------------------------------------------------------------------


@rule("IF")
def if_(node: Node) -> None:
    """Operands: the condition, what both branches get."""
    o = node.options
    _choose(node, {"then": o["then_subgraph_index"], "else": o["else_subgraph_index"]})


@rule("STABLEHLO_CASE")
def case(node: Node) -> None:
    """Operands: the number of the branch, what all branches get."""
    numbers = node.options["branch_subgraph_indices"]
    if not numbers:
        raise node.fail("it has no branches")
    _choose(node, {f"branch{i}": number for i, number in enumerate(numbers)})


def _choose(node: Node, branches: dict[str, int]) -> None:
    """Regions that exclude one another; a layer after them stands for the result of the one that ran."""
    walker, given = node.walker, _given(node, 1)
    found: list[list[Given]] = []
    for label, number in branches.items():
        with walker.writer.region(f"{node.name}/{label}", BRANCH, group=node.name):
            found.append(walker.run(number, given, node.operator.where, node.scope))
        if len(found[-1]) != node.outputs:
            raise node.fail(f"it has {node.outputs} outputs, its subgraph {number} has {len(found[-1])}")
    for number in range(node.outputs):
        specs = [results[number].spec for results in found]
        if len({spec.name for spec in specs}) == 1:
            node.bind(number, specs[0])
            continue
        y = node.result(_common(specs), number)
        others = (*specs[1:], node.x(0))
        inputs = {"x": specs[0]} | {f"{ALIAS_ROLE}{i}": spec for i, spec in enumerate(others)}
        node.layer("identity", inputs, {"y": y}, piece=f"result{number}")
        node.bind(number, y)


def _common(specs: Sequence[TensorSpec]) -> Shape | None:
    """The sizes on which all agree."""
    if len({spec.rank for spec in specs}) != 1:
        return None
    return tuple(dims[0] if len(set(dims)) == 1 else None for dims in zip(*(s.shape for s in specs), strict=True))


# -- loops -----------------------------------------------------------------------------------------------------------


@rule("WHILE", "STABLEHLO_WHILE")
def while_(node: Node) -> None:
    """A region that repeats: first the condition's layers, then the body's.

    What the body gives back unchanged is simply what came in. For every other state a layer at the loop's beginning
    stands for its value in this trip: it reads what the body makes at its end (the value of the trip before), and under
    a role that costs nothing what the loop began with.
    """
    walker, writer = node.walker, node.walker.writer
    condition = walker.model.subgraph(node.options["cond_subgraph_index"], node.operator.where)
    body = walker.model.subgraph(node.options["body_subgraph_index"], node.operator.where)
    given = _given(node)
    if not len(given) == len(body.inputs) == len(body.outputs) == node.outputs:
        raise node.fail(
            f"it has {len(given)} operands and {node.outputs} outputs; its body has {len(body.inputs)} inputs and "
            f"{len(body.outputs)} outputs"
        )
    if len(condition.inputs) != len(given) or len(condition.outputs) != 1:
        raise node.fail("its condition does not take what the loop has, or has not one output")
    carried = [number for number, (a, b) in enumerate(zip(body.inputs, body.outputs, strict=True)) if a != b]
    trips = trips_of(walker.model, condition, body, given)
    stateful = any(given[n].spec.quant is not None or given[n].spec.dtype not in INTEGER_DTYPES for n in carried)
    states = list(given)
    entries: dict[int, Layer] = {}
    with writer.region(node.name, LOOP, trips, stateful=stateful):
        for number in carried:
            first = given[number].spec
            state = node.between(first.shape, first, True)
            inputs = {"x": first, f"{ALIAS_ROLE}0": first}
            entries[number] = writer.layer(
                f"{node.name}/state{number}", "identity", inputs, {"y": state}, scope=node.scope, source=node.code
            )
            states[number] = Given(state)
            if first.name in walker.handles:
                walker.handles[state.name] = walker.handles[first.name]
        walker.run(condition.number, states, node.operator.where, node.scope)
        results = walker.run(body.number, states, node.operator.where, node.scope)
    for number in carried:
        made, first = results[number].spec, given[number].spec
        entries[number].inputs["x"] = made
        results[number].values = None
        if made.rank == first.rank and not node.declared(number).free:
            # a state keeps its shape from trip to trip unless the file says that it does not
            pairs = zip(made.shape, first.shape, strict=True)
            made.shape = tuple(a if d is None else d for d, a in pairs)
        known = writer.parameters.get(first.name)
        if known is not None:  # what a recurrent network begins with is no learned weight, unless used as one
            known.kind = CONSTANT
    _bind(node, results)


# -- variables -------------------------------------------------------------------------------------------------------


@rule("CALL_ONCE")
def call_once(node: Node) -> None:
    """A subgraph that gives variables their first values, before the first run: no part of a run."""
    node.walker.initialise(node.options["init_subgraph_index"], node.operator.where)


@rule("VAR_HANDLE")
def var_handle(node: Node) -> None:
    y = node.result(node.declared(0).shape)
    node.walker.handles[y.name] = node.walker.key_of(node.operator)
    node.layer("fill", {}, {"y": y})
    node.bind(0, y)


def _key(node: Node) -> str:
    """The variable whose handle operand 0 is."""
    key = node.walker.handles.get(node.x(0).name)
    if key is None:
        raise node.fail(f"its operand {node.x(0).name!r} is no handle of a variable")
    return key


@rule("READ_VARIABLE")
def read_variable(node: Node) -> None:
    """A variable that no run writes is a weight like any other; else it is state."""
    key = _key(node)
    variable = node.walker.variable(key, node.declared(0))
    if not node.walker.is_written(key):
        node.bind(0, variable)
        return
    node.emit("identity", {"x": variable, f"{ALIAS_ROLE}0": node.x(0)}, variable.shape)


@rule("ASSIGN_VARIABLE")
def assign_variable(node: Node) -> None:
    value = node.x(1)
    variable = node.walker.variable(_key(node), node.frame.subgraph.tensors[node.operator.inputs[1]])
    y = node.between(value.shape, value, True)
    inputs = {"x": value, "dest": variable, f"{ALIAS_ROLE}0": node.x(0)}
    node.layer("copy", inputs, {"y": y}, aliases=(("y", "dest", "write"),))


__all__: list[str] = []
