"""TorchScript functions and methods that a model calls, and functorch's levels: recorded operator by operator.

No function mode sees inside either. A scripted call goes from Python straight into torch's interpreter, whose operators
never ask the mode; under ``vmap`` or ``grad`` the tensors at hand are wrappers that lack the batched dimensions.
Beneath both, an operator mode sees every operator with its true shapes.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import torch

from multiprof.adapters.torch.mode import ShapeMode

_KINDS: tuple[Any, ...] = (torch._C.ScriptFunction, torch._C.ScriptMethod)


class ScriptedCalls:
    """Context manager that sends the calls of scripted functions and methods through the mode."""

    def __init__(self, mode: ShapeMode) -> None:
        self.mode = mode

    def __enter__(self) -> ScriptedCalls:
        self._originals = [kind.__call__ for kind in _KINDS]
        thread = get_ident()
        mode = self.mode

        def through(original: Any) -> Any:
            def run(scripted: Any, *args: Any, **kwargs: Any) -> Any:
                # Without its optimiser, which would remember the shapes and devices of the trace.
                with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                    return original(scripted, *args, **kwargs)

            def call(scripted: Any, *args: Any, **kwargs: Any) -> Any:
                if get_ident() != thread or not torch._C._is_torch_function_mode_enabled():
                    return original(scripted, *args, **kwargs)
                with torch._C.DisableTorchFunction():
                    return mode.__torch_function__(run, (), (scripted, *args), kwargs)

            run.__name__ = "scripted"
            return call

        for kind, original in zip(_KINDS, self._originals, strict=True):
            kind.__call__ = through(original)
        return self

    def __exit__(self, *exc: object) -> None:
        for kind, original in zip(_KINDS, self._originals, strict=True):
            kind.__call__ = original
