"""Shapes, indices, tensors out of nothing, resizing, spectra and detection: layers, attributes and what is free."""
# ruff: noqa: E501  # tables: one operator a line

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multiprof.cost import Counts

One = Callable[..., Any]
RNG = np.random.default_rng(13)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def total(model: Any) -> Counts:
    return sum((layer.cost.counts for layer in model.report.layers), Counts())


X = f(2, 3, 4)
# operator, operands, what stands in the file, opset, attributes, layer, its attributes
FREE: list[tuple[str, dict[str, Any], list[str], int, dict[str, Any], str, dict[str, Any]]] = [
    ("Reshape", {"x": X, "s": i64(0, -1)}, ["s"], 13, {}, "reshape", {"shape": (2, 12)}),
    ("Flatten", {"x": X}, [], 13, {"axis": 2}, "reshape", {"shape": (6, 4)}),
    ("Unsqueeze", {"x": X, "a": i64(0, -1)}, ["a"], 13, {}, "reshape", {"shape": (1, 2, 3, 4, 1)}),
    ("Unsqueeze", {"x": X}, [], 11, {"axes": [1]}, "reshape", {"shape": (2, 1, 3, 4)}),
    ("Squeeze", {"x": f(1, 3, 1)}, [], 11, {"axes": [0]}, "reshape", {"shape": (3, 1)}),
    ("Transpose", {"x": X}, [], 13, {}, "transpose", {"perm": (2, 1, 0)}),
    ("Transpose", {"x": X}, [], 13, {"perm": [1, 0, 2]}, "transpose", {"perm": (1, 0, 2)}),
    ("Concat", {"x": X, "o": X}, [], 13, {"axis": -1}, "concat", {"axis": 2}),
    ("Slice", {"x": X}, [], 9, {"starts": [1], "ends": [9], "axes": [2]}, "slice", {"index": "2[1:9:1]"}),
    ("Slice", {"x": X, "s": i64(0), "e": i64(9), "a": i64(-1), "t": i64(2)}, list("seat"), 13, {}, "slice", {"index": "2[0:9:2]"}),
    ("Expand", {"x": f(3, 1), "s": i64(2, 3, 4)}, ["s"], 13, {}, "expand", {"shape": (2, 3, 4)}),
    ("Tile", {"x": X, "r": i64(1, 2, 3)}, ["r"], 13, {}, "repeat", {"repeats": (1, 2, 3)}),
    ("Pad", {"x": X}, [], 10, {"pads": [0, 1, 0, 0, 2, 0]}, "pad", {"mode": "constant", "value": 0.0, "padding": ((0, 0), (1, 2), (0, 0))}),
    ("Pad", {"x": X, "p": i64(1, 2), "v": None, "a": i64(-1)}, ["p", "a"], 18, {"mode": "edge"}, "pad", {"mode": "replicate", "padding": ((0, 0), (0, 0), (1, 2))}),
    ("DepthToSpace", {"x": f(1, 8, 2, 2)}, [], 13, {"blocksize": 2, "mode": "CRD"}, "pixel_shuffle", {"factor": 2, "mode": "CRD"}),
    ("SpaceToDepth", {"x": f(1, 2, 4, 4)}, [], 13, {"blocksize": 2}, "pixel_unshuffle", {"factor": 2}),
    ("Trilu", {"x": f(3, 3), "k": np.array(1)}, ["k"], 14, {"upper": 0}, "triangle", {"upper": False, "diagonal": 1}),
    ("ReverseSequence", {"x": f(4, 2), "l": i64(1, 3)}, [], 10, {}, "flip", {"axis": (0,), "batch_axis": 1}),
    ("Gather", {"x": X, "i": i64(0, 1)}, [], 13, {"axis": -2}, "gather", {"axis": 1}),
    ("GatherElements", {"x": f(2, 2), "i": np.array([[0, 1], [1, 1]])}, [], 13, {"axis": 1}, "gather", {"axis": 1}),
    ("GatherND", {"x": X, "i": np.array([[0, 1], [1, 2]])}, [], 13, {}, "index", {"axes": (0,)}),
    ("ScatterElements", {"x": f(3, 3), "i": np.array([[0, 1, 2]]), "u": f(1, 3)}, [], 16, {}, "scatter", {"axis": 0}),
    ("ScatterND", {"x": f(4, 2), "i": np.array([[1], [3]]), "u": f(2, 2)}, [], 16, {}, "index_put", {"axes": (0,)}),
    ("Compress", {"x": f(3, 2), "c": np.array([True, False, True])}, [], 11, {"axis": 0}, "index", {"axes": (0,)}),
    ("OneHot", {"x": i64(0, 2), "d": np.array(5), "v": f(2)}, ["d"], 11, {}, "one_hot", {"axis": 1, "depth": 5}),
    ("EyeLike", {"x": f(3, 3)}, [], 9, {"k": 1}, "eye", {"diagonal": 1}),
    ("RandomNormalLike", {"x": f(3, 3)}, [], 1, {}, "random", {"distribution": "normal"}),
    ("Bernoulli", {"x": f(3, 3)}, [], 15, {}, "random", {"distribution": "bernoulli"}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "inputs", "weights", "version", "attrs", "op", "made"), FREE)
