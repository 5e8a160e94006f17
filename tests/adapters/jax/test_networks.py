"""Whole networks in Flax against the figures of COUNTING.md and closed forms: the same nets as in other frameworks."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride), 1×1, around a shortcut."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        conv = partial(nn.Conv, use_bias=False)
        norm = partial(nn.BatchNorm, use_running_average=True)
        out = 4 * self.width
        y = nn.relu(norm()(conv(self.width, (1, 1))(x)))
        y = nn.relu(norm()(conv(self.width, (3, 3), strides=self.stride, padding=1)(y)))
        y = norm()(conv(out, (1, 1))(y))
        if x.shape != y.shape:
            x = norm(name="shortcut_norm")(conv(out, (1, 1), strides=self.stride, name="shortcut")(x))
        return nn.relu(x + y)


class ResNet50(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(64, (7, 7), strides=2, padding=3, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=True)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            for block in range(blocks):
                x = Bottleneck(width, 2 if stage and not block else 1)(x)
        return nn.Dense(1000)(x.mean((1, 2)))


def test_resnet50_has_the_figures_of_every_other_framework(analyze: Any) -> None:
    report = analyze(ResNet50(), (1, 224, 224, 3))
    assert report.macs == 4_089_184_256
    assert report.params == 25_557_032
    # 53 norms of a mean and a variance a channel: 64 + Σ over the stages of blocks·(w + w + 4w) + the four shortcuts
    channels = 64 + sum(n * 6 * w + 4 * w for w, n in ((64, 3), (128, 4), (256, 6), (512, 3)))
    assert sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == "buffer") == 2 * channels
    # 2·macs + folded norms' biases + ReLU + residual adds + max-pool + average pool + bias: COUNTING.md adds it up
    assert report.flops == 8_206_317_544
    assert report.unsupported() == {}
    assert report.peak_bytes == 9_633_792


def test_resnet50_scopes_are_module_paths(analyze: Any) -> None:
    report = analyze(ResNet50(), (1, 224, 224, 3))
    macs = {path: total.macs for path, total in report.by_scope(1).items()}
    assert macs["Conv_0"] == 118_013_952  # the 7×7/2 stem of COUNTING.md
    assert macs["Dense_0"] == 2048 * 1000
    assert len([path for path in macs if path.startswith("Bottleneck_")]) == 16
    assert report.graph.metadata["modules"]["Bottleneck_0.Conv_0"] == "flax.linen.linear.Conv"


class Encoder(nn.Module):
    """A transformer encoder layer, before-norm, with biases."""

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x: Any, mask: Any = None) -> Any:
        y = nn.MultiHeadDotProductAttention(self.heads, deterministic=True)(nn.LayerNorm()(x), mask=mask)
        x = x + y
        y = nn.Dense(self.hidden)(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(y))


def test_transformer_encoder_layer(analyze: Any) -> None:
    length, width, hidden = 16, 32, 128
    report = analyze(Encoder(4, hidden), (2, length, width))
    projections = 4 * 2 * length * width * width
    attention = 2 * 2 * length * length * width  # q·kᵀ and the weighted sum, whatever the number of heads
    feed_forward = 2 * 2 * length * width * hidden
    assert report.macs == projections + attention + feed_forward
    assert report.params == 4 * (width * width + width) + 2 * width * hidden + hidden + width + 2 * 2 * width
    ops = [layer.op for layer in report.graph.layers]
    assert ops.count("linear") == 6
    assert ops.count("layer_norm") == 2
    assert ops.count("softmax") == 1
    assert report.unsupported() == {}


def test_lstm_by_scan_costs_what_the_layer_costs(analyze: Any) -> None:
    """128 → 256, 2 layers, both directions, T = 50: 117,964,800 macs (COUNTING.md)."""

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            for _ in range(2):
                x = nn.Bidirectional(nn.RNN(nn.OptimizedLSTMCell(256)), nn.RNN(nn.OptimizedLSTMCell(256)))(x)
            return x

    report = analyze(Stack(), (1, 50, 128))
    assert report.macs == 117_964_800
    loops = [region for region in report.graph.regions.values() if region.kind == "loop"]
    assert [region.trips for region in loops] == [50] * 4
    assert all(region.stateful for region in loops)
    # the gates have one bias here, on the recurrent product
    assert report.params == 2 * (128 * 1024 + 256 * 1024 + 1024) + 2 * (512 * 1024 + 256 * 1024 + 1024)


def test_gru_by_scan(analyze: Any) -> None:
    report = analyze(nn.RNN(nn.GRUCell(128)), (1, 50, 128))
    assert report.macs == 50 * 3 * 128 * (128 + 128)


def test_nnx_module_equals_its_linen_twin(analyze: Any) -> None:
    class Linen(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Conv(8, (3, 3))(x)
            x = nn.relu(nn.BatchNorm(use_running_average=True)(x))
            return nn.Dense(10)(nn.avg_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1))

    class Nnx(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
            self.norm = nnx.BatchNorm(8, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)
            self.head = nnx.Linear(8 * 4 * 4, 10, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = nnx.relu(self.norm(self.conv(x)))
            x = nnx.avg_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1)
            return self.head(self.drop(x))

    linen, other = analyze(Linen(), (2, 8, 8, 3)), analyze(Nnx(nnx.Rngs(0)), (2, 8, 8, 3))
    assert linen.macs == other.macs == 2 * 8 * 8 * 8 * 9 * 3 + 2 * 128 * 10
    assert linen.flops == other.flops
    assert linen.params == other.params
    assert [layer.op for layer in linen.graph.layers] == [layer.op for layer in other.graph.layers]
    assert set(other.by_scope(1)) >= {"conv", "norm", "head"}
    kinds = {name: p.kind for name, p in other.graph.parameters.items()}
    assert kinds["conv/kernel"] == "parameter"
    assert kinds["norm/mean"] == kinds["norm/var"] == "buffer"
    assert {kind for name, kind in kinds.items() if name.startswith("drop/rngs/")} == {"constant"}


def test_deconvolutional_generator(analyze: Any) -> None:
    """Each step meets every input element with K·C_o products; the stride is no factor."""

    class Generator(nn.Module):
        @nn.compact
        def __call__(self, z: Any) -> Any:
            x = nn.Dense(4 * 4 * 64)(z).reshape(z.shape[0], 4, 4, 64)
            for channels in (32, 16, 3):
                x = nn.ConvTranspose(channels, (4, 4), (2, 2), padding="SAME")(nn.relu(x))
            return jnp.tanh(x)

    report = analyze(Generator(), (1, 100))
    steps = [(4 * 4 * 64, 32), (8 * 8 * 32, 16), (16 * 16 * 16, 3)]
    assert report.macs == 100 * 1024 + sum(x * 16 * channels for x, channels in steps)
    assert [layer.op for layer in report.graph.layers].count("conv_transpose") == 3


def test_mlp_of_tuples(analyze: Any) -> None:
    """The MLP of JAX's own tutorial: a list of pairs as parameters."""

    def predict(params: Any, image: Any) -> Any:
        for w, b in params[:-1]:
            image = jax.nn.relu(w @ image + b)
        w, b = params[-1]
        return jax.nn.log_softmax(w @ image + b)

    sizes = (784, 512, 512, 10)
    params = [(jnp.zeros((m, n)), jnp.zeros((m,))) for n, m in pairwise(sizes)]
    report = analyze(predict, [params, (784,)])
    weights = 784 * 512 + 512 * 512 + 512 * 10
    assert report.macs == weights
    assert report.params == weights + 512 + 512 + 10
    batched = analyze(jax.vmap(predict, in_axes=(None, 0)), [params, (32, 784)])
    assert batched.macs == 32 * weights
