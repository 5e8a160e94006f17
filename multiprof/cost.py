"""What a layer costs: primitive counts, named terms, and the ways to write a formula."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from multiprof.errors import UsageError
from multiprof.ir import ALIAS_ROLE, INTEGER_DTYPES, VIEW, Layer

PRIMITIVES = ("macs", "dots", "adds", "muls", "divs", "cmps", "exps", "ints", "casts")


@dataclass(slots=True)
class Counts:
    """Exact numbers of primitive operations, as COUNTING.md's table of primitives defines them.

    ``macs`` are the multiply-adds of dot products alone, ``dots`` how many dot products they form; ``adds`` also
    subtractions and negations, ``cmps`` also selections and absolute values, ``exps`` one evaluation of any
    transcendental. ``ints`` (integer, bit and logical operations) and ``casts`` are no floating-point operations.
    """

    macs: int = 0
    dots: int = 0
    adds: int = 0
    muls: int = 0
    divs: int = 0
    cmps: int = 0
    exps: int = 0
    ints: int = 0
    casts: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations: 2·macs + adds + muls + divs + cmps + exps."""
        return 2 * self.macs + self.adds + self.muls + self.divs + self.cmps + self.exps

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, p) + getattr(other, p) for p in PRIMITIVES))

    def __mul__(self, factor: int) -> Counts:
        return Counts(*(getattr(self, p) * factor for p in PRIMITIVES))

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return any(getattr(self, p) for p in PRIMITIVES)


@dataclass(slots=True)
class Cost:
    """Named terms (``dot``, ``bias``, ``gates``, ``softmax`` …), each a `Counts`.

    ``dot_dtypes`` are the dtypes of the dot term: left operand, right operand, accumulator; ``None`` without a dot
    term. Formulas may leave it out: the engine fills it in from the layer's operands.
    """

    terms: dict[str, Counts] = field(default_factory=dict)
    dot_dtypes: tuple[str, str, str] | None = None

    @property
    def counts(self) -> Counts:
        """The sum over all terms."""
        values = list(self.terms.values())
        if len(values) == 1:
            return values[0]
        return sum(values, Counts())

    @property
    def macs(self) -> int:
        return sum(c.macs for c in self.terms.values())

    @property
    def flops(self) -> int:
        return sum(c.flops for c in self.terms.values())

    def __mul__(self, factor: int) -> Cost:
        return Cost({name: counts * factor for name, counts in self.terms.items()}, self.dot_dtypes)


Traffic = tuple[int, int]

# How `Formula.bound` begins where the figure is no upper bound, but what a textbook says of an iteration.
ESTIMATE = "the textbook's count"


def moved_bytes(layer: Layer) -> Traffic:
    """Bytes read and written when a layer reads every input once and writes every output once.

    A view moves nothing; tensors that change only because they share storage with the written one move nothing.
    """
    read = written = 0  # summed in plain loops: this runs for every layer, and generators take twice as long
    if not layer.aliases:
        for spec in layer.inputs.values():
            read += spec.nbytes
        for spec in layer.outputs.values():
            written += spec.nbytes
        return read, written
    views = [out for out, _, kind in layer.aliases if kind == VIEW]
    if views and all(role in views for role in layer.outputs):
        return 0, 0
    for role, spec in layer.inputs.items():
        if not role.startswith(ALIAS_ROLE):
            read += spec.nbytes
    for role, spec in layer.outputs.items():
        if role not in views and not role.startswith(ALIAS_ROLE):
            written += spec.nbytes
    return read, written


def on_integers(layer: Layer) -> bool:
    """Whether a layer's arithmetic is integer arithmetic: every tensor it reads and every one it writes is integer.

    A comparison of floats (bool out) and a product of integers with a real constant (float out) are no integer
    arithmetic. A quantised tensor stands for real numbers.
    """
    for specs in (layer.outputs, layer.inputs):
        for role, spec in specs.items():
            if (spec.dtype not in INTEGER_DTYPES or spec.quant is not None) and not role.startswith(ALIAS_ROLE):
                return False
    return True