def test_what_moves_elements_is_free(
    one: One, op_type: str, inputs: Any, weights: Any, version: int, attrs: Any, op: str, made: dict[str, Any]
) -> None:
    model = one(op_type, inputs, weights=weights, version=version, **attrs)
    assert (model.layer.op, model.layer.attrs) == (op, made)
    assert total(model) == Counts()
    executed = model.executed()
    if op_type != "Compress":  # how much is left, only the values tell
        assert model.shapes() == executed


def test_pieces(one: One) -> None:
    model = one("Split", {"x": f(2, 6), "s": i64(1, 5)}, ["a", "b"], ["s"], version=13, axis=1)
    assert (model.layer.op, model.layer.attrs) == ("split", {"axis": 1, "sizes": (1, 5)})
    assert model.shapes() == model.executed()
    assert one("Split", {"x": f(2, 6)}, ["a", "b"], version=11, axis=1).layer.attrs["sizes"] == (3, 3)
    assert one("Split", {"x": f(2, 6)}, ["a", "b"], version=18, axis=1, num_outputs=2).layer.attrs["sizes"] == (3, 3)


def test_rows_of_a_table_are_an_embedding(one: One) -> None:
    ids = np.zeros((2, 7), np.int64)
    model = one("Gather", {"t": f(30, 16), "i": ids}, weights=["t"])
    assert (model.layer.op, model.layer.attrs) == ("embedding", {"num_embeddings": 30, "embedding_dim": 16})
    assert list(model.layer.inputs) == ["x", "weight"]
    assert one("Gather", {"t": f(30, 16), "i": ids}).ops == ["gather"]
    assert one("Gather", {"t": f(30, 16), "i": ids}, weights=["t"], axis=1).ops == ["gather"]


@pytest.mark.parametrize(("reduction", "name"), [("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")])
def test_writes_that_combine_have_a_cost(one: One, reduction: str, name: str) -> None:
    """One operation for each of six elements written."""
    model = one(
        "ScatterElements",
        {"x": f(3, 3), "i": np.zeros((2, 3), np.int64), "u": f(2, 3)},
        version=18,
        reduction=reduction,
    )
    assert (model.layer.op, model.layer.attrs["reduce"], model.report.flops) == ("scatter_reduce", name, 6)
    model = one("ScatterND", {"x": f(4, 3), "i": np.array([[1], [3]]), "u": f(2, 3)}, version=18, reduction=reduction)
    assert (model.layer.op, model.layer.attrs["reduce"], model.report.flops) == ("index_reduce", name, 6)


def test_columns_summed_into_an_image(one: One) -> None:
    given = {"x": f(1, 5, 5), "s": i64(5, 5), "b": i64(1, 5)}
    model = one("Col2Im", given, weights=["s", "b"], version=18)
    assert (model.layer.op, model.layer.attrs["kernel_size"]) == ("fold", (1, 5))
    assert model.report.flops == 25
    assert model.shapes() == model.executed()


def test_cut_and_padded_around_the_middle(one: One) -> None:
    for shape, ops in (((4, 9), ["slice", "pad"]), ((4, 4), ["slice"]), ((8, 9), ["pad"])):
        model = one("CenterCropPad", {"x": f(6, 6), "s": i64(*shape)}, weights=["s"], version=18)
        assert model.ops == ops
        assert model.shapes() == {"y": (shape, "float32")} == model.executed()


def test_sizes_and_unknown_sizes(one: One) -> None:
    model = one("NonZero", {"x": f(2, 3)})
    assert (model.layer.op, model.layer.y.shape) == ("nonzero", (2, None))
    model = one("Unique", {"x": f(6)}, ["y", "i", "n", "c"])
    assert list(model.layer.outputs) == ["y", "indices", "inverse", "counts"]


# -- resizing -----------------------------------------------------------------------------------------------------------

# mode, scales or sizes, primitives of an output element
RESIZES = [
    ("nearest", [1, 1, 2, 2], {}, "nearest"),
    ("linear", [1, 1, 2, 2], {"adds": 6, "muls": 3}, "bilinear"),
    ("cubic", [1, 1, 2, 2], {"adds": 15, "muls": 20}, "bicubic"),
]


@pytest.mark.parametrize(("mode", "scales", "each", "name"), RESIZES)
@pytest.mark.parametrize("by", ["scales", "sizes"])
def test_resizing(one: One, mode: str, scales: list[int], each: dict[str, int], name: str, by: str) -> None:
    given: dict[str, Any] = {"x": f(1, 3, 4, 5), "roi": None}
    given |= {"s": np.array(scales, np.float32)} if by == "scales" else {"s": None, "z": i64(1, 3, 8, 10)}
    model = one("Resize", given, weights=[n for n in ("s", "z") if given.get(n) is not None], mode=mode)
    assert model.layer.attrs["mode"] == name
    assert model.layer.attrs["scale"] == (2.0, 2.0)
    assert model.layer.attrs["data_format"] == "NCHW"
    assert total(model) == Counts(**{k: 240 * n for k, n in each.items()})
    assert model.shapes() == model.executed()


