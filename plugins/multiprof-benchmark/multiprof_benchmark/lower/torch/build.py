"""Graph → program: every layer is lowered, run once, and held against the Graph before it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from multiprof import Layer, Report, TensorSpec
from multiprof_benchmark.lower.plan import Loop, Plan, plan_of
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.share import LEAST, share_of
from multiprof_benchmark.lower.torch import rules
from multiprof_benchmark.lower.torch.emulate import emulated, is_emulated
from multiprof_benchmark.lower.torch.program import Program, Repeat, Step, differences
from multiprof_benchmark.lower.torch.state import State
from multiprof_benchmark.lower.torch.table import VALUE_DEPENDENT, Context, Kernel, Prepare, Tensor, kernel_of
from multiprof_benchmark.lower.values import CONSTANT, Draw, Draws

assert rules.__all__  # importing the rules fills the table


def lower(
    report: Report,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    values: Mapping[str, Any] | None = None,
    seed: int = 0,
    least: float = LEAST,
    fold: bool = True,
) -> Program:
    """The model of a report as a torch program.

    ``dtype`` stands in place of every floating-point type. ``values`` are the real parameters by the key under which
    the framework has them (`Parameter.source`); what they lack is drawn, equal for equal ``seed``. With ``fold`` a
    batch norm that merges into the layer before it is merged.

    Raises `UnsupportedOpError` where less than the share ``least`` of the multiply-adds can be lowered; what cannot be
    is named in ``program.share``, and tensors made ahead of time stand where its results would.
    """
    with torch.no_grad():
        return _Builder(report, torch.device(device), dtype, values, seed, fold).build(least)


class _Builder:
    def __init__(
        self, report: Report, device: torch.device, dtype: torch.dtype | None, values: Mapping[str, Any] | None,
        seed: int, fold: bool,
    ) -> None:  # fmt: skip
        self.report = report
        self.plan: Plan = plan_of(report, fold=fold)
        graph = self.plan.graph
        self.context = Context(graph.framework, dtype)
        self.device = device
        self.state = State(graph.parameters, Draws(graph.layers), self.context, device, values, seed)
        self.static: dict[str, Tensor] = {}  # what does not change from run to run, beside declared tensors
        self.env: dict[str, Tensor] = {}
        self.hosts: dict[str, Step] = {}  # output of a layer → its step, for what merges into it
        self.written: dict[str, Tensor] = {}
        self.missing: dict[str, str] = {}
        self.findings: dict[str, str] = {}
        self.steps: dict[str, Step] = {}
        self.renamed: dict[str, str] = {}

    def build(self, least: float) -> Program:
        plan = self.plan
        states = {}
        for name, spec in plan.states.items():
            counter = spec.is_integer and self.plan.loops  # a loop counts from 0
            made = self.state.draw(spec, Draw(CONSTANT, 0.0)) if counter else self.state.input(spec)
            states[name] = self.env[name] = made
        examples = [self.state.input(spec) for spec in plan.graph.inputs]
        self.env |= {spec.name: tensor for spec, tensor in zip(plan.graph.inputs, examples, strict=True)}
        for layer in plan.prepared:
            self._prepare(layer)
        body = self._body(plan.body)
        share = share_of(self.report, self.missing)
        share.refuse_below(least, "torch")
        for spec in plan.graph.outputs:  # weights that the model returns as they are
            if spec.name not in self.env:
                states[spec.name] = self.static[spec.name] if spec.name in self.static else self.state.weight(spec)
        states |= self.written
        states |= {name: self.static[name] for name in self._stand_ins if name not in states}
        program = Program(
            plan.graph.inputs, plan.graph.outputs, body, states, examples, self.renamed, self.context, share
        )
        program.notes = {step.name: step.notes for step in self.steps.values() if step.notes}
        program.remarks = tuple(plan.notes)
        program.findings = self.findings
        program.drawn = tuple(self.state.drawn)
        program.value_dependent = tuple(s.name for s in self.steps.values() if s.layer.op in VALUE_DEPENDENT)
        return program

    @property
    def _stand_ins(self) -> list[str]:
        return [
            spec.name for name in self.missing for spec in self._layers[name].outputs.values()
            if spec.name in self.static
        ]  # fmt: skip

    @property
    def _layers(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.plan.graph.layers}

    # what runs once

    def _prepare(self, layer: Layer) -> None:
        """Run a layer that only prepares weights; where that fails, what it would make is drawn."""
        try:
            step = self._step(layer, self._kernel(layer))
            results = step({role: self._weight(layer.inputs[role]) for role in step.reads})
            self._check(step, results)
        except (NotLoweredError, RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            self.findings[layer.name] = f"what it prepares is drawn: {_brief(error)}"
            for spec in layer.outputs.values():
                self.static[spec.name] = self.state.draw(spec, self.state.draws.of(spec, weight=True))
            return
        for name, at in step.writes:
            self.static[name] = results[at]

    def _weight(self, spec: TensorSpec) -> Tensor:
        made = self.static.get(spec.name)
        if made is None:
            return self.state.weight(spec)
        take = self.state.part(spec, tuple(made.shape))
        return made if take is None else take(made)

    # what runs every time

    def _body(self, items: list[Layer | Loop]) -> list[Step | Repeat]:
        made: list[Step | Repeat] = []
        for item in items:
            if isinstance(item, Loop):
                made.append(Repeat(item.region, item.trips, self._body(item.body)))
                continue
            if item.name in self.plan.merged and self._merge(item):
                continue
            step = self._lowered(item)
            if step is not None:
                made.append(step)
                self.steps[step.name] = step
        return made

    def _lowered(self, layer: Layer) -> Step | None:
        """The step of a layer, run once; ``None`` where it cannot be lowered."""
        step = None
        try:
            step = self._step(layer, self._kernel(layer))
            operands = {role: self.env[name] for role, name in step.reads.items()}
            results = step(operands)
            self._check(step, results)
        except (NotLoweredError, RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
            self._stand_in(layer, _brief(error))
            return None
        results = self._steadied(step, operands, results)
        self._look(step, operands, results)
        for name, at in step.writes:
            self.env[name] = results[at]
            self.static.pop(name, None)
        for role in step._shared:
            if role in layer.outputs:
                self.env[layer.outputs[role].name] = operands[role]
        for spec in layer.outputs.values():
            self.hosts[spec.name] = step
        return step

    def _steadied(self, step: Step, operands: Mapping[str, Tensor], results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Drawn weights are scaled so that the layer's results have a deviation of about 1, where they had another one
        by far: D. Mishkin, J. Matas: All you need is a good init (2016)."""
        if self.state.values is not None or step.layer.op not in _SCALED or "weight" not in step.weights:
            return results
        (y,) = results
        if not y.is_floating_point() or y.numel() < 2:
            return results
        deviation = float(y.float().std())
        if 0.1 < deviation < 10 or not 0 < deviation < float("inf"):
            return results
        step.weights["weight"] = step.weights["weight"] / deviation
        return step(operands)  # type: ignore[no-any-return]

    def _stand_in(self, layer: Layer, reason: str) -> None:
        self.missing[layer.name] = reason
        for role, spec in layer.outputs.items():
            if role.startswith("alias"):
                self.renamed[spec.name] = layer.inputs[role].name
                continue
            if None in spec.shape:
                spec = replace(spec, shape=tuple(1 if d is None else d for d in spec.shape))
            try:
                self.static[spec.name] = self.env[spec.name] = self.state.input(spec)
            except NotLoweredError as error:
                raise_from(layer, error)

    def _kernel(self, layer: Layer) -> Kernel:
        if layer.name in self.plan.aliased:
            return Kernel(lambda x, **_: x)
        return emulated(layer, self.context) if is_emulated(layer) else kernel_of(layer, self.context)

    def _step(self, layer: Layer, kernel: Kernel) -> Step:
        """The step with its weights laid out; operands are those that run-time makes."""
        weights: dict[str, Tensor] = {}
        prepare = dict(kernel.prepare)
        for role, spec in layer.inputs.items():
            if spec.name in self.env:
                take = self.state.part(spec, tuple(self.env[spec.name].shape))
                if take is not None and not role.startswith("alias"):
                    prepare[role] = _then(take, prepare.get(role))
                continue
            tensor = self._weight(spec)
            if role.startswith("alias"):  # a weight that is written to, or shares memory with one that is
                self.written[spec.name] = self.env[spec.name] = tensor
                continue
            lay = kernel.prepare.get(role)
            weights[role] = tensor if lay is None else lay(tensor)
        fixed = {name: tensor.to(self.device) for name, tensor in kernel.fixed.items()}
        return Step(layer, replace(kernel, fixed=fixed, prepare=prepare), weights)

    def _check(self, step: Step, results: tuple[Tensor, ...]) -> None:
        found = differences(step, results, self.context)
        if found:
            raise NotLoweredError("; ".join(found))

    def _merge(self, norm: Layer) -> bool:
        """Fold a batch norm into its host's weights; False where the host cannot take it."""
        step = self.hosts.get(norm.x.name)
        if step is None or step.name != self.plan.merged[norm.name] or norm.x.name not in self.env:
            return False
        rescale = step.rescale
        if rescale is None or "weight" not in step.weights:
            return False
        operands = {role: self._weight(spec).reshape(-1) for role, spec in norm.inputs.items() if role != "x"}
        if not {"mean", "var"} <= operands.keys():
            return False
        eps = norm.attrs.get("eps")
        scale = torch.rsqrt(operands["var"].float() + (1e-5 if eps is None else float(eps)))
        if "weight" in operands:
            scale = scale * operands["weight"].float()
        shift = -operands["mean"].float() * scale
        if "bias" in operands:
            shift = shift + operands["bias"].float()
        weight, bias = step.weights["weight"], step.weights.get("bias")
        if bias is not None and bias.numel() != scale.numel():
            return False
        made_weight, made_bias = rescale(weight.float(), None if bias is None else bias.float(), scale, shift)
        step.weights["weight"] = made_weight.to(weight.dtype)
        step.weights["bias"] = made_bias.to(weight.dtype)
        step.layers = (*step.layers, norm.name)
        step.writes.append((norm.y.name, 0))
        self.env[norm.y.name] = self.env[norm.x.name]  # of the same shape, which is all that counts from here on
        self.hosts[norm.y.name] = step
        return True

    def _look(self, step: Step, operands: Mapping[str, Tensor], results: tuple[Tensor, ...]) -> None:
        """Note activations that would change the time: not finite, or too small to be normal numbers."""
        for tensor in results:
            if not tensor.is_floating_point() or tensor.numel() == 0 or tensor.dtype.itemsize < 2:
                continue
            if bool(torch.isnan(tensor).any()):
                if not any(t.is_floating_point() and bool(torch.isnan(t).any()) for t in operands.values()):
                    self.findings[step.name] = "not a number"
                return
            infinite = torch.isinf(tensor)
            if bool(infinite.any()):
                if not _meant(step.layer) and not any(bool(torch.isinf(t).any()) for t in operands.values()):
                    self.findings[step.name] = "infinite"
                return
            tiny = torch.finfo(tensor.dtype).tiny
            share = float(((tensor.abs() < tiny) & (tensor != 0)).float().mean())
            if share > 0.01:
                self.findings[step.name] = f"{share:.0%} of its results are denormal"


# Layers whose results are as large as their weights.
_SCALED = frozenset(("conv", "conv_transpose", "linear"))


def _meant(layer: Layer) -> bool:
    """Infinities on purpose: masks."""
    return layer.op in ("fill", "masked_fill", "where", "constant", "index_put", "attention", "max_pool", "pad")


def _then(first: Prepare, second: Prepare | None) -> Prepare:
    return first if second is None else lambda tensor: second(first(tensor))


def raise_from(layer: Layer, error: NotLoweredError) -> None:
    raise RuntimeError(f"{layer.name}: {error}") from error


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split("\n")[0].split())
    return text if isinstance(error, NotLoweredError) else f"{type(error).__name__}: {text}"[:200]


__all__ = ["lower"]
