"""Functions of Keras for which the vocabulary has one name, whatever a backend makes of them.

A backend spells many of them out: PyTorch's convolutions work between two transpositions and pad before, its batch
norm is six operations; TensorFlow's layer norm is eleven. Each function here says, of one call, which canonical layer
it is: so one network of Keras is one list of layers on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from string import ascii_lowercase
from typing import Any

import keras

Arguments = Mapping[str, Any]
Shape = tuple[int, ...]


@dataclass(slots=True)
class Described:
    """One call: the canonical op, its operands by role, its attributes, and the shape of its result.

    ``like`` is the role of the operand whose dtype the result has, ``then`` what is computed of the result.
    """

    op: str
    operands: dict[str, Any]
    attrs: dict[str, Any]
    shape: Shape
    like: str = "x"
    dtype: str = ""  # of the result, where it is another one
    then: Callable[[Any], Any] | None = None


def _channels_last(arguments: Arguments) -> bool:
    return bool((arguments.get("data_format") or keras.config.image_data_format()) == "channels_last")


def _format(rank: int, last: bool) -> str:
    spatial = {1: "L", 2: "HW", 3: "DHW"}[rank]
    return f"N{spatial}C" if last else f"NC{spatial}"


def _spatial(shape: Shape, last: bool) -> Shape:
    return shape[1:-1] if last else shape[2:]


def _whole(shape: Shape, spatial: Shape, channels: int, last: bool) -> Shape:
    return (shape[0], *spatial, channels) if last else (shape[0], channels, *spatial)


def _tuple(value: Any, rank: int) -> Shape:
    return tuple(int(v) for v in value) if isinstance(value, (tuple, list)) else (int(value),) * rank


def _window(
    sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape, padding: str
) -> tuple[Shape, tuple[Shape, ...]] | None:
    """The spatial sizes of the result and the padding of each side, as Keras's ``valid`` and ``same`` have them."""
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "valid":
        made = tuple((n - e) // s + 1 for n, e, s in zip(sizes, extents, stride, strict=True))
        return (made, ((0, 0),) * len(sizes)) if min(made) > 0 else None
    if padding != "same":
        return None
    made = tuple(-(-n // s) for n, s in zip(sizes, stride, strict=True))
    pads = [
        max((m - 1) * s + e - n, 0) for m, s, e, n in zip(made, stride, extents, sizes, strict=True)
    ]  # fmt: skip
    return made, tuple((p // 2, p - p // 2) for p in pads)


def conv(a: Arguments) -> Described | None:
    """Any rank and any number of groups; the kernel is (*kernel sizes, C_i/G, C_o)."""
    return _conv(a, depthwise=False)


def depthwise_conv(a: Arguments) -> Described | None:
    """A group for every channel; the kernel is (*kernel sizes, C_i, multiplier)."""
    return _conv(a, depthwise=True)


def _conv(a: Arguments, *, depthwise: bool) -> Described | None:
    x, kernel, last = tuple(a["inputs"].shape), tuple(a["kernel"].shape), _channels_last(a)
    rank = len(x) - 2
    if not 1 <= rank <= 3 or len(kernel) != len(x):
        return None
    channels = x[-1] if last else x[1]
    groups = channels if depthwise else channels // kernel[-2]
    out = channels * kernel[-1] if depthwise else kernel[-1]
    if channels != groups * (1 if depthwise else kernel[-2]) or out % groups:
        return None
    stride, dilation = _tuple(a["strides"], rank), _tuple(a["dilation_rate"], rank)
    found = _window(_spatial(x, last), kernel[:rank], stride, dilation, a["padding"])
    if found is None:
        return None
    made, padding = found
    attrs = {
        "kernel_size": kernel[:rank], "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
        "in_channels": channels, "out_channels": out, "data_format": _format(rank, last),
    }  # fmt: skip
    return Described("conv", {"x": a["inputs"], "weight": a["kernel"]}, attrs, _whole(x, made, out, last))


def conv_transpose(a: Arguments) -> Described | None:
    """The kernel is (*kernel sizes, C_o, C_i)."""
    from keras.src.backend.common.backend_utils import compute_conv_transpose_output_shape

    x, kernel, last = tuple(a["inputs"].shape), tuple(a["kernel"].shape), _channels_last(a)
    rank = len(x) - 2
    if not 1 <= rank <= 3 or len(kernel) != len(x) or (x[-1] if last else x[1]) != kernel[-1]:
        return None
    stride, dilation = _tuple(a["strides"], rank), _tuple(a["dilation_rate"], rank)
    shape = compute_conv_transpose_output_shape(
        x, kernel, kernel[-2], a["strides"], a["padding"], a["output_padding"],
        "channels_last" if last else "channels_first", a["dilation_rate"],
    )  # fmt: skip
    attrs = {
        "kernel_size": kernel[:rank], "stride": stride, "dilation": dilation, "groups": 1, "in_channels": kernel[-1],
        "out_channels": kernel[-2], "data_format": _format(rank, last),
    }  # fmt: skip
    sizes = _spatial(tuple(shape), last)
    if None not in sizes:  # what is cropped is the padding of the convolution from the result to x
        found = _window(sizes, kernel[:rank], stride, dilation, a["padding"])
        attrs["padding"] = found[1] if found else ((0, 0),) * rank
        windows = zip(_spatial(x, last), sizes, attrs["padding"], kernel[:rank], stride, dilation, strict=True)
        attrs["output_padding"] = tuple(
            m - ((n - 1) * s - sum(pads) + d * (k - 1) + 1) for n, m, pads, k, s, d in windows
        )
    return Described("conv_transpose", {"x": a["inputs"], "weight": a["kernel"]}, attrs, tuple(shape))


def _pool(op: str, a: Arguments) -> Described | None:
    x, last = tuple(a["inputs"].shape), _channels_last(a)
    rank = len(x) - 2
    if not 1 <= rank <= 3:
        return None
    size = _tuple(a["pool_size"], rank)
    stride = size if a["strides"] is None else _tuple(a["strides"], rank)
    found = _window(_spatial(x, last), size, stride, (1,) * rank, a["padding"])
    if found is None:
        return None
    made, padding = found
    attrs: dict[str, Any] = {
        "kernel_size": size, "stride": stride, "padding": padding, "dilation": (1,) * rank,
        "data_format": _format(rank, last), "ceil_mode": False,
    }  # fmt: skip
    if op == "avg_pool":
        attrs |= {"count_include_pad": False, "divisor": None}
    return Described(op, {"x": a["inputs"]}, attrs, _whole(x, made, x[-1] if last else x[1], last))


def max_pool(a: Arguments) -> Described | None:
    return _pool("max_pool", a)


def average_pool(a: Arguments) -> Described | None:
    return _pool("avg_pool", a)


def batch_normalization(a: Arguments) -> Described | None:
    """With the statistics given; where they are computed from the batch, what computes them stands before."""
    x, mean = tuple(a["x"].shape), tuple(a["mean"].shape)
    if len(mean) != 1 or not isinstance(a["axis"], int) or x[a["axis"]] != mean[0]:
        return None
    operands = {"x": a["x"], "weight": a["scale"], "bias": a["offset"], "mean": a["mean"], "var": a["variance"]}
    attrs = {"eps": float(a["epsilon"]), "channels": mean[0], "batch_stats": False}
    return Described("batch_norm", _given(operands), attrs, x)


def _given(operands: dict[str, Any]) -> dict[str, Any]:
    return {role: value for role, value in operands.items() if value is not None}


def _trailing(x: Shape, axis: Any) -> int | None:
    """Elements along ``axis`` where it is the last axes of a shape."""
    axes = sorted(n % len(x) for n in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    return prod(x[n] for n in axes) if axes == list(range(len(x) - len(axes), len(x))) else None


def layer_normalization(a: Arguments) -> Described | None:
    x = tuple(a["x"].shape)
    size = _trailing(x, a["axis"])
    affine = [value for value in (a["gamma"], a["beta"]) if value is not None]
    if size is None or a["rms_scaling"] or any(prod(tuple(value.shape)) != size for value in affine):
        return None
    operands = _given({"x": a["x"], "weight": a["gamma"], "bias": a["beta"]})
    eps = keras.config.epsilon() if a["epsilon"] is None else a["epsilon"]
    return Described("layer_norm", operands, {"eps": float(eps), "normalized_size": size}, x)


def rms_normalization(a: Arguments) -> Described | None:
    x = tuple(a["x"].shape)
    size = _trailing(x, a["axis"]) if x else None
    if size is None or (a["scale"] is not None and prod(tuple(a["scale"].shape)) != size):
        return None
    eps = keras.config.epsilon() if a["epsilon"] is None else a["epsilon"]
    attrs = {"eps": float(eps), "normalized_size": size}
    return Described("rms_norm", _given({"x": a["x"], "weight": a["scale"]}), attrs, x)


def group_normalization(a: Arguments) -> Described | None:
    """A call of the layer."""
    layer, x = a["self"], tuple(a["inputs"].shape)
    if type(layer) is not keras.layers.GroupNormalization or len(x) < 2:
        return None
    operands = {
        "x": a["inputs"], "weight": layer.gamma if layer.scale else None, "bias": layer.beta if layer.center else None
    }  # fmt: skip
    attrs = {"eps": float(layer.epsilon), "groups": layer.groups, "channels": x[layer.axis], "batch": x[0]}
    return Described("group_norm", _given(operands), attrs, x, dtype=layer.compute_dtype)


def _plain(layer: Any, kind: type) -> bool:
    """A layer of just this class, neither quantised nor with low-rank additions."""
    return (
        type(layer) is kind
        and getattr(layer, "quantization_mode", None) is None
        and not getattr(layer, "lora_enabled", False)
    )


def embedding(a: Arguments) -> Described | None:
    """A call of the layer: what it does to indices from the end is no work on numbers."""
    layer, x = a["self"], tuple(a["inputs"].shape)
    if not _plain(layer, keras.layers.Embedding):
        return None
    attrs = {"num_embeddings": layer.input_dim, "embedding_dim": layer.output_dim}
    operands = {"x": a["inputs"], "weight": layer.embeddings}
    return Described("embedding", operands, attrs, (*x, layer.output_dim), "weight", layer.compute_dtype)


def dense(a: Arguments) -> Described | None:
    """A call of the layer; the kernel is (C_i, C_o)."""
    layer, rank = a["self"], len(a["inputs"].shape)
    if not _plain(layer, keras.layers.Dense) or rank < 2 or getattr(a["inputs"], "sparse", False):
        return None
    rows, last, out = ascii_lowercase[: rank - 1], ascii_lowercase[rank - 1], ascii_lowercase[rank]
    return _linear(layer, a["inputs"], f"{rows}{last},{last}{out}->{rows}{out}")


def einsum_dense(a: Arguments) -> Described | None:
    """A call of the layer, where all that is summed is summed with the kernel."""
    layer = a["self"]
    if not _plain(layer, keras.layers.EinsumDense):
        return None
    equation = layer.equation.replace(" ", "")
    if "..." in equation:
        named = len(set(equation.partition(",")[0]) - {"."})
        free = [letter for letter in ascii_lowercase if letter not in equation]
        equation = equation.replace("...", "".join(free[: len(a["inputs"].shape) - named]))
    return _linear(layer, a["inputs"], equation)


def _linear(layer: Any, x: Any, equation: str) -> Described | None:
    operands, _, out = equation.partition("->")
    first, _, second = operands.partition(",")
    sizes = dict(zip(first, x.shape, strict=True)) | dict(zip(second, layer.kernel.shape, strict=True))
    if len(set(first)) < len(first) or not set(first) <= {*second, *out}:  # a diagonal, or a sum of x alone
        return None
    attrs = {
        "in_features": prod(sizes[letter] for letter in second if letter not in out),
        "out_features": prod(sizes[letter] for letter in second if letter in out and letter not in first),
        "equation": equation,
    }
    given = _given({"x": x, "weight": layer.kernel, "bias": layer.bias})
    return Described("linear", given, attrs, tuple(sizes[letter] for letter in out), then=layer.activation)


def dot_product_attention(a: Arguments) -> Described | None:
    """Of (batch, length, heads, size) each; ``bias`` is added to the scores, ``mask`` chooses among them."""
    q, k, v = (tuple(a[name].shape) for name in ("query", "key", "value"))
    if len(q) != 4 or len(k) != 4 or len(v) != 4 or (a["bias"] is not None and a["mask"] is not None):
        return None
    attrs: dict[str, Any] = {
        "batch": q[0], "heads": q[2], "kv_heads": k[2], "q_len": q[1], "kv_len": k[1], "qk_dim": q[3], "v_dim": v[3],
        "causal": bool(a["is_causal"]), "causal_alignment": "top_left",
    }  # fmt: skip
    if a["scale"] is not None:
        attrs["scale"] = float(a["scale"])
    if a.get("attn_logits_soft_cap") is not None:
        attrs["softcap"] = float(a["attn_logits_soft_cap"])
    mask = a["bias"] if a["mask"] is None else a["mask"]
    operands = _given({"q": a["query"], "k": a["key"], "v": a["value"], "mask": mask})
    return Described("attention", operands, attrs, (*q[:3], v[3]), "q")


def repeat(a: Arguments) -> Described | None:
    """Each element a number of times along one axis."""
    x, times, axis = tuple(a["x"].shape), a["repeats"], a["axis"]
    if not isinstance(times, int) or not isinstance(axis, int):
        return None
    axis %= len(x)
    attrs = {"repeats": times, "axis": axis}
    return Described("repeat", {"x": a["x"]}, attrs, (*x[:axis], x[axis] * times, *x[axis + 1 :]))


def _activation(op: str, **names: str) -> Callable[[Arguments], Described]:
    """An activation of as many elements as it is given; ``names`` are those of its attributes among the arguments."""

    def described(a: Arguments) -> Described:
        attrs = {name: a[argument] for name, argument in names.items()}
        return Described(op, {"x": a["x"]}, attrs, tuple(a["x"].shape))

    return described


def gelu(a: Arguments) -> Described:
    approximate = "tanh" if a["approximate"] else "none"
    return Described("gelu", {"x": a["x"]}, {"approximate": approximate}, tuple(a["x"].shape))


def glu(a: Arguments) -> Described:
    x = tuple(a["x"].shape)
    axis = a["axis"] % len(x)
    return Described("glu", {"x": a["x"]}, {"axis": axis}, (*x[:axis], x[axis] // 2, *x[axis + 1 :]))


def resize(a: Arguments) -> Described | None:
    """Interpolation alone; what crops, pads or smooths first stays as the backend has it."""
    x, last = tuple(a["images"].shape), _channels_last(a)
    mode = {"nearest": "nearest", "bilinear": "bilinear"}.get(a["interpolation"])
    special = a["antialias"] or a["crop_to_aspect_ratio"] or a["pad_to_aspect_ratio"]
    if mode is None or special or len(x) != 4:
        return None
    made = _tuple(a["size"], 2)
    scale = tuple(m / n for m, n in zip(made, _spatial(x, last), strict=True))
    attrs = {"mode": mode, "scale": scale, "align_corners": False, "antialias": False, "data_format": _format(2, last)}
    return Described("resize", {"x": a["images"]}, attrs, _whole(x, made, x[-1] if last else x[1], last))


Describe = Callable[[Arguments], Described | None]

# What is put in the place of each: name -> how a call is described.
OF_NN: Mapping[str, Describe] = {
    "conv": conv,
    "depthwise_conv": depthwise_conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "batch_normalization": batch_normalization,
    "dot_product_attention": dot_product_attention,
    "gelu": gelu,
    "glu": glu,
    "silu": _activation("silu"),
    "celu": _activation("celu", alpha="alpha"),
    "hard_sigmoid": _activation("hard_sigmoid"),
    "hard_silu": _activation("hard_swish"),
    "hard_tanh": _activation("hard_tanh"),
    "log_sigmoid": _activation("log_sigmoid"),
    "tanh_shrink": _activation("tanh_shrink"),
    "soft_shrink": _activation("soft_shrink", **{"lambda": "threshold"}),
    "hard_shrink": _activation("hard_shrink", **{"lambda": "threshold"}),
    "threshold": _activation("threshold", threshold="threshold", value="default_value"),
}
OF_OPS: Mapping[str, Describe] = {"_layer_normalization": layer_normalization, "_rms_normalization": rms_normalization}
OF_NUMPY: Mapping[str, Describe] = {"repeat": repeat}
OF_IMAGE: Mapping[str, Describe] = {"resize": resize}
OF_LAYERS: Mapping[str, Describe] = {
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "GroupNormalization": group_normalization,
}


__all__ = ["OF_IMAGE", "OF_LAYERS", "OF_NN", "OF_NUMPY", "OF_OPS", "Described"]
