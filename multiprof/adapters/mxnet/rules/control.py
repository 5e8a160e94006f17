"""Loops and choices: subgraphs inferred with their node, and written as regions."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Body, Call, Known
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import SAME_MEMORY, Writing
from multiprof.ir import BRANCH, LOOP, TensorSpec

# The node's attribute for each of its subgraphs: which of its arguments become the subgraph's variables, in order.
LOCATIONS = {
    "_while_loop": ("cond_input_locs", "func_input_locs"),
    "_cond": ("cond_input_locs", "then_input_locs", "else_input_locs"),
}


def _places(call: Call, name: str, limit: int) -> tuple[int, ...]:
    found = call.attrs.ints(name, ())
    if any(not 0 <= place < limit for place in found):
        raise call.attrs.wrong(name, f"places below {limit}")
    return found


def link(call: Call) -> Args:
    """Tie each subgraph's variables to the node's arguments; called once, when the node is made."""
    needed = 1 if call.op == "_foreach" else len(LOCATIONS[call.op])
    if len(call.bodies) != needed:
        raise call.error(f"{len(call.bodies)} subgraphs, not {needed}")
    if call.op == "_foreach":
        body = call.bodies[0]
        names = list(body.inference.variables)
        inner = [
            place
            for key in ("in_data_locs", "in_state_locs", "remain_locs")
            for place in _places(call, key, len(names))
        ]
        if sorted(inner) != list(range(len(names))) or len(inner) != len(call.ins):
            raise call.error(f"{len(inner)} places for {len(names)} variables and {len(call.ins)} inputs")
        body.links = [(at, names[place]) for at, place in enumerate(inner)]
        return ()
    for body, key in zip(call.bodies, LOCATIONS[call.op], strict=True):
        places, names = _places(call, key, len(call.ins)), list(body.inference.variables)
        if len(places) != len(names):
            raise call.attrs.wrong(key, f"{len(names)} places")
        body.links = list(zip(places, names, strict=True))
    return ()


def outputs(call: Call) -> int:
    return call.attrs.integer("num_outputs", least=0)


def _count(call: Call) -> int:
    """How many results are collected over the trips; the others are the last states."""
    found = call.attrs.integer("num_out_data", 0, least=0)
    if found > outputs(call):
        raise call.attrs.wrong("num_out_data", f"at most {outputs(call)}")
    return found


def _tell(body: Body, name: str, shape: Known) -> None:
    if shape is not None:
        inner = body.inference
        inner.narrow(inner.variables[name].entry, shape, None, "the argument")


def _ask(body: Body, name: str) -> Known:
    return body.inference.shapes[body.inference.variables[name].entry]


# -- foreach ----------------------------------------------------------------------------------------------------------


def _trips(call: Call) -> int | None:
    """The length of the first dimension of what is scanned."""
    sizes = [shape[0] for i in range(len(call.attrs.ints("in_data_locs", ()))) if (shape := call.shape(i))]
    return next((size for size in sizes if size is not None), None)


def infer_foreach(call: Call) -> None:
    """Data is scanned along its first dimension; a state comes back with the shape it went in with."""
    body, scanned, collected = call.bodies[0], len(call.attrs.ints("in_data_locs", ())), _count(call)
    inner = body.inference
    trips = _trips(call)
    states = [name for _, name in body.links[scanned : scanned + outputs(call) - collected]]
    if len(inner.heads) != outputs(call):
        raise call.error(f"{outputs(call)} results, and {len(inner.heads)} of the subgraph")
    for at, name in body.links:
        shape = call.shape(at)
        _tell(body, name, shape[1:] if shape is not None and at < scanned else shape)
    for name, head in zip(states, inner.heads[collected:], strict=False):
        _tell(body, name, inner.shapes[head])
    inner.run()
    for at, name in body.links:
        shape = _ask(body, name)
        if shape is not None:
            call.expect(at, (trips, *shape) if at < scanned else shape)
    for i, head in enumerate(inner.heads):
        shape = inner.shapes[head]
        if shape is not None:
            call.give((trips, *shape) if i < collected else shape, i)
        elif i >= collected and i - collected < len(states):
            call.give(_ask(body, states[i - collected]), i)


def write_foreach(call: Call, to: Writing) -> None:
    body, scanned, collected = call.bodies[0], len(call.attrs.ints("in_data_locs", ())), _count(call)
    stateful = outputs(call) > collected
    kept = {name for _, name in body.links[scanned + outputs(call) - collected :]}
    with to.writer.region(to.prefix + call.name, LOOP, _trips(call), stateful=stateful):
        inside = _inside(call, to, body, kept)
        for at, name in body.links:
            if name not in kept:
                made = inside.specs[body.inference.variables[name].entry]
                op, attrs = ("slice", {"index": "one of the first dimension"}) if at < scanned else ("identity", {})
                to.layer(call, op, {"x": to.x(call, at)}, {"y": made}, attrs, name)
        _write_all(inside)
    _write_results(call, to, [inside.specs[head] for head in body.inference.heads], collected)


def _inside(call: Call, to: Writing, body: Body, kept: set[str], piece: str = "") -> Writing:
    """Where the subgraph is written; the variables in ``kept`` are the node's arguments themselves."""
    inside = Writing(to.writer, body.inference, f"{to.prefix}{call.name}/{piece}")
    inside.weights = to.weights
    for at, name in body.links:
        if name in kept:
            inside.specs[body.inference.variables[name].entry] = to.x(call, at)
    return inside


