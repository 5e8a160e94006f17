"""The Report: a whole Graph with a cost, a state and a reason per layer, and everything derived from them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from multiprof import memory, totals
from multiprof.cost import Counts
from multiprof.errors import UsageError
from multiprof.ir import BUFFER, CONSTANT, FOLDED, PARAMETER, PREPARED, STRING, Graph, Parameter
from multiprof.layer_report import COUNTED, FREE, PRICED, STATES, UNSUPPORTED, LayerReport, Total
from multiprof.measurement import Measurement
from multiprof.memory import Peak, Storage
from multiprof.prediction import Prediction
from multiprof.training import Training

if TYPE_CHECKING:
    from multiprof.receptive_field import ReceptiveField

# `print(report)` shows this reporter; named, not imported, because reporters stand above reports.
DEFAULT_REPORTER = "multiprof.reporters.table"


def _part(name: str) -> ModuleType:
    """A module that most analyses never need, loaded when it is: those named here take a third of the start-up time."""
    return importlib.import_module(name)


@dataclass(repr=False)
class Report:
    """What `multiprof.analyze` returns. Stored are the fields below; the rest is derived when asked for.

    ``layers`` are in the order of ``graph.layers``. ``tool`` and ``environment`` say what made the report and where;
    ``model`` holds ``format`` and ``file_bytes`` (``None`` for a live model) and whatever else is known of its file.
    ``training`` is there where a training step was analysed: the layers then hold the forward pass in training.
    """

    graph: Graph
    layers: tuple[LayerReport, ...]
    convention: str = "default"
    warnings: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    tool: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    predictions: tuple[Prediction, ...] = ()
    training: Training | None = None

    def __post_init__(self) -> None:
        derived = ("name", "framework", "digest")  # these stand in the graph
        known = {key: value for key, value in self.model.items() if key not in derived}
        self.model = {"format": self.graph.metadata.get("format"), "file_bytes": None} | known

    def __repr__(self) -> str:
        return f"<Report {self.name}: {len(self.layers)} layers, {self.macs} macs, coverage {self.coverage:.1%}>"

    def __str__(self) -> str:
        return str(_part(DEFAULT_REPORTER).render(self))

    # the model

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def framework(self) -> str:
        return self.graph.framework

    @property
    def file_bytes(self) -> int | None:
        size: int | None = self.model["file_bytes"]
        return size

    @property
    def digest(self) -> str:
        """SHA-256 of the structure: ops, attributes, shapes and links; neither names, weights nor the file."""
        return str(_part("multiprof.serialize").digest(self.graph))

    @property
    def batch(self) -> int | None:
        """Samples in the inputs, where the reader of the model knows (``graph.metadata["batch"]``), else ``None``.

        That entry is the number itself, or ``True`` for the leading dimension of the first input.
        """
        declared = self.graph.metadata.get("batch")
        if declared is True:
            shape = self.graph.inputs[0].shape if self.graph.inputs else ()
            declared = shape[0] if shape else None
        return declared if isinstance(declared, int) and declared > 0 else None

    # cost

    @cached_property
    def counts(self) -> Counts:
        """Primitive operations of all layers that count: priced, folded and free ones."""
        costs = (row.cost for row in self.layers if row.counted and row.cost is not None)
        return sum((counts for cost in costs for counts in cost.terms.values()), Counts())

    @property
    def macs(self) -> int:
        return self.counts.macs

    @property
    def flops(self) -> int:
        return self.counts.flops

    @property
    def step(self) -> Counts | None:
        """Primitive operations of a whole training step: forward, backward, recomputed and update."""
        training = self.training
        if training is None:
            return None
        return self.counts + training.backward + training.recomputed + training.update.counts

    @property
    def macs_per_sample(self) -> int | float | None:
        return self._per_sample(self.macs)

    @property
    def flops_per_sample(self) -> int | float | None:
        return self._per_sample(self.flops)

    def _per_sample(self, total: int) -> int | float | None:
        batch = self.batch
        if batch is None:
            return None
        return total // batch if total % batch == 0 else total / batch

    @cached_property
    def total(self) -> Total:
        """All layers and all parameters, unused ones too."""
        total = Total()
        for row in self.layers:
            total.add(row)
        total.params = self.params
        return total

    # parameters

    def _declared(self, kind: str) -> Iterable[Parameter]:
        return (p for p in self.graph.parameters.values() if p.kind == kind)

    @cached_property
    def params(self) -> int:
        """Elements of learned weights, frozen ones too, each once however many names it has."""
        return sum(p.spec.numel for p in self._declared(PARAMETER))

    @property
    def trainable_params(self) -> int | None:
        """Elements of the weights that training changes; ``None`` where the source does not say of some weight."""
        declared = list(self._declared(PARAMETER))
        if any(p.trainable is None for p in declared):
            return None
        return sum(p.spec.numel for p in declared if p.trainable)

    @property
    def params_duplicated(self) -> int:
        """Elements of learned weights as if every name of a tied weight were a weight of its own."""
        return sum(p.spec.numel * (1 + len(p.tied)) for p in self._declared(PARAMETER))

    @property
    def buffers(self) -> int:
        """Elements of persistent state that is not learned, such as running statistics."""
        return sum(p.spec.numel for p in self._declared(BUFFER))

    @property
    def weight_bytes(self) -> int:
        return sum(p.spec.nbytes for p in self._declared(PARAMETER))

    @property
    def buffer_bytes(self) -> int:
        return sum(p.spec.nbytes for p in self._declared(BUFFER))

    @property
    def constant_bytes(self) -> int:
        return sum(p.spec.nbytes for p in self._declared(CONSTANT))

    def unused_parameters(self) -> list[str]:
        """Names of the learned weights that no layer reads and that are no output."""
        used = {spec.name for layer in self.graph.layers for spec in layer.inputs.values()}
        used.update(spec.name for spec in self.graph.outputs)
        return [p.name for p in self._declared(PARAMETER) if p.name not in used]

    def layer_params(self, name: str) -> list[Parameter]:
        """The learned weights that a layer is the first to use, itself or through layers that only prepare them."""
        return self._first_use.get(self.layer(name).name, [])

    @cached_property
    def _first_use(self) -> dict[str, list[Parameter]]:
        return totals.first_use(self.layers, self.graph.parameters)

    @cached_property
    def _first_params(self) -> dict[str, int]:
        return {layer: sum(p.spec.numel for p in found) for layer, found in self._first_use.items()}

    # memory

    @cached_property
    def _not_run(self) -> frozenset[str]:
        return frozenset(row.name for row in self.layers if row.trips == 0)

    @cached_property
    def _storages(self) -> list[Storage]:
        return memory.storages(self.graph, self._not_run)

    @cached_property
    def peak(self) -> Peak | None:
        """The most activation bytes alive at once, where, and of which tensors; ``None`` if a size is unknown."""
        return memory.peak(self.graph, self._storages, self._not_run)

    @property
    def peak_bytes(self) -> int | None:
        return None if self.peak is None else self.peak.bytes

    @property
    def activation_bytes(self) -> int | None:
        """Bytes of all storage that layers newly allocate; ``None`` if a size is unknown."""
        return memory.activation_bytes(self._storages)

    @property
    def space_elements(self) -> int | None:
        """Parameters + elements of every layer's output, views and in-place writes adding nothing."""
        made = memory.activation_elements(self._storages)
        return None if made is None else self.params + made

    @property
    def traffic_bytes(self) -> int | None:
        """Bytes read and written by all layers that count; ``None`` if those of one of them are unknown."""
        return _sum_or_none(row.bytes for row in self.layers if row.counted)

    # coverage

    @cached_property
    def coverage(self) -> float:
        """Share of layers, weighted by trips, that are not unsupported: 1.0 when everything is counted."""
        every = missing = 0
        for row in self.layers:
            weight = 1 if row.trips is None else row.trips
            if row.state == UNSUPPORTED:
                weight = max(weight, 1)  # without its cost nobody knows whether its branch is the dearer one
                missing += weight
            every += weight
        return 1 - missing / every if missing else 1.0

    @property
    def coverage_details(self) -> dict[str, int | None]:
        """Layers, unsupported ones, and the bytes of the parameters and outputs that touch unsupported ones."""
        missing = [row.layer for row in self.layers if row.state == UNSUPPORTED]
        read = {spec.name for layer in missing for spec in layer.inputs.values()}
        outputs = [spec for layer in missing for spec in layer.outputs.values()]
        return {
            "layers": len(self.layers),
            "unsupported_layers": len(missing),
            "unsupported_weight_bytes": sum(p.spec.nbytes for p in self._declared(PARAMETER) if p.name in read),
            "unsupported_output_bytes": _sum_or_none(
                None if None in spec.shape or spec.dtype == STRING else spec.nbytes for spec in outputs
            ),
        }

    def unsupported(self) -> dict[str, list[str]]:
        """Ops without a cost -> names of their layers; each layer's ``reason`` says why."""
        found: dict[str, list[str]] = {}
        for row in self.layers:
            if row.state == UNSUPPORTED:
                found.setdefault(row.op, []).append(row.name)
        return found

    def prepared(self) -> list[LayerReport]:
        """Layers that only prepare weights; not in the totals."""
        return [row for row in self.layers if row.state == PREPARED]

    def folded(self) -> list[LayerReport]:
        """Layers that merge into another at inference."""
        return [row for row in self.layers if row.state == FOLDED]

    # groups: name -> Total, in the order of first appearance

    def by_op(self) -> dict[str, Total]:
        return self._group(lambda row: row.op)

    def by_family(self) -> dict[str, Total]:
        """By op family. A contraction in a loop that carries state is a step of a recurrent layer, and stands there."""
        return self._group(lambda row: totals.family(self.graph, row))

    def by_scope(self, depth: int | None = None) -> dict[str, Total]:
        """By module path cut to ``depth`` parts (``None``: whole); ``""`` holds what is outside every module."""
        if depth is None:
            return self._group(lambda row: row.scope)
        if depth < 0:
            raise UsageError(f"by_scope: the depth {depth} is negative")
        return self._group(lambda row: ".".join(row.scope.split(".", depth)[:depth]))

    def by_dtype(self) -> dict[str, Total]:
        """By the operand types of the dot products (``float16×int4`` where they differ), else by output type."""
        return self._group(totals.dtype)

    def modules(self) -> dict[str, Total]:
        """Every module path, ``""`` the whole, each with all that is under it, outer before inner."""
        return totals.modules(self.layers, self._first_params)

    def _group(self, key: Callable[[LayerReport], str]) -> dict[str, Total]:
        return totals.group(self.layers, key, self._first_params)

    # one layer

    @cached_property
    def _rows(self) -> dict[str, LayerReport]:
        return {row.name: row for row in self.layers}

    def layer(self, name: str) -> LayerReport:
        """The layer of that name; `UsageError` with the nearest names when there is none."""
        if name in self._rows:
            return self._rows[name]
        near = _part("difflib").get_close_matches(name, self._rows, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"{self.name} has no layer {name!r}{hint}")

    @cached_property
    def _receptive_fields(self) -> dict[str, ReceptiveField]:
        fields: dict[str, ReceptiveField] = _part("multiprof.receptive_field").receptive_fields(self.graph)
        return fields

    def receptive_field(self, name: str) -> ReceptiveField | None:
        """What an output element of the layer sees of the input; ``None`` where that is no window."""
        return self._receptive_fields.get(self.layer(name).name)

    # files

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, derived totals included."""
        data: dict[str, Any] = _part("multiprof.serialize").dump(self)
        return data

    @classmethod
    def from_dict(cls, data: object) -> Report:
        """The report that `to_dict` wrote; `ReportError` says what is wrong with anything else."""
        return cls(**_part("multiprof.deserialize").parse(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON; `ReportError` when that fails."""
        _part("multiprof.serialize").write(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Report:
        """The report that `save` wrote; `ReportError` names the file and what is wrong with it."""
        return cls(**_part("multiprof.deserialize").read(path))


def _sum_or_none(sizes: Iterable[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


__all__ = ["COUNTED", "FREE", "PRICED", "STATES", "UNSUPPORTED", "LayerReport", "Peak", "Report", "Total"]
