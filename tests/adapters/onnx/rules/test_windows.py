"""Convolution, deconvolution and pooling: sizes, products and padding, against what ONNX Runtime executes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import onnxruntime
import pytest

One = Callable[..., Any]
RNG = np.random.default_rng(3)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def results(model: Any) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, model.given))


def flat(padding: tuple[tuple[int, int], ...]) -> list[int]:
    return [before for before, _ in padding] + [after for _, after in padding]


def random_window(rank: int, largest_stride: int = 3) -> dict[str, Any]:
    """Attributes, some of them left out."""
    attrs: dict[str, Any] = {}
    if RNG.random() < 0.7:
        attrs["strides"] = RNG.integers(1, largest_stride + 1, rank).tolist()
    mode = RNG.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "pads", "none"])
    if mode == "pads":
        attrs["pads"] = RNG.integers(0, 2, 2 * rank).tolist()
    elif mode != "none":
        attrs["auto_pad"] = str(mode)
    return attrs


@pytest.mark.parametrize("number", range(60))
def test_convolution(one: One, number: int) -> None:
    rank = 1 + number % 3
    groups = int(RNG.choice([1, 2]))
    c_in, c_out = 2 * groups, 3 * groups
    kernel = RNG.integers(1, 4, rank).tolist()
    attrs = random_window(rank)
    if groups > 1:
        attrs["group"] = groups
    if RNG.random() < 0.3 and not attrs.get("auto_pad", "").startswith("SAME"):
        attrs["dilations"] = RNG.integers(1, 3, rank).tolist()
    if RNG.random() < 0.5:
        attrs["kernel_shape"] = kernel
    spatial = RNG.integers(6, 10, rank).tolist()
    inputs = {"x": f(2, c_in, *spatial), "w": f(c_out, c_in // groups, *kernel)}
    bias = bool(RNG.random() < 0.5)
    if bias:
        inputs["b"] = f(c_out)
    model = one("Conv", inputs, weights=["w", "b"], **attrs)
    (y,) = results(model)
    layer, report = model.layer, model.report
    assert layer.op == "conv"
    assert layer.y.shape == y.shape
    # every output element is a dot product over the kernel in the channels of its group
    assert report.macs == y.size * prod(kernel) * c_in // groups
    assert report.flops == 2 * report.macs + (y.size if bias else 0)
    assert layer.attrs["data_format"] == {1: "NCL", 2: "NCHW", 3: "NCDHW"}[rank]
    assert (layer.attrs["in_channels"], layer.attrs["out_channels"], layer.attrs["groups"]) == (c_in, c_out, groups)
    # the same network with the padding written out
    explicit = {k: v for k, v in attrs.items() if k != "auto_pad"} | {"pads": flat(layer.attrs["padding"])}
    np.testing.assert_allclose(results(one("Conv", inputs, weights=["w", "b"], **explicit))[0], y, rtol=1e-4)


@pytest.mark.parametrize("number", range(60))
def test_deconvolution(one: One, number: int) -> None:
    rank = 1 + number % 3
    groups = int(RNG.choice([1, 2]))
    c_in, per_group = 2 * groups, 3
    kernel = RNG.integers(2, 5, rank).tolist()
    spatial = RNG.integers(3, 6, rank).tolist()
    stride = RNG.integers(1, 3, rank).tolist()
    attrs: dict[str, Any] = {"strides": stride, "group": groups}
    mode = number % 5
    if mode == 1:
        attrs["pads"] = RNG.integers(0, 2, 2 * rank).tolist()
    elif mode == 2:
        attrs["auto_pad"] = str(RNG.choice(["SAME_UPPER", "SAME_LOWER"]))
        kernel = [max(k, s) for k, s in zip(kernel, stride, strict=True)]
    elif mode == 3:
        full = [s * (n - 1) + k for n, k, s in zip(spatial, kernel, stride, strict=True)]
        attrs["output_shape"] = [int(m - RNG.integers(0, 2)) for m in full]
    elif mode == 4:
        attrs["output_padding"] = [int(RNG.integers(0, s)) for s in stride]
    inputs = {"x": f(2, c_in, *spatial), "w": f(c_in, per_group, *kernel)}
    model = one("ConvTranspose", inputs, weights=["w"], **attrs)
    (y,) = results(model)
    layer, report = model.layer, model.report
    assert layer.op == "conv_transpose"
    assert layer.y.shape == y.shape
    # every input element meets the kernel of every output channel of its group
    assert report.macs == inputs["x"].size * prod(kernel) * per_group
    assert layer.attrs["out_channels"] == per_group * groups
    if rank < 3:  # ONNX Runtime has no 3-D deconvolution with explicit padding of every kind
        explicit = {k: v for k, v in attrs.items() if k not in ("auto_pad", "output_shape")}
        explicit |= {"pads": flat(layer.attrs["padding"]), "output_padding": list(layer.attrs["output_padding"])}
        np.testing.assert_allclose(results(one("ConvTranspose", inputs, weights=["w"], **explicit))[0], y, rtol=1e-4)


def test_deconvolution_of_the_table(one: One) -> None:
    """k4 s2 p1, 8 → 4, 8×8 → 16×16: 8·64·16·4."""
    attrs = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    model = one("ConvTranspose", {"x": f(1, 8, 8, 8), "w": f(8, 4, 4, 4)}, weights=["w"], **attrs)
    assert model.layer.y.shape == (1, 4, 16, 16)
    assert model.report.macs == 8 * 64 * 16 * 4 == 32_768


@pytest.mark.parametrize("number", range(60))
@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool", "LpPool"])
def test_pooling(one: One, op_type: str, number: int) -> None:
    rank = 1 + number % 2
    kernel = RNG.integers(2, 4, rank).tolist()
    # a stride wider than the kernel would make ONNX Runtime pad by less than nothing
    attrs = random_window(rank, largest_stride=2) | {"kernel_shape": kernel}
    if number % 3 == 0 and "auto_pad" not in attrs:
        attrs["ceil_mode"] = 1
    if op_type == "AveragePool" and number % 2:
        attrs["count_include_pad"] = 1
    if op_type == "MaxPool" and number % 4 == 0 and "auto_pad" not in attrs:
        attrs["dilations"] = [2] * rank
    inputs = {"x": f(2, 3, *RNG.integers(7, 11, rank).tolist())}
    model = one(op_type, inputs, **attrs)
    (y,) = results(model)
    layer, report = model.layer, model.report
    assert layer.y.shape == y.shape
    window = prod(kernel)
    counts = report.layers[0].cost.counts
    if op_type == "MaxPool":
        assert (layer.op, counts.cmps, report.flops) == ("max_pool", y.size * (window - 1), y.size * (window - 1))
    elif op_type == "AveragePool":
        assert (layer.op, counts.adds, counts.divs) == ("avg_pool", y.size * (window - 1), y.size)
        assert layer.attrs["count_include_pad"] is bool(number % 2)
    else:
        # squares of what is read, their sums, the roots
        assert (layer.op, layer.attrs["p"]) == ("lp_pool", 2)
        assert (counts.muls, counts.adds, counts.exps) == (inputs["x"].size, y.size * (window - 1), y.size)
    explicit = {k: v for k, v in attrs.items() if k != "auto_pad"} | {"pads": flat(layer.attrs["padding"])}
    np.testing.assert_allclose(results(one(op_type, inputs, **explicit))[0], y, rtol=1e-4)


def test_the_average_pool_of_resnet_50(one: One) -> None:
    """2048 channels of 7×7: 98,304 additions and 2,048 divisions."""
    report = one("GlobalAveragePool", {"x": f(1, 2048, 7, 7)}).report
    counts = report.layers[0].cost.counts
    assert (counts.adds, counts.divs, report.flops) == (98_304, 2_048, 100_352)


def test_global_pools(one: One) -> None:
    x = {"x": f(2, 3, 4, 5)}
    model = one("GlobalMaxPool", x)
    assert (model.layer.op, model.report.flops) == ("adaptive_max_pool", 2 * 3 * 19)
    assert model.layer.attrs["input_size"] == (4, 5)
    model = one("GlobalLpPool", x, p=1)
    # absolute values, then 19 additions for each of the six results
    assert (model.layer.op, model.report.flops) == ("norm", 120 + 2 * 3 * 19)


def test_max_pool_hands_out_where_the_maxima_were(one: One) -> None:
    model = one("MaxPool", {"x": f(1, 1, 4, 4)}, ["y", "i"], kernel_shape=[2, 2])
    assert list(model.layer.outputs) == ["y", "indices"]
    assert model.shapes() == model.executed()


def test_pools_of_regions(one: One) -> None:
    rois = np.array([[0, 0, 4, 4], [1, 1, 5, 5]], dtype=np.float32)
    index = np.array([0, 0], dtype=np.int64)
    attrs = {"output_height": 3, "output_width": 2, "sampling_ratio": 2}
    model = one("RoiAlign", {"x": f(1, 2, 8, 8), "r": rois, "i": index}, version=16, **attrs)
    assert (model.layer.op, model.layer.attrs["output_size"]) == ("roi_align", (3, 2))
    assert model.shapes() == model.executed()
    with_index = np.concatenate([np.zeros((2, 1), np.float32), rois], axis=1)
    model = one("MaxRoiPool", {"x": f(1, 2, 8, 8), "r": with_index}, version=20, pooled_shape=[3, 2])
    assert (model.layer.op, model.layer.attrs["output_size"]) == ("roi_pool", (3, 2))
    assert model.shapes() == model.executed()


def test_unpooling_moves_elements(one: One) -> None:
    index = np.array([[[[0, 3], [9, 14]]]], dtype=np.int64)
    model = one("MaxUnpool", {"x": f(1, 1, 2, 2), "i": index}, kernel_shape=[2, 2], strides=[2, 2])
    assert (model.layer.op, model.report.flops) == ("max_unpool", 0)
    assert model.shapes() == model.executed()


@pytest.mark.parametrize("mask", [True, False])
def test_deformable_convolution(one: One, mask: bool) -> None:
    x, w, offset = f(1, 4, 6, 6), f(8, 4, 3, 3), f(1, 2 * 9, 4, 4)
    inputs = {"x": x, "w": w, "o": offset, "b": f(8), "m": f(1, 9, 4, 4) if mask else None}
    model = one("DeformConv", inputs, weights=["w", "b"], kernel_shape=[3, 3])
    assert model.layer.op == "deform_conv"
    assert list(model.layer.inputs) == ["x", "offset", "weight", *(["mask"] if mask else []), "bias"]
    # 16 positions, 8 filters of 4·9 values
    assert model.report.macs == 16 * 8 * 36


def test_an_integer_convolution_forms_the_same_products(one: One) -> None:
    x, w = np.zeros((1, 3, 8, 8), np.uint8), np.zeros((4, 3, 3, 3), np.uint8)
    model = one("ConvInteger", {"x": x, "w": w}, weights=["w"])
    assert (model.ops, model.report.macs, model.layer.y.dtype) == (["conv"], 4 * 36 * 27, "int32")


def test_a_causal_convolution(one: One) -> None:
    inputs = {"x": f(2, 4, 8), "w": f(4, 1, 4), "b": f(4)}
    model = one("CausalConvWithState", inputs, ["y", "s"], weights=["w", "b"], version=27, activation="silu")
    assert model.ops == ["conv", "silu", "slice"]
    assert model.report.macs == 2 * 4 * 8 * 4  # a depthwise kernel of 4 for every element
    model = one("CausalConvWithState", inputs | {"p": f(2, 4, 3)}, ["y", "s"], weights=["w", "b"], version=27)
    assert model.ops == ["concat", "conv", "slice"]
    assert model.report.macs == 2 * 4 * 8 * 4
    assert model.shapes()["s"] == ((2, 4, 3), "float32")


def test_what_cannot_be_convolved_is_an_error(one: One) -> None:
    from multiprof import ModelError

    with pytest.raises(ModelError, match="channels"):
        _ = one("Conv", {"x": f(1, 4, 6, 6), "w": f(8, 3, 3, 3)}, weights=["w"]).layers
    with pytest.raises(ModelError, match="op"):
        _ = one("MaxPool", {"x": f(1, 4, 6, 6)}, kernel_shape=[0, 3]).layers
