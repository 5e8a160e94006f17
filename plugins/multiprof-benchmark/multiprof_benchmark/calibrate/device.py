"""From times of kernels to a device: rates by op family, bandwidth by size, and what starting a kernel takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from multiprof import Device


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel to time: its family (``gemm``, ``copy``, ``start`` or an op family), dtype and sizes.

    gemm and linear: rows, inner, columns · convolution: height, channels in, channels out, kernel, stride · depthwise:
    height, channels, kernel, stride · matmul: stack, rows, inner, columns · copy: elements · start: elements.
    """

    family: str
    sizes: tuple[int, ...]
    dtype: str = "float32"

    @property
    def operations(self) -> int:
        """Two for each multiply-add."""
        s = self.sizes
        if self.family in ("gemm", "linear", "matmul"):
            return 2 * prod(s)
        if self.family == "convolution":
            height, inner, outer, kernel, stride = s
            return 2 * (height // stride) ** 2 * kernel**2 * inner * outer
        if self.family == "depthwise":
            height, channels, kernel, stride = s
            return 2 * (height // stride) ** 2 * kernel**2 * channels
        return 0

    @property
    def bytes(self) -> int:
        """What a copy reads and writes, in float32."""
        return 8 * self.sizes[0] if self.family == "copy" else 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A kernel and the seconds it took."""

    kernel: Kernel
    seconds: float


KERNELS: tuple[Kernel, ...] = (
    Kernel("gemm", (1024, 1024, 1024)), Kernel("gemm", (512, 512, 512)),
    Kernel("convolution", (56, 64, 64, 3, 1)), Kernel("convolution", (28, 128, 128, 3, 1)),
    Kernel("convolution", (14, 256, 256, 3, 1)), Kernel("convolution", (56, 64, 256, 1, 1)),
    Kernel("convolution", (14, 512, 512, 1, 1)), Kernel("convolution", (7, 512, 512, 3, 1)),
    Kernel("depthwise", (56, 128, 3, 1)), Kernel("depthwise", (28, 192, 3, 1)), Kernel("depthwise", (14, 512, 3, 1)),
    Kernel("linear", (128, 768, 768)), Kernel("linear", (256, 512, 2048)),
    Kernel("matmul", (12, 128, 64, 128)), Kernel("matmul", (8, 256, 64, 256)),
    Kernel("copy", (1 << 12,)), Kernel("copy", (1 << 15,)), Kernel("copy", (1 << 18,)), Kernel("copy", (1 << 21,)),
    Kernel("copy", (1 << 24,)), Kernel("start", (16,)),
)  # fmt: skip


def device_of(name: str, samples: Iterable[Sample], source: str, title: str = "") -> Device:
    """The device that these samples describe.

    A family's rate is all its operations over all its time; ``gemm`` is the peak, the best of its samples. A copy of a
    size says how fast memory of that size moves; the largest is main memory.
    """
    found = list(samples)
    start = min((s.seconds for s in found if s.kernel.family == "start"), default=0.0)
    rates: dict[str, float] = {}
    kernels: dict[str, dict[str, float]] = {}
    for family in dict.fromkeys(s.kernel.family for s in found):
        for dtype in dict.fromkeys(s.kernel.dtype for s in found if s.kernel.family == family):
            some = [s for s in found if (s.kernel.family, s.kernel.dtype) == (family, dtype)]
            if family == "gemm":
                rates[dtype] = max(s.kernel.operations / s.seconds for s in some)
            elif some[0].kernel.operations:
                seconds = sum(max(s.seconds - start, s.seconds / 2) for s in some)
                kernels.setdefault(family, {})[dtype] = sum(s.kernel.operations for s in some) / seconds
    copies = sorted((s.kernel.bytes, s.kernel.bytes / s.seconds) for s in found if s.kernel.family == "copy")
    *inner, (_, bandwidth) = copies
    if "convolution" in kernels:
        kernels["deconvolution"] = dict(kernels["convolution"])
    return Device(
        name, rates, bandwidth, source, title or name, "cpu", caches=_falling(inner, bandwidth), kernels=kernels,
        overhead=start,
    )  # fmt: skip


def _falling(copies: Sequence[tuple[int, float]], bandwidth: float) -> tuple[tuple[int, float], ...]:
    """Caches from small to large, none slower than what lies beyond it."""
    found: list[tuple[int, float]] = []
    beyond = bandwidth
    for size, speed in reversed(copies):
        beyond = max(beyond, speed)
        found.append((size, beyond))
    return tuple(reversed(found))


def described(device: Device) -> str:
    """The device as a table of TOML."""

    def numbers(table: object) -> str:
        assert isinstance(table, dict)
        return "{ " + ", ".join(f"{key} = {value:.6g}" for key, value in table.items()) + " }"

    lines = [
        f"[{device.name}]",
        f"title = {_quoted(device.title)}",
        f"kind = {_quoted(device.kind)}",
        f"rates = {numbers(dict(device.rates))}",
        f"bandwidth = {device.bandwidth:.6g}",
        f"caches = [{', '.join(f'[{size}, {speed:.6g}]' for size, speed in device.caches)}]",
        f"overhead = {device.overhead:.6g}",
        f"source = {_quoted(device.source)}",
        f"[{device.name}.kernels]",
        *(f"{family} = {numbers(dict(rates))}" for family, rates in device.kernels.items()),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


__all__ = ["KERNELS", "Kernel", "Sample", "described", "device_of"]
