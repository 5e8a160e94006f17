"""JSON values fetched with checks: whatever is wrong raises `ReportError`, which says where it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from multiprof.errors import ReportError
from multiprof.serialize import COMPLEX, FLOAT, LIST, MAPPING

# Far above any model, and low enough that sums and quotients of such numbers can be printed and divided.
LIMIT = 10**250


class Part:
    """A JSON object with its place in the report, for messages. Its methods fetch one key of a wanted kind."""

    __slots__ = ("data", "where")

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise ReportError(f"{where} is {short(data)}, not an object")
        self.data = data
        self.where = where

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise ReportError(f"{self.where} has no {key!r}")
        return self.data[key]

    def wrong(self, key: str, wanted: str) -> ReportError:
        return ReportError(f"{self.where}: {key!r} is {short(self.data[key])}, not {wanted}")

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
        if not is_count(value):
            raise self.wrong(key, "a whole number from 0 on")
        return int(value)

    def count_or_none(self, key: str) -> int | None:
        return None if self.get(key) is None else self.count(key)

    def amount(self, key: str) -> float:
        value = self.get(key)
        if not (is_number(value) and 0 <= value < LIMIT):
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

    def part(self, key: str) -> Part:
        return Part(self.get(key), f"{self.where}, {key}")

    def parts(self, key: str) -> list[Part]:
        return [Part(item, f"{self.where}, {key}[{number}]") for number, item in enumerate(self.items(key))]

    def table(self, key: str) -> dict[str, Any]:
        """An object whose values may be anything."""
        value = restored(self.get(key), f"{self.where}, {key}")
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return value


def restored(value: Any, where: str) -> Any:
    """The value that `serialize.plain` wrote."""
    if isinstance(value, list):
        return tuple(restored(item, where) for item in value)
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, content),) = value.items()
            if key in (LIST, MAPPING, FLOAT, COMPLEX):
                return _special(key, content, where)
        if not all(isinstance(key, str) for key in value):
            raise ReportError(f"{where}: an object has keys that are no strings")
        return {key: restored(item, f"{where}, {key}") for key, item in value.items()}
    if value is None or isinstance(value, (bool, str)) or is_number(value):
        return value
    raise ReportError(f"{where}: {short(value)} is no JSON value, or too large")


def _special(key: str, content: Any, where: str) -> Any:
    try:
        if key == FLOAT:
            return {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}[content]
        if key == COMPLEX:
            real, imaginary = content
            return complex(restored(real, where), restored(imaginary, where))
        if key == LIST:
            return [restored(item, where) for item in content]
        return {restored(name, where): restored(item, where) for name, item in content}
    except (KeyError, TypeError, ValueError):
        raise ReportError(f"{where}: {short({key: content})} is no {key[1:]}") from None


def is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < LIMIT


def is_number(value: object) -> bool:
    """A number of a size that Python can print; infinities are written otherwise."""
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and -LIMIT < value < LIMIT


def short(value: object) -> str:
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(repr, list(value)[:3])) or 'nothing'}"
    if isinstance(value, int) and abs(value) >= LIMIT:
        return "a number of more than 250 digits"  # Python refuses to print very long ones
    text = f"an array of {len(value)}" if isinstance(value, list) and len(value) > 4 else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["LIMIT", "Part", "is_count", "is_number", "restored", "short"]
