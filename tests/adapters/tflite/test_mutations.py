"""Well-formed files whose contents contradict themselves: fields of the schema set to what does not fit.

Flipped bits mostly break the tables; here these are whole, so that the rules of the operators get to see it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multiprof
from multiprof.errors import MultiprofError

NUMBERS = (0, 1, -1, 2, 3, -2, 7, 100, 65536, 2**31 - 1, -(2**31))


def f(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


NETS: dict[str, tuple[Any, ...]] = {
    "conv": ("CONV_2D", [(1, 8, 9, 6), f(4, 3, 3, 6), f(4)], "Conv2D", {"strideH": 1, "strideW": 2}),
    "depthwise": (
        "DEPTHWISE_CONV_2D",
        [(1, 8, 8, 6), f(1, 3, 3, 6), f(6)],
        "DepthwiseConv2D",
        {"strideH": 1, "strideW": 1},
    ),
    "deconv": (
        "TRANSPOSE_CONV",
        [ints(1, 8, 8, 4), f(4, 4, 4, 8), (1, 4, 4, 8)],
        "TransposeConv",
        {"strideH": 2, "strideW": 2},
    ),
    "dense": ("FULLY_CONNECTED", [(4, 30), f(10, 30), f(10)], "FullyConnected", {}),
    "matmul": ("BATCH_MATMUL", [(2, 3, 4), f(4, 6)], "BatchMatMul", {}),
    "pool": (
        "AVERAGE_POOL_2D",
        [(1, 9, 9, 3)],
        "Pool2D",
        {"strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3},
    ),
    "rnn": ("UNIDIRECTIONAL_SEQUENCE_RNN", [(2, 7, 3), f(5, 3), f(5, 5), f(5), ("state", (2, 5))], "SequenceRNN", {}),
    "svdf": ("SVDF", [(2, 3), f(8, 3), f(8, 10), f(4), ("state", (2, 80))], "SVDF", {"rank": 2}),
    "lstm": (
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [(2, 7, 3), *[f(5, 3)] * 4, *[f(5, 5)] * 4, *[f(5)] * 3, *[f(5)] * 4, None, None, *[("state", (2, 5))] * 2],
        "UnidirectionalSequenceLSTM",
        {},
    ),
    "gather": ("GATHER", [(2, 5, 6), ("int32", (3, 4))], "Gather", {"axis": 1}),
    "concat": ("CONCATENATION", [(2, 3, 4), (2, 5, 4)], "Concatenation", {"axis": -2}),
    "reshape": ("RESHAPE", [(2, 3, 4), ints(4, -1)], "Reshape", {}),
    "strided": (
        "STRIDED_SLICE",
        [(4, 5, 6), ints(1, 4, 0), ints(3, 0, 6), ints(1, -2, 4)],
        "StridedSlice",
        {"shrinkAxisMask": 1},
    ),
    "slice": ("SLICE", [(4, 5, 6), ints(1, 0, 2), ints(2, -1, 3)], "", {}),
    "pad": ("PAD", [(2, 3), np.array([[1, 2], [0, 3]], np.int32)], "", {}),
    "space": ("SPACE_TO_BATCH_ND", [(2, 4, 6, 3), ints(2, 3), np.zeros((2, 2), np.int32)], "", {}),
    "mean": ("MEAN", [(2, 3, 4), ints(-1, 0)], "Reducer", {}),
    "resize": ("RESIZE_BILINEAR", [(1, 4, 5, 3), ints(8, 7)], "ResizeBilinear", {}),
    "split": ("SPLIT_V", [(2, 7), ints(7), ints(1)], "SplitV", {"numSplits": 1}),
    "top k": ("TOPK_V2", [(2, 5), np.array(3, np.int32)], "", {}),
    "fft": ("RFFT2D", [(2, 5, 9), ints(4, 8)], "", {}),
    "range": ("RANGE", [ints(1).reshape(()), ints(9).reshape(()), ints(3).reshape(())], "", {}),
    "add": ("ADD", [(2, 1, 5), (3, 1)], "Add", {}),
    "one hot": ("ONE_HOT", [("int32", (2, 3)), np.array(4, np.int32), f(), f()], "OneHot", {"axis": -1}),
    "nms": ("NON_MAX_SUPPRESSION_V4", [(6, 4), (6,), np.array(3, np.int32), f(), f()], "", {}),
}


def mutate(model: Any, chance: random.Random) -> None:
    """Change one to four fields: a size, a shape, an operand, an option."""
    (graph,) = model.subgraphs
    (operator,) = graph.operators
    for _ in range(chance.choice((1, 2, 4))):
        tensor = chance.choice(graph.tensors)
        what = chance.choice(("size", "rank", "operand", "fewer", "option", "option"))
        if what == "size" and tensor.shape:
            tensor.shape[chance.randrange(len(tensor.shape))] = chance.choice(NUMBERS)
        elif what == "rank":
            tensor.shape = tensor.shape[1:] if chance.random() < 0.5 else [*tensor.shape, chance.choice((1, 2, 5))]
        elif what == "operand" and operator.inputs:
            operator.inputs[chance.randrange(len(operator.inputs))] = chance.choice((-1, 99, 0, 1))
        elif what == "fewer" and operator.inputs:
            operator.inputs.pop()
        elif what == "option" and operator.builtinOptions is not None:
            table = operator.builtinOptions
            numbers = [name for name, value in vars(table).items() if type(value) is int]
            if numbers:
                name = chance.choice(numbers)
                small = name in ("padding", "fusedActivationFunction", "weightsFormat", "quantizedBiasType")
                setattr(table, name, chance.choice((-1, 0, 1, 5, 100) if small else NUMBERS))


@pytest.mark.parametrize("name", NETS)
def test_contradictions_are_errors_of_the_model(name: str, one: Callable[..., Any], build: Any, tmp_path: Path) -> None:
    code, operands, table, fields = NETS[name]
    one(code, operands, ["complex64" if name == "fft" else "float32"], table, **fields)
    whole = build.bytes()
    path = tmp_path / "mutated.tflite"
    refused = 0
    for seed in range(40):
        model = type(build.model).InitFromPackedBuf(whole)
        for subgraph in model.subgraphs:
            for tensor in subgraph.tensors:
                tensor.shape = [] if tensor.shape is None else [int(d) for d in tensor.shape]
            for operator in subgraph.operators:
                operator.inputs = [int(i) for i in operator.inputs]
        mutate(model, random.Random(seed))
        build.model = model
        path.write_bytes(build.bytes())
        try:
            multiprof.analyze(path).to_dict()
        except MultiprofError as error:
            refused += 1
            assert str(error).startswith("mutated.tflite: ") or "the input" in str(error)
            assert "reading the model" not in str(error)
    assert 0 < refused < 40
