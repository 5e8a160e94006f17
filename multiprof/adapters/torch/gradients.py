"""What a trace in training mode notes for the backward pass: what stands outside autograd's record, what is
checkpointed, and what has a backward pass of the model's own.

Autograd is on while such a trace runs, so that ``torch.no_grad`` in the model means what it says; the tensors of the
trace require no gradients themselves, so nothing is recorded but what the model does to its parameters alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.checkpoint as library
from torch.autograd import Function

from multiprof.adapters.torch.tracer import Tracer

# How torch.utils.checkpoint.checkpoint reaches its two variants: a name of the module, and a method.
_GENERATOR = "_checkpoint_without_reentrant_generator"
_FUNCTION = "CheckpointFunction"


@contextmanager
def checkpoints(tracer: Tracer) -> Iterator[None]:
    """Note the layers of each checkpointed call in ``tracer.segments``; the call runs as if it were none."""
    generator = getattr(library, _GENERATOR)
    function = getattr(library, _FUNCTION)

    @contextmanager
    def segment() -> Iterator[None]:
        mark = len(tracer.layers)
        yield
        names = [layer.name for layer in tracer.layers[mark:]]
        inside = set(names)
        tracer.segments = [known for known in tracer.segments if not inside & set(known)]  # nested: the outer one
        tracer.segments.append(names)

    def without_reentering(*args: Any, **kwargs: Any) -> Iterator[None]:
        with segment():
            yield

    def reentering(call: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        with segment():
            return call(*args)

    setattr(library, _GENERATOR, without_reentering)
    function.apply = reentering
    try:
        yield
    finally:
        setattr(library, _GENERATOR, generator)
        del function.apply  # the inherited one again


@contextmanager
def own_backward(tracer: Tracer) -> Iterator[None]:
    """Note the layers of each ``torch.autograd.Function`` in ``tracer.own``: its forward pass runs unrecorded, and yet
    gradients go through, in a way that it alone knows.
    """
    inherited = Function.__dict__["apply"]

    def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        mark, recorded = len(tracer.layers), torch.is_grad_enabled()
        result = inherited.__func__(cls, *args, **kwargs)
        if recorded:
            names = [layer.name for layer in tracer.layers[mark:]]
            inside = set(names)
            tracer.outside = [name for name in tracer.outside if name not in inside]
            tracer.own += names
        return result

    Function.apply = classmethod(apply)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Function.apply = inherited  # type: ignore[method-assign]


def metadata(tracer: Tracer, inputs: list[str], live: bool) -> dict[str, Any]:
    """What the Graph says of its training form; ``inputs`` are the names of those that require a gradient. A file, not
    ``live``, holds the form that it was written in. Nothing where inference was read.
    """
    if not tracer.train:
        return {}
    names = {layer.name for layer in tracer.layers}
    return {
        "train": live,
        "no_grad": [name for name in tracer.outside if name in names],
        "own_backward": [name for name in tracer.own if name in names],
        "checkpoints": [[name for name in segment if name in names] for segment in tracer.segments],
        "requires_grad": inputs,
    }
