"""Forms of layers that other frameworks have and PyTorch does not: channels last, other orders of weights, other
paddings, other cells. The oracles are torch's operations on the data put in PyTorch's order, and loops written out.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.torch.table import Context, kernel_of

from multiprof import Layer, TensorSpec

Tensor = torch.Tensor


def run(
    op: str,
    operands: dict[str, Tensor],
    outputs: dict[str, tuple[int, ...]],
    attrs: dict[str, Any],
    framework: str = "tensorflow",
) -> Any:
    """One layer by its kernel, weights laid out as a program does; the result's shape is checked."""
    layer = Layer(
        "layer",
        op,
        {role: TensorSpec(tuple(t.shape), str(t.dtype).removeprefix("torch."), role) for role, t in operands.items()},
        {role: TensorSpec(shape, "float32", f"out_{role}") for role, shape in outputs.items()},
        attrs,
    )
    kernel = kernel_of(layer, Context("tensorflow"))
    laid = {role: kernel.prepare[role](t) if role in kernel.prepare else t for role, t in operands.items()}
    made = kernel.run(**kernel.fixed, **laid)
    results = made if isinstance(made, tuple) else (made,)
    assert [tuple(t.shape) for t in results] == list(outputs.values())
    return made


def window(kernel: tuple[int, ...], channels: tuple[int, int], data_format: str, **more: Any) -> dict[str, Any]:
    ones = (1,) * len(kernel)
    base = {
        "kernel_size": kernel, "stride": ones, "dilation": ones, "padding": ((0, 0),) * len(kernel), "groups": 1,
        "in_channels": channels[0], "out_channels": channels[1], "data_format": data_format,
    }  # fmt: skip
    return base | more


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


# -- convolution -------------------------------------------------------------------------------------------------------

NHWC_ORDERS = {
    "HWIO (TensorFlow)": (2, 3, 1, 0), "OHWI (TFLite)": (0, 2, 3, 1), "OIHW": (0, 1, 2, 3), "IHWO": (1, 2, 3, 0),
}  # fmt: skip


@pytest.mark.parametrize("order", NHWC_ORDERS.values(), ids=NHWC_ORDERS)
def test_the_order_of_a_weight_follows_from_its_shape(order: tuple[int, ...]) -> None:
    weight, bias, x = torch.randn(6, 4, 3, 2), torch.randn(6), torch.randn(2, 9, 8, 4)
    expected = F.conv2d(F.pad(x.permute(0, 3, 1, 2), (1, 0, 0, 1)), weight, bias, 2).permute(0, 2, 3, 1)
    attrs = window((3, 2), (4, 6), "NHWC", stride=(2, 2), padding=((0, 1), (1, 0)))  # unequal at both ends, as SAME is
    got = run("conv", {"x": x, "weight": weight.permute(order), "bias": bias}, {"y": tuple(expected.shape)}, attrs)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("tflite", [False, True])
def test_depthwise_filters_of_channels_last(tflite: bool) -> None:
    """(kernel …, C, multiplier), and (1, kernel …, C·multiplier): channel c·M + m is filter m of channel c."""
    x, filters = torch.randn(1, 7, 7, 4), torch.randn(3, 3, 4, 2)
    expected = torch.zeros(1, 5, 5, 8)
    for c in range(4):
        for m in range(2):
            one = F.conv2d(x[..., c][:, None], filters[:, :, c, m][None, None])
            expected[..., c * 2 + m] = one[:, 0]
    weight = filters.reshape(1, 3, 3, 8) if tflite else filters
    got = run("conv", {"x": x, "weight": weight}, {"y": (1, 5, 5, 8)}, window((3, 3), (4, 8), "NHWC", groups=4))
    torch.testing.assert_close(got, expected)


def test_a_sequence_with_its_channels_last() -> None:
    x, weight = torch.randn(2, 11, 4), torch.randn(3, 2, 6)  # (kernel, C_i/G, C_o), two groups
    expected = F.conv1d(x.transpose(1, 2), weight.permute(2, 1, 0), None, 1, 0, 2, 2).transpose(1, 2)
    attrs = window((3,), (4, 6), "NLC", groups=2, dilation=(2,))
    torch.testing.assert_close(run("conv", {"x": x, "weight": weight}, {"y": (2, 7, 6)}, attrs), expected)


