"""What a device would take for a model: a prediction per kernel, with what bounds it. Never a measurement."""

from __future__ import annotations

from dataclasses import dataclass

COMPUTE, MEMORY, OVERHEAD, UNKNOWN = "compute", "memory", "overhead", "unknown"
BOUNDS = (COMPUTE, MEMORY, OVERHEAD, UNKNOWN)


@dataclass(slots=True)
class Bound:
    """A kernel on a device: the layers in it, its operations (a multiply-add is two) and bytes, what bounds it, and its
    predicted time in seconds; bytes and time are ``None`` where they cannot be known.
    """

    subject: tuple[str, ...]
    operations: int
    bytes: int | None
    bound: str
    seconds: float | None

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity: operations per byte moved; ``None`` where no byte is."""
        return self.operations / self.bytes if self.bytes else None


@dataclass(slots=True)
class Prediction:
    """What a device would take for a model. ``joules`` is an estimate, ``None`` where the device has no energy table;
    ``source`` is that of the device's figures, ``notes`` what was assumed where it has none.
    """

    device: str
    title: str
    source: str
    kernels: tuple[Bound, ...]
    joules: float | None = None
    energy_source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The sum over all kernels whose time is known."""
        return sum(kernel.seconds or 0.0 for kernel in self.kernels)

    @property
    def unknown(self) -> list[str]:
        """Layers whose time is not in the sum."""
        return [name for kernel in self.kernels if kernel.seconds is None for name in kernel.subject]

    def share(self, bound: str) -> float:
        """The part of the time that kernels of this bound take."""
        total = self.seconds
        return sum(k.seconds or 0.0 for k in self.kernels if k.bound == bound) / total if total else 0.0


__all__ = ["BOUNDS", "COMPUTE", "MEMORY", "OVERHEAD", "UNKNOWN", "Bound", "Prediction"]
