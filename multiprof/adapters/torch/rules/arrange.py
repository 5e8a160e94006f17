"""Elements in another order or place: flips, rolls, triangles, shuffles, windows to columns and back."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, as_tuple, between, normal_axes
from multiprof.adapters.torch.rules._moves import Base, like, made
from multiprof.adapters.torch.rules._strides import is_canonical
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# -- flips and rolls ---------------------------------------------------------------------------------------------------


def flipped(t: Tracer, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    y = like(t, x)
    t.emit("flip", {"x": x}, {"y": y}, {"axis": axes})
    return y


@rule("torch.flip", "Tensor.flip", aten="flip")
def flip(t: Tracer, input: Tensor, *dims: Any, **options: Any) -> Any:
    axes = options.get("dims", dims[0] if len(dims) == 1 else dims)
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    if t.forced is None and not input.dim():
        return NotImplemented
    return flipped(t, input, normal_axes(axes, input.dim()) if axes and input.dim() else ())


@rule("torch.fliplr", "Tensor.fliplr")
def fliplr(t: Tracer, input: Tensor) -> Any:
    return flipped(t, input, (1,)) if input.dim() > 1 else NotImplemented


@rule("torch.flipud", "Tensor.flipud")
def flipud(t: Tracer, input: Tensor) -> Any:
    return flipped(t, input, (0,)) if input.dim() > 0 else NotImplemented


@rule("Tensor.__reversed__")
def reversed_(t: Tracer, input: Tensor) -> Any:
    return flipped(t, input, (0,)) if input.dim() > 0 else input


@rule("torch.rot90", "Tensor.rot90", aten="rot90")
def rot90(t: Tracer, input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Any:
    a, b = normal_axes(dims, input.dim())
    k %= 4
    if t.forced is None and not is_canonical(input):
        return NotImplemented
    if k == 0:
        y = like(t, input)
        t.emit("copy", {"x": input}, {"y": y})
        return y
    if k == 2:
        return flipped(t, input, (a, b))
    y = between(input.shape, input.dtype)
    t.emit("flip", {"x": input}, {"y": y}, {"axis": (b,) if k == 1 else (a,)})
    perm = list(range(input.dim()))
    perm[a], perm[b] = b, a
    return t.view("transpose", y, made(t, Base.transpose, y, a, b), {"perm": tuple(perm)})


@rule("torch.roll", "Tensor.roll", aten="roll")
def roll(t: Tracer, input: Tensor, shifts: Any, dims: Any = ()) -> Any:
    shift = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = (dims,) if isinstance(dims, int) else tuple(dims)
    if t.forced is None and (input.numel() == 0 or not input.dim()):
        return NotImplemented
    if not shift or (len(axes) != len(shift) and (axes or len(shift) != 1)):
        return NotImplemented
    axes = tuple([normal_axes((axis,), input.dim())[0] for axis in axes])  # none: the elements as one row
    if t.forced is None and not is_canonical(input) and (not axes or 1 in input.shape):
        return NotImplemented
    y = t.new(input.shape, input.dtype)
    t.emit("roll", {"x": input}, {"y": y}, {"axis": axes, "shift": shift})
    return y


# -- triangles ---------------------------------------------------------------------------------------------------------


def _triangle(name: str, upper: bool) -> None:
    @rule(f"torch.{name}", f"Tensor.{name}", aten=name)
    def triangle(t: Tracer, input: Tensor, diagonal: int = 0) -> Any:
        if input.dim() < 2 or (t.forced is None and not is_canonical(input)):
            return NotImplemented
        y = t.new(input.shape, input.dtype)
        t.emit("triangle", {"x": input}, {"y": y}, {"diagonal": diagonal, "upper": upper})
        return y

    @rule(f"Tensor.{name}_", aten=f"{name}_")
    def triangle_in_place(t: Tracer, input: Tensor, diagonal: int = 0) -> Any:
        if input.dim() < 2:
            return NotImplemented
        return t.write("triangle", input, {"x": input}, {"diagonal": diagonal, "upper": upper})


_triangle("tril", False)
_triangle("triu", True)


# -- channels and space ------------------------------------------------------------------------------------------------


def _is_usual(x: Tensor) -> bool:
    return is_canonical(x) and x.numel() > 0


@rule("torch.pixel_shuffle", aten="pixel_shuffle")
def pixel_shuffle(t: Tracer, input: Tensor, upscale_factor: int) -> Any:
    r = upscale_factor
    if t.forced is None and (input.dim() < 3 or r < 1 or input.shape[-3] % (r * r) or not _is_usual(input)):
        return NotImplemented
    *batch, c, h, w = input.shape
    y = t.new((*batch, c // (r * r), h * r, w * r), input.dtype)
    t.emit("pixel_shuffle", {"x": input}, {"y": y}, {"factor": r})
    return y


@rule("torch.pixel_unshuffle", aten="pixel_unshuffle")
def pixel_unshuffle(t: Tracer, input: Tensor, downscale_factor: int) -> Any:
    r = downscale_factor
    if t.forced is None and (
        input.dim() < 3 or r < 1 or input.shape[-2] % r or input.shape[-1] % r or not _is_usual(input)
    ):
        return NotImplemented
    *batch, c, h, w = input.shape
    y = t.new((*batch, c * r * r, h // r, w // r), input.dtype)
    t.emit("pixel_unshuffle", {"x": input}, {"y": y}, {"factor": r})
    return y


@rule("torch.channel_shuffle", "torch.native_channel_shuffle", aten=("channel_shuffle", "native_channel_shuffle"))
def channel_shuffle(t: Tracer, input: Tensor, groups: int) -> Any:
    if t.forced is None and (
        input.dim() < 3
        or input.shape[1] % groups
        or groups in (1, input.shape[1])
        or not _is_usual(input)  # else a view
    ):
        return NotImplemented
    y = t.new(input.shape, input.dtype)
    t.emit("channel_shuffle", {"x": input}, {"y": y}, {"groups": groups})
    return y


# -- windows as columns ------------------------------------------------------------------------------------------------


def _windows(kernel: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    pad = as_tuple(padding, 2)
    return {
        "kernel_size": as_tuple(kernel, 2),
        "stride": as_tuple(stride, 2),
        "padding": tuple((p, p) for p in pad),
        "dilation": as_tuple(dilation, 2),
        "data_format": "NCHW",
    }


def _positions(size: Any, attrs: dict[str, Any]) -> list[int]:
    """How many windows fit along each dimension."""
    return [
        (n + before + after - d * (k - 1) - 1) // s + 1
        for n, (before, after), k, s, d in zip(
            size, attrs["padding"], attrs["kernel_size"], attrs["stride"], attrs["dilation"], strict=True
        )
    ]


@rule("F.unfold", aten="im2col")
def unfold(t: Tracer, input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    attrs = _windows(kernel_size, dilation, padding, stride)
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        if input.dim() not in (3, 4) or input.numel() == 0 or min(sum(attrs["padding"], ())) < 0:
            return NotImplemented
        if min(attrs["kernel_size"] + attrs["stride"] + attrs["dilation"]) < 1:
            return NotImplemented
        high, wide = _positions(input.shape[-2:], attrs)
        if min(high, wide) < 1:
            return NotImplemented
        kh, kw = attrs["kernel_size"]
        *batch, c, _, _ = input.shape
        if c * kh == 1 and wide == 1:
            return NotImplemented  # torch's meta kernel has other strides here than its CPU kernel
        y = t.new((*batch, c * kh * kw, high * wide), input.dtype)
    t.emit("unfold", {"x": input}, {"y": y}, attrs)
    return y


@rule("F.fold", aten="col2im")
def fold(
    t: Tracer, input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    attrs = _windows(kernel_size, dilation, padding, stride)
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        size = as_tuple(output_size, 2)
        if input.dim() not in (2, 3) or input.numel() == 0 or min(sum(attrs["padding"], ())) < 0 or min(size) < 1:
            return NotImplemented
        if min(attrs["kernel_size"] + attrs["stride"] + attrs["dilation"]) < 1:
            return NotImplemented
        high, wide = _positions(size, attrs)
        kh, kw = attrs["kernel_size"]
        *batch, columns, length = input.shape
        if min(high, wide) < 1 or high * wide != length or columns % (kh * kw):
            return NotImplemented
        y = t.new((*batch, columns // (kh * kw), *size), input.dtype)
    t.emit("fold", {"x": input}, {"y": y}, attrs)
    return y
