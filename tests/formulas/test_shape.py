"""Operations that only move data: free, with a reason, and the bytes they move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.shape import FORMULAS
from multiprof.ir import VIEW, WRITE, Layer, TensorSpec
from multiprof.ops import OPS

Make = Callable[..., Layer]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
VIEW_OF_X = (("y", "x", VIEW),)
WRITE_TO_X = (("y", "x", WRITE),)


def test_every_shape_op_has_a_row_and_a_reason() -> None:
    assert set(TABLE) == {op.name for op in OPS.values() if op.family == "shape"}
    assert all(rule.free and rule.mathematics == f"free: {rule.free}" for rule in FORMULAS)


@pytest.mark.parametrize("op", TABLE)
def test_no_arithmetic(make: Make, op: str) -> None:
    inputs = {"x": (3, 4), "x0": (3, 4), "indices": (3, 4)}
    assert TABLE[op].price(make(op, inputs, {"y": (3, 4), "y0": (3, 4)})) == Cost()


@pytest.mark.parametrize("op", ["reshape", "transpose", "slice", "expand", "unfold", "copy", "pixel_shuffle"])
def test_a_view_moves_nothing(make: Make, op: str) -> None:
    layer = make(op, {"x": (3, 4)}, {"y": (4, 3)})
    layer.aliases = VIEW_OF_X
    assert TABLE[op].traffic(layer) == (0, 0)


@pytest.mark.parametrize("op", ["reshape", "transpose", "flip", "roll", "pixel_unshuffle", "channel_shuffle"])
def test_a_copy_reads_and_writes_everything(make: Make, op: str) -> None:
    assert TABLE[op].traffic(make(op, {"x": (3, 4)}, {"y": (4, 3)})) == (48, 48)


def test_what_repeats_elements_reads_them_once(make: Make) -> None:
    for op in ("expand", "repeat", "unfold", "pad"):
        assert TABLE[op].traffic(make(op, {"x": (3, 4)}, {"y": (3, 40)}, "float16")) == (24, 240)


def test_concat_reads_every_piece(make: Make) -> None:
    layer = make("concat", {"x0": (3, 4), "x1": (3, 2)}, {"y": (3, 6)}, axis=1)
    assert TABLE["concat"].traffic(layer) == ((12 + 6) * 4, 18 * 4)


@given(st.integers(1, 20), st.integers(0, 20), st.integers(1, 5))
def test_slice_reads_only_its_part(make: Make, length: int, start: int, width: int) -> None:
    # element by element: each of the part is read and written, the rest is not touched
    part = len(range(start, length))
    moved = sum(4 for _ in range(part) for _ in range(width))
    assert TABLE["slice"].traffic(make("slice", {"x": (length, width)}, {"y": (part, width)})) == (moved, moved)


def test_split_into_copies_and_into_views(make: Make) -> None:
    layer = make("split", {"x": (6, 4)}, {"y0": (2, 4), "y1": (4, 4)}, axis=0, sizes=(2, 4))
    assert TABLE["split"].traffic(layer) == (96, 96)
    unused = make("split", {"x": (6, 4)}, {"y0": (2, 4)}, axis=0, sizes=(2, 4))
    assert TABLE["split"].traffic(unused) == (32, 32)
    layer.aliases = (("y0", "x", VIEW), ("y1", "x", VIEW))
    assert TABLE["split"].traffic(layer) == (0, 0)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 100))
def test_gather_reads_the_indices_and_what_they_name(make: Make, shape: list[int], length: int) -> None:
    layer = make("gather", {"x": (length, *shape[1:])}, {"y": tuple(shape)}, axis=0)
    layer.inputs["indices"] = TensorSpec(tuple(shape), "int64", "indices")
    count = TensorSpec(tuple(shape)).numel
    assert TABLE["gather"].traffic(layer) == (count * 8 + count * 4, count * 4)


def test_index_reads_every_index_tensor(make: Make) -> None:
    # x[i, j] of a 10×10×5 table: 3 rows of 5
    layer = make("index", {"x": (10, 10, 5)}, {"y": (3, 5)})
    layer.inputs |= {"x0": TensorSpec((3,), "int64", "i"), "x1": TensorSpec((3,), "int64", "j")}
    assert TABLE["index"].traffic(layer) == (3 * 8 + 3 * 8 + 15 * 4, 15 * 4)


def test_the_size_of_what_a_mask_selects_is_not_known(make: Make) -> None:
    layer = make("index", {"x": (10,)}, {"y": (None,)})
    layer.inputs["x0"] = TensorSpec((10,), "bool", "mask")
    with pytest.raises(UnknownDimensionError):
        TABLE["index"].traffic(layer)


def scatter_layer(make: Make) -> Layer:
    layer = make("scatter", {"x": (100, 4), "src": (3, 4)}, {"y": (100, 4)}, axis=0)
    layer.inputs["indices"] = TensorSpec((2, 4), "int64", "indices")
    return layer


def test_scatter_in_place_touches_only_what_is_indexed(make: Make) -> None:
    # 8 indices, 8 of the 12 source elements, 8 elements written
    layer = scatter_layer(make)
    layer.aliases = WRITE_TO_X
    assert TABLE["scatter"].traffic(layer) == (8 * 8 + 8 * 4, 8 * 4)


def test_scatter_out_of_place_copies_first(make: Make) -> None:
    assert TABLE["scatter"].traffic(scatter_layer(make)) == (8 * 8 + 8 * 4 + 400 * 4, 400 * 4 + 8 * 4)


def test_scatter_of_a_constant_reads_no_source(make: Make) -> None:
    layer = scatter_layer(make)
    del layer.inputs["src"]
    layer.aliases = WRITE_TO_X
    assert TABLE["scatter"].traffic(layer) == (8 * 8, 8 * 4)


@pytest.mark.parametrize(
    ("indices", "source", "written"),
    [
        # a cache of 2 × 16 positions × 8 channels
        ([((3,), "int64")], (2, 3, 8), 48),  # cache[:, i] = values: the source is as large as the part
        ([((2,), "int64")], (), 2 * 16 * 8),  # cache[i] = 0: two of the leading rows
        ([((2, 1), "int64"), ((3,), "int64")], (), 2 * 3 * 8),  # cache[i, j] = 0: the indices broadcast
        ([((2, 16), "bool")], (), 2 * 16 * 8),  # cache[mask] = 0: at most everything
        ([((2, 16), "bool")], (5, 8), 40),  # cache[mask] = values
    ],
)
def test_index_put_in_place(
    make: Make,
    indices: list[tuple[tuple[int, ...], str]],
    source: tuple[int, ...],
    written: int,
) -> None:
    layer = make("index_put", {"x": (2, 16, 8), "src": source}, {"y": (2, 16, 8)})
    layer.inputs |= {f"x{i}": TensorSpec(shape, dtype, f"i{i}") for i, (shape, dtype) in enumerate(indices)}
    layer.aliases = WRITE_TO_X
    indexed = sum(TensorSpec(*index).nbytes for index in indices)
    assert TABLE["index_put"].traffic(layer) == (indexed + TensorSpec(source).nbytes, written * 4)


@pytest.mark.parametrize(
    ("axes", "indices", "source", "written"),
    [
        ((1,), [(3,)], (), 2 * 3 * 8),  # cache[:, i] = 0
        ((2,), [(3,)], (), 2 * 16 * 3),  # cache[:, :, i] = 0
        ((0, 2), [(3,), (3,)], (), 3 * 16),  # cache[i, :, j] = 0
    ],
)
def test_positions_name_the_part_with_the_dimensions_they_leave(
    make: Make,
    axes: tuple[int, ...],
    indices: list[tuple[int, ...]],
    source: tuple[int, ...],
    written: int,
) -> None:
    layer = make("index_put", {"x": (2, 16, 8), "src": source}, {"y": (2, 16, 8)}, axes=axes)
    layer.inputs |= {f"x{i}": TensorSpec(shape, "int64", f"i{i}") for i, shape in enumerate(indices)}
    layer.aliases = WRITE_TO_X
    named = sum(TensorSpec(shape, "int64").nbytes for shape in indices)
    assert TABLE["index_put"].traffic(layer) == (named + TensorSpec(source).nbytes, written * 4)


@pytest.mark.parametrize("op", ["scatter", "index_put"])
def test_a_write_that_combines_does_not_pass_for_one_that_replaces(make: Make, op: str) -> None:
    layer = make(op, {"x": (3, 4), "indices": (3, 4), "src": (3, 4)}, {"y": (3, 4)}, reduce="sum")
    with pytest.raises(PluginError, match="scatter_reduce or index_reduce"):
        TABLE[op].price(layer)


def test_tensors_that_merely_share_storage_move_nothing(make: Make) -> None:
    layer = make("index_put", {"x": (2, 16, 8), "src": (2, 3, 8)}, {"y": (2, 16, 8)})
    layer.inputs["x0"] = TensorSpec((3,), "int64", "i")
    layer.aliases = WRITE_TO_X
    before = TABLE["index_put"].traffic(layer)
    layer.inputs["alias0"] = TensorSpec((1000,), "float32", "base")
    layer.outputs["alias0"] = TensorSpec((1000,), "float32", "base.1")
    assert TABLE["index_put"].traffic(layer) == before


def test_copy_does_not_read_its_destination(make: Make) -> None:
    layer = make("copy", {"x": (8,), "dest": (4, 8)}, {"y": (4, 8)})
    layer.aliases = (("y", "dest", WRITE),)
    assert TABLE["copy"].traffic(layer) == (32, 128)


@pytest.mark.parametrize("op", ["dropout", "identity"])
def test_what_is_absent_moves_nothing(make: Make, op: str) -> None:
    assert TABLE[op].traffic(make(op, {"x": (8,)}, {"y": (8,)})) == (0, 0)
