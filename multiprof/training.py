"""What training a model costs beside the forward pass: what a Report holds of it. Data, no logic.

A *step* is one forward pass, one backward pass and one update by the optimizer, on the batch that the inputs hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from multiprof.cost import Cost, Counts

PRICED, FREE, NONE, UNSUPPORTED = "priced", "free", "none", "unsupported"
STATES = (PRICED, FREE, NONE, UNSUPPORTED)
FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
PHASES = (FORWARD, BACKWARD, UPDATE)


@dataclass(slots=True)
class Backward:
    """The backward pass of one layer, all of its ``trips`` together.

    ``state`` is ``priced``, ``free`` (gradients are only moved), ``none`` (no gradient comes here, or none leaves) or
    ``unsupported`` (a gradient passes, and nobody knows its cost: ``cost`` is ``None``); ``reason`` says why. The terms
    of ``cost`` are named after what they make: ``input_grad``, ``weight_grad``, ``bias_grad`` …, ``accumulate`` where
    a tensor has several readers. ``recomputed`` is the forward pass once more, in a checkpointed segment. ``saved``
    are the tensors that the forward pass keeps for it, (name, bytes), each at the first layer that keeps it; ``None``
    where a size is unknown.
    """

    state: str
    reason: str = ""
    cost: Cost | None = None
    recomputed: Cost | None = None
    saved: tuple[tuple[str, int], ...] | None = ()

    @property
    def macs(self) -> int | None:
        return None if self.cost is None else self.cost.macs

    @property
    def flops(self) -> int | None:
        return None if self.cost is None else self.cost.flops

    @property
    def saved_bytes(self) -> int | None:
        return None if self.saved is None else sum(size for _, size in self.saved)


@dataclass(slots=True)
class StepPeak:
    """The most bytes alive at once in a step, and of what: they add up to ``bytes``.

    ``phase`` and ``layer`` say when. ``weights`` are parameters, buffers and constants; ``gradients`` those of the
    weights made so far; ``states`` the optimizer's; ``activations`` what the forward pass made or was given and is
    still needed; ``flowing`` the gradients of activations, and what the update needs for a moment.
    """

    bytes: int
    phase: str
    layer: str
    weights: int
    gradients: int
    states: int
    activations: int
    flowing: int


@dataclass(slots=True)
class Training:
    """The backward pass, the update and the memory of a training step.

    ``layers`` holds a `Backward` for every layer by name. ``optimizer`` is empty where none was named: then ``update``
    has no terms and there are no ``states`` ({name: bytes}). ``gradient_bytes`` are those of the trained weights, and
    of inputs that require a gradient. ``peak`` is ``None`` where a size is unknown.
    """

    optimizer: str
    layers: dict[str, Backward]
    update: Cost = field(default_factory=Cost)
    gradient_bytes: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    peak: StepPeak | None = None

    def layer(self, name: str) -> Backward:
        return self.layers[name]

    @property
    def backward(self) -> Counts:
        """Primitive operations of the backward pass, without what is recomputed."""
        return _sum(part.cost for part in self.layers.values())

    @property
    def recomputed(self) -> Counts:
        """Primitive operations of the forward pass that checkpointed segments pay again."""
        return _sum(part.recomputed for part in self.layers.values())

    @property
    def saved_bytes(self) -> int | None:
        """Bytes of the activations kept for the backward pass, each storage once; ``None`` where a size is unknown."""
        total = 0
        for part in self.layers.values():
            size = part.saved_bytes
            if size is None:
                return None
            total += size
        return total

    @property
    def state_bytes(self) -> int:
        """Bytes that the optimizer keeps from step to step."""
        return sum(self.states.values())

    @property
    def peak_bytes(self) -> int | None:
        return None if self.peak is None else self.peak.bytes

    def unsupported(self) -> dict[str, str]:
        """Layers whose backward pass has no cost -> why."""
        return {name: part.reason for name, part in self.layers.items() if part.state == UNSUPPORTED}


def _sum(costs: Iterable[Cost | None]) -> Counts:
    return sum((counts for cost in costs if cost is not None for counts in cost.terms.values()), Counts())


__all__ = ["FREE", "NONE", "PHASES", "PRICED", "STATES", "UNSUPPORTED", "Backward", "StepPeak", "Training"]
