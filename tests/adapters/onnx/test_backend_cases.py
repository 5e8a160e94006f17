"""onnx's own test cases, one or more for every operator of every opset: the outputs have the stored outputs' shapes."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

# Cases whose results have a size that depends on data, on an input that is no tensor, or on contents in a type that
# numpy does not have; for them the rank, or nothing.
DATA_DEPENDENT = (
    "compress", "identity_sequence", "if_seq", "if_opt", "image_decoder", "loop11", "loop13_seq", "loop16_seq_none",
    "nonmaxsuppression", "nonzero", "optional_get_element", "sequence_map", "sequence_insert", "string_split",
    "strnormalizer", "unique", "range_bfloat16",
)  # fmt: skip
# This one takes an optional input, which is absent unless it is given.
NOT_GIVEN = ("identity_opt",)


@cache
def cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # divisions by zero that are the point of a case
        return [case for case in collect_testcases(None) if case.model is not None]


def shapes(value: Any) -> list[tuple[int, ...]]:
    """The shape of an output; of a sequence, those of its items."""
    if isinstance(value, list):
        return [shape for item in value for shape in shapes(item)]
    return [tuple(value.dims) if isinstance(value, onnx.TensorProto) else tuple(np.shape(value))]


def prepared(case: Any) -> tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]:
    """The model with integer inputs stored in it, as exporters write shapes, and without the outputs' shapes.

    Floats are stored too where they say how large the result is. Also the shapes of what remains an input.
    """
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    given: dict[str, tuple[int, ...]] = {}
    sizes = any(word in case.name for word in ("resize", "range", "upsample", "onehot"))
    for info, value in zip(list(graph.input), case.data_sets[0][0], strict=False):
        if not isinstance(value, (np.ndarray, np.generic)):
            continue
        array = np.asarray(value)
        if array.dtype in (np.int64, np.int32) or (sizes and array.dtype.kind in "iuf"):
            graph.initializer.append(numpy_helper.from_array(array, info.name))
            graph.input.remove(info)
        else:
            given[info.name] = array.shape
    for output in graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    return model, given


def fits(got: tuple[int | None, ...], wanted: tuple[int, ...], *, exactly: bool) -> bool:
    if exactly:
        return got == wanted
    return got == (None,) or (
        len(got) == len(wanted) and all(a is None or a == b for a, b in zip(got, wanted, strict=True))
    )


def test_there_are_many() -> None:
    assert len(cases()) > (1800 if onnx.defs.onnx_opset_version() > 21 else 1200)  # onnx 1.16 has fewer


def test_shapes_of_outputs(models: Any) -> None:
    """By inference alone, from stored contents."""
    wrong = []
    for case in cases():
        name = case.name.removeprefix("test_")
        if name.startswith(NOT_GIVEN):
            continue
        model, given = prepared(case)
        graph = models.read(models.save(model), **{key: shape for key, shape in given.items() if shape})
        wanted = [shape for value in case.data_sets[0][1] for shape in shapes(value)]
        got = [spec.shape for spec in graph.outputs]
        loose = name.startswith(DATA_DEPENDENT)
        if len(got) != len(wanted):
            if not (loose and (None,) in got):
                wrong.append((name, got, wanted))
        elif not all(fits(a, b, exactly=not loose) for a, b in zip(got, wanted, strict=True)):
            wrong.append((name, got, wanted))
    assert not wrong, "\n".join(map(str, wrong))
