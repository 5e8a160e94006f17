"""Loops, branches and the devices of a mesh: regions, whose bodies are read once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from jax.extend.core import Literal

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value, number
from multiprof.adapters.jax.walker import Walker
from multiprof.ir import BRANCH, LOOP, TensorSpec


def _region_name(w: Walker, name: str) -> str:
    return f"{w.scope}/{name}" if w.scope else name


class Carried:
    """The state of a loop: what the body reads, and where its result is handed on to the next trip.

    A part of the state that the body returns as it got it is what it was before the loop. Of every other part the
    body reads one tensor, which an ``identity`` at the end of the body makes of the body's result.
    """

    def __init__(self, w: Walker, initial: Sequence[Value], invars: Sequence[Any], outvars: Sequence[Any]) -> None:
        self.values: list[Value] = []
        self.moving: list[bool] = []
        for value, read, made in zip(initial, invars, outvars, strict=True):
            same = read is made
            self.moving.append(not same)
            self.values.append(value if same else w.like(read))

    def hand_on(self, w: Walker, results: Sequence[Value]) -> None:
        for value, moving, result in zip(self.values, self.moving, results, strict=True):
            if moving and isinstance(value, TensorSpec):
                w.emit("identity", {"x": result}, {"y": value}, name="carry")

    @property
    def stateful(self) -> bool:
        return any(self.moving)


@rule("scan")
def scan(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """A loop of known length: slices of the stacked operands in, slices of the stacked results out."""
    p = eqn.params
    body = p["jaxpr"]
    n_consts, n_carry, length = p["num_consts"], p["num_carry"], int(p["length"])
    constants, initial, stacked = values[:n_consts], values[n_consts : n_consts + n_carry], values[n_consts + n_carry :]
    invars = body.jaxpr.invars
    initial = [value if isinstance(value, Fill) else w.tensor(value) for value in initial]
    carried = Carried(w, initial, invars[n_consts : n_consts + n_carry], body.jaxpr.outvars[:n_carry])
    source = w.source
    with w.writer.region(_region_name(w, "scan"), LOOP, length, stateful=carried.stateful):
        slices: list[Value] = []
        for value, variable in zip(stacked, invars[n_consts + n_carry :], strict=True):
            if isinstance(value, Fill):
                slices.append(Fill(value.value, value.shape[1:], value.dtype))
                continue
            part = w.like(variable)
            w.emit("slice", {"x": value}, {"y": part}, {"index": "step"})
            slices.append(part)
        results = w.closed(body, [*constants, *carried.values, *slices])
        w.source = source
        carried.hand_on(w, results[:n_carry])
    made: list[Value] = list(carried.values)
    for variable, value in zip(eqn.outvars[n_carry:], results[n_carry:], strict=True):
        if isinstance(value, Fill):
            made.append(Fill(value.value, tuple(variable.aval.shape), value.dtype))
            continue
        y = w.like(variable)
        w.emit("stack", {"x0": value}, {"y": y}, {"axis": 0})
        made.append(y)
    return made


@rule("while")
def while_(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """A loop of unknown length, unless it counts: then its trips follow from the start, the end and the step."""
    p = eqn.params
    body, condition = p["body_jaxpr"], p["cond_jaxpr"]
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    of_cond, of_body, initial = values[:n_cond], values[n_cond : n_cond + n_body], values[n_cond + n_body :]
    carried = Carried(w, initial, body.jaxpr.invars[n_body:], body.jaxpr.outvars)
    trips = _trips(condition.jaxpr, body.jaxpr, n_cond, n_body, of_cond, initial, carried)
    source = w.source
    with w.writer.region(_region_name(w, "while"), LOOP, trips, stateful=carried.stateful):
        w.closed(condition, [*of_cond, *carried.values])
        results = w.closed(body, [*of_body, *carried.values])
        w.source = source
        carried.hand_on(w, results)
    return carried.values


def _trips(
    condition: Any,
    body: Any,
    n_cond: int,
    n_body: int,
    of_cond: Sequence[Value],
    initial: Sequence[Value],
    carried: Carried,
) -> int | None:
    """Trips of ``while i < end: i += step`` with numbers known while reading, as fori_loop makes it; else ``None``."""
    if len(condition.eqns) != 1 or condition.eqns[0].primitive.name not in ("lt", "le", "gt", "ge"):
        return None
    test = condition.eqns[0]
    if list(condition.outvars) != list(test.outvars):
        return None
    counter, end = test.invars
    name = test.primitive.name
    if isinstance(counter, Literal) or counter not in condition.invars[n_cond:]:
        return None
    place = condition.invars.index(counter) - n_cond
    start, stop = initial[place], _known(end, condition.invars, n_cond, of_cond, initial, carried)
    made = body.outvars[place]
    step = next((e for e in body.eqns if any(v is made for v in e.outvars)), None)
    if not isinstance(start, Fill) or stop is None or step is None or step.primitive.name not in ("add", "sub"):
        return None
    left, right = step.invars
    if step.primitive.name == "add" and not isinstance(right, Literal):
        left, right = right, left
    if not isinstance(right, Literal) or left is not body.invars[n_body + place]:
        return None
    by: int = number(right.val) * (-1 if step.primitive.name == "sub" else 1)
    if by == 0 or (name in ("lt", "le")) != (by > 0) or not all(isinstance(n, int) for n in (start.value, stop, by)):
        return None
    distance: int = (stop - start.value) * (1 if by > 0 else -1) + (name in ("le", "ge"))
    return -(-distance // abs(by)) if distance > 0 else 0


def _known(
    atom: Any,
    invars: Sequence[Any],
    n_consts: int,
    constants: Sequence[Value],
    initial: Sequence[Value],
    carried: Carried,
) -> Any:
    """The number an operand of the loop's condition is in every trip, or ``None``."""
    if isinstance(atom, Literal):
        return number(atom.val)
    if atom not in invars:
        return None
    place = list(invars).index(atom)
    value = constants[place] if place < n_consts else initial[place - n_consts]
    if place >= n_consts and carried.moving[place - n_consts]:
        return None
    return value.value if isinstance(value, Fill) else None


