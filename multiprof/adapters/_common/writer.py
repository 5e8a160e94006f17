"""Writing a Graph layer by layer: names made unique, regions nested, parameters sorted into kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from multiprof.errors import ModelError
from multiprof.ir import (
    BITS,
    BUFFER,
    CALL,
    CONSTANT,
    INTEGER_DTYPES,
    PARAMETER,
    Graph,
    Layer,
    Parameter,
    Quant,
    Region,
    Shape,
    TensorSpec,
)

# A graph with more layers than any network has is refused before it fills the memory.
MAX_LAYERS = 250_000

# (op, role) -> kind of what is declared there, whatever its dtype says. Any other use leaves the kind as it is.
ROLE_KINDS: Mapping[tuple[str, str], str] = {
    ("batch_norm", "mean"): BUFFER,
    ("batch_norm", "var"): BUFFER,
    ("instance_norm", "mean"): BUFFER,
    ("instance_norm", "var"): BUFFER,
    **{(op, role): CONSTANT for op in ("quantize", "dequantize", "fake_quantize") for role in ("scale", "zero_point")},
}
# Roles that hold a learned weight even where it is stored as integers.
_WEIGHT_ROLES = frozenset(("weight", "weight_ih", "weight_hh", "weight_hr", "bias", "bias_ih", "bias_hh", "peephole"))
_STORED_WEIGHTS = frozenset((("dequantize", "x"),))


class GraphWriter:
    """Collects layers, parameters, regions and warnings; `graph` makes the Graph of them.

    Layer names come out unique (``conv``, ``conv_1`` …). Tensor names are the adapter's: it must make each once.
    """

    def __init__(self, name: str, framework: str) -> None:
        self.name = name
        self.file = name  # what error messages call the model
        self.framework = framework
        self.layers: list[Layer] = []
        self.parameters: dict[str, Parameter] = {}
        self.regions: dict[str, Region] = {}
        self.warnings: list[str] = []
        self._region: str | None = None
        self._names: dict[str, int] = {}
        self._tensors: dict[str, int] = {}
        self._constants: set[str] = set()
        self._region_names: dict[str, int] = {}

    def layer(
        self,
        name: str,
        op: str,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        attrs: Mapping[str, Any] | None = None,
        *,
        scope: str = "",
        source: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Append a layer in the region that is open; raises `ModelError` beyond `MAX_LAYERS`."""
        if len(self.layers) >= MAX_LAYERS:
            raise ModelError(f"{self.name} has more than {MAX_LAYERS} layers: no network is that large")
        made = Layer(
            self.unique(name or op), op, dict(inputs), dict(outputs), dict(attrs or {}), scope, source, self._region,
            aliases,
        )  # fmt: skip
        self.layers.append(made)
        return made

    @property
    def open_region(self) -> str | None:
        """The region in which layers are written now."""
        return self._region

    def unique(self, name: str) -> str:
        """``name``, or the first of ``name_1``, ``name_2`` … that no layer has."""
        return _unused(name, self._names)

    def between(self, shape: Iterable[int | None], dtype: str, hint: str) -> TensorSpec:
        """A tensor between the layers that one operation becomes; ``hint#1`` … never clash with a file's own names
        that were announced with `taken`."""
        return TensorSpec(tuple(shape), dtype, _unused(f"{hint}#", self._tensors))

    def taken(self, name: str) -> str:
        """A tensor name that no tensor has yet: ``name`` itself, or a numbered one."""
        return _unused(name, self._tensors)

    def declare(
        self, spec: TensorSpec, kind: str | None = None, *, source: str = "", trainable: bool | None = None
    ) -> Parameter:
        """Add what the model declares; without ``kind`` it is `kind_by_dtype`, refined by the roles in `graph`."""
        kind = CONSTANT if spec.name in self._constants else kind or kind_by_dtype(spec)
        parameter = Parameter(spec, kind, trainable, source or spec.name)
        self.parameters[spec.name] = parameter
        return parameter

    def set_aside(self, name: str) -> None:
        """What is declared under this name, before or after, is a constant, however many elements it has."""
        self._constants.add(name)
        if name in self.parameters:
            self.parameters[name].kind = CONSTANT

    @contextmanager
    def region(
        self, id: str, kind: str = CALL, trips: int | None = 1, *, group: str = "", stateful: bool = False
    ) -> Iterator[Region]:
        """Everything written inside stands in a new region, itself inside the one that is open; ids come out unique."""
        outer = self._region
        id = _unused(id, self._region_names)
        self.regions[id] = region = Region(id, outer, kind, trips, group, stateful)
        self._region = id
        try:
            yield region
        finally:
            self._region = outer

    def graph(self, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec], **metadata: Any) -> Graph:
        """The Graph. ``metadata`` is its metadata; the warnings join it."""
        self._sort_parameters()
        return Graph(
            self.name, self.framework, tuple(inputs), tuple(outputs), tuple(self.layers), self.parameters,
            self.regions, {**metadata, "warnings": list(dict.fromkeys(self.warnings))},
        )  # fmt: skip

    def _sort_parameters(self) -> None:
        """Kinds by the role in which a layer reads them: a weight wins over statistics, these over a constant."""
        found: dict[str, set[str]] = {}
        for layer in self.layers:
            for role, spec in layer.inputs.items():
                declared = self.parameters.get(spec.name)
                if declared is None:
                    continue
                key = (layer.op, role)
                if key in ROLE_KINDS:
                    found.setdefault(spec.name, set()).add(ROLE_KINDS[key])
                elif role in _WEIGHT_ROLES or key in _STORED_WEIGHTS:
                    found.setdefault(spec.name, set()).add(PARAMETER)
                else:
                    found.setdefault(spec.name, set()).add(declared.kind)
        for name, kinds in found.items():
            self.parameters[name].kind = next(kind for kind in (PARAMETER, BUFFER, CONSTANT) if kind in kinds)


