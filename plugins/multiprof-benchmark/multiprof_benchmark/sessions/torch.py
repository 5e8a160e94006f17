"""A PyTorch module as PyTorch itself runs it: under inference_mode, in evaluation mode, on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any

import torch
from torch import nn

from multiprof import InputsError, ModelError
from multiprof.inputs import as_inputs
from multiprof_benchmark import environment
from multiprof_benchmark.carry import call
from multiprof_benchmark.lower.torch.state import State
from multiprof_benchmark.lower.torch.table import Context
from multiprof_benchmark.lower.values import Draws
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.torch_device import Device, precision
from multiprof_benchmark.subject import Options, Subject


class TorchSession:
    """A live module, or one that a worker has loaded, with inputs drawn for its graph."""

    def __init__(self, subject: Subject, options: Options, model: Any = None, device: str = "cpu") -> None:
        self.subject = subject
        self.device = Device(device, options.threads)
        arguments = subject.arguments
        if model is None:
            model, own = loaded(subject)
            arguments = arguments or own
        self.model = model
        if isinstance(model, nn.Module):
            self.model = model.eval().to(device)
            dtype = precision(options.precision)
            if dtype is not None:
                self.model = self.model.to(dtype)
        elif options.precision:
            raise ModelError("a plain callable runs in its own precision: leave --precision out")
        self.args, self.kwargs = _arguments(subject, arguments, device, precision(options.precision))

    def run(self) -> object:
        with torch.inference_mode():
            outputs = self.model(*self.args, **self.kwargs)
        self.device.wait()
        return outputs

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of leaf modules, by hooks; what modules do beside their leaves is one group of all other layers."""
        if not isinstance(self.model, nn.Module):
            return []
        layers: dict[str, list[str]] = {}
        for row in self.subject.report.layers:
            if row.trips != 0 and row.state != "prepared":
                layers.setdefault(row.scope, []).append(row.name)
        leaves = {name: module for name, module in self.model.named_modules() if name and not list(module.children())}
        whole = {name: m for name, m in self.model.named_modules() if isinstance(m, WHOLE) and name}
        inside = tuple(f"{name}." for name in whole)
        watched = {name: m for name, m in (leaves | whole).items() if not name.startswith(inside or ("\0",))}
        runs = self._timed(watched, options)
        parts, claimed = [], set()
        for name in runs[-1]:
            under = [
                layer for scope, found in layers.items() if scope == name or scope.startswith(f"{name}.")
                for layer in found
            ]  # fmt: skip
            claimed.update(under)
            if under:
                parts.append(Part(tuple(under), tuple(run.get(name, 0.0) for run in runs)))
        return parts

    def _timed(self, watched: Mapping[str, nn.Module], options: Options) -> list[dict[str, float]]:
        taken: dict[str, float] = {}
        begun: dict[str, float] = {}

        def before(name: str) -> Callable[..., None]:
            def hook(*_: object) -> None:
                self.device.wait()
                begun[name] = perf_counter()

            return hook

        def after(name: str) -> Callable[..., None]:
            def hook(*_: object) -> None:
                self.device.wait()
                taken[name] = taken.get(name, 0.0) + perf_counter() - begun[name]

            return hook

        handles = []
        for name, module in watched.items():
            handles.append(module.register_forward_pre_hook(before(name)))
            handles.append(module.register_forward_hook(after(name)))
        runs: list[dict[str, float]] = []
        start = perf_counter()
        try:
            while len(runs) < max(5, options.rules.runs // 2) or perf_counter() - start < options.rules.seconds / 2:
                taken.clear()
                self.run()
                runs.append(dict(taken))
                if perf_counter() - start > options.rules.cap:
                    break
        finally:
            for handle in handles:
                handle.remove()
        return runs

    def facts(self) -> Facts:
        found = {"torch": torch.__version__, **environment.versions("numpy"), **self.device.environment()}
        return Facts(self.device.name, self.device.threads(), found, (), self.device.memory())


# Modules that do their children's work themselves, so that hooks on the children see nothing.
WHOLE = (nn.MultiheadAttention,)


def loaded(subject: Subject) -> tuple[Any, Mapping[str, Any]]:
    """The model that travelled: from our own file, or made again by the callable that made it; with the form of the
    call where that callable says it.
    """
    if subject.form == "torch":
        # written by this very call, into a folder that only this user can read
        return torch.load(subject.model, weights_only=False, map_location="cpu"), {}
    if subject.form == "python":
        from multiprof.python_target import load_target

        found = load_target(subject.model, lambda item: isinstance(item, nn.Module))
        inputs = as_inputs(found.inputs)
        return found.model, {} if inputs is None else call(inputs)
    raise ModelError(f"a {subject.form or 'graph'} is nothing that PyTorch runs")


def _arguments(
    subject: Subject, arguments: Mapping[str, Any], device: str, dtype: torch.dtype | None
) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments, tensors drawn for the graph's inputs in their order."""
    graph = subject.report.graph
    state = State({}, Draws(graph.layers), Context(graph.framework, dtype), torch.device(device), None, 0)
    tensors = [state.input(spec) for spec in graph.inputs]

    def fill(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"input"}:
            return tensors[value["input"]]
        if isinstance(value, dict) and set(value) == {"tuple"}:
            return tuple(fill(item) for item in value["tuple"])
        if isinstance(value, dict) and set(value) == {"dict"}:
            return {key: fill(item) for key, item in value["dict"].items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        return value

    if not arguments:
        return tensors, {}
    try:
        args = [fill(item) for item in arguments["args"]]
        return args, {key: fill(item) for key, item in arguments["kwargs"].items()}
    except IndexError:
        raise InputsError("the model's graph has fewer inputs than the call has tensors") from None


__all__ = ["TorchSession", "loaded"]
