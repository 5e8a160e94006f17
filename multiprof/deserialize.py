"""A saved report back from JSON values. Everything is checked: the file may be broken, foreign or hostile."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
from multiprof.serialize import COMPLEX, FLOAT, LIST, MAPPING, SCHEMA_VERSION
from multiprof.structure import check

# Far above any model, and low enough that sums and quotients of such numbers can be printed and divided.
LIMIT = 10**250
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
        return _report(_Part(data, "the report"))
    except ReportError:
        raise
    except RecursionError:
        raise ReportError("the report is nested too deeply") from None
    except MultiprofError as error:  # the parts are well-formed, and do not fit together
        raise ReportError(str(error)) from error


class _Part:
    """A JSON object with its place in the report, for messages. Its methods fetch one key of a wanted kind."""

    __slots__ = ("data", "where")

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise ReportError(f"{where} is {_short(data)}, not an object")
        self.data = data
        self.where = where

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise ReportError(f"{self.where} has no {key!r}")
        return self.data[key]

    def wrong(self, key: str, wanted: str) -> ReportError:
        return ReportError(f"{self.where}: {key!r} is {_short(self.data[key])}, not {wanted}")

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self.get(key) is None else self.text(key)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)}")
        return value

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def count(self, key: str) -> int:
        value = self.get(key)
        if not _is_count(value):
            raise self.wrong(key, "a whole number from 0 on")
        return int(value)

    def count_or_none(self, key: str) -> int | None:
        return None if self.get(key) is None else self.count(key)

    def amount(self, key: str) -> float:
        value = self.get(key)
        if not (_is_number(value) and 0 <= value < LIMIT):
            raise self.wrong(key, "a number from 0 on")
        return float(value)

    def amount_or_none(self, key: str) -> float | None:
        return None if self.get(key) is None else self.amount(key)

    def amounts(self, key: str) -> dict[str, float]:
        inner = self.part(key)
        return {name: inner.amount(name) for name in inner.data}

    def counts(self, key: str) -> dict[str, int]:
        inner = self.part(key)
        return {name: inner.count(name) for name in inner.data}

    def items(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise self.wrong(key, "an array")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "an array of strings")
        return tuple(values)

    def part(self, key: str) -> _Part:
        return _Part(self.get(key), f"{self.where}, {key}")

    def parts(self, key: str) -> list[_Part]:
        return [_Part(item, f"{self.where}, {key}[{number}]") for number, item in enumerate(self.items(key))]

    def table(self, key: str) -> dict[str, Any]:
        """An object whose values may be anything."""
        value = _restored(self.get(key), f"{self.where}, {key}")
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return value


def _report(top: _Part) -> dict[str, Any]:
    version = top.data.get("schema_version")
    if not _is_count(version):
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
    }


def _graph(top: _Part, model: _Part, body: _Part) -> tuple[Graph, tuple[LayerReport, ...]]:
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


def _spec(part: _Part) -> TensorSpec:
    shape = tuple(part.items("shape"))
    known = [d for d in shape if d is not None]
    if not all(_is_count(d) for d in known) or len(shape) > MAX_RANK or math.prod(known) >= LIMIT:
        raise part.wrong("shape", "a shape: sizes from 0 on, or null where unknown")
    dtype = part.text("dtype")
    if dtype not in BITS and dtype != STRING:
        raise part.wrong("dtype", "a known dtype")
    quant = None if part.data.get("quant") is None else _quant(part.part("quant"))
    return TensorSpec(shape, dtype, part.text("name"), quant)


def _quant(part: _Part) -> Quant:
    scale = tuple(_restored(value, part.where) for value in part.items("scale"))
    zero_point = tuple(part.items("zero_point"))
    if not all(isinstance(value, float) or _is_number(value) for value in scale):
        raise part.wrong("scale", "an array of numbers")
    if not all(type(value) is int for value in zero_point):
        raise part.wrong("zero_point", "an array of whole numbers")
    return Quant(scale, zero_point, part.count_or_none("axis"))


def _parameter(part: _Part) -> Parameter:
    trainable = None if part.get("trainable") is None else part.flag("trainable")
    kind = part.one_of("kind", (PARAMETER, BUFFER, CONSTANT))
    return Parameter(_spec(part), kind, trainable, part.text("source"), part.texts("tied"))


def _region(part: _Part) -> Region:
    return Region(
        part.text("id"),
        part.text_or_none("parent"),
        part.one_of("kind", (LOOP, BRANCH, CALL)),
        part.count_or_none("trips"),
        part.text("group"),
        part.flag("stateful"),
    )


def _mark(part: _Part) -> Mark:
    return Mark(part.one_of("state", (FOLDED, PREPARED)), part.text("reason"), part.text("host"))


def _layer(part: _Part) -> LayerReport:
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


def _cost(part: _Part) -> Cost | None:
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


def _counts(part: _Part) -> Counts:
    for name in part.data:
        if name not in PRIMITIVES:
            raise ReportError(f"{part.where}: {name!r} is no primitive; they are {', '.join(PRIMITIVES)}")
    return Counts(**{name: part.count(name) for name in part.data})


def _measurement(part: _Part) -> Measurement:
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
        part.text("label"),
        part.text("against"),
        _seconds(part, "baseline"),
        part.amounts("energy"),
        _seconds(part, "device_times"),
    )


def _seconds(part: _Part, key: str) -> tuple[float, ...]:
    times = part.items(key)
    if not all(_is_number(t) and t < LIMIT for t in times):
        raise part.wrong(key, "an array of seconds")
    return tuple(times)


def _prediction(part: _Part) -> Prediction:
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


def _restored(value: Any, where: str) -> Any:
    """The value that `serialize.plain` wrote."""
    if isinstance(value, list):
        return tuple(_restored(item, where) for item in value)
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, content),) = value.items()
            if key in (LIST, MAPPING, FLOAT, COMPLEX):
                return _special(key, content, where)
        if not all(isinstance(key, str) for key in value):
            raise ReportError(f"{where}: an object has keys that are no strings")
        return {key: _restored(item, f"{where}, {key}") for key, item in value.items()}
    if value is None or isinstance(value, (bool, str)) or _is_number(value):
        return value
    raise ReportError(f"{where}: {_short(value)} is no JSON value, or too large")


def _special(key: str, content: Any, where: str) -> Any:
    try:
        if key == FLOAT:
            return {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}[content]
        if key == COMPLEX:
            real, imaginary = content
            return complex(_restored(real, where), _restored(imaginary, where))
        if key == LIST:
            return [_restored(item, where) for item in content]
        return {_restored(name, where): _restored(item, where) for name, item in content}
    except (KeyError, TypeError, ValueError):
        raise ReportError(f"{where}: {_short({key: content})} is no {key[1:]}") from None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LIMIT


def _is_number(value: object) -> bool:
    """A number of a size that Python can print; infinities are written otherwise."""
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and -LIMIT < value < LIMIT


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(repr, list(value)[:3])) or 'nothing'}"
    if isinstance(value, int) and abs(value) >= LIMIT:
        return "a number of more than 250 digits"  # Python refuses to print very long ones
    text = f"an array of {len(value)}" if isinstance(value, list) and len(value) > 4 else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["parse", "read"]
