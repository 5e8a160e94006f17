"""The arithmetic of shapes: the size that a chain of integer operators gives, against what LiteRT computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def scalar(value: int) -> np.ndarray:
    return np.array(value, np.int32)


# name: (code, constants, options, fields, number of outputs, the one that is used): the result is a vector of sizes
CASES: dict[str, tuple[Any, ...]] = {
    "add": ("ADD", [ints(2, 3), ints(4, 5)], "Add", {}),
    "sub broadcast": ("SUB", [ints(7, 9), scalar(4)], "Sub", {}),
    "mul": ("MUL", [ints(2, 3), ints(4)], "Mul", {}),
    "div": ("DIV", [ints(7, -9), ints(2, -2)], "Div", {}),
    "floor div": ("FLOOR_DIV", [ints(7, -9), ints(2, -2)], "", {}),
    "floor mod": ("FLOOR_MOD", [ints(7, -9), ints(4, 5)], "", {}),
    "maximum": ("MAXIMUM", [ints(2, 5), ints(3, 1)], "", {}),
    "minimum": ("MINIMUM", [ints(2, 5), ints(3, 1)], "", {}),
    "pow": ("POW", [ints(2, 5), ints(3, 1)], "", {}),
    "select": ("SELECT_V2", [np.array([True, False]), ints(2, 3), ints(4, 5)], "", {}),
    "abs": ("ABS", [ints(-2, 5)], "", {}),
    "neg": ("NEG", [ints(-2, -5)], "", {}),
    "concat": ("CONCATENATION", [ints(2), ints(3, 4)], "Concatenation", {}),
    "pack": ("PACK", [scalar(2), scalar(3)], "Pack", {"valuesCount": 2}),
    "gather": ("GATHER", [ints(2, 3, 4), ints(2, 0)], "Gather", {}),
    "slice": ("SLICE", [ints(2, 3, 4), ints(1), ints(2)], "", {}),
    "strided": ("STRIDED_SLICE", [ints(2, 3, 4, 5), ints(-1), ints(-5), ints(-2)], "StridedSlice", {}),
    "strided mask": ("STRIDED_SLICE", [ints(2, 3, 4, 5), ints(1), ints(0), ints(1)], "StridedSlice", {"endMask": 1}),
    "strided offset": (
        "STRIDED_SLICE",
        [ints(2, 3, 4, 5), ints(1), ints(2), ints(1)],
        "StridedSlice",
        {"offset": True},
    ),
    "reverse": ("REVERSE_V2", [ints(2, 3, 4), ints(0)], "", {}),
    "range": ("RANGE", [scalar(2), scalar(5), scalar(1)], "", {}),
    "fill": ("FILL", [ints(2), scalar(3)], "", {}),
    "tile": ("TILE", [ints(2, 3), ints(2)], "", {}),
    "broadcast": ("BROADCAST_TO", [ints(3), ints(2)], "", {"version": 2}),
    "broadcast args": ("BROADCAST_ARGS", [ints(3, 1), ints(2, 1, 5)], "", {}),
    "sum": ("SUM", [ints(2, 3), ints(0)], "Reducer", {"keepDims": True}),
    "prod": ("REDUCE_PROD", [ints(2, 3), ints(0)], "Reducer", {"keepDims": True}),
    "max": ("REDUCE_MAX", [ints(2, 3), ints(0)], "Reducer", {"keepDims": True}),
    "min": ("REDUCE_MIN", [ints(2, 3), ints(0)], "Reducer", {"keepDims": True}),
    "split v": ("SPLIT_V", [ints(2, 3, 4), ints(1, 2), scalar(0)], "SplitV", {"numSplits": 2}, 2, 1),
    "split": ("SPLIT", [scalar(0), ints(2, 3, 4, 5)], "Split", {"numSplits": 2}, 2, 1),
    "unpack": ("UNPACK", [np.array([[2, 3], [4, 5]], np.int32)], "Unpack", {"num": 2, "axis": 1}, 2, 1),
    "expand": ("EXPAND_DIMS", [scalar(3), scalar(0)], "", {}),
    "squeeze": ("SQUEEZE", [np.array([[3, 4]], np.int32)], "Squeeze", {"squeezeDims": [0]}),
    "reshape": ("RESHAPE", [np.array([[3], [4]], np.int32), ints(-1)], "Reshape", {}),
    "transpose": ("TRANSPOSE", [ints(3, 4), ints(0)], "", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_sizes_are_those_that_are_computed(
    name: str, build: Any, options: Callable[..., Any], case: Callable[..., Any]
) -> None:
    code, constants, table, fields, *rest = CASES[name]
    outputs, used = rest or (1, 0)
    fields = dict(fields)
    version = fields.pop("version", 1)
    graph = build.graph()
    x = graph.input((1,), name="x")
    sizes = [graph.tensor((), "int32") for _ in range(outputs)]
    opts = options(table, **fields) if table else None
    graph.op(code, [graph.constant(c) for c in constants], sizes, opts, version=version)
    y, z = graph.tensor((), name="y"), graph.tensor((), name="z")
    graph.op("FILL", [sizes[used], graph.constant(np.array(1, np.float32))], [y])
    graph.op("ADD", [y, x], [z], options("Add"))
    graph.output(z)
    made = case(build)
    shape = made.graph().outputs[0].shape
    assert None not in shape
    assert shape == made.executed()["z"]


def test_numbers_of_the_data_are_unknown(build: Any, case: Callable[..., Any], options: Callable[..., Any]) -> None:
    """A size out of an input's values: its layers have no cost, and the report says why."""
    graph = build.graph()
    size = graph.input((2,), "int32", name="size")
    y, z = graph.tensor((1, 1), name="y", signature=(-1, -1)), graph.tensor((1, 1), name="z", signature=(-1, -1))
    graph.op("FILL", [size, graph.constant(np.array(1, np.float32))], [y])
    graph.op("EXP", [y], [z])
    graph.output(z)
    made = case(build)
    assert made.graph().outputs[0].shape == (None, None)
    assert list(made.report().unsupported()) == ["exp"]


def test_a_free_axis_known_in_part(build: Any, case: Callable[..., Any], options: Callable[..., Any]) -> None:
    """What is not known leaves the rest of a shape alone: (number found, 2) reshaped to (number found, 1, 2)."""
    graph = build.graph()
    x = graph.input((4, 5), "bool", name="x")
    places = graph.tensor((1, 2), "int64", name="places", signature=(-1, 2))
    shape, count, target = graph.tensor((2,), "int32"), graph.tensor((), "int32"), graph.tensor((3,), "int32")
    y = graph.tensor((1, 1, 2), "int64", name="y", signature=(-1, 1, 2))
    graph.op("WHERE", [x], [places])
    graph.op("SHAPE", [places], [shape], options("Shape", outType=2))
    begin, end = (graph.constant(ints(v)) for v in (0, 1))
    graph.op("STRIDED_SLICE", [shape, begin, end, end], [count], options("StridedSlice", shrinkAxisMask=1))
    one, two = graph.constant(scalar(1)), graph.constant(scalar(2))
    graph.op("PACK", [count, one, two], [target], options("Pack", valuesCount=3))
    graph.op("RESHAPE", [places, target], [y], options("Reshape"))
    graph.output(y)
    made = case(build)
    assert made.graph().outputs[0].shape == (None, 1, 2)
    assert made.executed()["y"] == (20, 1, 2)
