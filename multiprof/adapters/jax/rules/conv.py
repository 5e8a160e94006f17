"""conv_general_dilated in all its generality.

A convolution whose input is dilated (``lhs_dilation`` above 1) is a transposed convolution: the zeros between the
elements of its input are products that nobody computes, so every input element meets the filters once. Where the
window has strides as well, which no named layer has, the zeros are written as a `pad` and all products are counted.

``lax.conv_transpose`` of stride 1, and so Flax's ``ConvTranspose``, dilates nothing: the equation is that of a
convolution with more padding, and says nowhere that it was written as a transposed one. Only the traceback that JAX
keeps with every equation does, so it is asked. Where an equation has lost it, it is read as it stands, a
convolution, and products with the padding count.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Value
from multiprof.adapters.jax.walker import Walker

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
    if rank == 0 or (all(n == 1 for n in spread) and not _written_as_transposed(eqn)):
        w.emit("conv", {"x": x, "weight": weight}, {"y": y}, attrs)
    elif all(n == 1 for n in stride) and batch_groups == 1:
        attrs["stride"] = spread
        attrs |= _cropping(kernel, dilation, padding)
        w.emit("conv_transpose", {"x": x, "weight": weight}, {"y": y}, attrs)
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
    """Whether JAX's own ``conv_transpose`` made the equation, which a gradient marks as none of its making."""
    # not read from the text of the stack, where JAX 0.6 leaves a transformation of nothing that is named out
    if any((type(part).__name__, part.name) == ("Transform", "transpose") for part in eqn.source_info.name_stack.stack):
        return False
    frames = getattr(eqn.source_info.traceback, "frames", ())
    return any(
        (called.function_name, caller.function_name) == ("conv_general_dilated", "conv_transpose")
        and called.file_name == caller.file_name
        for called, caller in pairwise(frames)
    )


def _cropping(kernel: tuple[Any, ...], dilation: tuple[int, ...], padding: Any) -> dict[str, Any]:
    """What is cropped of the full result, as pairs, and by how much less at the end (output padding)."""
    pairs, extra = [], []
    for k, d, (low, high) in zip(kernel, dilation, padding, strict=True):
        before, after = d * (k - 1) - low, d * (k - 1) - high
        pairs.append((before, max(before, after)))
        extra.append(max(before - after, 0))
    return {"padding": tuple(pairs), "output_padding": tuple(extra)}
