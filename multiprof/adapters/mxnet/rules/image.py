"""Resizing, sampling by a grid, correlation."""

from __future__ import annotations

from math import ceil

from multiprof.adapters._common.shapes import transposed_output
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import OVER_FIRST, Writing

# -- UpSampling -------------------------------------------------------------------------------------------------------


def _bilinear(call: Call) -> bool:
    return call.attrs.one_of("sample_type", ("nearest", "bilinear"), "nearest") == "bilinear"


def _upsampling_args(call: Call) -> Args:
    return ("data", "weight") if _bilinear(call) else ()


def _scale(call: Call) -> int:
    return call.attrs.integer("scale", least=1)


def _kernel(call: Call) -> tuple[int, int]:
    """Kernel and padding of the deconvolution that bilinear upsampling is (src/operator/nn/upsampling-inl.h)."""
    scale = _scale(call)
    return 2 * scale - scale % 2, ceil((scale - 1) / 2)


def infer_upsampling(call: Call) -> None:
    """All inputs come out as large as the first one enlarged; their channels are joined, or they are added."""
    shapes = [call.shape(i) for i in range(len(call.ins))]
    first, scale = call.rank(0, 4), _scale(call)
    if first is None:
        return
    large = tuple(None if dim is None else dim * scale for dim in first[2:])
    if _bilinear(call):
        kernel, pad = _kernel(call)
        call.expect(1, (first[1], 1, kernel, kernel))
        made = [transposed_output(dim, kernel, scale, (pad, pad), 1, 0) for dim in first[2:]]
        call.give((*first[:2], *made))
        return
    channels: int | None = 0
    for i, shape in enumerate(shapes):
        if shape is None or len(shape) != 4:
            channels = None
            continue
        for dim, size in zip(shape[2:], large, strict=True):
            if dim is not None and size is not None and (not dim or size % dim):
                raise call.error(f"input {i} of {shape} does not enlarge to {large}")
        channels = None if channels is None or shape[1] is None else channels + shape[1]
    if call.attrs.one_of("multi_input_mode", ("concat", "sum"), "concat") == "sum":
        channels = first[1]
    call.give((first[0], channels, *large))


def write_upsampling(call: Call, to: Writing) -> None:
    y = to.y(call)
    scale = _scale(call)
    if _bilinear(call):
        kernel, pad = _kernel(call)
        channels = to.x(call).shape[1]
        attrs = {
            "kernel_size": (kernel, kernel),
            "stride": (scale, scale),
            "padding": ((pad, pad), (pad, pad)),
            "dilation": (1, 1),
            "groups": channels,
            "in_channels": channels,
            "out_channels": channels,
            "data_format": "NCHW",
            "output_padding": (0, 0),
        }
        to.layer(call, "conv_transpose", {"x": to.x(call, 0), "weight": to.x(call, 1)}, None, attrs)
        return
    count = len(call.ins)
    parts = []
    for i in range(count):
        x = to.x(call, i)
        made = y if count == 1 else to.between(call, (*x.shape[:2], *y.shape[2:]))
        factors = tuple(
            None if a is None or b is None or not a else b // a for a, b in zip(x.shape[2:], y.shape[2:], strict=True)
        )
        options = {"mode": "nearest", "scale": factors, "data_format": "NCHW"}
        to.layer(call, "resize", {"x": x}, {"y": made}, options, f"resize{i}" if count > 1 else "")
        parts.append(made)
    if count == 1:
        return
    if call.attrs.text("multi_input_mode", "concat") == "concat":
        to.layer(call, "concat", {f"x{i}": part for i, part in enumerate(parts)}, None, {"axis": 1})
        return
    total = parts[0]
    for i, part in enumerate(parts[1:], 1):
        made = y if i == count - 1 else to.between(call, y.shape)
        to.layer(call, "add", {"x0": total, "x1": part}, {"y": made}, None, f"add{i}", OVER_FIRST if i > 1 else ())
        total = made


# -- bilinear resizing ------------------------------------------------------------------------------------------------


def _resize_args(call: Call) -> Args:
    return ("data", "like") if call.attrs.text("mode", "size") == "like" else ("data",)


def infer_resize(call: Call) -> None:
    """src/operator/contrib/bilinear_resize-inl.h, BilinearSampleOpInferShape."""
    source = call.rank(0, 4)
    if source is None:
        return
    attrs = call.attrs
    mode = attrs.text("mode", "size")
    scales = [attrs.number(name, 0.0) if name in attrs else None for name in ("scale_height", "scale_width")]
    sizes = [attrs.integer("height", 1), attrs.integer("width", 1)]
    like = call.rank(1, 4) if mode == "like" else None
    made: list[int | None] = []
    for axis, dim in enumerate(source[2:]):
        scale, size = scales[axis], sizes[axis]
        if mode == "like":
            made.append(None if like is None else like[2 + axis])
        elif mode == "size" and scale is None:
            made.append(size)
        elif dim is None:
            made.append(None)
        elif mode == "size":
            made.append(int((scale or 0.0) * dim))
        elif mode == "odd_scale":
            factor = scale if scale is not None else 1.0
            made.append(int(dim * factor) if dim % 2 == 0 else int((dim - 1) * factor) + 1)
        elif mode in ("to_even_down", "to_even_up", "to_odd_down", "to_odd_up"):
            wrong = dim % 2 != (mode[3:6] == "odd")
            made.append(dim + (0 if not wrong else 1 if mode.endswith("up") else -1))
        else:
            raise attrs.wrong("mode", "a mode of BilinearResize2D")
    if any(dim is not None and dim < 1 for dim in made):
        raise call.error(f"the result would have the sizes {made}")
    call.give((*source[:2], *made))


