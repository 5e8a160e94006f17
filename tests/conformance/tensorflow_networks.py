"""The conformance networks in raw TensorFlow, as `tf.Module`s whose call is a `tf.function`; channels last.

Nothing of Keras: `tf.nn`, products of matrices, loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Built = tuple[tf.Module, Any]


def _spec(*shape: int) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32)


def _variable(*shape: int, name: str) -> tf.Variable:
    return tf.Variable(tf.random.truncated_normal(shape, stddev=0.1), name=name)


class Conv(tf.Module):
    """A convolution in one, two or three dimensions; one of fewer input channels than there are has groups."""

    def __init__(self, c: int, channels: int, *kernel: int, stride: int = 1, dilation: int = 1, bias: bool = True):
        super().__init__()
        self.w = _variable(*kernel, c, channels, name="w")
        self.b = tf.Variable(tf.zeros(channels), name="b") if bias else None
        self.stride, self.dilation = stride, dilation
        self.convolution = {1: tf.nn.conv1d, 2: tf.nn.conv2d, 3: _conv3d}[len(kernel)]

    def __call__(self, x: tf.Tensor, padding: str = "SAME") -> tf.Tensor:
        y = self.convolution(x, self.w, self.stride, padding, dilations=self.dilation)
        return y if self.b is None else tf.nn.bias_add(y, self.b)


def _conv3d(x: tf.Tensor, w: tf.Variable, stride: int, padding: str, dilations: int) -> tf.Tensor:
    return tf.nn.conv3d(
        x, w, [1, stride, stride, stride, 1], padding, dilations=[1, dilations, dilations, dilations, 1]
    )


class Depthwise(tf.Module):
    """Over images, or over sequences as images of one row."""

    def __init__(self, c: int, *kernel: int, stride: int = 1):
        super().__init__()
        self.w = _variable(*kernel, c, 1, name="w")
        self.stride = stride

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.depthwise_conv2d(x, self.w, [1, self.stride, self.stride, 1], "SAME")


class Deconv(tf.Module):
    def __init__(self, c: int, channels: int, kernel: int, stride: int, bias: bool = True):
        super().__init__()
        self.w = _variable(kernel, kernel, channels, c, name="w")
        self.b = tf.Variable(tf.zeros(channels), name="b") if bias else None
        self.stride = stride

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        n, height, width, _ = x.shape
        shape = [n, height * self.stride, width * self.stride, self.w.shape[2]]
        y = tf.nn.conv2d_transpose(x, self.w, shape, self.stride)
        return y if self.b is None else tf.nn.bias_add(y, self.b)


class GroupedDeconv(tf.Module):
    """TensorFlow has no grouped deconvolution: each group is one, on its share of the channels."""

    def __init__(self, c: int, channels: int, kernel: int, stride: int, groups: int):
        super().__init__()
        self.parts = [Deconv(c // groups, channels // groups, kernel, stride) for _ in range(groups)]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        pieces = tf.split(x, len(self.parts), axis=-1)
        return tf.concat([part(piece) for part, piece in zip(self.parts, pieces, strict=True)], axis=-1)


class BatchNorm(tf.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.gamma = tf.Variable(tf.ones(channels), name="gamma")
        self.beta = tf.Variable(tf.zeros(channels), name="beta")
        self.mean = tf.Variable(tf.zeros(channels), trainable=False, name="moving_mean")
        self.variance = tf.Variable(tf.ones(channels), trainable=False, name="moving_variance")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.batch_normalization(x, self.mean, self.variance, self.beta, self.gamma, 1e-3)


class LayerNorm(tf.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.gamma = tf.Variable(tf.ones(channels), name="gamma")
        self.beta = tf.Variable(tf.zeros(channels), name="beta")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, self.beta, self.gamma, 1e-6)


class Dense(tf.Module):
    """On whatever comes before the last dimension."""

    def __init__(self, c: int, channels: int, bias: bool = True):
        super().__init__()
        self.w = _variable(c, channels, name="w")
        self.b = tf.Variable(tf.zeros(channels), name="b") if bias else None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        y = tf.matmul(x, self.w) if x.shape.rank == 2 else tf.tensordot(x, self.w, 1)
        return y if self.b is None else y + self.b


class Network(tf.Module):
    """Its parts by name, and what they compute together."""

    def __init__(self, name: str, call: Callable[..., tf.Tensor], *inputs: tf.TensorSpec, **parts: Any):
        super().__init__(name=name)
        self.parts = parts
        # the loops are written as such, so the code need not be read for others
        self.function = tf.function(lambda *tensors: call(*tensors, **parts), input_signature=inputs, autograph=False)

    def __call__(self, *tensors: tf.Tensor) -> tf.Tensor:
        return self.function(*tensors)


def lenet() -> Built:
    def call(x: tf.Tensor, c1: Conv, c2: Conv, f1: Dense, f2: Dense, f3: Dense) -> tf.Tensor:
        x = tf.nn.avg_pool2d(tf.tanh(c1(x)), 2, 2, "VALID")
        x = tf.nn.avg_pool2d(tf.tanh(c2(x, "VALID")), 2, 2, "VALID")
        x = tf.reshape(x, [x.shape[0], -1])
        return f3(tf.tanh(f2(tf.tanh(f1(x)))))

    parts = {"c1": Conv(1, 6, 5, 5), "c2": Conv(6, 16, 5, 5)}
    parts |= {"f1": Dense(400, 120), "f2": Dense(120, 84), "f3": Dense(84, 10)}
    return Network("lenet", call, _spec(1, 28, 28, 1), **parts), (1, 28, 28, 1)


class BasicBlock(tf.Module):
    def __init__(self, c: int, channels: int, stride: int):
        super().__init__()
        self.c1, self.n1 = Conv(c, channels, 3, 3, stride=stride, bias=False), BatchNorm(channels)
        self.c2, self.n2 = Conv(channels, channels, 3, 3, bias=False), BatchNorm(channels)
        if stride > 1:
            self.c3, self.n3 = Conv(c, channels, 1, 1, stride=stride, bias=False), BatchNorm(channels)
        self.stride = stride

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        y = self.n2(self.c2(tf.nn.relu(self.n1(self.c1(x)))))
        return tf.nn.relu(y + (self.n3(self.c3(x)) if self.stride > 1 else x))


def resnet_stack() -> Built:
    def call(x: tf.Tensor, stem: Conv, norm: BatchNorm, b1: BasicBlock, b2: BasicBlock, head: Dense) -> tf.Tensor:
        x = b2(b1(tf.nn.relu(norm(stem(x)))))
        return head(tf.reduce_mean(x, axis=[1, 2]))

    stem = {"stem": Conv(3, 16, 3, 3, bias=False), "norm": BatchNorm(16)}
    blocks = {"b1": BasicBlock(16, 16, 1), "b2": BasicBlock(16, 32, 2)}
    net = Network("resnet_stack", call, _spec(2, 32, 32, 3), **stem, **blocks, head=Dense(32, 10))
    return net, (2, 32, 32, 3)


class InvertedResidual(tf.Module):
    def __init__(self, c: int, channels: int, stride: int):
        super().__init__()
        self.expand, self.n1 = Conv(c, 6 * c, 1, 1, bias=False), BatchNorm(6 * c)
        self.depthwise, self.n2 = Depthwise(6 * c, 3, 3, stride=stride), BatchNorm(6 * c)
        self.project, self.n3 = Conv(6 * c, channels, 1, 1, bias=False), BatchNorm(channels)
        self.residual = stride == 1

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.relu6(self.n1(self.expand(x)))
        y = tf.nn.relu6(self.n2(self.depthwise(y)))
        y = self.n3(self.project(y))
        return x + y if self.residual else y


def mobilenetv2_block() -> Built:
    def call(x: tf.Tensor, a: InvertedResidual, b: InvertedResidual) -> tf.Tensor:
        return b(a(x))

    parts = {"a": InvertedResidual(16, 16, 1), "b": InvertedResidual(16, 24, 2)}
    return Network("mobilenetv2_block", call, _spec(1, 28, 28, 16), **parts), (1, 28, 28, 16)


def inception() -> Built:
    def call(x: tf.Tensor, **convs: Conv) -> tf.Tensor:
        def branch(x: tf.Tensor, *names: str) -> tf.Tensor:
            for name in names:
                x = tf.nn.relu(convs[name](x))
            return x

        pooled = tf.nn.max_pool2d(x, 3, 1, "SAME")
        branches = [branch(x, "a"), branch(x, "b1", "b2"), branch(x, "c1", "c2"), branch(pooled, "d")]
        return tf.concat(branches, axis=-1)

    convs = {
        "a": Conv(192, 64, 1, 1), "b1": Conv(192, 96, 1, 1), "b2": Conv(96, 128, 3, 3),
        "c1": Conv(192, 16, 1, 1), "c2": Conv(16, 32, 5, 5), "d": Conv(192, 32, 1, 1),
    }  # fmt: skip
    return Network("inception", call, _spec(1, 14, 14, 192), **convs), (1, 14, 14, 192)


def generator() -> Built:
    def call(z: tf.Tensor, dense: Dense, n1: BatchNorm, up1: Deconv, n2: BatchNorm, up2: Deconv) -> tf.Tensor:
        x = tf.nn.relu(n1(tf.reshape(dense(z), [-1, 4, 4, 64])))
        return tf.tanh(up2(tf.nn.relu(n2(up1(x)))))

    parts = {"dense": Dense(100, 4 * 4 * 64, bias=False), "n1": BatchNorm(64)}
    parts |= {"up1": Deconv(64, 32, 4, 2, bias=False), "n2": BatchNorm(32), "up2": Deconv(32, 3, 4, 2)}
    return Network("generator", call, _spec(2, 100), **parts), (2, 100)


def grouped_deconvolution() -> Built:
    def call(x: tf.Tensor, up: GroupedDeconv, smooth: Conv) -> tf.Tensor:
        return smooth(tf.nn.relu(up(x)))

    parts = {"up": GroupedDeconv(16, 32, 4, 2, groups=4), "smooth": Conv(32 // 4, 8, 3, 3)}
    return Network("grouped_deconvolution", call, _spec(1, 8, 8, 16), **parts), (1, 8, 8, 16)


def fcn_head() -> Built:
    def call(x: tf.Tensor, skip: tf.Tensor, body: Conv, score: Conv, up1: Deconv, side: Conv, up2: Deconv) -> tf.Tensor:
        x = score(tf.nn.relu(body(x)))  # the dropout between them is for training alone
        return up2(up1(x) + side(skip))

    parts = {"body": Conv(64, 128, 3, 3), "score": Conv(128, 21, 1, 1), "up1": Deconv(21, 21, 4, 2, bias=False)}
    parts |= {"side": Conv(32, 21, 1, 1), "up2": Deconv(21, 21, 16, 8, bias=False)}
    net = Network("fcn_head", call, _spec(1, 12, 12, 64), _spec(1, 24, 24, 32), **parts)
    return net, [(1, 12, 12, 64), (1, 24, 24, 32)]


class LSTM(tf.Module):
    """One direction, as a loop over the steps; one product for the input and one for the state, one bias."""

    def __init__(self, c: int, units: int, reverse: bool = False):
        super().__init__()
        self.kernel = _variable(c, 4 * units, name="kernel")
        self.recurrent = _variable(units, 4 * units, name="recurrent")
        self.b = tf.Variable(tf.zeros(4 * units), name="b")
        self.units, self.reverse = units, reverse

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        n, steps, _ = x.shape
        outer = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(x, [1, 0, 2]))
        results = tf.TensorArray(tf.float32, steps, element_shape=(n, self.units))

        def step(t: Any, h: tf.Tensor, c: tf.Tensor, results: tf.TensorArray) -> Any:
            place = steps - 1 - t if self.reverse else t
            gates = tf.matmul(outer.read(place), self.kernel) + tf.matmul(h, self.recurrent) + self.b
            i, f, g, o = tf.split(gates, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return t + 1, h, c, results.write(place, h)

        zeros = tf.zeros((n, self.units))
        *_, results = tf.while_loop(lambda t, *_: t < steps, step, (0, zeros, zeros, results))
        return tf.transpose(results.stack(), [1, 0, 2])


def bilstm() -> Built:
    def call(x: tf.Tensor, pairs: list[tuple[LSTM, LSTM]], head: Dense) -> tf.Tensor:
        for forward, backward in pairs:
            x = tf.concat([forward(x), backward(x)], axis=-1)
        return head(x)

    pairs = [(LSTM(c, 64), LSTM(c, 64, reverse=True)) for c in (40, 2 * 64)]
    return Network("bilstm", call, _spec(2, 12, 40), pairs=pairs, head=Dense(2 * 64, 10)), (2, 12, 40)


class GRU(tf.Module):
    """Written out over the steps of a tensor that is known to have so many; resets before the product."""

    def __init__(self, c: int, units: int):
        super().__init__()
        self.gates, self.candidate = Dense(c + units, 2 * units), Dense(c + units, units)
        self.units = units

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        h = tf.zeros((x.shape[0], self.units))
        for x_t in tf.unstack(x, axis=1):
            r, z = tf.split(tf.sigmoid(self.gates(tf.concat([x_t, h], axis=1))), 2, axis=1)
            new = tf.tanh(self.candidate(tf.concat([x_t, r * h], axis=1)))
            h = z * h + (1.0 - z) * new
        return h


def gru() -> Built:
    def call(x: tf.Tensor, cell: GRU, head: Dense) -> tf.Tensor:
        return head(cell(x))

    return Network("gru", call, _spec(2, 15, 32), cell=GRU(32, 48), head=Dense(48, 5)), (2, 15, 32)


class EncoderLayer(tf.Module):
    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.q, self.k, self.v, self.out = (Dense(width, width) for _ in range(4))
        self.up, self.down = Dense(width, inner), Dense(inner, width)
        self.n1, self.n2 = LayerNorm(width), LayerNorm(width)
        self.heads = heads

    def attention(self, x: tf.Tensor) -> tf.Tensor:
        n, length, width = x.shape
        depth = width // self.heads
        q, k, v = (tf.reshape(part(x), [n, length, self.heads, depth]) for part in (self.q, self.k, self.v))
        scores = tf.nn.softmax(tf.einsum("nqhd,nkhd->nhqk", q, k) / depth**0.5)
        return self.out(tf.reshape(tf.einsum("nhqk,nkhd->nqhd", scores, v), [n, length, width]))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        x = self.n1(x + self.attention(x))
        return self.n2(x + self.down(tf.nn.relu(self.up(x))))


def transformer_encoder() -> Built:
    def call(x: tf.Tensor, layers: list[EncoderLayer]) -> tf.Tensor:
        for layer in layers:
            x = layer(x)
        return x

    layers = [EncoderLayer(64, 4, 128) for _ in range(2)]
    return Network("transformer_encoder", call, _spec(2, 16, 64), layers=layers), (2, 16, 64)


class MixerBlock(tf.Module):
    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.n1, self.t1, self.t2 = LayerNorm(width), Dense(tokens, 32), Dense(32, tokens)
        self.n2, self.c1, self.c2 = LayerNorm(width), Dense(width, 128), Dense(128, width)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        mixed = tf.transpose(self.n1(x), [0, 2, 1])
        mixed = self.t2(tf.nn.gelu(self.t1(mixed)))
        x = x + tf.transpose(mixed, [0, 2, 1])
        return x + self.c2(tf.nn.gelu(self.c1(self.n2(x))))


def mlp_mixer() -> Built:
    def call(x: tf.Tensor, stem: Conv, blocks: list[MixerBlock], norm: LayerNorm, head: Dense) -> tf.Tensor:
        x = tf.reshape(stem(x, "VALID"), [x.shape[0], 64, 64])
        for block in blocks:
            x = block(x)
        return head(tf.reduce_mean(norm(x), axis=1))

    parts = {"stem": Conv(3, 64, 4, 4, stride=4), "blocks": [MixerBlock(64, 64) for _ in range(2)]}
    return Network("mlp_mixer", call, _spec(1, 32, 32, 3), **parts, norm=LayerNorm(64), head=Dense(64, 10)), (
        1,
        32,
        32,
        3,
    )


def conv3d() -> Built:
    def call(x: tf.Tensor, c1: Conv, c2: Conv, head: Dense) -> tf.Tensor:
        x = tf.nn.max_pool3d(tf.nn.relu(c1(x)), 2, 2, "VALID")
        return head(tf.reduce_mean(tf.nn.relu(c2(x)), axis=[1, 2, 3]))

    parts = {"c1": Conv(1, 8, 3, 3, 3), "c2": Conv(8, 16, 3, 3, 3), "head": Dense(16, 5)}
    return Network("conv3d", call, _spec(1, 8, 32, 32, 1), **parts), (1, 8, 32, 32, 1)


def speech() -> Built:
    def call(
        x: tf.Tensor, c1: Conv, n1: BatchNorm, dw: Depthwise, pw: Conv, n2: BatchNorm, c2: Conv, head: Dense
    ) -> tf.Tensor:
        x = tf.nn.relu(n1(c1(x)))
        x = tf.squeeze(dw(tf.expand_dims(x, 1)), 1)
        x = tf.nn.relu(n2(pw(x)))
        x = tf.nn.relu(c2(x))
        return head(tf.reduce_mean(x, axis=1))

    parts = {"c1": Conv(40, 64, 5, bias=False), "n1": BatchNorm(64), "dw": Depthwise(64, 1, 9)}
    parts |= {"pw": Conv(64, 128, 1, bias=False), "n2": BatchNorm(128), "c2": Conv(128, 128, 3, dilation=2)}
    return Network("speech", call, _spec(1, 100, 40), **parts, head=Dense(128, 12)), (1, 100, 40)


NETWORKS: dict[str, Callable[[], Built]] = {
    build.__name__: build
    for build in (
        lenet, resnet_stack, mobilenetv2_block, inception, generator, grouped_deconvolution, fcn_head, bilstm, gru,
        transformer_encoder, mlp_mixer, conv3d, speech,
    )
}  # fmt: skip
CANNOT: dict[str, str] = {}
