"""conv_general_dilated in all its generality.

A convolution whose input is dilated (``lhs_dilation`` above 1) is a transposed convolution: the zeros between the
elements of its input are products that nobody computes, so every input element meets the filters once. Where the
window has strides as well, which no named layer has, the zeros are written as a `pad` and all products are counted.

``lax.conv_transpose`` of stride 1, and so Flax's ``ConvTranspose``, dilates nothing: the equation is that of a
convolution with more padding, and says nowhere that it was written as a transposed one. Only the traceback that JAX
keeps with every equation does, so it is asked. Where an equation has lost it, it is read as it stands, a
convolution, and products with the padding count.

The two gradients of a convolution cost what it costs. JAX makes equations of the same kind for them, and these are told
by how JAX makes them: that of the input has the kernel reversed, with the channels in each other's place, and is a
transposed convolution (or, of a transposed one, a convolution); that of the kernel has batch and channels of the input
in each other's place, and what is a small kernel otherwise is its result. Of a transposed convolution it would meet
holes, or be cropped to little: there the operands change places.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Value
from multiprof.adapters.jax.walker import Walker
from multiprof.ir import VIEW, TensorSpec

_SPATIAL = {1: "L", 2: "HW", 3: "DHW"}


def data_format(spec: Any, rank: int) -> str:
    """The order of the dimensions, e.g. NHWC; ``spec`` gives the positions of batch, channels and spatial ones."""
    names = "NC" + _SPATIAL[rank]
    order = [""] * len(spec)
    for letter, position in zip(names, spec, strict=True):
        order[position] = letter
    return "".join(order)


@rule("conv_general_dilated")
def conv_general_dilated(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x, weight = (w.tensor(value) for value in values)
    p = eqn.params
    numbers = p["dimension_numbers"]
    rank = len(numbers.lhs_spec) - 2
    groups, batch_groups = p["feature_group_count"], p["batch_group_count"]
    stride, dilation, spread = (tuple(p[key]) for key in ("window_strides", "rhs_dilation", "lhs_dilation"))
    padding = tuple((int(lo), int(hi)) for lo, hi in p["padding"])
    kernel: tuple[Any, ...] = tuple(weight.shape[i] for i in numbers.rhs_spec[2:])
    attrs: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "in_channels": x.shape[numbers.lhs_spec[1]],
        "out_channels": weight.shape[numbers.rhs_spec[0]],
    }
    if rank in _SPATIAL:
        attrs["data_format"] = data_format(numbers.lhs_spec, rank)
    y = w.like(eqn.outvars[0])
    holes = any(n != 1 for n in spread)
    written = not holes and rank > 0 and _written_as_transposed(eqn)
    of_kernel = (holes or written) and _is_gradient_of_kernel(numbers, kernel, y)
    if of_kernel and _is_smaller(numbers, x, kernel) and all(n == 1 for n in dilation):
        _exchanged(w, x, weight, y, numbers, attrs | {"dilation": spread})
    elif not holes and (of_kernel or written == _is_gradient_of_input(w, eqn, numbers)):
        w.emit("conv", {"x": x, "weight": weight}, {"y": y}, attrs)
    elif all(n == 1 for n in stride) and batch_groups == 1:
        attrs["stride"] = spread
        attrs |= _cropping(kernel, dilation, padding)
        w.emit("conv_transpose", {"x": x, "weight": weight}, {"y": y}, attrs)
    elif not holes:
        w.emit("conv", {"x": x, "weight": weight}, {"y": y}, attrs)
    else:
        shape = list(x.shape)
        for axis, n in zip(numbers.lhs_spec[2:], spread, strict=True):
            size = shape[axis]
            shape[axis] = None if size is None else max(size + (size - 1) * (n - 1), 0)
        wide = w.new(shape, x.dtype)
        w.emit("pad", {"x": x}, {"y": wide}, {"padding": ((0, 0),) * x.rank, "mode": "constant", "value": 0})
        w.emit("conv", {"x": wide, "weight": weight}, {"y": y}, attrs)
    return [y]


def _written_as_transposed(eqn: Any) -> bool:
    """Whether JAX's own ``conv_transpose`` made the equation, or that of which it is the gradient."""
    frames = getattr(eqn.source_info.traceback, "frames", ())
    return any(
        (called.function_name, caller.function_name) == ("conv_general_dilated", "conv_transpose")
        and called.file_name == caller.file_name
        for called, caller in pairwise(frames)
    )


def _is_gradient_of_input(w: Walker, eqn: Any, numbers: Any) -> bool:
    """Whether the kernel is reversed and has its channels the other way round: IOHW, HWOI."""
    out, into, *_ = numbers.rhs_spec
    return (out, into) in ((1, 0), (len(numbers.rhs_spec) - 2, len(numbers.rhs_spec) - 1)) and (
        w.maker(eqn.invars[1]) == "rev"
    )


def _is_gradient_of_kernel(numbers: Any, kernel: tuple[Any, ...], y: TensorSpec) -> bool:
    """Whether the channels of x come first, and the kernel is as large as the result or larger."""
    sizes = [y.shape[i] for i in numbers.out_spec[2:]]
    return numbers.lhs_spec[1] == 0 and None not in (*sizes, *kernel) and prod(kernel) >= prod(sizes)


def _is_smaller(numbers: Any, x: TensorSpec, kernel: tuple[Any, ...]) -> bool:
    sizes = [x.shape[i] for i in numbers.lhs_spec[2:]]
    return None not in sizes and prod(sizes) < prod(kernel)


def _exchanged(
    w: Walker, x: TensorSpec, weight: TensorSpec, y: TensorSpec, numbers: Any, attrs: dict[str, Any]
) -> None:
    """The same sums of products with x as the kernel, over the other operand; they come out in reverse order.

    y[a] = Σ x[m]·w[dilation·m + before − stride·a], so that reversed it begins at w[before − stride·(|y| − 1)].
    """
    sizes = tuple(x.shape[i] for i in numbers.lhs_spec[2:])
    padding = []
    for axis, (pair, n) in enumerate(zip(attrs["padding"], sizes, strict=True)):
        stride, reach = attrs["stride"][axis], attrs["dilation"][axis] * (n - 1)
        last = stride * (y.shape[numbers.out_spec[2 + axis]] - 1)
        before = last - pair[0]
        padding.append((before, last + 1 + reach - attrs["kernel_size"][axis] - before))
    attrs |= {
        "kernel_size": sizes,
        "padding": tuple(padding),
        "groups": 1,
        "in_channels": weight.shape[numbers.rhs_spec[1]],
        "out_channels": y.shape[numbers.out_spec[0]],
    }
    if len(sizes) in _SPATIAL:
        attrs["data_format"] = data_format(numbers.rhs_spec, len(sizes))
    made = w.new(y.shape, y.dtype)
    w.emit("conv", {"x": weight, "weight": x}, {"y": made}, attrs)
    w.emit("flip", {"x": made}, {"y": y}, {"axis": tuple(numbers.out_spec[2:])}, aliases=(("y", "x", VIEW),))


def _cropping(kernel: tuple[Any, ...], dilation: tuple[int, ...], padding: Any) -> dict[str, Any]:
    """What is cropped of the full result, as pairs, and by how much less at the end (output padding)."""
    pairs, extra = [], []
    for k, d, (low, high) in zip(kernel, dilation, padding, strict=True):
        before, after = d * (k - 1) - low, d * (k - 1) - high
        pairs.append((before, max(before, after)))
        extra.append(max(before - after, 0))
    return {"padding": tuple(pairs), "output_padding": tuple(extra)}