def write_resize(call: Call, to: Writing) -> None:
    attrs = {"mode": "bilinear", "align_corners": call.attrs.flag("align_corners", True), "data_format": "NCHW"}
    to.unary(call, "resize", attrs)


# -- sampling by a grid -----------------------------------------------------------------------------------------------

SAMPLING = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": True}


def _target(call: Call) -> tuple[int, int]:
    found = call.attrs.ints("target_shape", (0, 0))
    if len(found) != 2 or min(found) < 0:
        raise call.attrs.wrong("target_shape", "two sizes")
    return found[0], found[1]


def infer_transformer(call: Call) -> None:
    """The six numbers of an affine transformation for each sample."""
    source = call.rank(0, 4)
    if source is not None:
        call.expect(1, (source[0], 6))
        height, width = _target(call)
        call.give((*source[:2], height or source[2], width or source[3]))


def write_transformer(call: Call, to: Writing) -> None:
    y = to.y(call)
    grid = to.between(call, (y.shape[0], 2, *y.shape[2:]))
    to.layer(call, "affine_grid", {"theta": to.x(call, 1)}, {"y": grid}, {"align_corners": True}, "grid")
    to.layer(call, "grid_sample", {"x": to.x(call, 0), "grid": grid}, None, SAMPLING, "sample")


def _is_affine(call: Call) -> bool:
    return call.attrs.one_of("transform_type", ("affine", "warp"), "affine") == "affine"


def infer_grid(call: Call) -> None:
    """(N, 2, H, W): of an affine transformation, or of the flow that is added to the regular grid."""
    if not _is_affine(call):
        infer_same(call)
        return
    source = call.rank(0, 2)
    if source is not None:
        call.expect(0, (source[0], 6))
        call.give((source[0], 2, *_target(call)))


def write_grid(call: Call, to: Writing) -> None:
    if _is_affine(call):
        to.layer(call, "affine_grid", {"theta": to.x(call)}, None, {"align_corners": True})
    else:
        to.foreign(call)


def infer_sampler(call: Call) -> None:
    source, grid = call.rank(0, 4), call.rank(1, 4)
    if source is not None and grid is not None:
        call.expect(1, (source[0], 2, None, None))
        call.give((*source[:2], *grid[2:]))


def write_sampler(call: Call, to: Writing) -> None:
    to.layer(call, "grid_sample", {"x": to.x(call, 0), "grid": to.x(call, 1)}, None, SAMPLING)


# -- correlation ------------------------------------------------------------------------------------------------------


def infer_correlation(call: Call) -> None:
    """src/operator/correlation-inl.h, InferShape."""
    attrs, source = call.attrs, call.rank(0, 4)
    call.expect(1, source)
    if source is None:
        call.expect(0, call.shape(1))
        return
    kernel, reach = attrs.integer("kernel_size", 1, least=1), attrs.integer("max_displacement", 1, least=0)
    stride, step = attrs.integer("stride1", 1, least=1), attrs.integer("stride2", 1, least=1)
    border = reach + (kernel - 1) // 2
    pad = attrs.integer("pad_size", 0, least=0)
    made: list[int | None] = []
    for dim in source[2:]:
        size = None if dim is None else -(-(dim + 2 * pad - 2 * border) // stride)
        if size is not None and size < 1:
            raise call.error(f"nothing is left of {source} within a border of {border}")
        made.append(size)
    call.give((source[0], (2 * (reach // step) + 1) ** 2, *made))


def write_correlation(call: Call, to: Writing) -> None:
    attrs = call.attrs
    side, pad = attrs.integer("kernel_size", 1), attrs.integer("pad_size", 0)
    shape = to.x(call).shape
    found = {
        "kernel_size": (side, side),
        "channels": shape[1] if len(shape) > 1 else None,
        "max_displacement": attrs.integer("max_displacement", 1),
        "stride": (attrs.integer("stride1", 1), attrs.integer("stride2", 1)),
        "padding": ((pad, pad), (pad, pad)),
        "multiply": attrs.flag("is_multiply", True),
    }
    to.layer(call, "correlation", {"x0": to.x(call, 0), "x1": to.x(call, 1)}, None, found)


RULES: Rules = {
    "UpSampling": Rule(infer_upsampling, write_upsampling, _upsampling_args),
    "_contrib_BilinearResize2D": Rule(infer_resize, write_resize, _resize_args, like=(0,)),
    "SpatialTransformer": Rule(infer_transformer, write_transformer, ("data", "loc")),
    "GridGenerator": Rule(infer_grid, write_grid),
    "BilinearSampler": Rule(infer_sampler, write_sampler, ("data", "grid")),
    "Correlation": Rule(infer_correlation, write_correlation, ("data1", "data2")),
}
