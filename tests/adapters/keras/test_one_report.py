"""One network is one report on every backend: the same numbers and the same layers, by hand.

Each backend has an environment of its own, in which this runs: all meet the same hand-written numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]


@dataclass
class Net:
    """A network and what is known of it: layers as ``op@scope``, and numbers with their arithmetic."""

    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    layers: str
    macs: int
    others: int  # FLOPs beside the two of a multiply-add
    peak: int | None = None  # in elements of float32


def images(x: Any) -> Any:
    """Convolutions with biases and without, norms that fold, a residual, all paddings that differ by side."""
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.BatchNormalization(name="norm2")(y)
    y = layers.Activation("relu6", name="relu2")(y)
    y = layers.Conv2D(8, 1, use_bias=False, name="pointwise")(y)
    y = layers.BatchNormalization(name="norm3")(y)
    x = layers.Add(name="add")([x, y])
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    x = layers.SeparableConv2D(12, 3, activation="relu", name="separable")(x)
    x = layers.AveragePooling2D(2, name="average")(x)
    x = layers.GlobalAveragePooling2D(name="all")(x)
    return layers.Dense(5, activation="softmax", name="head")(x)


def sequences(x: Any) -> Any:
    """One dimension, which TensorFlow has no operations for."""
    x = layers.Conv1D(6, 3, padding="causal", dilation_rate=2, name="causal")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.SeparableConv1D(8, 3, padding="same", name="separable")(x)
    x = layers.MaxPooling1D(2, name="pool")(x)
    x = layers.Conv1DTranspose(4, 4, strides=2, name="up")(x)
    x = layers.Activation("silu", name="silu")(x)
    return layers.AveragePooling1D(3, padding="same", name="average")(x)


def transformer(x: Any) -> Any:
    """Two heads of 4."""
    y = layers.LayerNormalization(name="norm1")(x)
    x = layers.Add(name="add1")([x, layers.MultiHeadAttention(2, 4, name="heads")(y, y)])
    y = layers.LayerNormalization(name="norm2")(x)
    y = layers.Dense(16, activation="gelu", name="wide")(y)
    return layers.Add(name="add2")([x, layers.Dense(8, name="narrow")(y)])


def grouped(x: Any) -> Any:
    x = layers.Conv2D(12, 3, groups=4, padding="same", activation="hard_silu", name="conv")(x)
    x = layers.GroupNormalization(3, name="norm")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Dense(12, activation="sigmoid", name="gate")(gate)
    x = layers.Multiply(name="scale")([x, gate])
    x = layers.UpSampling2D(2, name="nearest")(x)
    return layers.UpSampling2D(2, interpolation="bilinear", name="bilinear")(x)


def volumes(x: Any) -> Any:
    x = layers.Conv3D(4, 3, strides=2, padding="same", name="conv")(x)
    x = layers.BatchNormalization(scale=False, name="norm")(x)
    x = layers.AveragePooling3D(2, name="pool")(x)
    return layers.Conv3DTranspose(2, 2, strides=2, name="up")(x)


def norms(x: Any) -> Any:
    """After an activation nothing folds; over another axis than the last; without one of the factors."""
    x = layers.BatchNormalization(name="norm1")(layers.ReLU(name="relu")(x))
    x = layers.BatchNormalization(axis=1, center=False, name="norm2")(x)
    x = layers.BatchNormalization(center=False, scale=False, name="norm3")(x)
    return layers.RMSNormalization(name="root")(x)


def words(x: Any) -> Any:
    x = layers.Embedding(50, 6, name="table")(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    x = layers.GRU(3, name="gru")(x)
    return layers.Dense(2, name="head")(x)


NETS = {
    "images": Net(
        images, (33, 32, 3),
        "conv@stem batch_norm@norm1 relu@relu1 conv@depthwise batch_norm@norm2 relu6@relu2 conv@pointwise "
        "batch_norm@norm3 add@add max_pool@pool conv@separable conv@separable relu@separable avg_pool@average mean@all "
        "linear@head softmax@head",
        # 17×16×8 = 2176 elements up to the pool, 9×8×8 after it, 7×6×8 and 7×6×12 of the separable one
        2176 * (27 + 9 + 8) + 7 * 6 * 8 * 9 + 7 * 6 * 12 * 8 + 12 * 5,
        # stem: bias (its norm folds into it), relu; the folded norms' shifts; relu6; residual; 8 comparisons a pool
        2176 * (1 + 1 + 2 + 2 + 1) + 576 * 8
        # bias and relu; 3 additions and a division; the mean of 3×3; bias and softmax of 5
        + 7 * 6 * 12 * 2 + 3 * 3 * 12 * 4 + 12 * 9 + 5 + 23,
        3 * 2176,  # the residual's input beside the input and the output of a convolution
    ),
    "sequences": Net(
        sequences, (16, 5),
        "pad@causal conv@causal batch_norm@norm conv@separable conv@separable max_pool@pool conv_transpose@up "
        "silu@silu avg_pool@average",
        16 * 6 * 3 * 5 + 16 * 6 * 3 + 16 * 8 * 6 + 8 * 8 * 4 * 4,  # the transposed one by its input: 8 of 8 channels
        # biases; one comparison a pool; 8·2 + 2 = 18 rows of 4: bias and silu, 5; windows of 3 with stride 3: 6 rows
        16 * 6 + 16 * 8 + 8 * 8 * 1 + 18 * 4 * (1 + 5) + 6 * 4 * 3,
    ),
    "transformer": Net(
        transformer, (6, 8),
        "layer_norm@norm1 linear@heads.query linear@heads.key linear@heads.value attention@heads "
        "linear@heads.attention_output add@add1 layer_norm@norm2 linear@wide gelu@wide linear@narrow add@add2",
        4 * 6 * 8 * 8 + 2 * 6 * 6 * (4 + 4) + 2 * 6 * 8 * 16,
        # a norm of 8 is 31 additions, 24 products, 2 divisions, 1 root; a softmax of 6 is 5 + 6 + 6 + 5 + 6
        2 * 6 * 58 + 4 * 48 + 2 * 36 + 12 * 28 + 96 + 96 * 5 + 48 + 2 * 48,
    ),
    "grouped": Net(
        grouped, (6, 6, 8),
        "conv@conv hard_swish@conv group_norm@norm mean@squeeze linear@gate sigmoid@gate mul@scale repeat@nearest "
        "repeat@nearest resize@bilinear",
        36 * 12 * 9 * 2 + 12 * 12,
        # bias, hard swish 5; a norm of n is 4n − 1 additions, 3n products, 2 divisions, a root: 3 groups of 6·6·4
        36 * 12 * (1 + 5) + 3 * (7 * 144 + 2)
        # the mean of 36, bias and sigmoid 4; the product; three interpolations of 3 for each of 24×24
        + 12 * 36 + 12 * (1 + 4) + 36 * 12 + 24 * 24 * 12 * 9,
    ),
    "volumes": Net(
        volumes, (7, 7, 7, 2),
        "conv@conv batch_norm@norm avg_pool@pool conv_transpose@up",
        4**3 * 4 * 27 * 2 + 2**3 * 4 * 8 * 2,
        4**3 * 4 + 2**3 * 4 * 8 + 4**3 * 2,  # bias (the norm folds into it); 7 additions and a division; bias
        7**3 * 2 + 4**3 * 4,
    ),
    "norms": Net(
        norms, (3, 8),
        "relu@relu batch_norm@norm1 batch_norm@norm2 batch_norm@norm3 rms_norm@root",
        0,
        24 * 1 + 3 * 24 * 2 + 3 * 34,  # a root-mean-square norm of 8: 8 + 7 + 1 + 1 + 1 + 8 + 8
        2 * 24,
    ),
    "words": Net(
        words, (5,),
        "embedding@table lstm@both.forward_lstm lstm@both.backward_lstm flip@both concat@both gru@gru linear@head",
        2 * 5 * 16 * (6 + 4) + 5 * 9 * (8 + 3) + 3 * 2,
        # an LSTM's unit: bias 4, gates 4 + 3·4 + 1, state 3 + 1 + 1; a GRU's: bias 6, gates 3 + 2·4 + 1 + 1, state 4
        2 * 5 * 4 * 26 + 5 * 3 * 23 + 2,
    ),
}  # fmt: skip


VERSION = tuple(int(part) for part in keras.__version__.split(".")[:2])


@pytest.mark.parametrize("name", NETS)
def test_a_network_is_the_same_report_on_every_backend(name: str, analyze: Analyze) -> None:
    if name == "norms" and VERSION < (3, 9):
        pytest.skip("Keras has no RMSNormalization before 3.9")
    keras.utils.clear_session()
    net = NETS[name]
    x = layers.Input(net.shape)
    model = keras.Model(x, net.make(x))
    report = analyze(model, dims={"batch": 1}, strict=True)
    assert report.macs == net.macs
    if name == "transformer" and VERSION < (
        3,
        7,
    ):  # its attention is several of Keras's functions, none of which says so
        return
    found = [f"{row.layer.op}@{row.layer.scope}" for row in report.layers if row.state != "prepared"]
    assert " ".join(found) == net.layers
    assert report.flops == 2 * net.macs + net.others
    assert report.params + report.buffers == model.count_params()
    if net.peak is not None:
        assert report.peak_bytes == 4 * net.peak
