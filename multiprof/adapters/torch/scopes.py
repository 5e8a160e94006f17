"""Module scopes: global forward hooks tell the tracer which module is running."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch
from torch.nn.modules import module as torch_module

from multiprof.adapters.torch.declared import Declarations, ModuleTree
from multiprof.adapters.torch.mode import tensors_in
from multiprof.adapters.torch.tracer import Frame, Tracer

_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase)


class Scopes:
    """Context manager that pushes a `Frame` for every running module.

    A module whose class is claimed by a formula (``leaves``) is traced like any other, and what it recorded is then
    replaced by one layer named after the class.
    """

    def __init__(self, tracer: Tracer, tree: ModuleTree, declarations: Declarations, leaves: frozenset[str]) -> None:
        self.tracer = tracer
        self.tree = tree
        self.declarations = declarations
        self.leaves = leaves
        self.calls: dict[int, int] = {}
        self.kinds: dict[type, tuple[bool, str]] = {}  # class -> does it name its layer, the name it is claimed by
        self.thread = get_ident()  # the hooks are the whole process's, the trace is this thread's
        self.classes: dict[str, str] = {}

    def __enter__(self) -> Scopes:
        self._handles = [
            torch_module.register_module_forward_pre_hook(self._enter),
            torch_module.register_module_forward_hook(self._leave, with_kwargs=True, always_call=True),
        ]
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in self._handles:
            handle.remove()
            # torch's handle forgets this one table (as of 2.13), and an entry would stay behind for good.
            torch_module._global_forward_hooks_with_kwargs.pop(handle.id, None)

    def _enter(self, module: torch.nn.Module, args: Any) -> None:
        if get_ident() != self.thread:
            return
        key = id(module)
        path = self.tree.paths.get(key)
        if path is None:
            path = self._discover(module)
        count = self.calls.get(key, 0) + 1
        self.calls[key] = count
        label = path if count == 1 or not path else f"{path}#{count}"
        kind = type(module)
        known = self.kinds.get(kind)
        if known is None:
            name = f"torch.{kind.__module__}.{kind.__qualname__}"
            # Recurrent modules make their initial states before the layers that count.
            own = kind.__module__.startswith("torch.nn.") and not issubclass(kind, _RECURRENT)
            known = (own, name if name in self.leaves else "")
            self.kinds[kind] = known
        own, claimed = known
        frame = Frame(module, path, label, own and not module._modules)
        if path not in self.classes:
            self.classes[path] = kind.__name__
        if claimed:
            frame.claimed = claimed
            frame.start = len(self.tracer.layers)
        self.tracer.frames.append(frame)

    def _leave(self, module: torch.nn.Module, args: Any, *rest: Any) -> None:
        if get_ident() != self.thread:
            return
        # torch leaves the keywords out when it calls the hook because the forward raised.
        kwargs, out = rest if len(rest) == 2 else ({}, None)
        frames = self.tracer.frames
        # A forward that raised inside a claimed or nested module may leave frames behind: pop down to this one.
        while len(frames) > 1:
            frame = frames.pop()
            if frame.module is module:
                if frame.claimed and out is not None:
                    self._claim(frame, args, kwargs, out)
                return

    def _discover(self, module: torch.nn.Module) -> str:
        """A module outside the tree (held in a list, made in the forward): it and its weights become known now."""
        parent = self.tracer.frames[-1].scope
        name = type(module).__name__.lower()
        path = f"{parent}.{name}" if parent else name
        used = set(self.tree.paths.values())
        candidate, n = path, 1
        while candidate in used:
            candidate, n = f"{path}_{n}", n + 1
        first = len(self.tree.modules)
        self.tree.walk(module, candidate)
        self.declarations.declare(self.tree.modules[first:], self.tree.paths)
        if self.tracer.frames[-1].module is not None:
            self.tracer.note(f"{candidate}: a module that the model does not register is used and counted")
        return candidate

    def _claim(self, frame: Frame, args: Any, kwargs: Any, out: Any) -> None:
        """Replace what the module recorded by one layer: tensor arguments, own parameters, results."""
        tracer = self.tracer
        inner = tracer.layers[frame.start :]
        made = {spec.name for layer in inner for spec in layer.outputs.values()}
        tracer.rollback(frame.start)
        inputs: dict[str, torch.Tensor | None] = {}
        given = tensors_in((args, kwargs))
        for i, tensor in enumerate(given):
            tensor = tracer.twins.get(id(tensor), tensor)
            if tracer.specs.get(id(tensor)) is None or tracer.spec(tensor).name not in made:
                inputs[f"x{i}"] = tensor
        for name, parameter in frame.module.named_parameters():
            inputs[name] = parameter
        results = [tracer.twins.get(id(t), t) for t in tensors_in(out)]
        outputs = {"y" if len(results) == 1 else f"y{i}": t for i, t in enumerate(results)}
        kind = type(frame.module)
        tracer.source = kind.__name__
        attrs = {
            name: value
            for name, value in vars(frame.module).items()
            if type(value) in (bool, int, float, str) and not name.startswith("_") and name != "training"
        }
        tracer.frames.append(Frame(frame.module, frame.scope, frame.label, True))
        tracer.emit(frame.claimed, inputs, outputs, attrs)
        tracer.frames.pop()