@dataclass(frozen=True, slots=True)
class Formula:
    """How to price one or more ops.

    ``price`` maps a `Layer` to its `Cost`; ``traffic`` to the bytes read and written; ``backward`` (optional) takes the
    layer and the roles of the inputs whose gradients are wanted, and names its terms after them (``input_grad``,
    ``weight_grad`` …). ``mathematics`` is one printable line
    (``dot: |y|·K·C_i/G macs; bias: |y| adds``) and ``symbols`` gives the value of each symbol in it for a layer; its
    docstring says what they mean (``|y|: elements of y; K: elements of the kernel``).
    ``free`` is the reason when the op is free by declaration. ``bound`` (optional) says of a layer why its cost is an
    upper bound, or is empty where it is exact: such work depends on values. ``provider`` names the plugin that supplied
    it.
    """

    ops: tuple[str, ...]
    price: Callable[[Layer], Cost]
    mathematics: str
    symbols: Callable[[Layer], Mapping[str, int]] | None = None
    traffic: Callable[[Layer], Traffic] = moved_bytes
    backward: Callable[[Layer, frozenset[str]], Cost] | None = None
    free: str = ""
    source: str = ""
    details: str = ""
    provider: str = ""
    bound: Callable[[Layer], str] | None = None

    def supplied_by(self, provider: str) -> Formula:
        return replace(self, provider=provider)


def formula(
    *ops: str,
    symbols: Callable[[Layer], Mapping[str, int]] | None = None,
    traffic: Callable[[Layer], Traffic] = moved_bytes,
    backward: Callable[[Layer, frozenset[str]], Cost] | None = None,
    source: str = "",
    bound: Callable[[Layer], str] | None = None,
) -> Callable[[Callable[[Layer], Cost]], Formula]:
    """Decorate ``Layer -> Cost`` into the `Formula` of ``ops``; the first docstring line is the mathematics.

    ``ops`` are names of the vocabulary, or qualified foreign names (an op, or a module class such as
    ``torch.mypackage.MyBlock``).
    """

    def make(price: Callable[[Layer], Cost]) -> Formula:
        first, _, rest = (price.__doc__ or "").strip().partition("\n")
        return Formula(ops, price, first.strip(), symbols, traffic, backward, "", source, rest.strip(), "", bound)

    return make


def elementwise(
    *ops: str,
    source: str = "",
    term: str = "elementwise",
    traffic: Callable[[Layer], Traffic] = moved_bytes,
    **per_element: int,
) -> Formula:
    """The `Formula` of ops that do the same few primitives for every output element.

    ``per_element`` gives them by name: ``elementwise("sigmoid", adds=2, exps=1, divs=1)``. On integer tensors all of
    them count as ``ints``: integer arithmetic is no floating-point arithmetic.
    """
    for name in per_element:
        if name not in PRIMITIVES:
            raise UsageError(f"elementwise: there is no primitive {name!r}; there are {', '.join(PRIMITIVES)}")
    casts = per_element.get("casts", 0)
    integer = sum(per_element.values()) - casts
    # in the order of the fields of Counts: positional arguments are twice as fast as keywords
    amounts = tuple(per_element.get(name, 0) for name in PRIMITIVES)

    def price(layer: Layer) -> Cost:
        n = layer.y.numel
        if on_integers(layer):
            return Cost({term: Counts(ints=integer * n, casts=casts * n)})
        return Cost({term: Counts(*[amount * n for amount in amounts])})

    work = ", ".join(f"{'' if count == 1 else f'{count}·'}|y| {name}" for name, count in per_element.items())
    return Formula(ops, price, f"{term}: {work}", element_symbols, traffic, None, "", source)


def element_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y"""
    return {"|y|": layer.y.numel}


def free(*ops: str, reason: str, traffic: Callable[[Layer], Traffic] = moved_bytes) -> Formula:
    """The `Formula` of ops that do no arithmetic, with the reason; the bytes they move still count as traffic."""
    return Formula(ops, _nothing, f"free: {reason}", None, traffic, None, reason)


def _nothing(layer: Layer) -> Cost:
    return Cost()


def index_formulas(formulas: Iterable[Formula]) -> dict[str, list[Formula]]:
    """All formulas by op; a list longer than one is a clash, reported when that op is to be priced."""
    table: dict[str, list[Formula]] = {}
    for item in formulas:
        for op in item.ops:
            table.setdefault(op, []).append(item)
    return table


__all__ = [
    "Cost",
    "Counts",
    "Formula",
    "elementwise",
    "formula",
    "free",
    "index_formulas",
    "moved_bytes",
    "on_integers",
]