def test_a_volume_with_its_channels_last() -> None:
    x, weight = torch.randn(1, 5, 6, 7, 2), torch.randn(2, 3, 2, 2, 4)
    expected = F.conv3d(x.movedim(-1, 1), weight.permute(4, 3, 0, 1, 2)).movedim(1, -1)
    got = run("conv", {"x": x, "weight": weight}, {"y": tuple(expected.shape)}, window((2, 3, 2), (2, 4), "NDHWC"))
    torch.testing.assert_close(got, expected)


def deconvolved(x: Tensor, weight: Tensor, stride: int, low: int, size: int) -> Tensor:
    """Every element of x (N, H, W, C_i) adds its filters (k, k, C_o, C_i) to a canvas, and a window is cut out."""
    n, height, width, _ = x.shape
    k, reach = weight.shape[0], size + 64
    canvas = torch.zeros(n, reach, reach, weight.shape[2])
    for i in range(height):
        for j in range(width):
            spread = torch.einsum("nc,hwoc->nhwo", x[:, i, j], weight)
            canvas[:, i * stride : i * stride + k, j * stride : j * stride + k] += spread
    return canvas[:, low : low + size, low : low + size]


@pytest.mark.parametrize(
    ("stride", "low", "high", "extra"),
    [
        (2, 0, 1, 0),  # TensorFlow's SAME: less is cropped before than behind
        (2, 1, 0, 0),  # more before
        (1, 1, 1, 0),
        (3, 0, 0, 2),  # reaching beyond the last filter, where there is nothing but the bias
    ],
)
def test_deconvolutions_cropped_unequally(stride: int, low: int, high: int, extra: int) -> None:
    x, weight, bias = torch.randn(2, 4, 4, 3), torch.randn(3, 3, 5, 3), torch.randn(5)
    size = 3 * stride + 3 - low - high + extra
    expected = deconvolved(x, weight, stride, low, size) + bias
    attrs = window(
        (3, 3), (3, 5), "NHWC", stride=(stride, stride), padding=((low, high),) * 2, output_padding=(extra, extra)
    )
    got = run("conv_transpose", {"x": x, "weight": weight, "bias": bias}, {"y": (2, size, size, 5)}, attrs)
    torch.testing.assert_close(got, expected)


def test_padding_that_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(NotLoweredError, match="padding is not known"):
        run(
            "conv", {"x": torch.randn(1, 5, 5, 2), "weight": torch.randn(3, 3, 2, 4)}, {"y": (1, 3, 3, 4)},
            window((3, 3), (2, 4), "NHWC", padding=None),
        )  # fmt: skip


# -- pooling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [False, True])
def test_means_over_unequal_padding(include: bool) -> None:
    x = torch.randn(1, 5, 5, 2)
    pairs = ((0, 1), (1, 1))
    expected = torch.zeros(1, 3, 3, 2)
    for i in range(3):
        for j in range(3):
            rows = [r for r in range(2 * i, 2 * i + 2) if r < 5]
            columns = [c for c in range(2 * j - 1, 2 * j + 1) if 0 <= c < 5]
            total = sum(x[:, r, c] for r in rows for c in columns)
            expected[:, i, j] = total / (4 if include else len(rows) * len(columns))
    attrs = {
        "kernel_size": (2, 2),
        "stride": (2, 2),
        "padding": pairs,
        "data_format": "NHWC",
        "count_include_pad": include,
    }
    torch.testing.assert_close(run("avg_pool", {"x": x}, {"y": (1, 3, 3, 2)}, attrs), expected)


def test_maxima_over_unequal_padding() -> None:
    x = -torch.rand(1, 5, 5, 2)  # so that padding by 0 would show
    expected = F.max_pool2d(F.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1), value=-9), 2, 2).permute(0, 2, 3, 1)
    attrs = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 1), (0, 1)), "data_format": "NHWC"}
    torch.testing.assert_close(run("max_pool", {"x": x}, {"y": (1, 3, 3, 2)}, attrs), expected)


# -- products ----------------------------------------------------------------------------------------------------------

