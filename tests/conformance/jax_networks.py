"""The conformance networks as functions of parameters and arrays in JAX alone, channels last.

What a network takes first, ``params``, are nests of arrays; running statistics are an argument of their own,
``batch_stats``. Only the shapes of all of them are ever read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Built = tuple[Callable[..., Any], list[Any]]
CANNOT: dict[str, str] = {}
_LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


# -- layers -----------------------------------------------------------------------------------------------------------


def weights(*shape: int) -> jax.Array:
    return jnp.zeros(shape)


def dense_params(inputs: int, outputs: int) -> dict[str, jax.Array]:
    return {"w": weights(inputs, outputs), "b": weights(outputs)}


def dense(p: Any, x: Any) -> Any:
    return x @ p["w"] + p["b"]


def conv_params(
    kernel: int, inputs: int, outputs: int, groups: int = 1, rank: int = 2, bias: bool = True
) -> dict[str, jax.Array]:
    p = {"w": weights(*[kernel] * rank, inputs // groups, outputs)}
    return p | {"b": weights(outputs)} if bias else p


def conv(p: Any, x: Any, stride: int = 1, padding: int = 0, groups: int = 1, dilation: int = 1) -> Any:
    rank = x.ndim - 2
    y = lax.conv_general_dilated(
        x, p["w"], [stride] * rank, [(padding, padding)] * rank, rhs_dilation=[dilation] * rank,
        dimension_numbers=_LAYOUTS[rank], feature_group_count=groups,
    )  # fmt: skip
    return y + p["b"] if "b" in p else y


def deconv(p: Any, x: Any, stride: int, padding: int, groups: int = 1) -> Any:
    """A convolution over x with stride − 1 zeros between its elements, and k − 1 − padding around them."""
    rank = x.ndim - 2
    around = p["w"].shape[0] - 1 - padding
    y = lax.conv_general_dilated(
        x, p["w"], [1] * rank, [(around, around)] * rank, lhs_dilation=[stride] * rank,
        dimension_numbers=_LAYOUTS[rank], feature_group_count=groups,
    )  # fmt: skip
    return y + p["b"] if "b" in p else y


def norm_params(channels: int) -> dict[str, jax.Array]:
    return {"scale": weights(channels), "shift": weights(channels)}


def statistics(channels: int) -> dict[str, jax.Array]:
    return {"mean": weights(channels), "var": weights(channels)}


def batch_norm(p: Any, s: Any, x: Any) -> Any:
    return (x - s["mean"]) * lax.rsqrt(s["var"] + 1e-5) * p["scale"] + p["shift"]


def layer_norm(p: Any, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * p["scale"] + p["shift"]


def max_pool(x: Any, size: int, stride: int, padding: int = 0) -> Any:
    rank = x.ndim - 2
    around = [(0, 0), *[(padding, padding)] * rank, (0, 0)]
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *[size] * rank, 1), (1, *[stride] * rank, 1), around)


def average_pool(x: Any, size: int) -> Any:
    window = (1, size, size, 1)
    return lax.reduce_window(x, 0.0, lax.add, window, window, "VALID") / size**2


def gelu(x: Any) -> Any:
    return jax.nn.gelu(x, approximate=False)


# -- networks ---------------------------------------------------------------------------------------------------------


def lenet() -> Built:
    params = {
        "conv1": conv_params(5, 1, 6), "conv2": conv_params(5, 6, 16),
        "dense": [dense_params(400, 120), dense_params(120, 84), dense_params(84, 10)],
    }  # fmt: skip

    def model(params: Any, x: Any) -> Any:
        x = average_pool(jnp.tanh(conv(params["conv1"], x, padding=2)), 2)
        x = average_pool(jnp.tanh(conv(params["conv2"], x)), 2)
        x = x.reshape(x.shape[0], -1)
        *hidden, last = params["dense"]
        for p in hidden:
            x = jnp.tanh(dense(p, x))
        return dense(last, x)

    return model, [params, (1, 28, 28, 1)]


def resnet_stack() -> Built:
    def conv_norm(kernel: int, inputs: int, outputs: int) -> tuple[Any, Any]:
        return conv_params(kernel, inputs, outputs, bias=False) | norm_params(outputs), statistics(outputs)

    made = {
        "stem": conv_norm(3, 3, 16), "a1": conv_norm(3, 16, 16), "a2": conv_norm(3, 16, 16),
        "b1": conv_norm(3, 16, 32), "b2": conv_norm(3, 32, 32), "shortcut": conv_norm(1, 16, 32),
    }  # fmt: skip
    params = {name: p for name, (p, _) in made.items()} | {"head": dense_params(32, 10)}

    def model(params: Any, batch_stats: Any, x: Any) -> Any:
        def layer(name: str, x: Any, stride: int = 1) -> Any:
            p = params[name]
            return batch_norm(p, batch_stats[name], conv(p, x, stride, padding=p["w"].shape[0] // 2))

        x = jax.nn.relu(layer("stem", x))
        x = jax.nn.relu(layer("a2", jax.nn.relu(layer("a1", x))) + x)
        x = jax.nn.relu(layer("b2", jax.nn.relu(layer("b1", x, 2))) + layer("shortcut", x, 2))
        return dense(params["head"], x.mean((1, 2)))

    return model, [params, {name: s for name, (_, s) in made.items()}, (2, 32, 32, 3)]


def mobilenetv2_block() -> Built:
    def norms(channels: int, wide: int) -> list[int]:
        return [wide, wide, channels]

    def block(inputs: int, wide: int, outputs: int) -> list[Any]:
        convs = (
            conv_params(1, inputs, wide, bias=False), conv_params(3, wide, wide, groups=wide, bias=False),
            conv_params(1, wide, outputs, bias=False),
        )  # fmt: skip
        return [p | norm_params(c) for p, c in zip(convs, norms(outputs, wide), strict=True)]

    def residual(params: Any, batch_stats: Any, x: Any, stride: int) -> Any:
        (expand, depthwise, project), (s1, s2, s3) = params, batch_stats
        y = jax.nn.relu6(batch_norm(expand, s1, conv(expand, x)))
        y = conv(depthwise, y, stride, padding=1, groups=y.shape[-1])
        y = jax.nn.relu6(batch_norm(depthwise, s2, y))
        y = batch_norm(project, s3, conv(project, y))
        return x + y if x.shape == y.shape else y

    def model(params: Any, batch_stats: Any, x: Any) -> Any:
        for p, s, stride in zip(params, batch_stats, (1, 2), strict=True):
            x = residual(p, s, x, stride)
        return x

    params = [block(16, 96, 16), block(16, 96, 24)]
    stats = [[statistics(c) for c in norms(channels, 96)] for channels in (16, 24)]
    return model, [params, stats, (1, 28, 28, 16)]


def inception() -> Built:
    params = [
        [conv_params(1, 192, 64)], [conv_params(1, 192, 96), conv_params(3, 96, 128)],
        [conv_params(1, 192, 16), conv_params(5, 16, 32)], [conv_params(1, 192, 32)],
    ]  # fmt: skip

    def branch(params: Sequence[Any], x: Any) -> Any:
        for p in params:
            x = jax.nn.relu(conv(p, x, padding=p["w"].shape[0] // 2))
        return x

    def model(params: Any, x: Any) -> Any:
        *convolved, pooled = params
        parts = [branch(p, x) for p in convolved]
        return jnp.concatenate([*parts, branch(pooled, max_pool(x, 3, 1, 1))], axis=-1)

    return model, [params, (1, 14, 14, 192)]


def generator() -> Built:
    params = {
        "dense": weights(100, 4 * 4 * 64), "norm1": norm_params(64),
        "up1": conv_params(4, 64, 32, bias=False), "norm2": norm_params(32), "up2": conv_params(4, 32, 3),
    }  # fmt: skip

    def model(params: Any, batch_stats: Any, z: Any) -> Any:
        x = (z @ params["dense"]).reshape(-1, 4, 4, 64)
        x = jax.nn.relu(batch_norm(params["norm1"], batch_stats["norm1"], x))
        x = deconv(params["up1"], x, 2, 1)
        x = jax.nn.relu(batch_norm(params["norm2"], batch_stats["norm2"], x))
        return jnp.tanh(deconv(params["up2"], x, 2, 1))

    return model, [params, {"norm1": statistics(64), "norm2": statistics(32)}, (2, 100)]


def grouped_deconvolution() -> Built:
    params = {"up": conv_params(4, 16, 32, groups=4), "conv": conv_params(3, 32, 8, groups=4)}

    def model(params: Any, x: Any) -> Any:
        return conv(params["conv"], jax.nn.relu(deconv(params["up"], x, 2, 1, groups=4)), padding=1, groups=4)

    return model, [params, (1, 8, 8, 16)]


def fcn_head() -> Built:
    """Dropout is not there: a function for inference does not have it."""
    params = {
        "conv": conv_params(3, 64, 128), "classes": conv_params(1, 128, 21), "skip": conv_params(1, 32, 21),
        "twice": conv_params(4, 21, 21, bias=False), "image": conv_params(16, 21, 21, bias=False),
    }  # fmt: skip

    def model(params: Any, x: Any, skip: Any) -> Any:
        x = conv(params["classes"], jax.nn.relu(conv(params["conv"], x, padding=1)))
        x = deconv(params["twice"], x, 2, 1) + conv(params["skip"], skip)
        return deconv(params["image"], x, 8, 4)

    return model, [params, (1, 12, 12, 64), (1, 24, 24, 32)]


def bilstm() -> Built:
    def cell_params(inputs: int, units: int) -> dict[str, jax.Array]:
        return {"wx": weights(inputs, 4 * units), "wh": weights(units, 4 * units), "b": weights(4 * units)}

    def lstm(p: Any, xs: Any, reverse: bool) -> Any:
        def step(state: Any, x: Any) -> Any:
            c, h = state
            i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (c, h), h

        zeros = jnp.zeros((xs.shape[1], p["wh"].shape[0]))
        return lax.scan(step, (zeros, zeros), xs, reverse=reverse)[1]

    def model(params: Any, x: Any) -> Any:
        xs = x.swapaxes(0, 1)
        for forward, backward in params["layers"]:
            xs = jnp.concatenate([lstm(forward, xs, False), lstm(backward, xs, True)], axis=-1)
        return dense(params["head"], xs.swapaxes(0, 1))

    layers = [[cell_params(inputs, 64) for _ in range(2)] for inputs in (40, 128)]
    return model, [{"layers": layers, "head": dense_params(128, 10)}, (2, 12, 40)]


def gru() -> Built:
    """As Cho et al. have it: the state is reset before its product, and every gate has one bias."""
    params = {
        "wx": weights(32, 3 * 48), "wh": weights(48, 2 * 48), "wn": weights(48, 48), "b": weights(3 * 48),
        "head": dense_params(48, 5),
    }  # fmt: skip

    def model(params: Any, x: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            gates, new = jnp.split(x @ params["wx"] + params["b"], [2 * 48], axis=-1)
            r, z = jnp.split(jax.nn.sigmoid(gates + h @ params["wh"]), 2, axis=-1)
            n = jnp.tanh(new + (r * h) @ params["wn"])
            return (1 - z) * n + z * h, None

        h, _ = lax.scan(step, jnp.zeros((x.shape[0], 48)), x.swapaxes(0, 1))
        return dense(params["head"], h)

    return model, [params, (2, 15, 32)]


def transformer_encoder() -> Built:
    def layer_params() -> dict[str, Any]:
        heads = {name: {"w": weights(64, 4, 16), "b": weights(4, 16)} for name in "qkv"}
        return heads | {
            "out": {"w": weights(4, 16, 64), "b": weights(64)},
            "norm1": norm_params(64), "wide": dense_params(64, 128), "narrow": dense_params(128, 64),
            "norm2": norm_params(64),
        }  # fmt: skip

    def attention(p: Any, x: Any) -> Any:
        q, k, v = (jnp.einsum("nlc,chd->nlhd", x, p[name]["w"]) + p[name]["b"] for name in "qkv")
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(q.shape[-1])
        y = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
        return jnp.einsum("nlhd,hdc->nlc", y, p["out"]["w"]) + p["out"]["b"]

    def model(params: Any, x: Any) -> Any:
        for p in params:
            x = layer_norm(p["norm1"], x + attention(p, x))
            x = layer_norm(p["norm2"], x + dense(p["narrow"], jax.nn.relu(dense(p["wide"], x))))
        return x

    return model, [[layer_params() for _ in range(2)], (2, 16, 64)]


def mlp_mixer() -> Built:
    def block_params() -> dict[str, Any]:
        return {
            "norm1": norm_params(64), "tokens": [dense_params(64, 32), dense_params(32, 64)],
            "norm2": norm_params(64), "channels": [dense_params(64, 128), dense_params(128, 64)],
        }  # fmt: skip

    def mlp(params: Any, x: Any) -> Any:
        wide, narrow = params
        return dense(narrow, gelu(dense(wide, x)))

    def model(params: Any, x: Any) -> Any:
        x = conv(params["patches"], x, stride=4)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        for p in params["blocks"]:
            x = x + mlp(p["tokens"], layer_norm(p["norm1"], x).swapaxes(1, 2)).swapaxes(1, 2)
            x = x + mlp(p["channels"], layer_norm(p["norm2"], x))
        return dense(params["head"], layer_norm(params["norm"], x).mean(1))

    params = {
        "patches": conv_params(4, 3, 64), "blocks": [block_params() for _ in range(2)], "norm": norm_params(64),
        "head": dense_params(64, 10),
    }  # fmt: skip
    return model, [params, (1, 32, 32, 3)]


def conv3d() -> Built:
    params = {
        "conv1": conv_params(3, 1, 8, rank=3),
        "conv2": conv_params(3, 8, 16, rank=3),
        "head": dense_params(16, 5),
    }

    def model(params: Any, x: Any) -> Any:
        x = max_pool(jax.nn.relu(conv(params["conv1"], x, padding=1)), 2, 2)
        x = jax.nn.relu(conv(params["conv2"], x, padding=1))
        return dense(params["head"], x.mean((1, 2, 3)))

    return model, [params, (1, 8, 32, 32, 1)]


def speech() -> Built:
    params = {
        "conv1": conv_params(5, 40, 64, rank=1, bias=False), "norm1": norm_params(64),
        "depthwise": conv_params(9, 64, 64, groups=64, rank=1, bias=False),
        "pointwise": conv_params(1, 64, 128, rank=1, bias=False), "norm2": norm_params(128),
        "dilated": conv_params(3, 128, 128, rank=1), "head": dense_params(128, 12),
    }  # fmt: skip

    def model(params: Any, batch_stats: Any, x: Any) -> Any:
        x = conv(params["conv1"], x, padding=2)
        x = jax.nn.relu(batch_norm(params["norm1"], batch_stats["norm1"], x))
        x = conv(params["pointwise"], conv(params["depthwise"], x, padding=4, groups=64))
        x = jax.nn.relu(batch_norm(params["norm2"], batch_stats["norm2"], x))
        x = jax.nn.relu(conv(params["dilated"], x, padding=2, dilation=2))
        return dense(params["head"], x.mean(1))

    return model, [params, {"norm1": statistics(64), "norm2": statistics(128)}, (1, 100, 40)]


NETWORKS: dict[str, Callable[[], Built]] = {
    build.__name__: build
    for build in (
        lenet, resnet_stack, mobilenetv2_block, inception, generator, grouped_deconvolution, fcn_head, bilstm, gru,
        transformer_encoder, mlp_mixer, conv3d, speech,
    )
}  # fmt: skip
