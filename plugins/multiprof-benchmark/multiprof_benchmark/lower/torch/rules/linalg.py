"""Linear algebra and spectra."""

from __future__ import annotations

from collections.abc import Callable

import torch

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule

_MATRIX: dict[str, Callable[[Tensor], Tensor]] = {
    "det": lambda x: torch.linalg.det(x),
    # these check no values, which would wait for the device
    "inverse": lambda x: torch.linalg.inv_ex(x).inverse,
    "cholesky": lambda x: torch.linalg.cholesky_ex(x).L,
}


@rule(*_MATRIX)
def matrix(layer: Layer, context: Context) -> Kernel:
    function, y, upper = _MATRIX[layer.op], shape_of(layer.y), bool(layer.attrs.get("upper"))
    return Kernel(lambda x: (function(x).transpose(-1, -2) if upper else function(x)).reshape(y))


@rule("lu")
def lu(layer: Layer, context: Context) -> Kernel:
    """Both factors in one matrix, with the exchanges of rows and the order that they make."""
    wanted = {role: (shape_of(spec), context.type_of(spec)) for role, spec in layer.outputs.items()}

    def run(x: Tensor) -> tuple[Tensor, ...]:
        both, pivots = torch.linalg.lu_factor(x)
        made = {"y": both, "pivots": pivots}
        if "permutation" in wanted:
            order = torch.lu_unpack(both, pivots, unpack_data=False)[0]
            made["permutation"] = order.argmax(-2)
        return tuple(made[role].reshape(shape).to(kind) for role, (shape, kind) in wanted.items())

    return Kernel(run)


@rule("qr")
def qr(layer: Layer, context: Context) -> Kernel:
    wanted = {role: shape_of(spec) for role, spec in layer.outputs.items()}
    x = shape_of(layer.x)
    full = "q" in wanted and wanted["q"][-1] == x[-2] > x[-1]
    mode = "r" if "q" not in wanted else "complete" if full else "reduced"

    def run(x: Tensor) -> tuple[Tensor, ...]:
        q, r = torch.linalg.qr(x, mode)
        made = {"y": r, "q": q}
        return tuple(made[role].reshape(shape) for role, shape in wanted.items())

    return Kernel(run)


@rule("solve")
def solve(layer: Layer, context: Context) -> Kernel:
    a, y = layer.attrs, shape_of(layer.y)
    upper, left = bool(a.get("upper")), a.get("left", True) is not False
    ones = bool(a.get("unit"))
    if a.get("triangular"):
        flip = bool(a.get("transposed"))

        def triangular(a: Tensor, b: Tensor) -> Tensor:
            made: Tensor = torch.linalg.solve_triangular(
                (a.transpose(-1, -2) if flip else a), b, upper=upper != flip, left=left, unitriangular=ones
            )
            return made.reshape(y)

        return Kernel(triangular)
    return Kernel(lambda a, b: torch.linalg.solve(a, b, left=left).reshape(y))


@rule("fft")
def fft(layer: Layer, context: Context) -> Kernel:
    """Complex tensors, or real ones whose last dimension holds one or two parts."""
    a, x, y = layer.attrs, shape_of(layer.x), shape_of(layer.y)
    axis, n, inverse, half = int(a["axis"]), int(a["n"]), bool(a.get("inverse")), bool(a.get("onesided"))
    kind = context.type_of(layer.y)
    parts = "complex" not in layer.x.dtype and x[-1] in (1, 2) and axis < len(x) - 1 and len(y) == len(x)

    def run(t: Tensor) -> Tensor:
        made: Tensor
        if parts:
            t = torch.view_as_complex(t.contiguous()) if t.shape[-1] == 2 else t.squeeze(-1)
        if half:
            made = torch.fft.irfft(t, n, axis) if inverse else torch.fft.rfft(t.real if t.is_complex() else t, n, axis)
        else:
            made = torch.fft.ifft(t, n, axis) if inverse else torch.fft.fft(t, n, axis)
        if not kind.is_complex and made.is_complex():
            made = torch.view_as_real(made)
        elif parts and not made.is_complex():
            made = made.unsqueeze(-1)
        return made.to(kind).reshape(y)

    return Kernel(lambda x: run(x))


@rule("stft")
def stft(layer: Layer, context: Context) -> Kernel:
    """Frames, each times the window, each transformed."""
    a, x, y = layer.attrs, shape_of(layer.x), shape_of(layer.y)
    length, step = int(a["frame_length"]), int(a.get("frame_step") or a["frame_length"])
    half = a.get("onesided", True) is not False
    kind = context.type_of(layer.y)
    flat = x[-1] == 1 and len(x) == 3
    if "complex" in layer.x.dtype:
        raise NotLoweredError("frames of complex numbers")

    def run(x: Tensor, window: Tensor | None = None) -> Tensor:
        frames = (x.squeeze(-1) if flat else x).unfold(-1, length, step)
        if window is not None:
            frames = frames * window
        made = torch.fft.rfft(frames) if half else torch.fft.fft(frames)
        return (made if kind.is_complex else torch.view_as_real(made)).to(kind).reshape(y)

    return Kernel(run)
