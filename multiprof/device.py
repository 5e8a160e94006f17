"""What a machine can do at most: operations and bytes per second, and what they cost in energy; with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multiprof.errors import PluginError
from multiprof.ir import BITS

LARGEST = 1e30  # beyond any machine, and far from what a float cannot hold


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of arithmetic and of main memory: an estimate from a published table for chips of one generation.

    ``operations`` are picojoules of one operation per dtype, where a multiply-add is two (half a multiplication and
    half an addition each); ``byte`` is picojoules per byte of main memory read or written.
    """

    operations: Mapping[str, float]
    byte: float
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """Peak rates of a machine, the whole of it unless ``title`` says otherwise.

    ``rates`` are operations per second by dtype, a multiply-add being two; ``bandwidth`` is bytes per second of main
    memory; ``source`` says where the figures come from. What is optional: ``kernels`` are rates by op family
    (``convolution``, ``depthwise``, ``linear`` …) and dtype where they were measured and go before ``rates``;
    ``elementwise`` the rate of everything that is no dot product (that of float32 unless said); ``caches`` pairs of
    bytes and bytes per second, small ones first, for what fits in them; ``overhead`` seconds that starting a layer
    takes; ``memory`` bytes of main memory.
    """

    name: str
    rates: Mapping[str, float]
    bandwidth: float
    source: str
    title: str = ""
    kind: str = ""
    elementwise: float | None = None
    caches: tuple[tuple[int, float], ...] = ()
    kernels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    overhead: float = 0.0
    memory: int | None = None
    energy: Energy | None = None

    def __post_init__(self) -> None:
        for key, text in (("name", self.name), ("title", self.title), ("kind", self.kind), ("source", self.source)):
            if not isinstance(text, str) or (key == "name" and not text):
                raise PluginError(f"device {self.name}: {key} is {text!r}; give a text")
        if not self.rates:
            raise PluginError(f"device {self.name}: no rates; give operations per second for at least one dtype")
        self._check_rates("rates", self.rates)
        for name, rates in self.kernels.items():
            self._check_rates(f"kernels.{name}", rates)
        self._check_positive("bandwidth", self.bandwidth)
        if self.elementwise is not None:
            self._check_positive("elementwise", self.elementwise)
        if not _is_number(self.overhead) or self.overhead < 0:
            raise PluginError(f"device {self.name}: overhead is {self.overhead!r}; give seconds from 0 on")
        for size, speed in self.caches:
            self._check_positive("a cache's size", size)
            self._check_positive("a cache's bandwidth", speed)
        sizes = [size for size, _ in self.caches]
        if sizes != sorted(set(sizes)):
            raise PluginError(f"device {self.name}: caches are of {sizes} bytes; give small ones first")
        if self.memory is not None:
            self._check_positive("memory", self.memory)
        if self.energy is not None:
            if not isinstance(self.energy.source, str):
                raise PluginError(f"device {self.name}: energy.source is {self.energy.source!r}; give a text")
            self._check_positive("energy.byte", self.energy.byte)
            self._check_rates("energy.operations", self.energy.operations)

    def bandwidth_of(self, size: int) -> float:
        """Bytes per second at which ``size`` bytes move: that of the smallest cache that holds them all."""
        return next((speed for held, speed in self.caches if size <= held), self.bandwidth)

    def rate(self, dtype: str, kernel: str = "") -> float | None:
        """Operations per second on ``dtype`` in kernels of an op family; ``None`` where nothing is known of them.

        A dtype without a rate is computed in the next wider float that has one, as runtimes do.
        """
        for rates in (self.kernels.get(kernel, {}), self.rates):
            if dtype in rates:
                return rates[dtype]
        needed = BITS.get(dtype, 0)
        wider = sorted((BITS[name], name) for name in self.rates if "float" in name and BITS[name] >= needed)
        if not wider:
            return None
        return self.kernels.get(kernel, {}).get(wider[0][1], self.rates[wider[0][1]])

    def _check_rates(self, where: str, rates: Mapping[str, float]) -> None:
        for dtype, rate in rates.items():
            if dtype not in BITS:
                raise PluginError(f"device {self.name}: {where}: {dtype!r} is no dtype")
            self._check_positive(f"{where}.{dtype}", rate)

    def _check_positive(self, name: str, value: float) -> None:
        if not _is_number(value) or value < 1 / LARGEST:
            raise PluginError(f"device {self.name}: {name} is {value!r}; give a positive number")


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


__all__ = ["Device", "Energy"]
