"""The intermediate layer representation: plain values, standard library only.

Every adapter fills these types and every formula reads them. They are immutable by convention (not frozen: a frozen
dataclass costs three times as much to make, and a large model makes tens of thousands), compared by ``==``, and linked
by name; there are no back-pointers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from multiprof.errors import UnknownDimensionError, UsageError

# Width of an element in bits. Sub-byte types are rounded up to whole bytes once per tensor, not per element.
BITS: dict[str, int] = {
    "bool": 8,
    "int2": 2,
    "int4": 4,
    "uint2": 2,
    "uint4": 4,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "uint16": 16,
    "int32": 32,
    "uint32": 32,
    "int64": 64,
    "uint64": 64,
    "float4_e2m1fn": 4,
    "float6_e2m3fn": 6,
    "float6_e3m2fn": 6,
    "float8_e4m3fn": 8,
    "float8_e4m3fnuz": 8,
    "float8_e5m2": 8,
    "float8_e5m2fnuz": 8,
    "float8_e8m0fnu": 8,
    "float16": 16,
    "bfloat16": 16,
    "float32": 32,
    "float64": 64,
    "complex32": 32,
    "complex64": 64,
    "complex128": 128,
}

# Texts: elements without a width, so that a tensor of them has no known size in bytes.
STRING = "string"

# Types whose arithmetic is integer arithmetic: COUNTING.md counts it apart from floating-point operations.
INTEGER_DTYPES = frozenset(name for name in BITS if name.startswith(("int", "uint"))) | {"bool"}

Shape = tuple["int | None", ...]


@dataclass(slots=True)
class Quant:
    """Affine quantisation of a tensor: real = scale · (stored − zero_point), per tensor or along ``axis``."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None


@dataclass(slots=True)
class TensorSpec:
    """Shape, dtype and name of a tensor, without its values.

    ``shape`` is in the framework's own order; a dimension may be ``None`` (data-dependent). ``dtype`` is a key of
    `BITS`, `STRING`, or empty where the caller leaves the choice to the model. Sizes are in bytes.
    """

    shape: Shape
    dtype: str = "float32"
    name: str = ""
    quant: Quant | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> int:
        """Number of elements; raises `UnknownDimensionError` when a dimension is data-dependent."""
        try:
            return prod(self.shape)  # type: ignore[arg-type]  # a None dimension raises TypeError, caught below
        except TypeError:
            raise UnknownDimensionError(
                f"tensor {self.name or '?'} has the data-dependent shape {self.shape}"
            ) from None

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor; sub-byte types are rounded up to a whole byte for the tensor."""
        try:
            return (prod(self.shape) * BITS[self.dtype] + 7) // 8  # type: ignore[arg-type]  # as in numel
        except KeyError:
            if self.dtype == STRING:
                raise UnknownDimensionError(f"tensor {self.name or '?'} holds texts of unknown length") from None
            raise UsageError(f"tensor {self.name or '?'} has the unknown dtype {self.dtype!r}") from None
        except TypeError:
            return self.numel  # which raises, saying why

    @property
    def is_integer(self) -> bool:
        """Whether its arithmetic is integer arithmetic (a quantised tensor stands for real numbers, so it is not)."""
        return self.quant is None and self.dtype in INTEGER_DTYPES


PARAMETER, BUFFER, CONSTANT = "parameter", "buffer", "constant"


@dataclass(slots=True)
class Parameter:
    """A declared tensor of the model: learned weight, persistent state or constant.

    ``kind`` is ``parameter`` (a learned weight, frozen or not), ``buffer`` (running statistics and other persistent
    state) or ``constant``. ``trainable`` is ``None`` where the source does not say. ``source`` is the key under which
    the framework finds the values; ``tied`` holds the other names of the same tensor.
    """

    spec: TensorSpec
    kind: str = PARAMETER
    trainable: bool | None = None
    source: str = ""
    tied: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name


LOOP, BRANCH, CALL = "loop", "branch", "call"


@dataclass(slots=True)
class Region:
    """A piece of control flow that is not unrolled.

    ``kind`` is ``loop`` (its layers run ``trips`` times, ``None`` if unknown), ``branch`` (one arm of a choice: of the
    branches with the same ``group`` only the dearest is counted) or ``call``. ``stateful`` says that a loop carries
    state from one trip to the next, as a recurrent network does.
    """

    id: str
    parent: str | None = None
    kind: str = CALL
    trips: int | None = 1
    group: str = ""
    stateful: bool = False


VIEW, WRITE = "view", "write"

# Roles that begin with this prefix name tensors which change only because a write touched storage they share
# (the base or another view of the written tensor): no data of their own is moved.
ALIAS_ROLE = "alias"


@dataclass(slots=True)
class Layer:
    """One operation. ``inputs`` and ``outputs`` map roles (fixed per op in `multiprof.ops`) to tensors.

    ``op`` is a name of the vocabulary, or a qualified foreign name such as ``torch.torchvision.nms``. ``scope`` is the
    module path (``layer1.0.conv1``), ``source`` what the framework calls the operation, ``region`` the id of the
    enclosing `Region`. ``aliases`` are triples (output role, input role, ``view`` or ``write``) of tensors that share
    memory. Attributes are complete enough to run the layer. Layers are equal when all of these are, a NaN among the
    attributes counting as equal to a NaN: a report that is saved and loaded is the same report.
    """

    name: str
    op: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    attrs: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    source: str = ""
    region: str | None = None
    aliases: tuple[tuple[str, str, str], ...] = ()

    @property
    def x(self) -> TensorSpec:
        """The main input: role ``x``, or ``x0`` where the op is variadic."""
        return self.inputs["x"] if "x" in self.inputs else self.inputs["x0"]

    @property
    def y(self) -> TensorSpec:
        """The main output: role ``y``, or ``y0`` where the op has several equal ones."""
        return self.outputs["y"] if "y" in self.outputs else self.outputs["y0"]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        return (
            self.name == other.name
            and self.op == other.op
            and self.inputs == other.inputs
            and self.outputs == other.outputs
            and (self.attrs == other.attrs or _same(self.attrs, other.attrs))
            and self.scope == other.scope
            and self.source == other.source
            and self.region == other.region
            and self.aliases == other.aliases
        )

    __hash__ = None  # type: ignore[assignment]  # holds dicts


def _same(a: Any, b: Any) -> bool:
    """Whether two attributes are equal, where a NaN is equal to a NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, complex) and isinstance(b, complex):
        return _same(a.real, b.real) and _same(a.imag, b.imag)
    return bool(a == b or (a != a and b != b))


FOLDED, PREPARED = "folded", "prepared"


@dataclass(slots=True)
class Mark:
    """What a pass found out about a layer: ``folded`` into the layer ``host``, or ``prepared`` ahead of time."""

    state: str
    reason: str
    host: str = ""


@dataclass(slots=True)
class Graph:
    """A whole model: its inputs and outputs, its layers in the order they run, and every declared parameter.

    ``parameters`` is keyed by unique name. ``marks`` (layer name → `Mark`) is written by passes, never by adapters.
    ``metadata`` says how the model was read: the rung used, file format, framework version, notes for the reader
    under ``warnings`` (a list of sentences), and the class of each module by its path under ``modules``.
    """

    name: str
    framework: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    layers: tuple[Layer, ...]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