@rule("cond")
def cond(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """A choice: one branch region for each case, of which one runs; a choice known while reading is made."""
    which, *operands = values
    branches = eqn.params["branches"]
    if isinstance(which, Fill):
        return w.closed(branches[min(max(int(which.value), 0), len(branches) - 1)], operands)
    if len(branches) == 1:
        return w.closed(branches[0], operands)
    group = w.group(_region_name(w, "cond"))
    source = w.source
    results: list[list[TensorSpec]] = []
    for number_, branch in enumerate(branches):
        with w.writer.region(f"{group}/{number_}", BRANCH, group=group):
            results.append([w.tensor(value) for value in w.closed(branch, operands)])
    w.source = source
    made: list[Value] = []
    for variable, choices in zip(eqn.outvars, zip(*results, strict=True), strict=True):
        if all(choice.name == choices[0].name for choice in choices):
            made.append(choices[0])
            continue
        y = w.like(variable)
        # of one branch; what is computed of the inputs in any of them is no weight
        chosen = next((choice for choice in choices if not w.is_weight(choice)), choices[0])
        w.emit("identity", {"x": chosen}, {"y": y}, name="chosen")
        made.append(y)
    return made


@rule("platform_index")
def platform_index(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Which of several implementations runs depends on the device: read the one for all others, which is the last."""
    platforms = eqn.params.get("platforms") or ()
    return [Fill(max(len(platforms) - 1, 0), (), "int32")]


@rule("shard_map")
def shard_map(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """One program on every device of a mesh: a loop over the devices, each on its shard."""
    p = eqn.params
    mesh, body = p["mesh"], p["jaxpr"]
    manual = p.get("manual_axes") or mesh.axis_names
    sizes = {name: int(mesh.shape[name]) for name in manual}
    devices = prod(sizes.values())
    inner = getattr(body, "jaxpr", body)
    outer = dict(w.axes)
    w.axes.update(sizes)
    try:
        if devices == 1:
            return w.closed(body, values)
        with w.writer.region(_region_name(w, "shard_map"), LOOP, devices):
            shards: list[Value] = []
            for value, variable in zip(values, inner.invars, strict=True):
                if isinstance(value, Fill):
                    shards.append(Fill(value.value, tuple(variable.aval.shape), value.dtype))
                elif tuple(value.shape) == tuple(variable.aval.shape):
                    shards.append(value)
                else:
                    part = w.like(variable)
                    w.emit("slice", {"x": value}, {"y": part}, {"index": "shard"})
                    shards.append(part)
            results = [w.tensor(value) for value in w.closed(body, shards)]
    finally:
        w.axes = outer
    made: list[Value] = []
    for variable, result in zip(eqn.outvars, results, strict=True):
        if tuple(variable.aval.shape) == result.shape:
            made.append(result)
            continue
        y = w.like(variable)
        axis = next(i for i, (m, n) in enumerate(zip(y.shape, result.shape, strict=True)) if m != n)
        w.emit("concat", {"x0": result}, {"y": y}, {"axis": axis})
        made.append(y)
    return made


@rule("axis_index")
def axis_index(w: Walker, eqn: Any, values: list[Value]) -> Any:
    if w.axis_size(eqn.params.get("axis_name", ())) == 1:
        return [Fill(0, (), "int32")]
    y = w.like(eqn.outvars[0])
    w.emit("arange", {}, {"y": y})
    return [y]
