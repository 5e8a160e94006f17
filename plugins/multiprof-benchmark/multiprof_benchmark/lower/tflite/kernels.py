"""Which of LiteRT's operators compute on 8-bit integers, and what they ask of scales and zero points.

From the kernels of TensorFlow Lite (tensorflow/lite/kernels, and the 8-bit quantisation specification).
"""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    """real = step · (stored − zero)."""

    step: float
    zero: int


# Products with weights: (version for 8 bits, place of the weight, place of the bias, axis of the output channels).
# Weights are symmetric, one scale for each output channel; a bias has 32 bits and the product of both scales.
WEIGHTED = {
    "CONV_2D": (3, 1, 2, 0),
    "DEPTHWISE_CONV_2D": (3, 1, 2, 3),
    "FULLY_CONNECTED": (4, 1, 2, 0),
    "TRANSPOSE_CONV": (3, 1, 3, 0),
}

# Results whose scale the kernel dictates.
FIXED = {
    "SOFTMAX": (2, Scale(1 / 256, -128)),
    "LOGISTIC": (2, Scale(1 / 256, -128)),
    "TANH": (2, Scale(1 / 128, 0)),
    "L2_NORMALIZATION": (2, Scale(1 / 128, 0)),
    "LOG_SOFTMAX": (2, Scale(16 / 256, 127)),
}

# What moves or compares elements: results in the scale of the operands, all of them in the same.
SAME = {
    "RESHAPE": 1, "TRANSPOSE": 2, "CONCATENATION": 2, "MAX_POOL_2D": 2, "AVERAGE_POOL_2D": 2, "PAD": 2, "PADV2": 2,
    "MIRROR_PAD": 2, "SLICE": 2, "STRIDED_SLICE": 2, "SPLIT": 2, "SPLIT_V": 2, "PACK": 2, "UNPACK": 2, "GATHER": 2,
    "RESIZE_BILINEAR": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "MAXIMUM": 2, "MINIMUM": 2, "REDUCE_MAX": 2, "REDUCE_MIN": 2,
    "SELECT_V2": 1, "BROADCAST_TO": 2, "TILE": 2, "REVERSE_V2": 1, "RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 1, "ABS": 2,
    "SPACE_TO_BATCH_ND": 2, "BATCH_TO_SPACE_ND": 2,
}  # fmt: skip

# Every operand and the result in a scale of its own.
OWN = {
    "ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SQUARED_DIFFERENCE": 2, "PRELU": 1, "BATCH_MATMUL": 2, "MEAN": 2,
    "SUM": 2, "RSQRT": 2, "SQRT": 2, "EXP": 2, "LOG": 2, "ELU": 1, "HARD_SWISH": 1, "GELU": 2, "LEAKY_RELU": 2,
    "ARG_MAX": 2, "ARG_MIN": 2,
}  # fmt: skip

# Comparisons end the process where a scale is not below 1.
COMPARING = {"EQUAL": 2, "NOT_EQUAL": 2, "LESS": 2, "LESS_EQUAL": 2, "GREATER": 2, "GREATER_EQUAL": 2}

VERSIONS = {
    **{kind: row[0] for kind, row in WEIGHTED.items()},
    **{kind: row[0] for kind, row in FIXED.items()},
    **SAME,
    **OWN,
    **COMPARING,
}

# Operators whose work is multiply-adds: those by which a layer counts as computed on integers.
WORKING = frozenset((*WEIGHTED, "BATCH_MATMUL", "CONV_3D", "UNIDIRECTIONAL_SEQUENCE_LSTM"))

__all__ = ["COMPARING", "FIXED", "OWN", "SAME", "VERSIONS", "WEIGHTED", "WORKING", "Scale"]
