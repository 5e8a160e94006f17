"""Every operator alone: its shapes against those that the LiteRT interpreter executes, its MACs in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

f32, i32, i64 = np.float32, np.int32, np.int64


def f(*shape: int) -> np.ndarray:
    return np.ones(shape, f32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, i32)


POOL = {"strideH": 2, "strideW": 3, "filterHeight": 3, "filterWidth": 2}
CONV = {"strideH": 1, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
# name: (code, operands, output types, options, fields, macs)
CASES: dict[str, tuple[Any, ...]] = {
    # weight (C_o, k, k, C_i); y is 2×8×5×4 under SAME, each element 3·3·6 macs
    "conv same": ("CONV_2D", [(2, 8, 9, 6), f(4, 3, 3, 6), f(4)], ["float32"], "Conv2D", CONV, 2 * 8 * 5 * 4 * 9 * 6),
    "conv valid": (
        "CONV_2D",
        [(2, 8, 9, 6), f(4, 3, 3, 6), f(4)],
        ["float32"],
        "Conv2D",
        CONV | {"padding": 1, "fusedActivationFunction": 3},
        2 * 6 * 4 * 4 * 9 * 6,
    ),
    "conv dilated": (
        "CONV_2D",
        [(1, 9, 9, 2), f(4, 3, 3, 2), f(4)],
        ["float32"],
        "Conv2D",
        {"strideH": 1, "strideW": 1, "dilationHFactor": 2, "dilationWFactor": 3, "padding": 1},
        5 * 3 * 4 * 9 * 2,
    ),
    "conv grouped": (
        "CONV_2D",
        [(1, 5, 5, 6), f(4, 3, 3, 3), f(4)],
        ["float32"],
        "Conv2D",
        {"strideH": 1, "strideW": 1},
        25 * 4 * 9 * 3,
    ),
    "depthwise": (
        "DEPTHWISE_CONV_2D",
        [(1, 8, 8, 6), f(1, 3, 3, 12), f(12)],
        ["float32"],
        "DepthwiseConv2D",
        CONV | {"depthMultiplier": 2},
        8 * 4 * 12 * 9,
    ),
    "conv 3d": (
        "CONV_3D",
        [(1, 4, 5, 6, 2), f(3, 2, 3, 2, 7), f(7)],
        ["float32"],
        "Conv3D",
        {"strideD": 1, "strideH": 2, "strideW": 1},
        4 * 3 * 6 * 7 * (3 * 2 * 3) * 2,
    ),
    "transpose conv": (
        "TRANSPOSE_CONV",
        [ints(1, 8, 8, 4), f(4, 4, 4, 8), (1, 4, 4, 8)],
        ["float32"],
        "TransposeConv",
        {"strideH": 2, "strideW": 2},
        8 * 4 * 4 * 16 * 4,
    ),
    "transpose conv bias": (
        "TRANSPOSE_CONV",
        [ints(1, 9, 9, 5), f(5, 3, 3, 2), (1, 4, 4, 2), f(5)],
        ["float32"],
        "TransposeConv",
        {"strideH": 2, "strideW": 2, "padding": 1},
        16 * 2 * 9 * 5,
    ),
    "transpose conv 3d": (
        "CONV_3D_TRANSPOSE",
        [ints(1, 4, 4, 4, 3), f(2, 2, 2, 3, 2), (1, 2, 2, 2, 2)],
        ["float32"],
        "Conv3D",
        {"strideD": 2, "strideH": 2, "strideW": 2},
        8 * 2 * 8 * 3,
    ),
    "dense": (
        "FULLY_CONNECTED",
        [(4, 300), f(100, 300), f(100)],
        ["float32"],
        "FullyConnected",
        {"fusedActivationFunction": 1},
        4 * 30_000,
    ),
    "dense 4-D": ("FULLY_CONNECTED", [(2, 3, 1, 5), f(7, 15)], ["float32"], "FullyConnected", {}, 2 * 15 * 7),
    "dense keeps": (
        "FULLY_CONNECTED",
        [(2, 3, 5), f(7, 5), None],
        ["float32"],
        "FullyConnected",
        {"keepNumDims": True},
        6 * 5 * 7,
    ),
    "dense by activation": ("FULLY_CONNECTED", [(4, 6), (5, 6), f(5)], ["float32"], "FullyConnected", {}, 4 * 6 * 5),
    "matmul": ("BATCH_MATMUL", [(2, 1, 3, 4), (5, 4, 6)], ["float32"], "BatchMatMul", {}, 2 * 5 * 3 * 4 * 6),
    "matmul adjoint": (
        "BATCH_MATMUL",
        [(2, 4, 3), (2, 6, 4)],
        ["float32"],
        "BatchMatMul",
        {"adjX": True, "adjY": True},
        2 * 3 * 4 * 6,
    ),
    "matmul weight": ("BATCH_MATMUL", [(2, 3, 4), f(4, 6)], ["float32"], "BatchMatMul", {}, 2 * 3 * 4 * 6),
    "matmul weight left": ("BATCH_MATMUL", [f(3, 4), (2, 4, 6)], ["float32"], "BatchMatMul", {}, 2 * 3 * 4 * 6),
    "average pool": ("AVERAGE_POOL_2D", [(1, 9, 9, 3)], ["float32"], "Pool2D", POOL, 0),
    "max pool": ("MAX_POOL_2D", [(1, 9, 9, 3)], ["float32"], "Pool2D", POOL | {"padding": 1}, 0),
    "l2 pool": ("L2_POOL_2D", [(1, 9, 9, 3)], ["float32"], "Pool2D", POOL, 0),
    "rnn": (
        "RNN",
        [(2, 3), f(5, 3), f(5, 5), f(5), ("state", (2, 5))],
        ["float32"],
        "RNN",
        {"fusedActivationFunction": 4},
        2 * 5 * (3 + 5),
    ),
    "sequence rnn": (
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        [(2, 7, 3), f(5, 3), f(5, 5), f(5), ("state", (2, 5))],
        ["float32"],
        "SequenceRNN",
        {"fusedActivationFunction": 1},
        14 * 5 * (3 + 5),
    ),
    "both rnn": (
        "BIDIRECTIONAL_SEQUENCE_RNN",
        [
            (7, 2, 3),
            f(5, 3),
            f(5, 5),
            f(5),
            ("state", (2, 5)),
            f(4, 3),
            f(4, 4),
            f(4),
            ("state", (2, 4)),
            None,
            None,
            None,
        ],
        ["float32", "float32"],
        "BidirectionalSequenceRNN",
        {"timeMajor": True},
        14 * (5 * 8 + 4 * 7),
    ),
    "both rnn merged": (
        "BIDIRECTIONAL_SEQUENCE_RNN",
        [
            (7, 2, 3),
            f(5, 3),
            f(5, 5),
            f(5),
            ("state", (2, 5)),
            f(5, 3),
            f(5, 5),
            f(5),
            ("state", (2, 5)),
            None,
            None,
            None,
        ],
        ["float32"],
        "BidirectionalSequenceRNN",
        {"timeMajor": True, "mergeOutputs": True},
        2 * 14 * 5 * 8,
    ),
    "svdf": (
        "SVDF",
        [(2, 3), f(8, 3), f(8, 10), f(4), ("state", (2, 80))],
        ["float32"],
        "SVDF",
        {"rank": 2, "fusedActivationFunction": 1},
        2 * 8 * 3 + 2 * 8 * 10,
    ),
    "embedding": ("EMBEDDING_LOOKUP", [("int32", (5,)), f(9, 4)], ["float32"], "", {}, 0),
    "gather table": ("GATHER", [f(9, 4), ("int32", (2, 3))], ["float32"], "Gather", {}, 0),
    "gather": ("GATHER", [(2, 5, 6), ("int32", (3, 4))], ["float32"], "Gather", {"axis": 1}, 0),
    "gather batched": ("GATHER", [(2, 5, 6), ("int32", (2, 4))], ["float32"], "Gather", {"axis": 1, "batchDims": 1}, 0),
    "gather nd": ("GATHER_ND", [(5, 6, 7), ("int32", (3, 4, 2))], ["float32"], "", {}, 0),
    "concat": ("CONCATENATION", [(2, 3, 4), (2, 5, 4)], ["float32"], "Concatenation", {"axis": -2}, 0),
    "pack": ("PACK", [(2, 3), (2, 3), (2, 3)], ["float32"], "Pack", {"valuesCount": 3, "axis": -1}, 0),
    "unpack": ("UNPACK", [(2, 3)], ["float32"] * 3, "Unpack", {"num": 3, "axis": 1}, 0),
    "split": ("SPLIT", [ints(2), (2, 3, 6)], ["float32"] * 3, "Split", {"numSplits": 3}, 0),
    "split v": ("SPLIT_V", [(2, 7), ints(3, -1), ints(1)], ["float32"] * 2, "SplitV", {"numSplits": 2}, 0),
    "reshape": ("RESHAPE", [(2, 3, 4), ints(4, -1)], ["float32"], "Reshape", {}, 0),
    "reshape option": ("RESHAPE", [(2, 3, 4)], ["float32"], "Reshape", {"newShape": [6, -1]}, 0),
    "squeeze": ("SQUEEZE", [(1, 3, 1, 4)], ["float32"], "Squeeze", {"squeezeDims": [-2]}, 0),
    "squeeze all": ("SQUEEZE", [(1, 3, 1, 4)], ["float32"], "Squeeze", {}, 0),
    "expand": ("EXPAND_DIMS", [(2, 3), ints(-1)], ["float32"], "", {}, 0),
    "transpose": ("TRANSPOSE", [(2, 3, 4), ints(2, 0, 1)], ["float32"], "", {}, 0),
    "slice": ("SLICE", [(4, 5, 6), ints(1, 0, 2), ints(2, -1, 3)], ["float32"], "", {}, 0),
    "strided": (
        "STRIDED_SLICE",
        [(4, 5, 6), ints(1, 4, 0), ints(3, 0, 6), ints(1, -2, 4)],
        ["float32"],
        "StridedSlice",
        {},
        0,
    ),
    "strided masks": (
        "STRIDED_SLICE",
        [(4, 5, 6), ints(1, 2, 0), ints(3, 4, 0), ints(2, 1, 1)],
        ["float32"],
        "StridedSlice",
        {"beginMask": 1, "endMask": 6, "shrinkAxisMask": 4},
        0,
    ),
    "strided ellipsis": (
        "STRIDED_SLICE",
        [(4, 5, 6, 7), ints(0, 0, 2), ints(0, 0, 5), ints(1, 1, 1)],
        ["float32"],
        "StridedSlice",
        {"ellipsisMask": 1, "shrinkAxisMask": 2},
        0,
    ),
    "strided new axis": (
        "STRIDED_SLICE",
        [(4, 5), ints(0, 1), ints(0, 3), ints(1, 1)],
        ["float32"],
        "StridedSlice",
        {"newAxisMask": 1},
        0,
    ),
    "pad": ("PAD", [(2, 3), np.array([[1, 2], [0, 3]], i32)], ["float32"], "", {}, 0),
    "pad v2": ("PADV2", [(2, 3), np.array([[1, 2], [0, 3]], i32), np.array(4, f32)], ["float32"], "", {}, 0),
    "mirror": ("MIRROR_PAD", [(4, 3), np.array([[1, 2], [0, 2]], i32)], ["float32"], "MirrorPad", {}, 0),
    "tile": ("TILE", [(2, 3), ints(2, 4)], ["float32"], "", {}, 0),
    "broadcast": ("BROADCAST_TO", [(1, 3), ints(4, 2, 3)], ["float32"], "", {"version": 2}, 0),
    "reverse": ("REVERSE_V2", [(2, 3), ints(-1)], ["float32"], "", {}, 0),
    "reverse sequence": ("REVERSE_SEQUENCE", [(2, 3, 4), ints(1, 2)], ["float32"], "ReverseSequence", {"seqDim": 1}, 0),
    "dilate": ("DILATE", [(3, 4), ints(2, 3), np.array(0, f32)], ["float32"], "", {}, 0),
    "space to depth": ("SPACE_TO_DEPTH", [(1, 4, 6, 3)], ["float32"], "SpaceToDepth", {"blockSize": 2}, 0),
    "depth to space": ("DEPTH_TO_SPACE", [(1, 4, 6, 12)], ["float32"], "DepthToSpace", {"blockSize": 2}, 0),
    "space to batch": (
        "SPACE_TO_BATCH_ND",
        [(2, 4, 5, 3), ints(2, 3), np.array([[1, 1], [0, 1]], i32)],
        ["float32"],
        "",
        {},
        0,
    ),
    "batch to space": (
        "BATCH_TO_SPACE_ND",
        [(12, 2, 3, 3), ints(2, 3), np.array([[1, 0], [0, 2]], i32)],
        ["float32"],
        "",
        {},
        0,
    ),
    "mean": ("MEAN", [(2, 3, 4), ints(-1, 0)], ["float32"], "Reducer", {}, 0),
    "sum keeps": ("SUM", [(2, 3, 4), ints(1)], ["float32"], "Reducer", {"keepDims": True}, 0),
    "max": ("REDUCE_MAX", [(2, 3, 4), ints(1)], ["float32"], "Reducer", {}, 0),
    "min": ("REDUCE_MIN", [(2, 3, 4), ints(1, 2)], ["float32"], "Reducer", {}, 0),
    "prod": ("REDUCE_PROD", [(2, 3, 4), ints(0)], ["float32"], "Reducer", {}, 0),
    "any": ("REDUCE_ANY", [("bool", (2, 3)), ints(0)], ["bool"], "Reducer", {}, 0),
    "all": ("REDUCE_ALL", [("bool", (2, 3)), ints(1)], ["bool"], "Reducer", {}, 0),
    "argmax": ("ARG_MAX", [(2, 3, 4), ints(1)], ["int32"], "ArgMax", {"outputType": 2}, 0),
    "argmin": ("ARG_MIN", [(2, 3, 4), ints(-1)], ["int32"], "ArgMin", {"outputType": 2}, 0),
    "cumsum": ("CUMSUM", [(2, 3), ints(1)], ["float32"], "Cumsum", {}, 0),
    "bilinear": ("RESIZE_BILINEAR", [(1, 4, 5, 3), ints(8, 7)], ["float32"], "ResizeBilinear", {}, 0),
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", [(1, 4, 5, 3), ints(8, 7)], ["float32"], "ResizeNearestNeighbor", {}, 0),
    "softmax": ("SOFTMAX", [(2, 5)], ["float32"], "Softmax", {"beta": 1.0}, 0),
    "log softmax": ("LOG_SOFTMAX", [(2, 5)], ["float32"], "", {}, 0),
    "l2 normalise": ("L2_NORMALIZATION", [(2, 5)], ["float32"], "L2Norm", {}, 0),
    "lrn": (
        "LOCAL_RESPONSE_NORMALIZATION",
        [(1, 3, 3, 8)],
        ["float32"],
        "LocalResponseNormalization",
        {"radius": 2, "bias": 1.0, "alpha": 1.0, "beta": 0.5},
        0,
    ),
    "prelu": ("PRELU", [(1, 3, 3, 8), f(1, 1, 8)], ["float32"], "", {}, 0),
    "leaky": ("LEAKY_RELU", [(2, 5)], ["float32"], "LeakyRelu", {"alpha": 0.1}, 0),
    "gelu": ("GELU", [(2, 5)], ["float32"], "Gelu", {"approximate": True}, 0),
    "add": ("ADD", [(2, 1, 5), (3, 1)], ["float32"], "Add", {"fusedActivationFunction": 1}, 0),
    "sub": ("SUB", [(2, 5), (5,)], ["float32"], "Sub", {}, 0),
    "mul": ("MUL", [(2, 5), (2, 1)], ["float32"], "Mul", {"fusedActivationFunction": 3}, 0),
    "div": ("DIV", [(2, 5), (2, 5)], ["float32"], "Div", {}, 0),
    "squared difference": ("SQUARED_DIFFERENCE", [(2, 5), (5,)], ["float32"], "", {}, 0),
    "pow": ("POW", [(2, 5), (2, 5)], ["float32"], "", {}, 0),
    "add n": ("ADD_N", [(2, 5), (2, 5), (2, 5)], ["float32"], "", {}, 0),
    "floor div": ("FLOOR_DIV", [(2, 5), (2, 5)], ["float32"], "", {}, 0),
    "floor mod": ("FLOOR_MOD", [(2, 5), (2, 5)], ["float32"], "", {}, 0),
    "atan2": ("ATAN2", [(2, 5), (2, 5)], ["float32"], "", {}, 0),
    "xor": ("BITWISE_XOR", [("int32", (2, 5)), ("int32", (5,))], ["int32"], "", {}, 0),
    "shift": ("RIGHT_SHIFT", [("int32", (2, 5)), ("int32", (2, 5))], ["int32"], "", {}, 0),
    "select": ("SELECT", [("bool", (2,)), (2, 5), (2, 5)], ["float32"], "", {}, 0),
    "select v2": ("SELECT_V2", [("bool", (2, 1)), (1, 5), (2, 5)], ["float32"], "", {}, 0),
    "cast": ("CAST", [(2, 5)], ["int32"], "Cast", {"outDataType": 2}, 0),
    "bitcast narrow": ("BITCAST", [(2, 5)], ["uint8"], "", {}, 0),
    "bitcast wide": ("BITCAST", [("uint8", (2, 4))], ["float32"], "", {}, 0),
    "fake quant": ("FAKE_QUANT", [(2, 5)], ["float32"], "FakeQuant", {"min": -1.0, "max": 1.0, "numBits": 8}, 0),
    "one hot": (
        "ONE_HOT",
        [("int32", (2, 3)), np.array(4, i32), np.array(1, f32), np.array(0, f32)],
        ["float32"],
        "OneHot",
        {"axis": -1},
        0,
    ),
    "top k": ("TOPK_V2", [(2, 5), np.array(3, i32)], ["float32", "int32"], "", {}, 0),
    "segment": ("SEGMENT_SUM", [(4, 3), ints(0, 0, 1, 2)], ["float32"], "", {}, 0),
    "unsorted segment": ("UNSORTED_SEGMENT_MAX", [(4, 3), ints(0, 2, 1, 2), np.array(5, i32)], ["float32"], "", {}, 0),
    "scatter": ("SCATTER_ND", [np.array([[0], [2]], i32), (2, 3), ints(5, 3)], ["float32"], "", {}, 0),
    "sparse to dense": (
        "SPARSE_TO_DENSE",
        [np.array([[0], [2]], i32), ints(5), (2,), np.array(0, f32)],
        ["float32"],
        "SparseToDense",
        {},
        0,
    ),
    "update slice": ("DYNAMIC_UPDATE_SLICE", [(4, 5), (2, 3), ints(1, 1)], ["float32"], "", {}, 0),
    "matrix diagonal": ("MATRIX_DIAG", [(2, 3)], ["float32"], "", {}, 0),
    "set diagonal": ("MATRIX_SET_DIAG", [(2, 3, 4), (2, 3)], ["float32"], "", {}, 0),
    "bucketize": ("BUCKETIZE", [(2, 3)], ["int32"], "Bucketize", {"boundaries": [0.0, 1.0]}, 0),
    "nms 4": (
        "NON_MAX_SUPPRESSION_V4",
        [(6, 4), (6,), np.array(3, i32), np.array(0.5, f32), np.array(0, f32)],
        ["int32", "int32"],
        "",
        {},
        0,
    ),
    "nms 5": (
        "NON_MAX_SUPPRESSION_V5",
        [(6, 4), (6,), np.array(3, i32), np.array(0.5, f32), np.array(0, f32), np.array(0, f32)],
        ["int32", "float32", "int32"],
        "",
        {},
        0,
    ),
    "shape": ("SHAPE", [(2, 3)], ["int32"], "Shape", {"outType": 2}, 0),
    "rank": ("RANK", [(2, 3)], ["int32"], "", {}, 0),
    "fill": ("FILL", [ints(2, 3), np.array(1, f32)], ["float32"], "", {}, 0),
    "zeros": ("ZEROS_LIKE", [(2, 3)], ["float32"], "", {}, 0),
    "range": ("RANGE", [np.array(1, i32), np.array(12, i32), np.array(3, i32)], ["int32"], "", {}, 0),
    "range float": ("RANGE", [np.array(1, f32), np.array(2, f32), np.array(0.3, f32)], ["float32"], "", {}, 0),
    "range down": ("RANGE", [np.array(5, i32), np.array(-2, i32), np.array(-3, i32)], ["int32"], "", {}, 0),
    "broadcast args": ("BROADCAST_ARGS", [ints(3, 1), ints(2, 1, 5)], ["int32"], "", {}, 0),
    "uniform": ("RANDOM_UNIFORM", [ints(2, 3)], ["float32"], "Random", {}, 0),
    "normal": ("RANDOM_STANDARD_NORMAL", [ints(2, 3)], ["float32"], "Random", {}, 0),
    "multinomial": ("MULTINOMIAL", [(2, 5), np.array(7, i32)], ["int32"], "Random", {}, 0),
    "fft": ("RFFT2D", [(2, 5, 9), ints(4, 8)], ["complex64"], "", {}, 0),
    "complex abs": ("COMPLEX_ABS", [("complex64", (2, 3))], ["float32"], "", {}, 0),
    "real": ("REAL", [("complex64", (2, 3))], ["float32"], "", {}, 0),
    "imaginary": ("IMAG", [("complex64", (2, 3))], ["float32"], "", {}, 0),
    "reduce window": (
        "REDUCE_WINDOW",
        [(5, 6), np.array(0, f32), np.array([2, 3], i64), np.array([1, 1], i64), np.array([1, 1], i64)],
        ["float32"],
        "ReduceWindow",
        {"reduceFunction": 1},
        0,
    ),
}
UNARY = (
    "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "TANH", "LOGISTIC", "HARD_SWISH", "ELU", "ABS", "NEG",
    "EXP", "LOG", "SQRT", "RSQRT", "SQUARE", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "SIGN",
)  # fmt: skip
COMPARE = ("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL", "MAXIMUM", "MINIMUM")
CASES |= {name.lower(): (name, [(2, 5)], ["float32"], "", {}, 0) for name in UNARY}
CASES |= {
    name.lower(): (name, [(2, 1, 5), (3, 1)], ["float32" if name in ("MAXIMUM", "MINIMUM") else "bool"], "", {}, 0)
    for name in COMPARE
}
CASES |= {
    name.lower(): (name, [("bool", (2, 1)), ("bool", (3,))], ["bool"], "", {}, 0)
    for name in ("LOGICAL_AND", "LOGICAL_OR")
}
CASES["logical_not"] = ("LOGICAL_NOT", [("bool", (2, 1))], ["bool"], "", {}, 0)


@pytest.mark.parametrize("name", CASES)
def test_shapes_are_those_that_are_executed(name: str, one: Callable[..., Any], build: Any) -> None:
    code, operands, outputs, opts, fields, macs = CASES[name]
    made = one(code, operands, outputs, opts, **fields)
    executed = made.executed()
    graph = made.graph()
    for spec in graph.outputs:
        assert spec.shape == executed[spec.name.removesuffix("_1")], spec.name
    assert {spec.name for spec in graph.outputs} == {f"y{i}" for i in range(len(outputs))}
    report = made.report()
    assert report.macs == macs
    assert not report.unsupported()


@pytest.mark.parametrize("code", ["UNIQUE", "WHERE"])
def test_sizes_that_depend_on_values_are_unknown(code: str, one: Callable[..., Any]) -> None:
    if code == "UNIQUE":
        graph = one(code, [(6,)], ["float32", "int32"], "Unique").graph()
        assert [spec.shape for spec in graph.outputs] == [(None,), (6,)]
    else:
        graph = one(code, [("bool", (4, 5))], ["int64"]).graph()
        assert [spec.shape for spec in graph.outputs] == [(None, 2)]
