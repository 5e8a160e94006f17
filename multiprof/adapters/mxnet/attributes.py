"""The attributes of a node: strings in the file, values here. Nothing is evaluated; texts and numbers are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiprof.errors import ModelError

MAX_TEXT = 20_000  # characters of one attribute that is to be understood
MAX_NUMBER = 1 << 62  # MXNet's own sizes are int64

# The numbers by which MXNet names element types (mshadow/base.h, TypeFlag).
DTYPES: Mapping[str, str] = {
    "0": "float32",
    "1": "float64",
    "2": "float16",
    "3": "uint8",
    "4": "int32",
    "5": "int8",
    "6": "int64",
    "7": "bool",
    "8": "int16",
    "9": "uint16",
    "10": "uint32",
    "11": "uint64",
    "12": "bfloat16",
}
_NAMES = frozenset(DTYPES.values())
_TRUE = frozenset(("True", "true", "1"))
_FALSE = frozenset(("False", "false", "0"))
_NONE = frozenset(("None", "none", ""))

Number = int | float


class Attributes:
    """What stands in a node's dictionary, by name and type; every error is a `ModelError` that names node and key."""

    __slots__ = ("values", "where")

    def __init__(self, values: Mapping[str, str], where: str) -> None:
        self.values = values
        self.where = where

    def __contains__(self, name: str) -> bool:
        return self.text(name) is not None

    def text(self, name: str, default: str | None = None) -> str | None:
        """The attribute as it stands, without surrounding space; ``default`` where it is absent or None."""
        value = self.values.get(name)
        if value is None:
            return default
        if len(value) > MAX_TEXT:
            raise ModelError(f"{self.where}: the attribute {name} is a text of {len(value)} characters")
        value = value.strip()
        return default if value in _NONE else value

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise self.wrong(name, f"one of {', '.join(choices)}")
        return str(value)

    def integer(self, name: str, default: int | None = None, least: int | None = None) -> int:
        """An integer; without ``default`` it must be there, and with ``least`` be no smaller."""
        found = self.maybe_int(name)
        if found is None:
            if default is None:
                raise ModelError(f"{self.where}: the attribute {name} is missing")
            found = default
        if least is not None and found < least:
            raise self.wrong(name, f"at least {least}")
        return found

    def maybe_int(self, name: str) -> int | None:
        """An integer, or ``None`` where it is absent or None."""
        text = self.text(name)
        if text is None:
            return None
        number = _number(text)
        if not isinstance(number, int):
            raise self.wrong(name, "an integer")
        return number

    def number(self, name: str, default: float) -> float:
        text = self.text(name)
        if text is None:
            return default
        number = _number(text)
        if number is None:
            raise self.wrong(name, "a number")
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        text = self.text(name)
        if text is None:
            return default
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise self.wrong(name, "a truth value")

    def items(self, name: str) -> tuple[Number | None, ...] | None:
        """A tuple of numbers, of which some may be None: (2, None), [1, 1], (3L,), or a single number."""
        text = self.text(name)
        if text is None:
            return None
        if text[0] in "([" and text[-1] in ")]":
            text = text[1:-1]
        parts = [part.strip() for part in text.split(",")]
        if parts and not parts[-1]:
            parts.pop()
        found = []
        for part in parts:
            number = None if part in _NONE else _number(part)
            if number is None and part != "None":
                raise self.wrong(name, "a tuple of numbers")
            found.append(number)
        return tuple(found)

    def maybe_ints(self, name: str) -> tuple[int | None, ...] | None:
        """A tuple of integers, of which some may be None; ``None`` where the attribute is absent."""
        found = self.items(name)
        if found is None:
            return None
        if any(isinstance(item, float) for item in found):
            raise self.wrong(name, "a tuple of integers")
        return found  # type: ignore[return-value]  # no float is left

    def ints(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A tuple of integers; an absent or empty one is ``default``, without which it must be there."""
        found = self.maybe_ints(name)
        if not found:
            if default is None:
                raise ModelError(f"{self.where}: the attribute {name} is missing")
            return default
        if None in found:
            raise self.wrong(name, "a tuple of integers")
        return found  # type: ignore[return-value]  # no None is left

    def floats(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        found = self.items(name)
        if found is None:
            return default
        if None in found:
            raise self.wrong(name, "a tuple of numbers")
        return found  # type: ignore[return-value]  # no None is left

    def dtype(self, name: str, default: str) -> str:
        """An element type by name or number; ``default`` where there is none (-1 means none)."""
        text = self.text(name)
        if text is None or text == "-1":
            return default
        found = DTYPES.get(text, text)
        if found not in _NAMES:
            raise self.wrong(name, "an element type")
        return found

    def plain(self) -> dict[str, Any]:
        """All attributes that are not hidden, as numbers, truth values, tuples or short texts: for foreign layers."""
        return {
            name: _plain(value)
            for name, value in self.values.items()
            if not (name.startswith("__") and name.endswith("__"))
        }

    def wrong(self, name: str, wanted: str) -> ModelError:
        value = self.values.get(name, "")
        shown = value if len(value) <= 60 else f"{value[:60]}…"
        return ModelError(f"{self.where}: the attribute {name} is {shown!r}, not {wanted}")


def _number(text: str) -> Number | None:
    """An integer (with the L of Python 2) or a float; ``None`` for what is neither, or beyond 64 bits."""
    if len(text) > 40:
        return None
    try:
        whole = int(text[:-1] if text[-1:] in "Ll" else text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None
    return whole if -MAX_NUMBER < whole < MAX_NUMBER else None


def _plain(value: str) -> Any:
    text = value.strip()
    if text in ("True", "False"):
        return text == "True"
    if text == "None" or not text:
        return None
    if len(text) > 1000:
        return f"{text[:1000]}…"
    number = _number(text)
    if number is not None:
        return number
    if text[0] + text[-1] in ("()", "[]"):
        parts = [part.strip() for part in text[1:-1].split(",") if part.strip()]
        numbers = [_number(part) for part in parts]
        if None not in numbers:
            return tuple(numbers)
    return value


__all__ = ["DTYPES", "Attributes"]