EQUATIONS = ["aij,jk->aik", "ij,kj->ik", "aij,jk->aki", "abij,jbk->aik", "abj,bjk->abk"]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_linear_layers_by_their_equation(equation: str) -> None:
    sizes = dict(zip("abijk", (2, 3, 4, 5, 6), strict=True))
    left, right = equation.split("->")[0].split(",")
    x, weight = (torch.randn([sizes[i] for i in term]) for term in (left, right))
    expected = torch.einsum(equation, x, weight)
    attrs = {"in_features": 5, "equation": equation}
    got = run("linear", {"x": x, "weight": weight}, {"y": tuple(expected.shape)}, attrs)
    torch.testing.assert_close(got, expected)


def test_a_transposed_operand_is_seen_by_the_shapes() -> None:
    a, b = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    got = run("matmul", {"x0": a, "x1": b}, {"y": (2, 3, 5)}, {"contracted": 4})
    torch.testing.assert_close(got, a @ b.transpose(1, 2))


@pytest.mark.parametrize("order", ["bhld", "blhd", "bl(hd)"])
@pytest.mark.parametrize("shared", [False, True])
def test_attention_in_every_order(order: str, shared: bool) -> None:
    heads, kv = 4, 2 if shared else 4
    q, k, v = (torch.randn(2, n, 6, 8) for n in (heads, kv, kv))
    mask = torch.rand(6, 6) > 0.3
    mask[:, 0] = True
    scores = q @ k.repeat_interleave(heads // kv, 1).transpose(-1, -2) * 0.3
    share = torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)
    expected = share @ v.repeat_interleave(heads // kv, 1)

    def put(t: Tensor) -> Tensor:
        if order == "bhld":
            return t
        t = t.transpose(1, 2)
        return t if order == "blhd" else t.flatten(2)

    attrs = {
        "batch": 2, "heads": heads, "kv_heads": kv, "q_len": 6, "kv_len": 6, "qk_dim": 8, "v_dim": 8, "scale": 0.3,
    }  # fmt: skip
    operands = {"q": put(q), "k": put(k), "v": put(v), "mask": mask}
    got = run("attention", operands, {"y": tuple(put(expected).shape)}, attrs)
    torch.testing.assert_close(got, put(expected))


def test_a_causal_mask_aligned_with_the_last_key() -> None:
    q, k, v = torch.randn(1, 2, 3, 8), torch.randn(1, 2, 5, 8), torch.randn(1, 2, 5, 8)
    seen = torch.tensor([[key <= query + 2 for key in range(5)] for query in range(3)])
    expected = torch.softmax((q @ k.transpose(-1, -2) / 8**0.5).masked_fill(~seen, float("-inf")), -1) @ v
    attrs = {
        "batch": 1, "heads": 2, "kv_heads": 2, "q_len": 3, "kv_len": 5, "qk_dim": 8, "v_dim": 8, "causal": True,
        "causal_alignment": "bottom_right",
    }  # fmt: skip
    torch.testing.assert_close(run("attention", {"q": q, "k": k, "v": v}, {"y": (1, 2, 3, 8)}, attrs), expected)


# -- recurrent cells ---------------------------------------------------------------------------------------------------


def test_a_gru_whose_reset_gate_comes_before_the_product() -> None:
    x, w, r, b = torch.randn(2, 5, 3), torch.randn(12, 3), torch.randn(12, 4), torch.randn(12)
    h, made = torch.zeros(2, 4), []
    for t in range(5):
        gates = x[:, t] @ w.T + b
        reset = torch.sigmoid(gates[:, :4] + h @ r[:4].T)
        update = torch.sigmoid(gates[:, 4:8] + h @ r[4:8].T)
        new = torch.tanh(gates[:, 8:] + (reset * h) @ r[8:].T)
        h = (1 - update) * new + update * h
        made.append(h)
    attrs = {"steps": 10, "input_size": 3, "hidden_size": 4, "batch_first": True, "reset_after": False}
    operands = {"x": x, "weight_ih": w.T, "weight_hh": r.T, "bias_ih": b}  # weights as Keras has them
    got = run("gru", operands, {"y": (2, 5, 4)}, attrs)
    torch.testing.assert_close(got[0], torch.stack(made, 1))


def test_an_lstm_with_peepholes() -> None:
    x, w, r, p = torch.randn(5, 2, 3), torch.randn(16, 3), torch.randn(16, 4), torch.randn(12)
    h, c, made = torch.zeros(2, 4), torch.zeros(2, 4), []
    for t in reversed(range(5)):
        i, f, g, o = (x[t] @ w.T + h @ r.T).chunk(4, 1)
        i, f = torch.sigmoid(i + p[:4] * c), torch.sigmoid(f + p[4:8] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + p[8:] * c) * torch.tanh(c)
        made.append(h)
    attrs = {"steps": 10, "input_size": 3, "hidden_size": 4, "reverse": True}
    operands = {"x": x, "weight_ih": w, "weight_hh": r, "peephole": p}
    y, hn = run("lstm", operands, {"y": (5, 2, 4), "hn": (2, 4)}, attrs)
    torch.testing.assert_close(y, torch.stack(made[::-1]))
    torch.testing.assert_close(hn, h)


# -- parts and places --------------------------------------------------------------------------------------------------


def test_gathers_by_the_shapes() -> None:
    x, rows = torch.randn(3, 5, 4), torch.tensor([[4, -1], [0, 2], [3, 3]])
    taken = run("gather", {"x": x, "indices": rows}, {"y": (3, 3, 2, 4)}, {"axis": 1})
    torch.testing.assert_close(taken, x[:, rows])
    batched = run("gather", {"x": x, "indices": rows}, {"y": (3, 2, 4)}, {"axis": 1, "batch_dims": 1})
    torch.testing.assert_close(batched, torch.stack([x[n, rows[n]] for n in range(3)]))
    single = torch.randint(0, 5, (3, 2, 4))
    elements = run("gather", {"x": x, "indices": single}, {"y": (3, 2, 4)}, {"axis": 1})
    torch.testing.assert_close(elements, torch.gather(x, 1, single))


def test_places_on_several_axes() -> None:
    x, places = torch.randn(3, 5, 4), torch.tensor([[0, 4], [2, 1]])
    got = run("index", {"x": x, "x0": places}, {"y": (2, 4)}, {"axes": (0,)})
    torch.testing.assert_close(got, torch.stack([x[0, 4], x[2, 1]]))


@pytest.mark.parametrize(("mode", "expected"), [("symmetric", [1, 0, 0, 1, 2, 2]), ("reflect", [2, 1, 0, 1, 2, 1])])
def test_reflections_with_and_without_the_edge(mode: str, expected: list[int]) -> None:
    got = run("pad", {"x": torch.tensor([0.0, 1.0, 2.0])}, {"y": (6,)}, {"padding": ((2, 1),), "mode": mode})
    assert got.tolist() == expected


def test_statistics_over_channels_that_stand_last() -> None:
    x = torch.randn(2, 3, 3, 3)  # every dimension could be the channels'
    mean, var, weight, bias = torch.randn(3), torch.rand(3) + 0.5, torch.randn(3), torch.randn(3)
    expected = (x - mean) / torch.sqrt(var + 1e-3) * weight + bias
    operands = {"x": x, "weight": weight, "bias": bias, "mean": mean, "var": var}
    got = run("batch_norm", operands, {"y": (2, 3, 3, 3)}, {"eps": 1e-3, "channels": 3})
    torch.testing.assert_close(got, expected)


def test_quantised_and_back() -> None:
    x, scale, zero = torch.tensor([-1.0, 0.26, 99.0]), torch.tensor(0.5), torch.tensor(3, dtype=torch.int8)
    layer = Layer(
        "q", "quantize", {"x": TensorSpec((3,)), "scale": TensorSpec(()), "zero_point": TensorSpec((), "int8")},
        {"y": TensorSpec((3,), "int8", "y")},
    )  # fmt: skip
    kernel = kernel_of(layer, Context())
    stored = kernel.run(x=x, scale=scale, zero_point=zero, **kernel.fixed)
    assert stored.tolist() == [1, 4, 127]  # round(x/0.5) + 3, at most 127
    real = run("dequantize", {"x": stored, "scale": scale, "zero_point": zero}, {"y": (3,)}, {})
    assert real.tolist() == [-1.0, 0.5, 62.0]


def test_an_op_without_a_lowering_says_so() -> None:
    with pytest.raises(NotLoweredError, match="no lowering of this op"):
        run("nms", {"boxes": torch.rand(4, 4), "scores": torch.rand(4)}, {"y": (4,)}, {})


def test_an_attribute_that_is_missing_is_named() -> None:
    with pytest.raises(NotLoweredError, match="kernel_size"):
        run("max_pool", {"x": torch.rand(1, 4, 4, 1)}, {"y": (1, 2, 2, 1)}, {})
