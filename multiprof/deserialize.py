"""A saved report back from JSON values. Everything is checked: the file may be broken, foreign or hostile."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from multiprof.checked import LIMIT, Part, is_count, is_number, restored
from multiprof.cost import PRIMITIVES, Cost, Counts
from multiprof.errors import MultiprofError, ReportError
from multiprof.ir import (
    BITS,
    BRANCH,
    BUFFER,
    CALL,
    CONSTANT,
    FOLDED,
    LOOP,
    PARAMETER,
    PREPARED,
    STRING,
    Graph,
    Layer,
    Mark,
    Parameter,
    Quant,
    Region,
    TensorSpec,
)
from multiprof.layer_report import STATES, UNSUPPORTED, LayerReport
from multiprof.measurement import Measurement
from multiprof.prediction import BOUNDS, Bound, Prediction
from multiprof.serialize import SCHEMA_VERSION
from multiprof.structure import check
from multiprof.training import PHASES, Backward, StepPeak, Training
from multiprof.training import STATES as BACKWARD_STATES

MAX_RANK = 64


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The stored fields of a `Report` from a file; `ReportError` names the file and what is wrong."""
    file = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ReportError(f"{file} is no report: it is not text in UTF-8") from error
    except (OSError, ValueError) as error:
        raise ReportError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
        if "\\ud" in text.lower():  # half of a surrogate pair is a string that nothing can print
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{file} is no report: it is not JSON: {error}") from error
    try:
        return parse(data)
    except ReportError as error:
        raise ReportError(f"{file}: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def parse(data: object) -> dict[str, Any]:
    """The stored fields of a `Report` from what `dump` wrote; `ReportError` says which part is wrong, and how."""
    try:
        return _report(Part(data, "the report"))
    except ReportError:
        raise
    except RecursionError:
        raise ReportError("the report is nested too deeply") from None
    except MultiprofError as error:  # the parts are well-formed, and do not fit together
        raise ReportError(str(error)) from error


def _report(top: Part) -> dict[str, Any]:
    version = top.data.get("schema_version")
    if not is_count(version):
        raise ReportError("there is no 'schema_version': this is no report of multiprof")
    if version != SCHEMA_VERSION:
        raise ReportError(f"its schema is version {version}, and this multiprof reads version {SCHEMA_VERSION}")
    model = top.part("model")
    model.count_or_none("file_bytes")
    model.text_or_none("format")
    graph, rows = _graph(top, model, top.part("graph"))
    return {
        "graph": graph,
        "layers": rows,
        "convention": top.text("convention"),
        "warnings": top.texts("warnings"),
        "measurements": tuple(_measurement(part) for part in top.parts("measurements")),
        "tool": top.table("tool"),
        "environment": top.table("environment"),
        "model": top.table("model"),
        "predictions": tuple(_prediction(part) for part in top.parts("predictions")),
        # reports of before training was counted have no such entry
        "training": None if top.data.get("training") is None else _training(top.part("training"), rows),
    }


def _graph(top: Part, model: Part, body: Part) -> tuple[Graph, tuple[LayerReport, ...]]:
    marks = body.part("marks")
    rows = tuple(_layer(part) for part in body.parts("layers"))
    graph = Graph(
        model.text("name"),
        model.text("framework"),
        tuple(_spec(part) for part in top.parts("inputs")),
        tuple(_spec(part) for part in body.parts("outputs")),
        tuple(row.layer for row in rows),
        _by_key((_parameter(part) for part in body.parts("parameters")), lambda p: p.name, "parameters"),
        _by_key((_region(part) for part in body.parts("regions")), lambda region: region.id, "regions"),
        body.table("metadata"),
        {name: _mark(marks.part(name)) for name in marks.data},
    )
    check(graph)
    return graph, rows


def _by_key(values: Any, key: Callable[[Any], str], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in values:
        if key(value) in found:
            raise ReportError(f"there are two {what} of the name {key(value)!r}")
        found[key(value)] = value
    return found


def _spec(part: Part) -> TensorSpec:
    shape = tuple(part.items("shape"))
    known = [d for d in shape if d is not None]
    if not all(is_count(d) for d in known) or len(shape) > MAX_RANK or math.prod(known) >= LIMIT:
        raise part.wrong("shape", "a shape: sizes from 0 on, or null where unknown")
    dtype = part.text("dtype")
    if dtype not in BITS and dtype != STRING:
        raise part.wrong("dtype", "a known dtype")
    quant = None if part.data.get("quant") is None else _quant(part.part("quant"))
    return TensorSpec(shape, dtype, part.text("name"), quant)


def _quant(part: Part) -> Quant:
    scale = tuple(restored(value, part.where) for value in part.items("scale"))
    zero_point = tuple(part.items("zero_point"))
    if not all(isinstance(value, float) or is_number(value) for value in scale):
        raise part.wrong("scale", "an array of numbers")
    if not all(type(value) is int for value in zero_point):
        raise part.wrong("zero_point", "an array of whole numbers")
    return Quant(scale, zero_point, part.count_or_none("axis"))


def _parameter(part: Part) -> Parameter:
    trainable = None if part.get("trainable") is None else part.flag("trainable")
    kind = part.one_of("kind", (PARAMETER, BUFFER, CONSTANT))
    return Parameter(_spec(part), kind, trainable, part.text("source"), part.texts("tied"))


def _region(part: Part) -> Region:
    return Region(
        part.text("id"),
        part.text_or_none("parent"),
        part.one_of("kind", (LOOP, BRANCH, CALL)),
        part.count_or_none("trips"),
        part.text("group"),
        part.flag("stateful"),
    )


def _mark(part: Part) -> Mark:
    return Mark(part.one_of("state", (FOLDED, PREPARED)), part.text("reason"), part.text("host"))


def _layer(part: Part) -> LayerReport:
    aliases = tuple(tuple(alias) if isinstance(alias, list) else () for alias in part.items("aliases"))
    if not all(len(alias) == 3 and all(isinstance(item, str) for item in alias) for alias in aliases):
        raise part.wrong("aliases", "an array of [output role, input role, view or write]")
    inputs, outputs = part.part("inputs"), part.part("outputs")
    layer = Layer(
        part.text("name"),
        part.text("op"),
        {role: _spec(inputs.part(role)) for role in inputs.data},
        {role: _spec(outputs.part(role)) for role in outputs.data},
        part.table("attrs"),
        part.text("scope"),
        part.text("source"),
        part.text_or_none("region"),
        aliases,
    )
    state = part.one_of("state", STATES)
    cost = _cost(part)
    if (cost is None) != (state == UNSUPPORTED):
        raise part.wrong("terms", f"what a layer that is {state} has")
    moved = part.part("bytes")
    return LayerReport(
        layer,
        state,
        part.text("reason"),
        cost,
        None if part.get("unfolded") is None else _cost(part.part("unfolded")),
        moved.count_or_none("read"),
        moved.count_or_none("written"),
        part.count_or_none("trips"),
        part.text("provider"),
    )


def _cost(part: Part) -> Cost | None:
    if part.get("terms") is None:
        return None
    terms = part.part("terms")
    dtypes = None
    if part.get("dot_dtypes") is not None:
        left, right, accumulator, *more = (*part.texts("dot_dtypes"), "", "", "")
        if more != ["", "", ""]:
            raise part.wrong("dot_dtypes", "the dtypes of both operands and the accumulator")
        dtypes = left, right, accumulator
    return Cost({name: _counts(terms.part(name)) for name in terms.data}, dtypes)


def _counts(part: Part) -> Counts:
    for name in part.data:
        if name not in PRIMITIVES:
            raise ReportError(f"{part.where}: {name!r} is no primitive; they are {', '.join(PRIMITIVES)}")
    return Counts(**{name: part.count(name) for name in part.data})


def _measurement(part: Part) -> Measurement:
    return Measurement(
        _seconds(part, "times"),
        part.text("runner"),
        part.text("route"),
        part.text("device"),
        part.text("kind"),
        part.texts("subject"),
        part.count_or_none("threads"),
        part.count_or_none("batch"),
        part.flag("isolated"),
        part.table("environment"),
        part.text("precision"),
        part.amounts("phases"),
        part.counts("memory"),
        **_younger(part),
    )


def _younger(part: Part) -> dict[str, Any]:
    """What reports of before do not have."""
    readers: dict[str, Callable[[str], Any]] = {
        "label": part.text,
        "against": part.text,
        "baseline": lambda key: _seconds(part, key),
        "energy": part.amounts,
        "device_times": lambda key: _seconds(part, key),
    }
    return {key: read(key) for key, read in readers.items() if key in part.data}


def _seconds(part: Part, key: str) -> tuple[float, ...]:
    times = part.items(key)
    if not all(is_number(t) and t < LIMIT for t in times):
        raise part.wrong(key, "an array of seconds")
    return tuple(times)


def _prediction(part: Part) -> Prediction:
    return Prediction(
        part.text("device"),
        part.text("title"),
        part.text("source"),
        tuple(
            Bound(
                kernel.texts("subject"),
                kernel.count("operations"),
                kernel.count_or_none("bytes"),
                kernel.one_of("bound", BOUNDS),
                kernel.amount_or_none("seconds"),
            )
            for kernel in part.parts("kernels")
        ),
        part.amount_or_none("joules"),
        part.text("energy_source"),
        part.texts("notes") if "notes" in part.data else (),  # older reports have none
    )


def _training(part: Part, rows: tuple[LayerReport, ...]) -> Training:
    layers, update, states = part.part("layers"), part.part("update"), part.part("states")
    found = {name: _backward(layers.part(name)) for name in layers.data}
    if list(found) != [row.name for row in rows]:
        raise ReportError(f"{part.where}: its layers are not those of the graph, in their order")
    cost = _cost(update)
    if cost is None:
        raise update.wrong("terms", "an object")
    peak = None if part.get("peak") is None else _step_peak(part.part("peak"))
    return Training(
        part.text("optimizer"),
        found,
        cost,
        part.count("gradient_bytes"),
        {name: states.count(name) for name in states.data},
        peak,
    )


def _backward(part: Part) -> Backward:
    state = part.one_of("state", BACKWARD_STATES)
    cost = _cost(part)
    if (cost is None) != (state == UNSUPPORTED):
        raise part.wrong("terms", f"what a backward pass that is {state} has")
    again = None if part.get("recomputed") is None else _cost(part.part("recomputed"))
    saved = None if part.get("saved") is None else tuple(map(_saved, part.parts("saved")))
    return Backward(state, part.text("reason"), cost, again, saved)


def _saved(part: Part) -> tuple[str, int]:
    return part.text("name"), part.count("bytes")


def _step_peak(part: Part) -> StepPeak:
    sizes = [part.count(name) for name in ("weights", "gradients", "states", "activations", "flowing")]
    return StepPeak(part.count("bytes"), part.one_of("phase", PHASES), part.text("layer"), *sizes)


__all__ = ["parse", "read"]
