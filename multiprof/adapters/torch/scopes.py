"""Module scopes: which module is running while an operation is recorded."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch

from multiprof.adapters.torch.declared import Declarations, ModuleTree
from multiprof.adapters.torch.eager import Eager
from multiprof.adapters.torch.mode import tensors_in
from multiprof.adapters.torch.shortcuts import answer
from multiprof.adapters.torch.tracer import Frame, Tracer
from multiprof.adapters.torch.wrappers import attribute_inside
from multiprof.ir import VIEW, WRITE, TensorSpec

_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase)


class Scopes:
    """Context manager that pushes a `Frame` for every running module.

    It stands in front of ``nn.Module.__call__``: torch's global forward hooks would do, but they send every call down
    torch's slow path, which takes longer than all that is recorded of a small module.

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
        self.classes: dict[str, str] = {}
        self.failed: tuple[Exception | None, str] = (None, "")  # what was raised, and the path of the module

    def __enter__(self) -> Scopes:
        self._eager = Eager().__enter__()
        original = self._original = torch.nn.Module.__call__
        frames = self.tracer.frames
        thread = get_ident()  # the class is the whole process's, the trace is this thread's

        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if get_ident() != thread:
                return original(module, *args, **kwargs)
            inside = attribute_inside(type(module))
            if inside:
                return getattr(module, inside)(*args, **kwargs)
            depth = len(frames)
            frame = self._frame(module)
            frames.append(frame)
            before = self._known((args, kwargs)) if frame.claimed else []
            try:
                out = NotImplemented if frame.claimed else answer(self.tracer, module, args, kwargs)
                if out is NotImplemented:
                    out = original(module, *args, **kwargs)
            except Exception as error:
                if self.failed[0] is not error:  # the innermost module is the one to name
                    self.failed = error, frame.scope
                raise
            finally:
                del frames[depth:]
            if frame.claimed:
                self._claim(frame, before, out)
            return out

        torch.nn.Module.__call__ = call  # type: ignore[method-assign]  # put back on exit
        return self

    def __exit__(self, *exc: object) -> None:
        self._eager.__exit__(*exc)
        torch.nn.Module.__call__ = self._original  # type: ignore[method-assign]

    def _frame(self, module: torch.nn.Module) -> Frame:
        key = id(module)
        path = self.tree.paths.get(key)
        if path is None:
            path = self._discover(module)
        count = self.calls.get(key, 0) + 1
        self.calls[key] = count
        kind = type(module)
        known = self.kinds.get(kind)
        if known is None:
            name = f"torch.{kind.__module__}.{kind.__qualname__}"
            # Recurrent modules make their initial states before the layers that count.
            own = kind.__module__.startswith("torch.nn.") and not issubclass(kind, _RECURRENT)
            known = self.kinds[kind] = (own, name if name in self.leaves else "")
        own, claimed = known
        frame = Frame(module, path, path if count == 1 or not path else f"{path}#{count}", own and not module._modules)
        if count == 1:
            self.classes[path] = kind.__name__
        if claimed:
            frame.claimed = claimed
            frame.start = len(self.tracer.layers)
        return frame

    def _discover(self, module: torch.nn.Module) -> str:
        """A module outside the tree (held in a list, made in the forward): it and its weights become known now."""
        parent = self.tracer.frames[-1].scope
        name = type(module).__name__.lower()
        path = f"{parent}.{name}" if parent else name
        used = set(self.tree.paths.values())
        candidate, n = path, 1
        while candidate in used:
            candidate, n = f"{path}_{n}", n + 1
        first, declared = len(self.tree.modules), len(self.tracer.parameters)
        self.tree.walk(module, candidate)
        with torch._C.DisableTorchFunction():  # a model is running: what is asked of its tensors here is not its doing
            self.declarations.declare(self.tree.modules[first:], self.tree.paths)
        if self.tracer.frames[-1].module is not None and len(self.tracer.parameters) > declared:
            self.tracer.note(f"{candidate}: a module that the model does not register is used and counted")
        return candidate

    def _known(self, arguments: Any) -> list[tuple[torch.Tensor, TensorSpec]]:
        """The tensors among the arguments and what each is called now."""
        tracer = self.tracer
        tensors = [tracer.twins.get(id(t), t) for t in tensors_in(arguments)]
        return [(tensor, tracer.spec(tensor)) for tensor in {id(t): t for t in tensors}.values()]

    def _claim(self, frame: Frame, given: list[tuple[torch.Tensor, TensorSpec]], out: Any) -> None:
        """Replace what the module recorded by one layer: tensor arguments, own parameters, results.

        An argument that the module wrote to is a result as well.
        """
        tracer = self.tracer
        inner = tracer.layers[frame.start :]
        made = {spec.name for layer in inner for spec in layer.outputs.values()}
        tracer.rollback(frame.start)
        results = {id(t): t for t in (tracer.twins.get(id(t), t) for t in tensors_in(out))}
        roles = {key: "y" if len(results) == 1 else f"y{i}" for i, key in enumerate(results)}
        inputs: dict[str, torch.Tensor | None] = {}
        outputs = {roles[key]: tensor for key, tensor in results.items()}
        aliases: list[tuple[str, str, str]] = []
        for i, (tensor, before) in enumerate(given):
            inputs[f"x{i}"] = tensor
            if tracer.spec(tensor).name != before.name:
                role = roles.get(id(tensor), f"x{i}_out")
                outputs[role] = tensor
                aliases.append((role, f"x{i}", WRITE))
                tracer.specs[id(tensor)] = before  # until the layer is emitted, which names it anew
            elif id(tensor) in results:  # handed through
                aliases.append((roles[id(tensor)], f"x{i}", VIEW))
        for name, parameter in frame.module.named_parameters():
            inputs[name] = parameter
        kind = type(frame.module)
        tracer.source = kind.__name__
        attrs = {
            name: value
            for name, value in vars(frame.module).items()
            if type(value) in (bool, int, float, str) and not name.startswith("_") and name != "training"
        }
        tracer.frames.append(Frame(frame.module, frame.scope, frame.label, True))
        tracer.emit(frame.claimed, inputs, outputs, attrs, "", tuple(aliases))
        tracer.frames.pop()
        # What the module keeps beside its results (a cache) has no layer any more; a later use must not vanish.
        for key in [key for key, spec in tracer.specs.items() if spec.name in made]:
            del tracer.specs[key]
