"""Scalars that count their own operations: the oracle for a formula.

Write the operation as naive loops over `Counted` scalars, run them, and compare what the `Tally` saw with what the
formula says. The scalars hold real values, so the loops can also be checked against a framework.

    tally = Tally()
    x, w = tally.array((4,)), tally.array((4,))
    with tally.term("dot"):
        y = tally.dot((x[i,], w[i,]) for i in range(4))
    assert tally.terms == {"dot": Counts(macs=4, dots=1)}

What counts as what is the table of primitives of the counting convention: subtraction and negation are adds, maximum,
selection and absolute value are cmps, one evaluation of any transcendental is an exp, arithmetic on integers is ints.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from multiprof.cost import PRIMITIVES, Cost, Counts
from multiprof.errors import UsageError

Index = tuple[int, ...]


class Tally:
    """Counts the primitive operations of the scalars it makes, by the term that is open while they happen.

    ``seed`` fixes the values of the arrays it makes.
    """

    def __init__(self, seed: int = 0) -> None:
        self._terms: dict[str, Counts] = {}
        self._open: Counts | None = None
        self._random = random.Random(seed)

    @property
    def terms(self) -> dict[str, Counts]:
        """The counts of every term in which something was done."""
        return nonzero(self._terms)

    @property
    def cost(self) -> Cost:
        return Cost(self.terms)

    @contextmanager
    def term(self, name: str) -> Iterator[None]:
        """Everything done inside belongs to the term ``name``; blocks may be nested, the innermost counts."""
        before = self._open
        self._open = self._terms.setdefault(name, Counts())
        try:
            yield
        finally:
            self._open = before

    def count(self, primitive: str, times: int = 1) -> None:
        """Count a primitive operation by hand."""
        if primitive not in PRIMITIVES:
            raise UsageError(f"there is no primitive {primitive!r}; there are {', '.join(PRIMITIVES)}")
        if self._open is None:
            raise UsageError(f"an operation ({primitive}) outside of a term: open one with `with tally.term('name'):`")
        setattr(self._open, primitive, getattr(self._open, primitive) + times)

    def scalar(self, value: float = 0.0, integer: bool = False) -> Counted:
        """A scalar that counts here; making it is no operation."""
        return Counted(value, self, integer)

    def array(self, shape: Index, fill: float | None = None, integer: bool = False) -> Array:
        """An array of scalars, of the value ``fill`` or of random values in [−1, 1) (integers: 0 … 9)."""
        array = Array(shape)
        for index in array.indices():
            value = fill
            if value is None:
                value = self._random.randrange(10) if integer else self._random.uniform(-1.0, 1.0)
            array[index] = self.scalar(value, integer)
        return array

    def multiply_add(self, accumulator: Counted, a: Counted, b: Counted) -> Counted:
        """accumulator + a·b as one step of a dot product: 1 mac."""
        self.count("macs")
        return Counted(accumulator.value + a.value * b.value, self)

    def dot(self, pairs: Iterable[tuple[Counted, Counted]]) -> Counted:
        """The dot product of pairs, from an accumulator that starts at zero: a mac for each pair and 1 dot."""
        accumulator = self.scalar()
        for a, b in pairs:
            accumulator = self.multiply_add(accumulator, a, b)
        self.count("dots")
        return accumulator


class Counted:
    """A number that counts what is done to it. Operations with plain numbers (constants) count too."""

    __slots__ = ("integer", "tally", "value")

    def __init__(self, value: float, tally: Tally, integer: bool = False) -> None:
        self.value = value
        self.tally = tally
        self.integer = integer

    def __repr__(self) -> str:
        return f"Counted({self.value})"

    def _done(self, primitive: str, value: float, other: Counted | float = 0) -> Counted:
        integer = self.integer and (other.integer if isinstance(other, Counted) else isinstance(other, int))
        self.tally.count("ints" if integer else primitive)
        return Counted(value, self.tally, integer)

    def __add__(self, other: Counted | float) -> Counted:
        return self._done("adds", self.value + _value(other), other)

    def __radd__(self, other: float) -> Counted:
        return self._done("adds", other + self.value, other)

    def __sub__(self, other: Counted | float) -> Counted:
        return self._done("adds", self.value - _value(other), other)

    def __rsub__(self, other: float) -> Counted:
        return self._done("adds", other - self.value, other)

    def __neg__(self) -> Counted:
        return self._done("adds", -self.value)

    def __mul__(self, other: Counted | float) -> Counted:
        return self._done("muls", self.value * _value(other), other)

    def __rmul__(self, other: float) -> Counted:
        return self._done("muls", other * self.value, other)

    def __truediv__(self, other: Counted | float) -> Counted:
        return self._done("divs", self.value / _value(other), other)

    def __rtruediv__(self, other: float) -> Counted:
        return self._done("divs", other / self.value, other)

    def __abs__(self) -> Counted:
        return self._done("cmps", abs(self.value))

    def __lt__(self, other: Counted | float) -> bool:
        return bool(self._done("cmps", self.value < _value(other), other).value)

    def __gt__(self, other: Counted | float) -> bool:
        return bool(self._done("cmps", self.value > _value(other), other).value)

    def __le__(self, other: Counted | float) -> bool:
        return bool(self._done("cmps", self.value <= _value(other), other).value)

    def __ge__(self, other: Counted | float) -> bool:
        return bool(self._done("cmps", self.value >= _value(other), other).value)

    def transcendental(self, function: Callable[[float], float]) -> Counted:
        """One evaluation of a transcendental function (also a root or a power): 1 exp."""
        self.tally.count("exps")
        return Counted(function(self.value), self.tally)

    def cast(self, function: Callable[[float], float] = float) -> Counted:
        """A conversion or rounding: 1 cast."""
        self.tally.count("casts")
        return Counted(function(self.value), self.tally)


class Array:
    """Scalars by index tuple, with a shape; moving them about is no operation."""

    __slots__ = ("_items", "shape")

    def __init__(self, shape: Index) -> None:
        self.shape = tuple(shape)
        self._items: dict[Index, Counted] = {}

    def __getitem__(self, index: Index) -> Counted:
        return self._items[index]

    def __setitem__(self, index: Index, value: Counted) -> None:
        self._items[index] = value

    def at(self, *index: int) -> Counted:
        """``x.at(0, *rest)`` is ``x[(0, *rest)]``."""
        return self._items[index]

    def indices(self) -> Iterator[Index]:
        """Every index, the last dimension fastest."""
        return positions(self.shape)

    def values(self) -> Any:
        """The numbers as nested lists (a number where the rank is 0)."""

        def nested(prefix: Index) -> Any:
            if len(prefix) == len(self.shape):
                return self._items[prefix].value
            return [nested((*prefix, i)) for i in range(self.shape[len(prefix)])]

        return nested(())


def positions(shape: Index) -> Iterator[Index]:
    """Every index of a shape, the last dimension fastest."""
    return itertools.product(*(range(size) for size in shape))


def nonzero(terms: dict[str, Counts]) -> dict[str, Counts]:
    """The terms that count anything: a formula may name a term that happens to be 0, loops never do."""
    return {name: counts for name, counts in terms.items() if counts}


def exp(x: Counted) -> Counted:
    """1 exp."""
    return x.transcendental(math.exp)


def tanh(x: Counted) -> Counted:
    """1 exp."""
    return x.transcendental(math.tanh)


def sqrt(x: Counted) -> Counted:
    """1 exp."""
    return x.transcendental(math.sqrt)


def erf(x: Counted) -> Counted:
    """1 exp."""
    return x.transcendental(math.erf)


def log(x: Counted) -> Counted:
    """1 exp."""
    return x.transcendental(math.log)


def sigmoid(x: Counted) -> Counted:
    """1/(1 + e⁻ˣ), spelled out: 2 adds (one is the negation), 1 exp, 1 div."""
    return 1.0 / (1.0 + exp(-x))


def maximum(a: Counted, b: Counted | float) -> Counted:
    """1 cmp."""
    return a._done("cmps", max(a.value, _value(b)), b)


def minimum(a: Counted, b: Counted | float) -> Counted:
    """1 cmp."""
    return a._done("cmps", min(a.value, _value(b)), b)


def select(condition: bool, a: Counted, b: Counted | float) -> Counted:
    """``a`` where the condition holds, else ``b``: 1 cmp (the condition itself is not counted)."""
    return a._done("cmps", a.value if condition else _value(b), b)


def total(items: Iterable[Counted]) -> Counted:
    """The sum of n items: n − 1 adds."""
    return _fold(items, lambda a, b: a + b)


def largest(items: Iterable[Counted]) -> Counted:
    """The maximum of n items: n − 1 cmps."""
    return _fold(items, maximum)


def softmax(items: Iterable[Counted]) -> list[Counted]:
    """Softmax of n items, shifted by their maximum: n − 1 cmps, n + n − 1 adds, n exps, n divs."""
    values = list(items)
    peak = largest(values)
    powers = [exp(value - peak) for value in values]
    whole = total(powers)
    return [power / whole for power in powers]


def _fold(items: Iterable[Counted], step: Callable[[Counted, Counted], Counted]) -> Counted:
    iterator = iter(items)
    result = next(iterator, None)
    if result is None:
        raise UsageError("a reduction over nothing has no operations to count")
    for item in iterator:
        result = step(result, item)
    return result


def _value(x: Counted | float) -> float:
    return x.value if isinstance(x, Counted) else x


__all__ = [
    "Array",
    "Counted",
    "Tally",
    "erf",
    "exp",
    "largest",
    "log",
    "maximum",
    "minimum",
    "nonzero",
    "positions",
    "select",
    "sigmoid",
    "softmax",
    "sqrt",
    "tanh",
    "total",
]
