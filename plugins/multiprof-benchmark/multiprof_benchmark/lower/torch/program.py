"""A lowered model: a torch module that runs the layers of a Graph in order, each of them callable by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from multiprof import InputsError, Layer, TensorSpec
from multiprof_benchmark.lower.share import Share
from multiprof_benchmark.lower.torch.table import Context, Kernel, Prepare, Tensor

# Told of every step as it has run: the step, its operands by role, its results.
Observer = Callable[["Step", Mapping[str, Tensor], tuple[Tensor, ...]], None]


class Step(nn.Module):
    """One layer, with what is merged into it. Called with the operands that change from run to run, by role; its
    ``weights`` are laid out as the kernel takes them. Returns the layer's outputs in their order."""

    def __init__(self, layer: Layer, kernel: Kernel, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layer = layer
        self.layers: tuple[str, ...] = (layer.name,)
        self.notes = kernel.notes
        self.reads = {role: spec.name for role, spec in layer.inputs.items() if role not in weights}
        self.results = [(role, spec) for role, spec in layer.outputs.items() if not role.startswith("alias")]
        self.writes = [(spec.name, at) for at, (_, spec) in enumerate(self.results)]
        self.weights: dict[str, Tensor] = {**weights, **kernel.fixed}
        self.rescale = kernel.rescale
        self._run = kernel.run
        self._lay: dict[str, Prepare] = {role: f for role, f in kernel.prepare.items() if role in self.reads}
        self._shared = frozenset(role for role in self.reads if role.startswith("alias"))
        self._written = next((x for y, x, kind in layer.aliases if y == "y" and kind == "write"), "")

    @property
    def name(self) -> str:
        return self.layer.name

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Step:
        """To another device or dtype; weights are in a dict of their own since a role may have any name."""
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.weights = {role: function(tensor) for role, tensor in self.weights.items()}
        return self

    def forward(self, operands: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        target: Tensor | None = None
        if self._shared:
            target = operands.get(self._written)
            operands = {role: tensor for role, tensor in operands.items() if role not in self._shared}
        if self._lay:
            operands = {role: self._lay[role](t) if role in self._lay else t for role, t in operands.items()}
        made = self._run(**self.weights, **operands)
        results = made if type(made) is tuple else tuple(made) if isinstance(made, (tuple, list)) else (made,)
        if target is not None:  # a write into memory that other names share: they change with it
            results = (target.copy_(results[0]), *results[1:])
        return results

    def extra_repr(self) -> str:
        return f"{self.layer.op} {', '.join(self.layers)}"


class Repeat(nn.Module):
    """Steps that run ``trips`` times, as the layers of a loop do."""

    def __init__(self, region: str, trips: int, body: Sequence[Step | Repeat]) -> None:
        super().__init__()
        self.region = region
        self.trips = trips
        self.body = nn.ModuleList(body)


class Program(nn.Module):
    """Runs a lowered Graph: positional tensors for its inputs in, a tuple of its outputs out.

    ``share`` says how much of the model it is, ``notes`` (layer → sentences) where it computes something else than the
    layer, ``findings`` which activations were not finite or not normal when it was made, ``drawn`` which parameters
    were not given, so that their values are random. ``steps`` are its layers by name; what is merged into another
    layer leads to that one.
    """

    def __init__(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], body: Sequence[Step | Repeat],
        states: Mapping[str, Tensor], examples: Sequence[Tensor], renamed: Mapping[str, str], context: Context,
        share: Share,
    ) -> None:  # fmt: skip
        super().__init__()
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.body = nn.ModuleList(body)
        self.share = share
        self.context = context
        self.renamed = dict(renamed)
        self.notes: dict[str, tuple[str, ...]] = {}
        self.remarks: tuple[str, ...] = ()
        self.findings: dict[str, str] = {}
        self.drawn: tuple[str, ...] = ()
        self.value_dependent: tuple[str, ...] = ()
        self._state_names = list(states)
        for number, tensor in enumerate(states.values()):
            self.register_buffer(f"state{number}", tensor)
        for number, tensor in enumerate(examples):
            self.register_buffer(f"example{number}", tensor)
        self._drops = _last_uses(list(body), self.renamed, [spec.name for spec in self.outputs])

    @property
    def steps(self) -> dict[str, Step]:
        return {name: step for step in _walk(self.body) for name in step.layers}

    @property
    def examples(self) -> tuple[Tensor, ...]:
        """Inputs to run on: random, of the model's shapes and dtypes, on the program's device."""
        return tuple(self.get_buffer(f"example{number}") for number in range(len(self.inputs)))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.observed(None, *inputs)

    def observed(self, observer: Observer | None, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run, telling ``observer`` of every step."""
        if len(inputs) != len(self.inputs):
            wanted = ", ".join(f"{spec.name} {spec.shape}" for spec in self.inputs)
            raise InputsError(f"the program takes {len(self.inputs)} inputs ({wanted}), not {len(inputs)}")
        env: dict[str, Tensor] = {}
        for number, name in enumerate(self._state_names):
            env[name] = self._buffers[f"state{number}"]  # type: ignore[assignment]  # registered above
        for spec, tensor in zip(self.inputs, inputs, strict=True):
            env[spec.name] = tensor
        for item, drop in zip(self.body, self._drops, strict=True):
            self._run(item, env, observer)
            for name in drop:
                env.pop(name, None)
        return tuple(env[self.renamed.get(spec.name, spec.name)] for spec in self.outputs)

    def _run(self, item: nn.Module, env: dict[str, Tensor], observer: Observer | None) -> None:
        if isinstance(item, Repeat):
            for _ in range(item.trips):
                for inner in item.body:
                    self._run(inner, env, observer)
            return
        assert isinstance(item, Step)
        operands = {role: env[name] for role, name in item.reads.items()}
        results = item(operands)
        if observer is not None:
            observer(item, operands, results)
        for name, at in item.writes:
            env[name] = results[at]
        for role in item._shared:
            spec = item.layer.outputs.get(role)
            if spec is not None:
                env[spec.name] = operands[role]

    def differences(self, *inputs: Tensor) -> list[str]:
        """Run, and say where a result's shape or dtype is not the Graph's; an empty list is the proof."""
        found: list[str] = []

        def look(step: Step, operands: Mapping[str, Tensor], results: tuple[Tensor, ...]) -> None:
            found.extend(differences(step, results, self.context))

        self.observed(look, *(inputs or self.examples))
        return found

    def operands(self, *inputs: Tensor) -> dict[str, dict[str, Tensor]]:
        """What every step was called with: ``program.steps[name](operands[name])`` runs one layer alone."""
        found: dict[str, dict[str, Tensor]] = {}

        def keep(step: Step, operands: Mapping[str, Tensor], results: tuple[Tensor, ...]) -> None:
            found.setdefault(step.name, dict(operands))

        self.observed(keep, *(inputs or self.examples))
        return found


def differences(step: Step, results: Sequence[Any], context: Context) -> list[str]:
    """Where results have not the shapes and dtypes of their layer; a dimension that is not known may be anything."""
    if len(results) != len(step.results):
        return [f"{step.name}: {len(results)} results, not {len(step.results)}"]
    found = []
    for (role, spec), tensor in zip(step.results, results, strict=True):
        got = tuple(tensor.shape)
        fits = len(got) == spec.rank and all(d is None or d == n for d, n in zip(spec.shape, got, strict=True))
        if not fits:
            found.append(f"{step.name}: {role} is {got}, not {tuple(spec.shape)}")
        wanted = context.type_of(spec)
        if tensor.dtype != wanted:
            found.append(f"{step.name}: {role} is {tensor.dtype}, not {wanted}")
    return found


def _walk(items: Iterator[nn.Module] | Sequence[nn.Module] | nn.ModuleList) -> Iterator[Step]:
    for item in items:
        if isinstance(item, Repeat):
            yield from _walk(item.body)
        elif isinstance(item, Step):
            yield item


def _last_uses(body: Sequence[nn.Module], renamed: Mapping[str, str], outputs: Sequence[str]) -> list[list[str]]:
    """Names that nothing needs after each item of the body."""
    last: dict[str, int] = {}
    for at, item in enumerate(body):
        for step in _walk([item]):
            for name in (*step.reads.values(), *(name for name, _ in step.writes)):
                last[name] = at
            for spec in step.layer.outputs.values():
                last.setdefault(spec.name, at)
    kept = {renamed.get(name, name) for name in outputs}
    drops: list[list[str]] = [[] for _ in body]
    for name, at in last.items():
        if name not in kept:
            drops[at].append(name)
    return drops


__all__ = ["Observer", "Program", "Repeat", "Step", "differences"]
