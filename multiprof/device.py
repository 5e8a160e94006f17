"""What a machine can do at most: operations and bytes per second, and what they cost in energy; with their sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from multiprof.errors import PluginError
from multiprof.ir import BITS

ROLES = ("x", "weight", "y")
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
    takes; ``memory`` bytes of main memory. What ``multiprof calibrate`` measures besides: ``operands``, by kind of
    kernel, dtype and role (``x``, ``weight``, ``y``), the bytes per second at which it takes an operand in or puts
    it out, on top of its arithmetic; ``reads``, pairs as ``caches`` has them, how fast weights of that size are read.
    `multiprof.roofline` has the formula, and `multiprof.work` the kinds.
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
    operands: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    reads: tuple[tuple[int, float], ...] = ()

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
        self._check_levels("caches", "a cache's", self.caches)
        self._check_levels("reads", "a read's", self.reads)
        for name, by_dtype in self.operands.items():
            for dtype, speeds in by_dtype.items():
                where = f"operands.{name}.{dtype}"
                if dtype not in BITS:
                    raise PluginError(f"device {self.name}: {where}: {dtype!r} is no dtype")
                for role, speed in speeds.items():
                    if role not in ROLES:
                        raise PluginError(f"device {self.name}: {where}: {role!r} is none of {', '.join(ROLES)}")
                    self._check_positive(f"{where}.{role}", speed)
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

    def read_bandwidth_of(self, size: int) -> float:
        """Bytes per second at which weights of ``size`` bytes are read; as other data where nothing is known of it."""
        return next((speed for held, speed in self.reads if size <= held), self.bandwidth_of(size))

    def rate(self, dtype: str, *kinds: str) -> float | None:
        """Operations per second on ``dtype`` in kernels of the first of these kinds that has a rate, else in any
        kernel; ``None`` where nothing is known.

        A dtype without a rate is computed in the next wider float that has one, as runtimes do: `rated`.
        """
        name = self.rated(dtype, *kinds)
        tables = [*(self.kernels.get(kind, {}) for kind in kinds), self.rates]
        return None if name is None else next(table[name] for table in tables if name in table)

    def rated(self, dtype: str, *kinds: str) -> str | None:
        """The dtype whose rate serves for ``dtype``: itself, or the next wider float that has one."""
        if dtype in self.rates or any(dtype in self.kernels.get(kind, {}) for kind in kinds):
            return dtype
        return _wider(dtype, self.rates)

    def handling(self, dtype: str, kinds: Sequence[str], operands: Mapping[str, int]) -> float | None:
        """Seconds that bytes of operands take to be taken in and put out; ``None`` where no such kernel was measured.

        A dtype that was not measured moves as the next wider float does, by the byte.
        """
        by_dtype = next((self.operands[kind] for kind in kinds if kind in self.operands), None)
        if by_dtype is None:
            return None
        name = dtype if dtype in by_dtype else _wider(dtype, by_dtype)
        if name is None:
            return None
        return sum(size / by_dtype[name][role] for role, size in operands.items() if role in by_dtype[name])

    def _check_levels(self, name: str, what: str, levels: Sequence[tuple[int, float]]) -> None:
        for size, speed in levels:
            self._check_positive(f"{what} size", size)
            self._check_positive(f"{what} bandwidth", speed)
        sizes = [size for size, _ in levels]
        if sizes != sorted(set(sizes)):
            raise PluginError(f"device {self.name}: {name} are of {sizes} bytes; give small ones first")

    def _check_rates(self, where: str, rates: Mapping[str, float]) -> None:
        for dtype, rate in rates.items():
            if dtype not in BITS:
                raise PluginError(f"device {self.name}: {where}: {dtype!r} is no dtype")
            self._check_positive(f"{where}.{dtype}", rate)

    def _check_positive(self, name: str, value: float) -> None:
        if not _is_number(value) or value < 1 / LARGEST:
            raise PluginError(f"device {self.name}: {name} is {value!r}; give a positive number")


def _wider(dtype: str, among: Iterable[str]) -> str | None:
    """The narrowest float among these that is at least as wide."""
    needed = BITS.get(dtype, 0)
    return min(((BITS[name], name) for name in among if "float" in name and BITS[name] >= needed), default=(0, None))[1]


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


__all__ = ["Device", "Energy"]
