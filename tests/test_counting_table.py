"""Worked numbers: classic layers, blocks and networks by hand, each with its arithmetic written out.

Layers are built by hand, without any framework; the same networks as real models are tested with the adapters.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import pytest

from multiprof.cost import Counts, Formula
from multiprof.formulas import multiprof_formulas
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally, loops

Shape = tuple[int, ...]
FORMULAS: dict[str, Formula] = {op: formula for formula in multiprof_formulas() for op in formula.ops}


def conv(
    c_i: int, c_o: int, k: int | tuple[int, int], out: int | tuple[int, int], *, groups: int = 1, bias: bool = False
) -> Layer:
    """A convolution at batch 1, by its kernel and its output size (the input size is not needed)."""
    kernel = (k, k) if isinstance(k, int) else k
    size = (out, out) if isinstance(out, int) else out
    inputs = {"x": TensorSpec((1, c_i, None, None)), "weight": TensorSpec((c_o, c_i // groups, *kernel))}
    if bias:
        inputs["bias"] = TensorSpec((c_o,))
    attrs = {"kernel_size": kernel, "groups": groups, "in_channels": c_i, "out_channels": c_o}
    return Layer("conv", "conv", inputs, {"y": TensorSpec((1, c_o, *size))}, attrs)


def deconv(c_i: int, c_o: int, k: int, size: tuple[int, int], out: tuple[int, int], groups: int = 1) -> Layer:
    inputs = {"x": TensorSpec((1, c_i, *size)), "weight": TensorSpec((c_i, c_o // groups, k, k))}
    attrs = {"kernel_size": (k, k), "groups": groups, "in_channels": c_i, "out_channels": c_o}
    return Layer("deconv", "conv_transpose", inputs, {"y": TensorSpec((1, c_o, *out))}, attrs)


def linear(in_features: int, out_features: int, rows: int = 1, bias: bool = True) -> Layer:
    inputs = {"x": TensorSpec((rows, in_features)), "weight": TensorSpec((out_features, in_features))}
    if bias:
        inputs["bias"] = TensorSpec((out_features,))
    return Layer("fc", "linear", inputs, {"y": TensorSpec((rows, out_features))}, {"in_features": in_features})


def recurrent(op: str, steps: int, c_i: int, h: int) -> Layer:
    """One direction of one layer, with both biases."""
    gates = {"lstm": 4, "gru": 3}[op]
    inputs = {
        "x": TensorSpec((steps, 1, c_i)),
        "weight_ih": TensorSpec((gates * h, c_i)),
        "weight_hh": TensorSpec((gates * h, h)),
        "bias_ih": TensorSpec((gates * h,)),
        "bias_hh": TensorSpec((gates * h,)),
    }
    attrs = {"steps": steps, "input_size": c_i, "hidden_size": h}
    return Layer(op, op, inputs, {"y": TensorSpec((steps, 1, h))}, attrs)


def attention(heads: int, length: int, width: int) -> Layer:
    """Self-attention at batch 1 of a width D split over the heads."""
    dim = width // heads
    shape = TensorSpec((1, heads, length, dim))
    attrs = {
        "batch": 1,
        "heads": heads,
        "kv_heads": heads,
        "q_len": length,
        "kv_len": length,
        "qk_dim": dim,
        "v_dim": dim,
    }
    return Layer("sdpa", "attention", {"q": shape, "k": shape, "v": shape}, {"y": shape}, attrs)


def plain(
    op: str, y: Shape, x: Shape | None = None, x1: Shape = (), weight: Shape = (), bias: Shape = (), **attrs: object
) -> Layer:
    """A layer without a dot product; x is of the shape of y unless said."""
    inputs = {"x0" if x1 else "x": TensorSpec(y if x is None else x)}
    optional = {"x1": x1, "weight": weight, "bias": bias}
    inputs |= {role: TensorSpec(shape) for role, shape in optional.items() if shape}
    return Layer(op, op, inputs, {"y": TensorSpec(y)}, attrs)


def macs(*layers: Layer) -> int:
    return sum(FORMULAS[layer.op].price(layer).macs for layer in layers)


def weights(layers: Iterable[Layer], roles: tuple[str, ...] = ("weight",)) -> int:
    return sum(layer.inputs[role].numel for layer in layers for role in roles if role in layer.inputs)


def test_fully_connected() -> None:
    cost = FORMULAS["linear"].price(linear(300, 100))
    assert cost.macs == 300 * 100 == 30_000
    # (2·I − 1)·J operations: the first product of each dot product is not added to anything
    dot = cost.terms["dot"]
    assert 2 * dot.macs - dot.dots == (2 * 300 - 1) * 100 == 59_900


def test_linear_on_a_batch_of_4() -> None:
    assert macs(linear(300, 100, rows=4)) == 4 * 300 * 100 == 120_000


def test_convolution() -> None:
    assert macs(conv(64, 128, 3, 112)) == 112 * 112 * 128 * 9 * 64 == 924_844_032


def test_stem() -> None:
    assert macs(conv(3, 64, 7, 112)) == 112 * 112 * 64 * 49 * 3 == 118_013_952


@pytest.mark.parametrize(("m", "n", "d"), [(32, 64, 112), (512, 1024, 7), (3, 5, 2)])
def test_depthwise_separable_convolution(m: int, n: int, d: int) -> None:
    separable = macs(conv(m, m, 3, d, groups=m), conv(m, n, 1, d))
    assert separable == 9 * m * d**2 + m * n * d**2
    assert Fraction(separable, macs(conv(m, n, 3, d))) == Fraction(1, n) + Fraction(1, 9)


def test_inverted_residual_block() -> None:
    block = conv(64, 384, 1, 112), conv(384, 384, 3, 112, groups=384), conv(384, 128, 1, 112)
    assert macs(*block) == (64 * 384 + 9 * 384 + 384 * 128) * 112 * 112 == 968_196_096


def test_inverted_residual_block_of_stride_2_pays_the_expansion_at_the_input_size() -> None:
    block = conv(64, 384, 1, 112), conv(384, 384, 3, 56, groups=384), conv(384, 128, 1, 56)
    assert macs(*block) == 64 * 112 * 112 * 384 + (9 + 128) * 384 * 56 * 56 == 473_260_032


def test_inception_3b() -> None:
    block = [
        conv(256, 128, 1, 28),
        conv(256, 128, 1, 28),
        conv(128, 192, 3, 28),
        conv(256, 32, 1, 28),
        conv(32, 96, 5, 28),
        conv(256, 64, 1, 28),
    ]
    by_hand = 256 * 128 + 256 * 128 + 9 * 128 * 192 + 256 * 32 + 25 * 32 * 96 + 256 * 64
    assert weights(block) == by_hand == 388_096
    assert macs(*block) == by_hand * 28 * 28 == 304_267_264


def test_a_bottleneck_before_a_3x3_convolution() -> None:
    assert macs(conv(256, 192, 3, 28)) == 256 * 192 * 9 * 784 == 346_816_512
    assert macs(conv(256, 64, 1, 28), conv(64, 192, 3, 28)) == (256 * 64 + 64 * 192 * 9) * 784 == 99_549_184


def test_a_bottleneck_before_a_5x5_convolution_and_two_3x3_instead() -> None:
    assert macs(conv(256, 96, 5, 28)) == 256 * 96 * 25 * 784 == 481_689_600
    assert macs(conv(256, 64, 1, 28), conv(64, 96, 5, 28)) == (256 * 64 + 64 * 96 * 25) * 784 == 133_267_456
    two = conv(256, 64, 1, 28), conv(64, 96, 3, 28), conv(96, 96, 3, 28)
    assert macs(*two) == (256 * 64 + 64 * 96 * 9 + 96 * 96 * 9) * 784 == 121_225_216


def test_a_7x7_convolution_and_its_two_factors() -> None:
    assert macs(conv(192, 192, 7, 17)) == 192 * 192 * 49 * 289 == 522_031_104
    assert macs(conv(192, 192, (7, 1), 17), conv(192, 192, (1, 7), 17)) == 2 * 192 * 192 * 7 * 289 == 149_151_744


def test_classifier_after_flatten_and_after_global_average_pooling() -> None:
    flat, pooled = linear(512 * 7 * 7, 1000, bias=False), linear(512, 1000, bias=False)
    assert macs(flat) == weights([flat]) == 512 * 7 * 7 * 1000 == 25_088_000
    assert macs(pooled) == weights([pooled]) == 512 * 1000 == 512_000


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 32])
def test_grouped_convolution_divides_macs_and_weights(groups: int) -> None:
    whole, grouped = conv(64, 128, 3, 14), conv(64, 128, 3, 14, groups=groups)
    assert macs(grouped) * groups == macs(whole) == 9 * 64 * 128 * 14 * 14
    assert weights([grouped]) * groups == weights([whole]) == 9 * 64 * 128


def test_deconvolution() -> None:
    # k4 s2 p1: 8×8 → (8 − 1)·2 − 2·1 + 3 + 1 = 16. Each of the 8·64 inputs meets 16·4 weights.
    assert macs(deconv(8, 4, 4, (8, 8), (16, 16))) == 8 * 64 * 16 * 4 == 32_768


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_deconvolution(groups: int) -> None:
    grouped = deconv(8, 4, 4, (8, 8), (16, 16), groups)
    assert macs(grouped) == 8 * 64 * 16 * 4 // groups
    assert weights([grouped]) == 8 * 4 * 16 // groups


@pytest.mark.parametrize(("h", "w"), [(10, 15), (16, 16)])
def test_fcn_upsampling(h: int, w: int) -> None:
    # k64 s32: (h − 1)·32 + 64 rows, all kept
    out = ((h - 1) * 32 + 64, (w - 1) * 32 + 64)
    assert macs(deconv(21, 21, 64, (h, w), out)) == 21 * 21 * 4096 * h * w


def test_alexnet_in_one_tower() -> None:
    # (224 + 2·2 − 11)/4 + 1 = 55; 3×3/2 pooling makes 27, 13 and, at the end, 6
    convolutions = [
        conv(3, 96, 11, 55),
        conv(96, 192, 5, 27),
        conv(192, 384, 3, 13),
        conv(384, 256, 3, 13),
        conv(256, 256, 3, 13),
    ]
    classifier = [linear(256 * 6 * 6, 4096), linear(4096, 4096), linear(4096, 1000)]
    by_hand = (
        3 * 96 * 121 * 55**2
        + 96 * 192 * 25 * 27**2
        + (192 * 384 + 384 * 256 + 256 * 256) * 9 * 13**2
        + 9216 * 4096
        + 4096 * 4096
        + 4096 * 1000
    )
    assert macs(*convolutions, *classifier) == by_hand == 861_301_280
    filters = 3 * 96 * 121 + 96 * 192 * 25 + (192 * 384 + 384 * 256 + 256 * 256) * 9
    dense = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert weights(convolutions + classifier, ("weight", "bias")) == filters + dense == 61_264_904


def test_lstm_of_two_layers_in_both_directions() -> None:
    # the second layer reads both directions of the first: 2·256 values a step
    layers = [recurrent("lstm", 50, c_i, 256) for c_i in (128, 128, 512, 512)]
    by_hand = 2 * 50 * 4 * 256 * (128 + 256) + 2 * 50 * 4 * 256 * (512 + 256)
    assert macs(*layers) == by_hand == 117_964_800


def test_gru() -> None:
    assert macs(recurrent("gru", 50, 128, 128)) == 50 * 3 * 128 * (128 + 128)


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16, 64])
def test_attention_whatever_the_heads(heads: int) -> None:
    assert macs(attention(heads, 128, 64)) == 2 * 128 * 128 * 64 == 2_097_152


def test_lstm_step() -> None:
    # N = 1, C_i = 3, H = 2, two biases
    cost = FORMULAS["lstm"].price(recurrent("lstm", 1, 3, 2))
    assert cost.terms == {
        # 4 gates of 2 units over 3 + 2 values; two dot products for each
        "dot": Counts(macs=4 * 2 * (3 + 2), dots=2 * 4 * 2),
        "bias": Counts(adds=2 * 4 * 2),
        # per unit 4 meeting products, three sigmoids of 2 adds, 1 exp, 1 div, one tanh of 1 exp
        "gates": Counts(adds=2 * (4 + 3 * 2), exps=2 * (3 + 1), divs=2 * 3),
        # per unit f·c + i·g and o·tanh(c)
        "state": Counts(muls=2 * 3, adds=2 * 1, exps=2 * 1),
    }
    counts = cost.counts
    assert (counts.macs, counts.adds, counts.muls, counts.divs, counts.exps) == (40, 16 + 20 + 2, 6, 6, 8 + 2)
    assert cost.flops == 2 * 40 + 16 + (20 + 8 + 6) + (6 + 2 + 2) == 140


def resnet_50(stride_in_3x3: bool, bias: bool) -> list[Layer]:
    """ResNet-50 at 224×224 without its norms; from the second stage on, the first block halves the size."""
    layers = [
        conv(3, 64, 7, 112, bias=bias),
        plain("relu", (1, 64, 112, 112)),
        plain("max_pool", (1, 64, 56, 56), x=(1, 64, 112, 112), kernel_size=(3, 3)),
    ]
    channels, size = 64, 56
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            halved = size // 2 if stage and not block else size
            first = size if stride_in_3x3 else halved
            out = (1, 4 * width, halved, halved)
            layers += [
                conv(channels, width, 1, first, bias=bias),
                plain("relu", (1, width, first, first)),
                conv(width, width, 3, halved, bias=bias),
                plain("relu", (1, width, halved, halved)),
                conv(width, 4 * width, 1, halved, bias=bias),
                plain("add", out, x1=out),
                plain("relu", out),
            ]
            if not block:
                layers.append(conv(channels, 4 * width, 1, halved, bias=bias))
            channels, size = 4 * width, halved
    pool = plain("adaptive_avg_pool", (1, 2048, 1, 1), x=(1, 2048, 7, 7), input_size=(7, 7), output_size=(1, 1))
    return [*layers, pool, linear(2048, 1000)]


def norm_channels(layers: Iterable[Layer]) -> int:
    """Every convolution of a ResNet has a batch norm after it, of as many channels as it puts out."""
    return sum(layer.attrs["out_channels"] for layer in layers if layer.op == "conv")


def test_resnet_50_with_the_stride_in_the_3x3() -> None:
    layers = resnet_50(stride_in_3x3=True, bias=False)
    assert macs(*layers) == 4_089_184_256
    # each norm has a trained scale and shift a channel
    assert norm_channels(layers) == 26_560
    assert weights(layers, ("weight", "bias")) + 2 * 26_560 == 25_557_032


def test_resnet_50_with_the_stride_in_the_first_1x1_and_biases() -> None:
    layers = resnet_50(stride_in_3x3=False, bias=True)
    assert macs(*layers) == 3_857_973_248
    assert weights(layers, ("weight", "bias")) + 2 * norm_channels(layers) == 25_583_592
    assert 2 * norm_channels(layers) == 53_120  # running means and variances


def test_resnet_50_flops() -> None:
    # a folded norm is a bias of the convolution before it, hence the biases
    terms: dict[str, Counts] = {}
    for layer in resnet_50(stride_in_3x3=True, bias=True):
        for name, counts in FORMULAS[layer.op].price(layer).terms.items():
            key = f"{layer.op} {name}"
            terms[key] = terms.get(key, Counts()) + counts
    dot = terms.pop("conv dot") + terms.pop("linear dot")
    assert dot.macs == 4_089_184_256
    assert terms == {
        "conv bias": Counts(adds=11_113_984),
        "relu activation": Counts(cmps=9_608_704),
        "add elementwise": Counts(adds=5_519_360),
        "max_pool window": Counts(cmps=64 * 56 * 56 * (9 - 1)),
        "adaptive_avg_pool window": Counts(adds=2048 * (49 - 1), divs=2048),
        "linear bias": Counts(adds=1000),
    }
    rest = 11_113_984 + 9_608_704 + 5_519_360 + 1_605_632 + 98_304 + 2_048 + 1_000
    assert sum(counts.flops for counts in terms.values()) == rest
    assert 2 * dot.macs + rest == 8_206_317_544


def test_vit_b_16() -> None:
    # 14·14 patches of 16×16×3 and a class token, width 768, 12 layers of 12 heads
    length, width = 14 * 14 + 1, 768
    stem, head = conv(3, width, 16, 14, bias=True), linear(width, 1000)
    block = [
        linear(width, 3 * width, length),
        attention(12, length, width),
        linear(width, width, length),
        linear(width, 4 * width, length),
        linear(4 * width, width, length),
    ]
    products = 12 * (length * 12 * width**2 + 2 * length**2 * width)
    by_hand = 196 * 768 * width + products + width * 1000
    assert macs(stem, *block * 12, head) == by_hand == 17_563_828_224
    linears = [layer for layer in block if layer.op == "linear"]
    norms, tokens = (2 * 12 + 1) * 2 * width, width + length * width  # scales and shifts; class token and positions
    contractions = weights([stem, *linears * 12, head], ("weight", "bias"))
    assert contractions + norms + tokens == 86_567_656


def test_softmax_over_5() -> None:
    cost = FORMULAS["softmax"].price(plain("softmax", (5,), n=5))
    assert cost.counts == Counts(cmps=5 - 1, adds=5 + (5 - 1), exps=5, divs=5)
    assert cost.flops == 4 + 9 + 5 + 5 == 23


def test_layer_norm_over_8() -> None:
    cost = FORMULAS["layer_norm"].price(plain("layer_norm", (8,), weight=(8,), bias=(8,), normalized_size=8))
    # mean: 7 adds, 1 div; centred: 8 adds; variance: 8 muls, 7 adds, 1 div; ε: 1 add; 1 rsqrt; 8 muls; affine: 8 each
    assert cost.counts == Counts(adds=7 + 8 + 7 + 1 + 8, muls=8 + 8 + 8, divs=2, exps=1)
    assert (cost.counts.adds, cost.counts.muls) == (31, 24)


def test_max_pool_compares_for_each_output() -> None:
    pool = plain("max_pool", (1, 128, 56, 56), x=(1, 128, 112, 112), kernel_size=(2, 2), stride=(2, 2))
    assert FORMULAS["max_pool"].price(pool).counts == Counts(cmps=3 * 56 * 56 * 128)
    assert 3 * 56 * 56 * 128 == 1_204_224


@pytest.mark.parametrize(
    ("size", "k", "stride", "pad", "dilation", "out"),
    [(224, 11, 4, 2, 1, 55), (224, 7, 2, 3, 1, 112), (112, 3, 2, 1, 1, 56), (14, 3, 1, 2, 2, 14), (9, 4, 3, 0, 2, 1)],
)
def test_output_size_of_a_convolution(size: int, k: int, stride: int, pad: int, dilation: int, out: int) -> None:
    assert (size + 2 * pad - dilation * (k - 1) - 1) // stride + 1 == out
    tally = Tally()
    x, weight = tally.array((1, 1, size)), tally.array((1, 1, k))
    assert loops.conv(tally, x, weight, None, (stride,), ((pad, pad),), (dilation,), 1).shape == (1, 1, out)


@pytest.mark.parametrize(
    ("size", "k", "stride", "pad", "dilation", "extra", "out"),
    [(8, 4, 2, 1, 1, 0, 16), (10, 64, 32, 0, 1, 0, 352), (7, 3, 2, 1, 1, 1, 14), (5, 3, 3, 2, 2, 2, 15)],
)
def test_output_size_of_a_deconvolution(
    size: int, k: int, stride: int, pad: int, dilation: int, extra: int, out: int
) -> None:
    assert (size - 1) * stride - 2 * pad + dilation * (k - 1) + extra + 1 == out
    tally = Tally()
    x, weight = tally.array((1, 1, size)), tally.array((1, 1, k))
    y = loops.conv_transpose(tally, x, weight, None, (stride,), ((pad, pad),), (extra,), (dilation,), 1)
    assert y.shape == (1, 1, out)