def kind_by_dtype(spec: TensorSpec) -> str:
    """What a file's tensor is, by its type alone: integers, bools and scalars are constants, the rest parameters."""
    if spec.quant is not None:
        return PARAMETER
    return CONSTANT if spec.rank == 0 or spec.dtype in INTEGER_DTYPES else PARAMETER


def quantised(scale: Iterable[float], zero_point: Iterable[int], axis: int | None = None) -> Quant:
    return Quant(tuple(float(s) for s in scale), tuple(int(z) for z in zero_point), axis)


def known_dtype(dtype: str, where: str) -> str:
    """``dtype``, or a `ModelError` naming the place when the representation has none of that name."""
    if dtype not in BITS:
        raise ModelError(f"{where}: unknown element type {dtype!r}")
    return dtype


def checked_shape(shape: Iterable[int | None], where: str) -> Shape:
    """``shape`` as a tuple; raises `ModelError` naming the place for a negative dimension or too many of them."""
    dims = tuple(shape)
    if len(dims) > 64:
        raise ModelError(f"{where}: a tensor of {len(dims)} dimensions")
    for dim in dims:
        if dim is not None and dim < 0:
            raise ModelError(f"{where}: the shape {dims} has a negative dimension")
    return dims


def _unused(name: str, counts: dict[str, int]) -> str:
    """``name`` if it is not in ``counts``, else with the next number; what is returned is noted there."""
    if name not in counts and not name.endswith("#"):
        counts[name] = 0
        return name
    number = counts.get(name, 0)
    separator = "" if name.endswith("#") else "_"
    while True:
        number += 1
        made = f"{name}{separator}{number}"
        if made not in counts:
            counts[name] = number
            counts[made] = 0
            return made


__all__ = ["MAX_LAYERS", "GraphWriter", "checked_shape", "kind_by_dtype", "known_dtype", "quantised"]
