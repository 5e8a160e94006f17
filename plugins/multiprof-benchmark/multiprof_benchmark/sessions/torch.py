"""A PyTorch module as PyTorch itself runs it: under inference_mode, in evaluation mode, on the CPU or on CUDA."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from multiprof import ModelError
from multiprof.inputs import as_inputs
from multiprof_benchmark import environment
from multiprof_benchmark.carry import call, called
from multiprof_benchmark.lower.torch.state import State
from multiprof_benchmark.lower.torch.table import Context
from multiprof_benchmark.lower.values import Draws
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.torch_calls import Call, Calls, fused_modules, joined, scopes
from multiprof_benchmark.sessions.torch_device import Device, precision
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import repeated


class TorchSession:
    """A live module, or one that a worker has loaded, with inputs drawn for its graph."""

    def __init__(self, subject: Subject, options: Options, model: Any = None, device: str = "cpu") -> None:
        self.subject = subject
        self.device = Device(device, options.threads)
        arguments = subject.arguments
        if subject.live is not None:
            # it is the caller's own, and its modes are set: what would change its weights is done to a copy
            model = subject.live
            if options.precision or self.device.cuda:
                model = copy.deepcopy(model)
        elif model is None:
            model, own = loaded(subject)
            arguments = arguments or own
            if isinstance(model, nn.Module) and subject.form != "file":  # files are read for inference
                model = model.eval()
        self.model = model
        if isinstance(model, nn.Module):
            dtype = precision(options.precision)
            if dtype is not None or self.device.cuda:
                self.model = model.to(device, dtype)
        elif options.precision:
            raise ModelError("a plain callable runs in its own precision: leave --precision out")
        self.args, self.kwargs = _arguments(subject, arguments, device, precision(options.precision))

    def run(self) -> object:
        with torch.inference_mode():
            return self.device.run(lambda: self.model(*self.args, **self.kwargs))

    def device_times(self) -> tuple[float, ...]:
        """Seconds of every run so far on a device beside the processor."""
        return tuple(self.device.spent)

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of the calls of torch's functions, joined to layers by module, name and order."""
        model = self.model if isinstance(self.model, nn.Module) else None
        whole = fused_modules(model, self.run) if model is not None else frozenset[str]()
        calls = Calls(model, self.device.wait, whole)

        def once() -> list[tuple[Call, float]]:
            calls.taken = []
            with torch.inference_mode(), calls:
                self.model(*self.args, **self.kwargs)
            return calls.taken

        with scopes(calls):
            return joined(self.subject.report, repeated(once, options.rules))

    def facts(self) -> Facts:
        found = {"torch": torch.__version__, **environment.versions("numpy"), **self.device.environment()}
        return Facts(self.device.name, self.device.threads(), found, (), self.device.memory())


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
    if subject.form == "file":
        return _from_file(subject), {}
    raise ModelError(f"a {subject.form or 'graph'} is nothing that PyTorch runs")


def _from_file(subject: Subject) -> nn.Module:
    metadata = subject.report.graph.metadata
    kind = metadata.get("format")
    model: nn.Module
    if kind == "torch.export":
        model = torch.export.load(subject.model).module()
    elif kind == "TorchScript":
        model = torch.jit.load(subject.model, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    elif metadata.get("trust"):
        model = torch.load(subject.model, weights_only=False, map_location="cpu").eval()
    else:
        raise ModelError(f"a {kind} file runs code of its own when it is loaded: allow it with --trust")
    return model


def _arguments(
    subject: Subject, arguments: Mapping[str, Any], device: str, dtype: torch.dtype | None
) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments, tensors drawn for the graph's inputs in their order."""
    graph = subject.report.graph
    state = State({}, Draws(graph.layers), Context(graph.framework, dtype), torch.device(device), None, 0)
    return called(arguments, [state.input(spec) for spec in graph.inputs])


__all__ = ["TorchSession", "loaded"]