def test_resizing_of_old(one: One) -> None:
    scales = np.array([1, 1, 2, 3], np.float32)
    attrs = {"mode": "nearest"}
    assert one("Upsample", {"x": f(1, 1, 2, 2)}, version=7, scales=scales.tolist(), **attrs).layer.y.shape == (
        1,
        1,
        4,
        6,
    )
    assert one("Upsample", {"x": f(1, 1, 2, 2), "s": scales}, weights=["s"], version=9, **attrs).ops == ["resize"]
    model = one("Resize", {"x": f(1, 1, 2, 2), "s": scales}, weights=["s"], version=10, mode="linear")
    assert model.layer.attrs["mode"] == "bilinear"
    last = one(
        "Resize", {"x": f(1, 2, 2, 3), "r": None, "s": np.array([1, 2, 2, 1], np.float32)}, weights=["s"], mode="linear"
    )
    assert (last.layer.attrs["mode"], last.layer.attrs["data_format"]) == ("bilinear", "NHWC")
    line = one(
        "Resize", {"x": f(1, 2, 4), "r": None, "s": np.array([1, 1, 2], np.float32)}, weights=["s"], mode="linear"
    )
    assert line.layer.attrs["mode"] == "linear"
    box = one(
        "Resize", {"x": f(1, 2, 2, 2, 2), "r": None, "s": None, "z": i64(1, 2, 4, 4, 4)}, weights=["z"], mode="linear"
    )
    assert box.layer.attrs["mode"] == "trilinear"
    same = one("Resize", {"x": f(1, 2, 2, 2), "r": None, "s": None, "z": i64(1, 2, 2, 2)}, weights=["z"], mode="linear")
    assert same.report.flops == 0
    part = {"x": f(1, 1, 4, 4), "r": None, "s": None, "z": i64(8, 8)}
    attrs = {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"}
    assert one("Resize", part, weights=["z"], version=18, **attrs).layer.y.shape == (1, 1, 8, 8)


def test_sampling_by_a_grid(one: One) -> None:
    given = {"x": f(1, 2, 4, 4), "g": f(1, 3, 5, 2)}
    assert one("GridSample", given, version=16, mode="bicubic").layer.attrs["mode"] == "bicubic"
    model = one("GridSample", given, version=20)
    assert model.layer.attrs == {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    assert model.shapes() == model.executed()
    model = one("AffineGrid", {"t": f(1, 2, 3), "s": i64(1, 1, 4, 4)}, weights=["s"], version=20)
    assert (model.layer.op, model.layer.y.shape) == ("affine_grid", (1, 4, 4, 2))


def test_a_mode_that_onnx_does_not_have_stays_without_a_cost(one: One) -> None:
    given = {"x": f(1, 3, 4, 5), "roi": None, "s": None, "z": i64(1, 3, 8, 10)}
    assert one("Resize", given, weights=["z"], mode="lanczos").ops == ["onnx.Resize"]
    assert one("GridSample", {"x": f(1, 2, 4, 4), "g": f(1, 3, 5, 2)}, version=16, mode="sinc").ops == [
        "onnx.GridSample"
    ]


# -- spectra, matrices, detection ---------------------------------------------------------------------------------------


def test_spectra(one: One) -> None:
    signal = f(1, 64, 1)
    model = one("DFT", {"x": signal, "n": None, "a": np.array(1)}, weights=["a"], version=20, onesided=1)
    assert {k: model.layer.attrs[k] for k in ("axis", "n", "onesided", "inverse")} == {
        "axis": 1, "n": 64, "onesided": True, "inverse": False,
    }  # fmt: skip
    assert model.shapes() == model.executed()
    assert one("DFT", {"x": signal}, version=17, axis=1).layer.attrs["n"] == 64
    given = {"x": signal, "t": np.array(8), "w": f(16)}
    model = one("STFT", given, weights=["t", "w"], version=17)
    assert (model.layer.attrs["frame_length"], model.layer.attrs["frame_step"]) == (16, 8)
    assert model.shapes() == model.executed()


def test_matrices(one: One) -> None:
    assert one("Det", {"x": f(2, 3, 3)}).ops == ["det"]
    assert one("Inverse", {"x": f(2, 3, 3)}, domain="com.microsoft").ops == ["inverse"]


def test_boxes_that_overlap_are_dropped(one: One) -> None:
    given = {"b": f(1, 6, 4), "s": f(1, 2, 6), "m": i64(3), "i": np.array([0.5], np.float32)}
    model = one("NonMaxSuppression", given, weights=["m", "i"])
    assert {k: model.layer.attrs[k] for k in ("boxes", "classes", "batch", "max_output", "iou_threshold")} == {
        "boxes": 6, "classes": 2, "batch": 1, "max_output": 3, "iou_threshold": 0.5,
    }  # fmt: skip
    assert model.layer.y.shape == (None, 3)


def test_text_has_no_arithmetic(one: One) -> None:
    words = np.array(["a", "b"], dtype=object)
    model = one("Equal", {"x": words, "o": words}, version=19)
    assert model.ops == ["onnx.Equal"]
    assert model.report.unsupported()
