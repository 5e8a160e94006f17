"""Builders of random single operators: (mxnet, random) → symbol and the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Case = tuple[Any, dict[str, tuple[int, ...]]]


def _window(r: Random, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = {"kernel": tuple(r.randint(1, 4) for _ in range(rank))}
    for name, low, high in (("stride", 1, 3), ("pad", 0, 2), ("dilate", 1, 3)):
        if r.random() < 0.6:
            found[name] = tuple(r.randint(low, high) for _ in range(rank))
    return found


def _image(r: Random, rank: int, layout: str | None, channels: int) -> tuple[int, ...]:
    spatial = tuple(r.randint(4, 12) for _ in range(rank))
    if layout is not None and layout[-1] == "C":
        return (r.randint(1, 3), *spatial, channels)
    return (r.randint(1, 3), channels, *spatial)


def convolution(mx: Any, r: Random) -> Case:
    rank, groups = r.randint(1, 3), r.choice((1, 1, 2, 3))
    layout = r.choice((None, {1: "NCW", 2: "NHWC", 3: "NDHWC"}[rank], {1: "NCW", 2: "NCHW", 3: "NCDHW"}[rank]))
    attrs = _window(r, rank) | {"num_filter": r.choice((1, 2, 3, 4)) * groups, "num_group": groups, "layout": layout}
    sym = mx.sym.Convolution(mx.sym.var("x"), no_bias=r.random() < 0.5, name="op", **attrs)
    return sym, {"x": _image(r, rank, layout, groups * r.randint(1, 3))}


def deconvolution(mx: Any, r: Random) -> Case:
    rank, groups = r.randint(1, 3), r.choice((1, 1, 2, 3))
    layout = r.choice((None, {1: "NCW", 2: "NHWC", 3: "NDHWC"}[rank]))
    attrs = _window(r, rank) | {"num_filter": r.choice((1, 2, 3, 4)) * groups, "num_group": groups, "layout": layout}
    if r.random() < 0.3:
        attrs["target_shape"] = tuple(r.randint(3, 30) for _ in range(rank))
    elif r.random() < 0.5:
        attrs["adj"] = tuple(r.randint(0, 1) for _ in range(rank))
    sym = mx.sym.Deconvolution(mx.sym.var("x"), no_bias=r.random() < 0.5, name="op", **attrs)
    return sym, {"x": _image(r, rank, layout, groups * r.randint(1, 3))}


def pooling(mx: Any, r: Random) -> Case:
    rank = r.randint(1, 3)
    attrs = _window(r, rank)
    attrs.pop("dilate", None)
    attrs["pool_type"] = r.choice(("max", "avg", "sum", "lp"))
    if attrs["pool_type"] == "lp":
        attrs["p_value"] = 2
    layout = r.choice((None, {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank]))
    attrs["layout"] = layout
    attrs["pooling_convention"] = r.choice(("valid", "full", "same"))
    if r.random() < 0.2:
        attrs["global_pool"] = True
    return mx.sym.Pooling(mx.sym.var("x"), name="op", **attrs), {"x": _image(r, rank, layout, r.randint(1, 3))}


def _shape(r: Random, low: int = 1, high: int = 4, most: int = 6) -> tuple[int, ...]:
    return tuple(r.randint(1, most) for _ in range(r.randint(low, high)))


def fully_connected(mx: Any, r: Random) -> Case:
    attrs = {"num_hidden": r.randint(1, 5), "flatten": r.random() < 0.5, "no_bias": r.random() < 0.5}
    return mx.sym.FullyConnected(mx.sym.var("x"), name="op", **attrs), {"x": _shape(r, 2)}


def reshape(mx: Any, r: Random) -> Case:
    shape = tuple(r.choice((1, 2, 3, 4, 6, 8)) for _ in range(r.randint(1, 5)))
    codes: list[int] = []
    for _ in range(r.randint(1, 5)):
        code = r.choice((0, 0, -1, -2, -3, -4, 2, 4, 6))
        codes.append(code)
        if code == -4:
            codes += r.choice(([-1, 2], [2, -1], [1, -1], [2, 2]))
    return mx.sym.Reshape(mx.sym.var("x"), shape=tuple(codes), reverse=r.random() < 0.3, name="op"), {"x": shape}


def slices(mx: Any, r: Random) -> Case:
    shape = _shape(r, 1, 4, 8)
    x = mx.sym.var("x")
    kind = r.randint(0, 2)
    if kind == 0:
        count = r.randint(1, len(shape))
        begin = tuple(r.choice((None, *range(-shape[i], shape[i]))) for i in range(count))
        end = tuple(r.choice((None, *range(-shape[i], shape[i] + 1))) for i in range(count))
        step = r.choice(((), tuple(r.choice((1, 2, -1, -2, None)) for _ in range(count))))
        return mx.sym.slice(x, begin=begin, end=end, step=step, name="op"), {"x": shape}
    if kind == 1:
        axis = r.randint(-len(shape), len(shape) - 1)
        size = shape[axis]
        begin_at, end_at = r.randint(-size, size - 1), r.choice((None, *range(-size, size + 1)))
        return mx.sym.slice_axis(x, axis=axis, begin=begin_at, end=end_at, name="op"), {"x": shape}
    other = tuple(r.randint(1, dim) for dim in shape)
    axes = tuple(r.sample(range(len(shape)), r.randint(0, len(shape))))
    return mx.sym.slice_like(x, mx.sym.var("y"), axes=axes, name="op"), {"x": shape, "y": other}


def broadcast(mx: Any, r: Random) -> Case:
    shape = _shape(r)
    other = tuple(r.choice((dim, dim, 1)) for dim in shape)
    mine = tuple(r.choice((dim, dim, 1)) for dim in shape)
    if r.random() < 0.1:
        other = (*other[:-1], other[-1] + 1)
    op = r.choice(("broadcast_add", "broadcast_mul", "broadcast_maximum", "broadcast_equal", "broadcast_power"))
    return getattr(mx.sym, op)(mx.sym.var("x"), mx.sym.var("y"), name="op"), {"x": mine, "y": other}


def recurrent(mx: Any, r: Random) -> Case:
    mode = r.choice(("lstm", "gru", "rnn_tanh", "rnn_relu"))
    attrs: dict[str, Any] = {
        "state_size": r.randint(1, 6), "num_layers": r.randint(1, 3), "bidirectional": r.random() < 0.5,
        "mode": mode, "state_outputs": r.random() < 0.5,
    }  # fmt: skip
    if mode == "lstm" and r.random() < 0.3:
        attrs["projection_size"] = r.randint(1, 6)
    names = ["data", "parameters", "state"] + (["state_cell"] if mode == "lstm" else [])
    sym = mx.sym.RNN(**{name: mx.sym.var(name) for name in names}, name="op", **attrs)
    return sym, {"data": (r.randint(1, 6), r.randint(1, 4), r.randint(1, 6))}


def joins(mx: Any, r: Random) -> Case:
    shape, count = _shape(r), r.randint(1, 4)
    names = [f"x{i}" for i in range(count)]
    variables = [mx.sym.var(name) for name in names]
    axis = r.randint(-len(shape), len(shape) - 1)
    if r.random() < 0.4:
        return mx.sym.stack(*variables, axis=axis, name="op"), dict.fromkeys(names, shape)
    sizes = {
        name: tuple(r.randint(1, 5) if i == axis % len(shape) else d for i, d in enumerate(shape)) for name in names
    }
    return mx.sym.Concat(*variables, dim=axis, name="op"), sizes


def splits(mx: Any, r: Random) -> Case:
    shape = tuple(r.choice((2, 4, 6, 12)) for _ in range(r.randint(1, 4)))
    axis, x = r.randint(-len(shape), len(shape) - 1), mx.sym.var("x")
    if r.random() < 0.5:
        count = r.choice((1, 2, 3, shape[axis]))
        squeeze = r.random() < 0.5
        return mx.sym.split(x, num_outputs=count, axis=axis, squeeze_axis=squeeze, name="op"), {"x": shape}
    places = sorted(r.sample(range(1, shape[axis]), r.randint(0, shape[axis] - 1)))
    return mx.sym.split_v2(x, tuple(places) or 1, axis=axis), {"x": shape}


def reductions(mx: Any, r: Random) -> Case:
    shape, x = _shape(r), mx.sym.var("x")
    axes = tuple(r.sample(range(-len(shape), 0), r.randint(1, len(shape))))
    op = r.choice(("sum", "mean", "max", "min", "prod", "nansum", "norm", "argmax", "argmin", "sum_axis"))
    attrs: dict[str, Any] = {"keepdims": r.random() < 0.5}
    if r.random() < 0.8:
        attrs["axis"] = axes[0] if op.startswith("arg") else axes if op != "norm" else axes[:2]
        if op not in ("norm", "argmax", "argmin"):
            attrs["exclude"] = r.random() < 0.3
    return getattr(mx.sym, op)(x, name="op", **attrs), {"x": shape}


def orders(mx: Any, r: Random) -> Case:
    shape, x = _shape(r), mx.sym.var("x")
    axis = r.choice((None, *range(-len(shape), len(shape))))
    op = r.choice(("topk", "sort", "argsort"))
    attrs: dict[str, Any] = {"axis": axis}
    if op == "topk":
        attrs |= {"k": r.randint(0, 4), "ret_typ": r.choice(("both", "indices", "mask", "value"))}
    return getattr(mx.sym, op)(x, name="op", **attrs), {"x": shape}


def products(mx: Any, r: Random) -> Case:
    m, k, n = (r.randint(1, 5) for _ in range(3))
    ta, tb = r.random() < 0.5, r.random() < 0.5
    a, b = ((k, m) if ta else (m, k)), ((n, k) if tb else (k, n))
    x, y = mx.sym.var("x"), mx.sym.var("y")
    kind = r.randint(0, 4)
    if kind == 0:
        return mx.sym.dot(x, y, transpose_a=ta, transpose_b=tb, name="op"), {"x": a, "y": b}
    batch = _shape(r, 1, 2, 3)
    if kind == 1:
        return mx.sym.batch_dot(x, y, transpose_a=ta, transpose_b=tb, name="op"), {"x": (2, *a), "y": (2, *b)}
    if kind == 2:
        attrs = {"transpose_a": ta, "transpose_b": tb, "name": "op"}
        return mx.sym.linalg_gemm2(x, y, **attrs), {"x": (*batch, *a), "y": (*batch, *b)}
    if kind == 3:
        attrs = {"transpose_a": ta, "transpose_b": tb, "name": "op"}
        shapes = {"x": (*batch, *a), "y": (*batch, *b), "z": (*batch, m, n)}
        return mx.sym.linalg_gemm(x, y, mx.sym.var("z"), **attrs), shapes
    left, right = _shape(r, 0, 2, 3), _shape(r, 0, 2, 3)
    a, b = ((k, *left) if ta else (*left, k)), ((*right, k) if tb else (k, *right))
    return mx.sym.dot(x, y, transpose_a=ta, transpose_b=tb, name="op"), {"x": a, "y": b}


def arrangements(mx: Any, r: Random) -> Case:
    shape, x = _shape(r), mx.sym.var("x")
    rank = len(shape)
    axis = r.randint(-rank, rank - 1)
    made = {
        "transpose": lambda: mx.sym.transpose(x, axes=tuple(r.sample(range(rank), rank)), name="op"),
        "reversed": lambda: mx.sym.transpose(x, name="op"),
        "swap": lambda: mx.sym.SwapAxis(x, dim1=axis, dim2=r.randint(0, rank - 1), name="op"),
        "expand": lambda: mx.sym.expand_dims(x, axis=r.randint(-rank - 1, rank), name="op"),
        "flatten": lambda: mx.sym.Flatten(x, name="op"),
        "tile": lambda: mx.sym.tile(x, reps=_shape(r, 1, 5, 3), name="op"),
        "repeat": lambda: mx.sym.repeat(x, repeats=r.randint(1, 3), axis=r.choice((None, axis)), name="op"),
        "flip": lambda: mx.sym.reverse(x, axis=axis % rank, name="op"),
        "squeeze": lambda: mx.sym.squeeze(x, name="op"),
        "one_hot": lambda: mx.sym.one_hot(x, depth=r.randint(1, 5), name="op"),
        "embedding": lambda: mx.sym.Embedding(x, input_dim=7, output_dim=r.randint(1, 5), name="op"),
        "shape": lambda: mx.sym.shape_array(x, name="op"),
        "broadcast_to": lambda: mx.sym.broadcast_to(
            x, shape=tuple(r.choice((0, d)) if d > 1 else r.randint(0, 4) for d in shape), name="op"
        ),
        "arange_like": lambda: mx.sym.contrib.arange_like(x, axis=r.choice((None, axis)), name="op"),
    }
    return r.choice(list(made.values()))(), {"x": shape}


def images(mx: Any, r: Random) -> Case:
    shape = (r.randint(1, 3), r.choice((1, 2, 4, 8)), r.randint(4, 10), r.randint(4, 10))
    x, y = mx.sym.var("x"), mx.sym.var("y")
    n, c, h, w = shape
    smaller = (n, 3, r.randint(1, h), r.randint(1, w))
    scale = r.randint(1, 4)
    mode = r.choice(("size", "odd_scale", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up"))
    resize: dict[str, Any] = {"mode": mode}
    if mode == "odd_scale" or (mode == "size" and r.random() < 0.5):
        resize |= {"scale_height": r.choice((0.5, 1.5, 2.0, 3.0)), "scale_width": r.choice((0.5, 2.0, 1.3))}
    elif mode == "size":
        resize |= {"height": r.randint(2, 9), "width": r.randint(2, 9)}
    made: dict[str, Callable[[], Case]] = {
        "crop": lambda: (
            mx.sym.Crop(x, y, center_crop=r.random() < 0.5, num_args=2, name="op"),
            {"x": shape, "y": smaller},
        ),
        "crop_size": lambda: (mx.sym.Crop(x, h_w=smaller[2:], num_args=1, name="op"), {"x": shape}),
        "nearest": lambda: (
            mx.sym.UpSampling(x, scale=scale, sample_type="nearest", num_args=1, name="op"),
            {"x": shape},
        ),
        "two": lambda: (
            mx.sym.UpSampling(
                x,
                y,
                scale=2,
                sample_type="nearest",
                num_args=2,
                name="op",
                multi_input_mode=r.choice(("concat", "sum")),
            ),
            {"x": shape, "y": (n, c, 2 * h, 2 * w)},
        ),
        "bilinear": lambda: (
            mx.sym.UpSampling(
                x, mx.sym.var("weight"), scale=scale, sample_type="bilinear", num_filter=c, num_args=2, name="op"
            ),
            {"x": shape},
        ),
        "resize": lambda: (mx.sym.contrib.BilinearResize2D(x, name="op", **resize), {"x": shape}),
        "adaptive": lambda: (mx.sym.contrib.AdaptiveAvgPooling2D(x, output_size=(3, scale), name="op"), {"x": shape}),
        "pad": lambda: (
            mx.sym.Pad(x, mode="constant", pad_width=(0, 0, 0, 0, *(r.randint(0, 3) for _ in range(4))), name="op"),
            {"x": shape},
        ),
        "lrn": lambda: (mx.sym.LRN(x, nsize=5, name="op"), {"x": shape}),
        "depth": lambda: (mx.sym.depth_to_space(x, block_size=2, name="op"), {"x": shape}),
        "space": lambda: (mx.sym.space_to_depth(x, block_size=2, name="op"), {"x": shape}),
        "correlation": lambda: (
            mx.sym.Correlation(
                x,
                y,
                kernel_size=r.choice((1, 3)),
                max_displacement=r.randint(0, 3),
                name="op",
                stride1=r.randint(1, 2),
                stride2=r.randint(1, 2),
                pad_size=r.randint(0, 4),
            ),
            {"x": shape, "y": shape},
        ),
        "transformer": lambda: (
            mx.sym.SpatialTransformer(
                x, y, target_shape=(3, 5), transform_type="affine", sampler_type="bilinear", name="op"
            ),
            {"x": shape, "y": (n, 6)},
        ),
        "sampler": lambda: (mx.sym.BilinearSampler(x, y, name="op"), {"x": shape, "y": (n, 2, 3, 5)}),
        "grid": lambda: (
            mx.sym.GridGenerator(x, transform_type="affine", target_shape=(3, 5), name="op"),
            {"x": (n, 6)},
        ),
    }
    return r.choice(list(made.values()))()


def norms(mx: Any, r: Random) -> Case:
    shape, x = (*_shape(r, 3, 4), 4), mx.sym.var("x")
    axis = r.randint(-len(shape), len(shape) - 1)
    many = r.random() < 0.3
    made = {
        "batch": lambda: mx.sym.BatchNorm(x, axis=axis, output_mean_var=many, name="op"),
        "layer": lambda: mx.sym.LayerNorm(x, axis=axis, output_mean_var=many, name="op"),
        "group": lambda: mx.sym.GroupNorm(x, num_groups=1, output_mean_var=many, name="op"),
        "instance": lambda: mx.sym.InstanceNorm(x, name="op"),
        "l2": lambda: mx.sym.L2Normalization(x, mode=r.choice(("channel", "instance", "spatial")), name="op"),
        "prelu": lambda: mx.sym.LeakyReLU(x, act_type="prelu", name="op"),
        "elu": lambda: mx.sym.LeakyReLU(x, act_type="elu", name="op"),
        "softmax": lambda: mx.sym.softmax(x, axis=axis, name="op"),
        "output": lambda: mx.sym.SoftmaxOutput(
            x, name="op", **r.choice(({}, {"multi_output": True}, {"preserve_shape": True}))
        ),
        "linear": lambda: mx.sym.LinearRegressionOutput(x, name="op"),
    }
    return r.choice(list(made.values()))(), {"x": shape}


def gathers(mx: Any, r: Random) -> Case:
    shape, x, y = _shape(r, 1, 4), mx.sym.var("x"), mx.sym.var("y")
    axis = r.randint(-len(shape), len(shape) - 1)
    count = r.randint(1, len(shape))
    rest = shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :]
    keep = r.random() < 0.5
    made: list[Callable[[], Case]] = [
        lambda: (mx.sym.take(x, y, axis=axis, name="op"), {"x": shape, "y": _shape(r, 1, 3)}),
        lambda: (mx.sym.pick(x, y, axis=axis, keepdims=keep, name="op"), {"x": shape, "y": rest or (1,)}),
        lambda: (mx.sym.gather_nd(x, y, name="op"), {"x": shape, "y": (count, *_shape(r, 1, 2))}),
        lambda: (mx.sym.scatter_nd(x, y, shape=(5, 6), name="op"), {"x": (3,), "y": (2, 3)}),
        lambda: (mx.sym.batch_take(x, y, name="op"), {"x": (4, 3), "y": (4,)}),
        lambda: (
            mx.sym.where(mx.sym.var("c"), x, y, name="op"),
            {"x": shape, "y": shape, "c": r.choice((shape, shape[:1]))},
        ),
        lambda: (
            mx.sym.SequenceMask(x, y, use_sequence_length=True, axis=1, name="op"),
            {"x": (3, *shape, 2), "y": (3,)},
        ),
        lambda: (mx.sym.SequenceLast(x, name="op"), {"x": (3, *shape)}),
        lambda: (mx.sym.SequenceReverse(x, name="op"), {"x": (3, *shape)}),
    ]
    return r.choice(made)()


def boxes(mx: Any, r: Random) -> Case:
    x, y, z = mx.sym.var("x"), mx.sym.var("y"), mx.sym.var("z")
    n, c, h, w, count = 2, 8, r.randint(3, 9), r.randint(3, 9), r.randint(1, 7)
    sizes = tuple(r.random() for _ in range(r.randint(1, 3)))
    made: list[Callable[[], Case]] = [
        lambda: (
            mx.sym.ROIPooling(x, y, pooled_size=(3, 5), spatial_scale=0.5, name="op"),
            {"x": (n, c, h, w), "y": (count, 5)},
        ),
        lambda: (
            mx.sym.contrib.ROIAlign(
                x, y, pooled_size=(2, 2), spatial_scale=0.5, position_sensitive=r.random() < 0.5, name="op"
            ),
            {"x": (n, c, h, w), "y": (count, 5)},
        ),
        lambda: (
            mx.sym.contrib.PSROIPooling(x, y, spatial_scale=0.5, output_dim=2, pooled_size=2, name="op"),
            {"x": (n, c, h, w), "y": (count, 5)},
        ),
        lambda: (mx.sym.contrib.MultiBoxPrior(x, sizes=sizes, ratios=(1, 2, 0.5), name="op"), {"x": (n, c, h, w)}),
        lambda: (
            mx.sym.contrib.MultiBoxDetection(x, y, z, name="op"),
            {"x": (n, 3, count), "y": (n, 4 * count), "z": (1, count, 4)},
        ),
        lambda: (
            mx.sym.contrib.MultiBoxTarget(x, y, z, name="op"),
            {"x": (1, count, 4), "y": (n, 6, 5), "z": (n, 3, count)},
        ),
        lambda: (mx.sym.contrib.box_nms(x, name="op"), {"x": (n, count, 6)}),
        lambda: (mx.sym.contrib.box_iou(x, y, name="op"), {"x": (count, 4), "y": (3, 4)}),
        lambda: (mx.sym.contrib.bipartite_matching(x, threshold=0.5, name="op"), {"x": (n, count, 3)}),
        lambda: (
            mx.sym.contrib.Proposal(x, y, z, rpn_post_nms_top_n=20, output_score=r.random() < 0.5, name="op"),
            {"x": (1, 24, h, w), "y": (1, 48, h, w), "z": (1, 3)},
        ),
        lambda: (
            mx.sym.contrib.MultiProposal(x, y, z, rpn_post_nms_top_n=20, name="op"),
            {"x": (n, 24, h, w), "y": (n, 48, h, w), "z": (n, 3)},
        ),
        lambda: (
            mx.sym.contrib.DeformableConvolution(
                x, y, kernel=(3, 3), num_filter=4, num_deformable_group=2, pad=(1, 1), name="op"
            ),
            {"x": (n, c, h, w), "y": (n, 36, h, w)},
        ),
        lambda: (mx.sym.contrib.box_decode(x, y, name="op"), {"x": (n, count, 4), "y": (1, count, 4)}),
    ]
    return r.choice(made)()


def matrices(mx: Any, r: Random) -> Case:
    x, y = mx.sym.var("x"), mx.sym.var("y")
    batch, n = _shape(r, 0, 2, 3), r.randint(1, 5)
    square, wide = (*batch, n, n), (*batch, n, n + 2)
    length, heads = r.randint(1, 5), r.randint(1, 3)
    self_qkv = (length, 2, heads * 3 * 4)
    made: list[Callable[[], Case]] = [
        lambda: (mx.sym.linalg_potrf(x, name="op"), {"x": square}),
        lambda: (mx.sym.linalg_inverse(x, name="op"), {"x": square}),
        lambda: (mx.sym.linalg_det(x, name="op"), {"x": square}),
        lambda: (mx.sym.linalg_sumlogdiag(x, name="op"), {"x": square}),
        lambda: (mx.sym.linalg_trsm(x, y, name="op"), {"x": square, "y": wide}),
        lambda: (mx.sym.linalg_trmm(x, y, name="op"), {"x": square, "y": wide}),
        lambda: (mx.sym.linalg_syrk(x, transpose=r.random() < 0.5, name="op"), {"x": wide}),
        lambda: (mx.sym.linalg_gelqf(x, name="op"), {"x": wide}),
        lambda: (mx.sym.khatri_rao(x, y, name="op"), {"x": (n, 3), "y": (4, 3)}),
        lambda: (mx.sym.contrib.interleaved_matmul_selfatt_qk(x, heads=heads, name="op"), {"x": self_qkv}),
        lambda: (
            mx.sym.contrib.interleaved_matmul_selfatt_valatt(x, y, heads=heads, name="op"),
            {"x": self_qkv, "y": (2 * heads, length, length)},
        ),
        lambda: (
            mx.sym.contrib.interleaved_matmul_encdec_qk(x, y, heads=heads, name="op"),
            {"x": (length, 2, heads * 4), "y": (3, 2, heads * 8)},
        ),
        lambda: (
            mx.sym.contrib.interleaved_matmul_encdec_valatt(x, y, heads=heads, name="op"),
            {"x": (3, 2, heads * 8), "y": (2 * heads, length, 3)},
        ),
        lambda: (mx.sym.moments(x, axes=(0,), name="op"), {"x": square}),
    ]
    return r.choice(made)()


BUILDERS = (
    convolution, deconvolution, pooling, fully_connected, reshape, slices, broadcast, recurrent, joins, splits,
    reductions, orders, products, arrangements, images, norms, gathers, boxes, matrices,
)  # fmt: skip
