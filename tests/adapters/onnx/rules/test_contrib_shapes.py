"""Operators that onnx has no schema for: what is read has the shapes and types that ONNX Runtime makes."""
# ruff: noqa: E501  # tables: one operator a line

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

F = np.float32
RNG = np.random.default_rng(1)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=F)


def u8(*shape: int) -> np.ndarray:
    return RNG.integers(0, 255, shape, dtype=np.uint8)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 127, shape, dtype=np.int8)


def scale(value: float = 0.02) -> np.ndarray:
    return np.array(value, dtype=F)


ZERO = np.array(3, dtype=np.uint8)
ZERO8 = np.array(0, dtype=np.int8)
IDS = np.array([[1, 2, 0, 3], [2, 2, 1, 0]], dtype=np.int32)
MASK = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=np.int32)

QX = {"x": u8(1, 4, 6, 6), "xs": scale(), "xz": ZERO}
QY = {"ys": scale(), "yz": ZERO}

# operator, operands, what of them stands in the file, results, attributes
CASES: list[tuple[str, dict[str, Any], list[str], list[str], dict[str, Any]]] = [
    ("Gelu", {"x": f(2, 3)}, [], ["y"], {}),
    ("FastGelu", {"x": f(2, 3), "b": f(3)}, ["b"], ["y"], {}),
    ("FastGelu", {"x": f(2, 3)}, [], ["y"], {}),
    ("QuickGelu", {"x": f(2, 3)}, [], ["y"], {}),
    ("BiasGelu", {"x": f(2, 3, 4), "b": f(4)}, ["b"], ["y"], {}),
    ("FusedGemm", {"a": f(5, 2), "b": f(4, 5), "c": f(4)}, ["b", "c"], ["y"], {"transA": 1, "transB": 1, "activation": "Relu"}),
    ("FusedMatMul", {"a": f(2, 5, 3), "b": f(2, 4, 5)}, [], ["y"], {"transA": 1, "transB": 1, "alpha": 0.5}),
    ("TransposeMatMul", {"a": f(2, 5, 3), "b": f(5, 4)}, ["b"], ["y"], {"transA": 1}),
    ("FusedConv", {"x": f(1, 4, 6, 6), "w": f(8, 4, 3, 3), "b": f(8)}, ["w", "b"], ["y"], {"activation": "Relu", "strides": [2, 2]}),
    ("FusedConv", {"x": f(1, 4, 6, 6), "w": f(8, 4, 1, 1), "b": f(8), "z": f(1, 8, 6, 6)}, ["w", "b"], ["y"], {"activation": "Relu"}),
    ("MatMulNBits", {"a": f(2, 3, 32), "b": u8(5, 2, 8), "s": f(10)}, ["b", "s"], ["y"], {"K": 32, "N": 5, "bits": 4, "block_size": 16}),
    ("MatMulBnb4", {"a": f(2, 32), "b": u8(5 * 16), "s": f(10)}, ["b", "s"], ["y"], {"K": 32, "N": 5, "block_size": 16, "quant_type": 1}),
    ("DynamicQuantizeMatMul", {"a": f(2, 3, 8), "b": i8(8, 5), "s": scale(), "z": ZERO8, "bias": f(5)}, ["b", "s", "z", "bias"], ["y"], {}),
    ("MatMulIntegerToFloat", {"a": u8(2, 8), "b": i8(8, 5), "as": scale(), "bs": scale(), "az": ZERO, "bz": ZERO8, "bias": f(5)}, ["b", "as", "bs", "az", "bz", "bias"], ["y"], {}),
    ("QGemm", {"a": u8(2, 8), "as": scale(), "az": ZERO, "b": i8(5, 8), "bs": scale(), "bz": ZERO8, "c": np.zeros(5, np.int32), **QY}, ["as", "az", "b", "bs", "bz", "c", "ys", "yz"], ["y"], {"transB": 1}),
    ("QGemm", {"a": u8(2, 8), "as": scale(), "az": ZERO, "b": i8(8, 5), "bs": scale(), "bz": ZERO8}, ["as", "az", "b", "bs", "bz"], ["y"], {}),
    ("QLinearAdd", {**QX, "o": u8(4, 1, 6), "os": scale(), "oz": ZERO, **QY}, ["xs", "xz", "os", "oz", "ys", "yz"], ["y"], {}),
    ("QLinearMul", {**QX, "o": u8(1), "os": scale(), "oz": ZERO, **QY}, ["xs", "xz", "os", "oz", "ys", "yz"], ["y"], {}),
    ("QLinearSigmoid", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {}),
    ("QLinearLeakyRelu", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {"alpha": 0.1}),
    ("QLinearSoftmax", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {"axis": -1, "opset": 13}),
    ("QLinearAveragePool", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}),
    ("QLinearAveragePool", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {"kernel_shape": [3, 3], "strides": [2, 2], "channels_last": 1, "ceil_mode": 1}),
    ("QLinearGlobalAveragePool", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {}),
    ("QLinearGlobalAveragePool", {**QX, **QY}, ["xs", "xz", "ys", "yz"], ["y"], {"channels_last": 1}),
    ("QLinearConcat", {**QY, "a": u8(2, 3), "as": scale(), "az": ZERO, "b": u8(2, 5), "bs": scale(0.1), "bz": ZERO}, ["ys", "yz", "as", "az", "bs", "bz"], ["y"], {"axis": 1}),
    ("QLinearWhere", {"c": np.array([True, False]), "a": u8(3, 2), "as": scale(), "az": ZERO, "b": u8(1, 2), "bs": scale(), "bz": ZERO, **QY}, ["as", "az", "bs", "bz", "ys", "yz"], ["y"], {}),
    ("QuantizeLinear", {"x": f(2, 3), "s": scale(), "z": ZERO8}, ["s", "z"], ["y"], {}),
    ("DequantizeLinear", {"x": i8(2, 3), "s": scale(), "z": ZERO8}, ["s", "z"], ["y"], {}),
    ("QAttention", {"x": u8(2, 4, 8), "w": i8(8, 24), "b": f(24), "xs": scale(), "ws": scale(), "m": None, "xz": ZERO, "wz": ZERO8}, ["w", "b", "xs", "ws", "xz", "wz"], ["y"], {"num_heads": 2}),
    ("DynamicQuantizeLSTM", {"x": f(3, 2, 5), "w": u8(1, 5, 16), "r": u8(1, 4, 16), "b": f(1, 32), "l": None, "h": None, "c": None, "p": None, "ws": np.array([0.1], F), "wz": np.array([3], np.uint8), "rs": np.array([0.1], F), "rz": np.array([3], np.uint8)}, ["w", "r", "b", "ws", "wz", "rs", "rz"], ["y", "yh", "yc"], {"hidden_size": 4}),
    ("SkipLayerNormalization", {"x": f(2, 4, 8), "s": f(2, 4, 8), "g": f(8), "b": f(8), "c": f(8)}, ["g", "b", "c"], ["y", "", "", "sum"], {}),
    ("SkipLayerNormalization", {"x": f(2, 4, 8), "s": f(4, 8), "g": f(8)}, ["g"], ["y"], {}),
    ("SkipSimplifiedLayerNormalization", {"x": f(2, 4, 8), "s": f(2, 4, 8), "g": f(8)}, ["g"], ["y", "", "", "sum"], {}),
    ("EmbedLayerNormalization", {"i": IDS, "t": IDS * 0, "w": f(9, 8), "p": f(6, 8), "e": f(2, 8), "g": f(8), "b": f(8), "m": MASK}, ["w", "p", "e", "g", "b"], ["y", "mask", "sum"], {}),
    ("EmbedLayerNormalization", {"i": IDS, "t": None, "w": f(9, 8), "p": f(6, 8), "e": None, "g": f(8), "b": f(8)}, ["w", "p", "g", "b"], ["y", "mask"], {}),
    ("Attention", {"x": f(2, 4, 8), "w": f(8, 24), "b": f(24), "m": MASK}, ["w", "b"], ["y"], {"num_heads": 2}),
    ("Attention", {"x": f(2, 4, 8), "w": f(8, 24), "b": f(24), "m": None, "p": f(2, 2, 2, 3, 4)}, ["w", "b"], ["y", "present"], {"num_heads": 2, "unidirectional": 1}),
    ("Attention", {"x": f(2, 4, 8), "w": f(8, 20), "b": f(20)}, ["w", "b"], ["y"], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 4]}),
    ("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 6, 8), "v": f(2, 6, 12), "b": f(28)}, ["b"], ["y"], {"num_heads": 2}),
    ("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 4, 8), "v": f(2, 4, 8), "b": None, "m": None, "a": f(1, 2, 4, 9), "pk": f(2, 2, 5, 4), "pv": f(2, 2, 5, 4)}, [], ["y", "k2", "v2"], {"num_heads": 2}),
    ("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 2, 6, 4), "v": f(2, 2, 6, 4)}, [], ["y"], {"num_heads": 2}),
    ("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 4, 8), "v": f(2, 4, 8)}, [], ["y", "k2", "v2"], {"num_heads": 2}),
    ("GroupQueryAttention", {"q": f(1, 3, 32), "k": f(1, 3, 16), "v": f(1, 3, 16), "pk": None, "pv": None, "l": np.array([2], np.int32), "t": np.array(3, np.int32)}, ["l", "t"], ["y", "k2", "v2"], {"num_heads": 4, "kv_num_heads": 2}),
    ("GroupQueryAttention", {"q": f(1, 1, 64), "k": None, "v": None, "pk": f(1, 1, 5, 16), "pv": f(1, 1, 5, 16), "l": np.array([5], np.int32), "t": np.array(6, np.int32), "cos": f(9, 8), "sin": f(9, 8)}, ["l", "t", "cos", "sin"], ["y", "k2", "v2"], {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1}),
    ("RotaryEmbedding", {"x": f(2, 4, 8), "p": IDS.astype(np.int64), "c": f(9, 2), "s": f(9, 2)}, ["c", "s"], ["y"], {"num_heads": 2}),
    ("RotaryEmbedding", {"x": f(2, 2, 4, 4), "p": np.array([1], np.int64), "c": f(9, 2), "s": f(9, 2)}, ["c", "s"], ["y"], {}),
    ("Inverse", {"x": f(2, 3, 3)}, [], ["y"], {}),
    ("Trilu", {"x": f(2, 3, 3)}, [], ["y"], {"upper": 0}),
    ("ExpandDims", {"x": f(2, 3), "a": np.array(-1, np.int32)}, ["a"], ["y"], {}),
    ("Pad", {"x": f(2, 3), "p": np.array([1, 0, 0, 2], np.int64)}, ["p"], ["y"], {}),
    ("GatherND", {"x": f(2, 3, 4), "i": np.array([[0, 1], [1, 2]], np.int64)}, [], ["y"], {}),
    ("GridSample", {"x": f(1, 2, 4, 4), "g": f(1, 3, 5, 2)}, [], ["y"], {}),
    ("CropAndResize", {"x": f(1, 2, 8, 8), "r": np.array([[0, 0, 1, 1]], F), "b": np.array([0], np.int32), "s": np.array([3, 4], np.int32)}, ["s"], ["y"], {}),
    ("ConvTransposeWithDynamicPads", {"x": f(1, 4, 5, 5), "w": f(4, 3, 3, 3), "p": np.array([1, 1, 0, 0], np.int64), "b": f(3)}, ["w", "p", "b"], ["y"], {"strides": [2, 2]}),
    ("NhwcMaxPool", {"x": u8(1, 6, 7, 4)}, [], ["y"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("GatherBlockQuantized", {"d": u8(6, 16), "i": IDS.astype(np.int64), "s": f(6, 2)}, ["d", "s"], ["y"], {"block_size": 16, "bits": 4, "quantize_axis": 1}),
    ("MoE", {"x": f(6, 8), "r": f(6, 4), "a": f(4, 16, 8), "ab": f(4, 16), "b": f(4, 8, 16), "bb": f(4, 8)}, ["a", "ab", "b", "bb"], ["y"], {"k": 2, "activation_type": "gelu"}),
    ("QLinearConv", {"x": u8(1, 6, 6, 4), "xs": scale(), "xz": ZERO, "w": i8(8, 4, 3, 3), "ws": scale(), "wz": ZERO8, **QY}, ["xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"], {"channels_last": 1}),
    ("DecoderMaskedMultiHeadAttention", {"q": f(1, 1, 8), "k": f(1, 1, 8), "v": f(1, 1, 8), "m": None, "a": None, "pk": f(1, 2, 9, 4), "pv": f(1, 2, 9, 4), "n": np.array([4], np.int32)}, ["n"], ["y", "k2", "v2"], {"num_heads": 2, "past_present_share_buffer": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "inputs", "weights", "outputs", "attrs"), CASES)
def test_shapes_are_those_that_onnx_runtime_makes(
    one: Callable[..., Any], op_type: str, inputs: Any, weights: Any, outputs: Any, attrs: Any
) -> None:
    model = one(op_type, inputs, outputs, weights, domain="com.microsoft", **attrs)
    assert model.shapes() == model.executed()
    assert not model.report.unsupported()


# Without a kernel on the CPU: operands and the shape of the result, as ONNX Runtime documents them.
DOCUMENTED: list[tuple[str, dict[str, Any], tuple[int, ...], dict[str, Any]]] = [
    ("MultiHeadAttention", {"q": f(2, 4, 2, 3, 4)}, (2, 4, 8), {"num_heads": 2}),
    ("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 6, 2, 2, 4)}, (2, 4, 8), {"num_heads": 2}),
    ("BiasSoftmax", {"x": f(2, 3, 4), "b": f(1, 3, 4)}, (2, 3, 4), {"axis": 2, "is_inner_broadcast": 0}),
    ("BiasAdd", {"x": f(2, 9, 4), "b": f(4), "s": f(2, 9, 4)}, (2, 9, 4), {}),
    ("BiasSplitGelu", {"x": f(2, 9, 8), "b": f(8)}, (2, 9, 4), {}),
    ("GemmFastGelu", {"x": f(2, 3, 8), "w": f(8, 5), "b": f(5)}, (2, 3, 5), {}),
    ("GroupNorm", {"x": f(1, 4, 4, 8), "g": f(8), "b": f(8)}, (1, 4, 4, 8), {"groups": 2, "activation": 1}),
    ("SkipGroupNorm", {"x": f(1, 4, 4, 8), "g": f(8), "b": f(8), "s": f(1, 4, 4, 8)}, (1, 4, 4, 8), {"groups": 2}),
    ("NhwcConv", {"x": f(1, 6, 6, 4), "w": f(8, 4, 3, 3)}, (1, 3, 3, 8), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("FusedMatMulActivation", {"a": f(3, 4), "b": f(4, 5)}, (3, 5), {"activation": "Relu"}),
    ("PackedAttention", {"x": f(7, 8), "w": f(8, 24), "b": f(24), "o": np.zeros((2, 4), np.int32), "l": np.zeros(3, np.int32)}, (7, 8), {"num_heads": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "inputs", "shape", "attrs"), DOCUMENTED)
def test_shapes_are_those_that_are_documented(
    one: Callable[..., Any], op_type: str, inputs: Any, shape: Any, attrs: Any
) -> None:
    model = one(op_type, inputs, domain="com.microsoft", **attrs)
    assert model.shapes() == {"y": (shape, "float32")}
    assert not model.report.unsupported()


SIMPLIFIED = {"x": f(2, 4, 8), "g": f(8)}


def test_simplified_layer_norm_is_in_the_standard_domain(one: Callable[..., Any]) -> None:
    model = one("SimplifiedLayerNormalization", SIMPLIFIED, ["y", "inv"], ["g"], axis=-1)
    assert model.shapes() == model.executed()
    assert model.ops == ["rms_norm"]
