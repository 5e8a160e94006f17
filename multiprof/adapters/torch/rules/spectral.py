"""Fourier transforms and complex numbers: torch's own kernels give the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_COMPLEX = {
    torch.float16: torch.complex32,
    torch.float32: torch.complex64,
    torch.float64: torch.complex128,
}


def _transforms(
    t: Tracer, x: Tensor, dims: Sequence[int], normalization: int, *, inverse: bool, real: int | None, n: int = 0
) -> Tensor:
    """One layer for each axis, in order; ``real`` is the axis of the real signal. A factor is applied once, at the end.

    ``n`` is the length of the real signal where that is the result.
    """
    y = t.new((), x.dtype)
    wide = _COMPLEX.get(x.dtype, x.dtype)
    shape = list(x.shape)
    for number, dim in enumerate(dims):
        axis = dim % x.dim()
        last = number == len(dims) - 1
        length = n if axis == real and n else x.shape[axis]
        shape[axis] = y.shape[axis] if axis == real else shape[axis]
        made = y if last else between(shape, wide)
        attrs = {
            "axis": axis,
            "n": length,
            "inverse": inverse,
            "onesided": axis == real,
            "scaled": bool(normalization) and last,
        }
        t.emit("fft", {"x": x}, {"y": made}, attrs, f"axis_{axis}" if len(dims) > 1 else "")
        x = made
    return y


@rule(aten="_fft_r2c")
def real_to_complex(t: Tracer, self: Tensor, dim: Sequence[int], normalization: int, onesided: bool) -> Any:
    """The last of the axes first. The other half of its spectrum is the mirror image of the first, and only copied."""
    axes = [d % self.dim() for d in dim]
    order = [axes[-1], *reversed(axes[:-1])]
    return _transforms(t, self, order, normalization, inverse=False, real=axes[-1])


@rule(aten="_fft_c2r")
def complex_to_real(t: Tracer, self: Tensor, dim: Sequence[int], normalization: int, last_dim_size: int) -> Any:
    """The last of the axes last: half of a spectrum into a real signal."""
    axes = [d % self.dim() for d in dim]
    order = [*reversed(axes[:-1]), axes[-1]]
    return _transforms(t, self, order, normalization, inverse=True, real=axes[-1], n=int(last_dim_size))


@rule(aten="_fft_c2c")
def complex_to_complex(t: Tracer, self: Tensor, dim: Sequence[int], normalization: int, forward: bool) -> Any:
    return _transforms(t, self, list(reversed(dim)), normalization, inverse=not forward, real=None)


# -- complex numbers --------------------------------------------------------------------------------------------------


@rule(aten=("_conj", "_conj_physical", "conj_physical", "_neg_view"))
def conjugate(t: Tracer, self: Tensor) -> Any:
    """The signs are turned as soon as it is asked for; torch notes on a view that whoever reads it is to do so."""
    y = t.new((), self.dtype)
    t.emit("conj", {"x": self}, {"y": y})
    return y


@rule(aten="angle")
def angle(t: Tracer, self: Tensor) -> Any:
    y = t.new((), self.dtype)
    t.emit("angle", {"x": self}, {"y": y})
    return y


@rule(aten="complex")
def from_parts(t: Tracer, real: Tensor, imag: Tensor) -> Any:
    y = t.new((), real.dtype)
    t.emit("stack", {"x0": real, "x1": imag}, {"y": y}, {"axis": y.dim()})
    return y


@rule(aten="polar")
def polar(t: Tracer, abs: Tensor, angle: Tensor) -> Any:
    y = t.new((), abs.dtype)
    t.emit("polar", {"x0": abs, "x1": angle}, {"y": y})
    return y


@rule(aten=("fft_fftfreq", "fft_rfftfreq"))
def frequencies(t: Tracer, n: int, d: float = 1.0, **options: Any) -> Any:
    """A progression, divided by n·d."""
    y = t.new((), torch.get_default_dtype())
    steps = between(y.shape, y.dtype)
    t.emit("arange", {}, {"y": steps}, None, "arange")
    t.emit("mul", {"x0": steps}, {"y": y}, {"scalar": 1.0 / (n * d)}, "mul")
    return y


@rule(aten="istft")
def istft(
    t: Tracer,
    self: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """Frames turned back, times the window, added up where they overlap, and divided by the sum of squared windows."""
    y = t.new((), self.dtype)
    if return_complex or onesided is False:
        return NotImplemented
    c = Chain(t, y.dtype)
    *batch, _, frames = self.shape
    shape = (*batch, n_fft, frames)
    attrs = {"axis": self.dim() - 2, "n": n_fft, "inverse": True, "onesided": True, "scaled": True}
    signal = c.make("fft", {"x": self}, shape, attrs)
    taps = {} if window is None else {"x1": window}
    if window is not None:
        signal = c.make("mul", {"x0": signal, **taps}, shape)
    joined = c.make("fold", {"x": signal}, y.shape, {"kernel_size": (n_fft,), "stride": (hop_length or n_fft // 4,)})
    if window is None:
        squares = c.make("fill", {}, (n_fft, frames), {"value": 1})
    else:
        squares = c.make("expand", {"x": c.one("square", window)}, (n_fft, frames), {"shape": (n_fft, frames)})
    envelope = c.make("fold", {"x": squares}, y.shape[-1:], {"kernel_size": (n_fft,)})
    return c.make("div", {"x0": joined, "x1": envelope}, y.shape, None, y)
