"""The mathematics of a formula as text: read it, put a layer's numbers into it, work it out.

A line reads ``term: expression primitive, expression primitive …; term: …``, for example
``dot: |y|·K·C_i/G macs, |y| dots; bias: |y| adds``. An expression has integers, symbols (``K``, ``C_i``, ``|y|``), the
operators ``· / + −`` and parentheses; multiplication is always written out. What the symbols mean reads
``symbol: meaning; symbol: meaning``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from multiprof.cost import PRIMITIVES
from multiprof.errors import PluginError

Terms = list[tuple[str, list[tuple[str, str]]]]

_SYMBOL = r"\|[^|\s]+\||[^\W\d]\w*"
_TOKEN = re.compile(rf"\s*(?:(?P<symbol>{_SYMBOL})|(?P<number>\d+)|(?P<operator>[·*/+−()-]))")
_REPLACED = re.compile(rf"(?P<symbol>{_SYMBOL})|(?P<number>\d+)")
_OPERATORS = {"*": "·", "-": "−"}


def terms(mathematics: str) -> Terms:
    """The terms of a line, each with its pairs (expression, primitive).

    ``free: reason`` has none. Raises `PluginError` for a line that is not in the grammar.
    """
    if mathematics.startswith("free:"):
        return []
    result: Terms = []
    for part in mathematics.split(";"):
        name, colon, work = part.partition(":")
        pieces = [piece.strip().rpartition(" ") for piece in work.split(",")]
        if not colon or not name.strip() or any(not left or right not in PRIMITIVES for left, _, right in pieces):
            raise PluginError(
                f"{part.strip()!r} is not of the form 'term: expression primitive, …' with {' or '.join(PRIMITIVES)}"
            )
        result.append((name.strip(), [(left.strip(), right) for left, _, right in pieces]))
    return result


def meanings(text: str) -> dict[str, str]:
    """What each symbol means, from the first paragraph of a docstring; what is not of that form is left out."""
    found = {}
    for part in " ".join(text.strip().partition("\n\n")[0].split()).split(";"):
        symbol, colon, meaning = part.partition(":")
        if colon and re.fullmatch(_SYMBOL, symbol.strip()):
            found[symbol.strip()] = meaning.strip(" .")
    return found


def substitute(expression: str, symbols: Mapping[str, int]) -> str:
    """The expression with numbers for its symbols: ``|y|·K`` becomes ``802,816·9``; negative numbers in parentheses."""

    def number(match: re.Match[str]) -> str:
        value = int(match["number"]) if match["number"] else _lookup(match["symbol"], expression, symbols)
        return f"{value:,}" if value >= 0 else f"(−{-value:,})"

    return _REPLACED.sub(number, expression)


def evaluate(expression: str, symbols: Mapping[str, int]) -> int:
    """The value of the expression, exactly; raises `PluginError` if it is no expression or no whole number."""
    value, rest = _sum(_tokens(expression, symbols), expression)
    if rest:
        raise PluginError(f"{expression!r} has {rest[0]} where an operator should stand")
    if value.denominator != 1:
        raise PluginError(f"{expression!r} is {value}, no whole number, with {dict(symbols)}")
    return value.numerator


# A token is a number or an operator; the functions below take the tokens left and return what they read and the rest.
_Tokens = list["int | str"]


def _tokens(expression: str, symbols: Mapping[str, int]) -> _Tokens:
    tokens: _Tokens = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise PluginError(f"{expression!r} cannot be read from {text[position:]!r} on")
        if match["symbol"]:
            tokens.append(int(_lookup(match["symbol"], expression, symbols)))
        elif match["number"]:
            tokens.append(int(match["number"]))
        else:
            tokens.append(_OPERATORS.get(match["operator"], match["operator"]))
        position = match.end()
    return tokens


def _lookup(symbol: str, expression: str, symbols: Mapping[str, int]) -> int:
    if symbol not in symbols:
        raise PluginError(f"{expression!r} has the symbol {symbol}, which the formula's symbols do not give")
    return symbols[symbol]


def _sum(tokens: _Tokens, expression: str) -> tuple[Fraction, _Tokens]:
    value, tokens = _product(tokens, expression)
    while tokens and tokens[0] in ("+", "−"):
        sign = 1 if tokens[0] == "+" else -1
        right, tokens = _product(tokens[1:], expression)
        value += sign * right
    return value, tokens


def _product(tokens: _Tokens, expression: str) -> tuple[Fraction, _Tokens]:
    value, tokens = _factor(tokens, expression)
    while tokens and tokens[0] in ("·", "/"):
        operator = tokens[0]
        right, tokens = _factor(tokens[1:], expression)
        if operator == "·":
            value *= right
        elif right:
            value /= right
        else:
            raise PluginError(f"{expression!r} divides by 0")
    return value, tokens


def _factor(tokens: _Tokens, expression: str) -> tuple[Fraction, _Tokens]:
    if not tokens:
        raise PluginError(f"{expression!r} ends where a number or symbol should stand")
    first, rest = tokens[0], tokens[1:]
    if isinstance(first, int):
        return Fraction(first), rest
    if first == "−":
        value, rest = _factor(rest, expression)
        return -value, rest
    if first == "(":
        value, rest = _sum(rest, expression)
        if rest[:1] != [")"]:
            raise PluginError(f"{expression!r} has an open parenthesis")
        return value, rest[1:]
    raise PluginError(f"{expression!r} has {first} where a number or symbol should stand")


__all__ = ["evaluate", "meanings", "substitute", "terms"]