def _write_all(inside: Writing) -> None:
    for call in inside.inference.calls:
        if call.rule is None:
            inside.foreign(call)
        else:
            call.rule.write(call, inside)


def _write_results(call: Call, to: Writing, heads: list[TensorSpec], collected: int) -> None:
    for i, entry in enumerate(call.outs):
        made = to.specs[entry]
        if i < collected:
            to.layer(call, "stack", {"x0": heads[i]}, {"y": made}, {"axis": 0}, f"collect{i}")
        else:
            to.layer(call, "identity", {"x": heads[i]}, {"y": made}, None, f"state{i - collected}", SAME_MEMORY)


# -- while loop -------------------------------------------------------------------------------------------------------


def infer_while(call: Call) -> None:
    """What is collected is as long as max_iterations, filled up; loop variables keep their shapes."""
    condition, body = call.bodies
    inner, collected = body.inference, _count(call)
    if len(inner.heads) != outputs(call):
        raise call.error(f"{outputs(call)} results, and {len(inner.heads)} of the subgraph")
    limit = call.attrs.integer("max_iterations", least=0)
    carried = _places(call, "func_var_locs", len(body.links))
    for part in (condition, body):
        for at, name in part.links:
            _tell(part, name, call.shape(at))
    for place, head in zip(carried, inner.heads[collected:], strict=False):
        _tell(body, body.links[place][1], inner.shapes[head])
    inner.run()
    condition.inference.run()
    for part in (condition, body):
        for at, name in part.links:
            call.expect(at, _ask(part, name))
    for i, head in enumerate(inner.heads):
        shape = inner.shapes[head]
        if shape is not None:
            call.give((limit, *shape) if i < collected else shape, i)


def write_while(call: Call, to: Writing) -> None:
    condition, body = call.bodies
    limit = call.attrs.integer("max_iterations", least=0)
    name = to.prefix + call.name
    to.writer.warnings.append(f"the loop {name} runs at most {limit} times: --trips {name}={limit} counts that bound")
    collected = _count(call)
    carried = {body.links[place][1] for place in _places(call, "func_var_locs", len(body.links))}
    with to.writer.region(name, LOOP, None, stateful=bool(carried)):
        inside = _inside(call, to, body, {name for _, name in body.links} - carried)
        for at, variable in body.links:
            if variable in carried:
                made = inside.specs[body.inference.variables[variable].entry]
                to.layer(call, "identity", {"x": to.x(call, at)}, {"y": made}, None, variable)
        test = _inside(call, to, condition, set(), "cond/")
        by_place = {at: inside.specs[body.inference.variables[variable].entry] for at, variable in body.links}
        for at, variable in condition.links:
            test.specs[condition.inference.variables[variable].entry] = by_place.get(at, to.x(call, at))
        _write_all(test)
        _write_all(inside)
    _write_results(call, to, [inside.specs[head] for head in body.inference.heads], collected)


# -- choice -----------------------------------------------------------------------------------------------------------


def infer_cond(call: Call) -> None:
    for part in call.bodies:
        for at, name in part.links:
            _tell(part, name, call.shape(at))
        part.inference.run()
        for at, name in part.links:
            call.expect(at, _ask(part, name))
    for part in call.bodies[1:]:
        if len(part.inference.heads) != outputs(call):
            raise call.error(f"{outputs(call)} results, and {len(part.inference.heads)} of a branch")
        for i, head in enumerate(part.inference.heads):
            call.give(part.inference.shapes[head], i)


def write_cond(call: Call, to: Writing) -> None:
    """Both branches are written; the results are those of the first, whose shapes the second shares."""
    test, *branches = call.bodies
    _write_all(_inside(call, to, test, {name for _, name in test.links}, "cond/"))
    heads: list[TensorSpec] = []
    for part, piece in zip(branches, ("then", "else"), strict=True):
        with to.writer.region(f"{to.prefix}{call.name}/{piece}", BRANCH, group=to.prefix + call.name):
            inside = _inside(call, to, part, {name for _, name in part.links}, f"{piece}/")
            _write_all(inside)
            heads = heads or [inside.specs[head] for head in part.inference.heads]
    _write_results(call, to, heads, 0)


def dtypes(call: Call) -> str | tuple[str, ...]:
    """The types of the subgraph's heads, once those of all arguments are known."""
    outer = call.inference.dtypes
    if not all(outer[entry] for entry in call.ins):
        return ""
    for part in call.bodies:
        for at, name in part.links:
            part.inference.dtypes[part.inference.variables[name].entry] = outer[call.ins[at]]
        part.inference.run_dtypes()
    last = call.bodies[1 if call.op == "_cond" else -1].inference
    return tuple(last.dtypes[head] for head in last.heads)


RULES: Rules = {
    "_foreach": Rule(infer_foreach, write_foreach, link, outputs, like=(), dtype=dtypes),
    "_while_loop": Rule(infer_while, write_while, link, outputs, like=(), dtype=dtypes),
    "_cond": Rule(infer_cond, write_cond, link, outputs, like=(), dtype=dtypes),
}
