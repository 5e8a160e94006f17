"""Square brackets: against torch's meta kernels (and its CPU kernels where values decide), and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

META = torch.device("meta")
INTEGERS = (torch.int64, torch.int64, torch.int32)


def positions(r: Any, x: Any) -> Any:
    """An index of integers, slices, ``None`` and ``...``; now and then one that does not fit."""
    rng = r.rng

    def part() -> slice:
        return slice(*[rng.choice((None, 0, 1, 2, -1, -2, 3)) for _ in range(2)], rng.choice((None, None, 1, 2)))

    items: list[Any] = [
        rng.choice((0, -1, 1, part(), part())) for _ in range(rng.randint(0, x.dim() + (rng.random() < 0.05)))
    ]
    for _ in range(rng.choice((0, 0, 1, 2))):
        items.insert(rng.randint(0, len(items)), None)
    if rng.random() < 0.3:
        items.insert(rng.randint(0, len(items)), ...)
    return items[0] if len(items) == 1 and rng.random() < 0.7 else tuple(items)


def indices(r: Any, x: Any) -> Any:
    """An index with one or two index tensors, lists or arrays among positions."""
    rng = r.rng
    spots = set(rng.sample(range(x.dim()), min(rng.choice((1, 1, 2)), x.dim())))
    common = r.shape(rng.randint(1, 2), 0)
    items: list[Any] = []
    for axis in range(max(spots) + 1):
        if axis not in spots:
            items.append(rng.choice((0, slice(None), slice(None), slice(0, 2), slice(1, None))))
        elif rng.random() < 0.15:
            items.append(rng.choice(([0], [0, 0], range(1), [[0, 0], [0, 0]], (0, 0), np.array([0, 0]), [])))
        elif rng.random() < 0.15:
            items.append(torch.zeros(r.broadcasting(common) or (1,), dtype=torch.int64))
        else:
            items.append(r.plain(r.broadcasting(common) or (1,), rng.choice(INTEGERS)))
    if rng.random() < 0.3:
        items.insert(rng.randint(0, len(items)), None)
    if rng.random() < 0.2:
        items.append(...)
    elif rng.random() < 0.1:
        items.insert(0, ...)
    nested = type(items[0]) is list and items[0] and type(items[0][0]) is list  # alone it is read as a tuple
    return items[0] if len(items) == 1 and not nested and rng.random() < 0.7 else tuple(items)


def mask(r: Any, x: Any) -> Any:
    """An index with a mask of one or more dimensions, with values."""
    rng = r.rng
    first = rng.randint(0, x.dim() - 1)
    last = rng.randint(first + 1, x.dim())
    chosen = torch.tensor([rng.random() < 0.5 for _ in range(x.shape[first:last].numel())]).view(x.shape[first:last])
    items: list[Any] = [*[slice(None)] * first, chosen]
    if first and rng.random() < 0.3:
        items[0] = 0
    return items[0] if len(items) == 1 and rng.random() < 0.6 else tuple(items)


def on_cpu(value: Any) -> Any:
    """Meta tensors in an index as zeros, whose shape is the same."""
    if isinstance(value, tuple):
        return tuple(on_cpu(v) for v in value)
    return torch.zeros(value.shape, dtype=value.dtype) if isinstance(value, torch.Tensor) and value.is_meta else value


def get_positions(r: Any) -> Any:
    x = r.tensor(r.shape())
    index = positions(r, x)
    return lambda x: x[index], x


def get_indices(r: Any) -> Any:
    x = r.tensor(r.shape(r.rng.randint(1, 4), 0))
    return lambda x, index: x[index], x, indices(r, x)


def part_shape(x: Any, index: Any) -> tuple[int, ...]:
    try:
        return tuple(torch.empty(x.shape)[on_cpu(index)].shape)
    except (IndexError, RuntimeError):
        return (1,)


def set_positions(r: Any) -> Any:
    x = r.plain(r.shape())
    index = positions(r, x)
    shape = part_shape(x, index)
    dtype = r.rng.choice((torch.float32, torch.float16, torch.int64))
    values = (1, 2.5, True, r.tensor(r.broadcasting(shape), dtype), r.tensor((1, *shape)), r.tensor((2, *shape)))
    return put, x, index, r.rng.choice(values)


def set_indices(r: Any) -> Any:
    x = r.plain(r.shape(r.rng.randint(1, 4), 0))
    index = indices(r, x)
    shape = part_shape(x, index)
    values = (
        1,
        2.5,
        r.tensor(r.broadcasting(shape)),
        r.tensor(r.broadcasting(shape), torch.float16),
        r.tensor((1, *shape)),
    )
    return put, x, index, r.rng.choice(values)


def set_mask(r: Any) -> Any:
    x = r.plain(r.shape(r.rng.randint(1, 4), 0))
    index = mask(r, x)
    lifted = tuple(
        i.to(META) if isinstance(i, torch.Tensor) else i for i in (index if type(index) is tuple else (index,))
    )
    return put, x, lifted, r.rng.choice((1, 2.5, r.plain(()), r.plain((3,))))


def put(x: Any, index: Any, value: Any) -> Any:
    x[index] = value
    return x


CASES: dict[Any, tuple[str, ...]] = {
    get_positions: ("slice",),
    get_indices: ("slice", "index", "constant"),
    set_positions: ("slice", "fill", "copy", "cast", "reshape"),
    set_indices: ("slice", "index_put", "cast", "constant", "fill", "copy", "reshape"),
    set_mask: ("slice", "index_put", "masked_fill"),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    sweep(make, CASES[make], share=0.99, times=500)


def test_random_masks(random_tensors: Any, trace: Any) -> None:
    """How much a mask chooses is in its values: as much as torch's CPU kernel finds."""
    for _ in range(200):
        shape = random_tensors.shape(random_tensors.rng.randint(1, 4), 0)
        x = random_tensors.plain(shape)
        index = mask(random_tensors, x)
        items = index if type(index) is tuple else (index,)
        (at,) = [i for i, item in enumerate(items) if isinstance(item, torch.Tensor)]

        def choose(x: Any, chosen: Any, items: Any = items, at: int = at) -> Any:
            return x[(*items[:at], chosen, *items[at + 1 :])]

        graph = trace(choose, x, items[at])
        assert graph.outputs[0].shape == tuple(torch.empty(shape)[index].shape)
        assert graph.layers[-1].op == "index"
        assert "for real" not in graph.metadata["rung"]


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "0"),
        (slice(1, None), "1:"),
        ((slice(None), -1), ":, -1"),
        ((..., slice(None, 2)), "..., :2"),
        ((None, slice(0, 4, 2)), "None, 0:4:2"),
        (np.int64(1), "1"),
        ((slice(np.int64(1), None),), "1:"),
    ],
)
def test_a_part_by_position_is_a_view(compare: Any, index: Any, text: str) -> None:
    layer = compare(lambda x: x[index], torch.empty(4, 5, 6, device=META)).layer
    assert (layer.op, layer.attrs, layer.aliases) == ("slice", {"index": text}, (("y", "x", "view"),))


def test_positions_given_by_tensors(trace: Any) -> None:
    graph = trace(lambda x, n: (x[n[0]], x[: n[1]], x[:, n[0] : n[1]], x[n]), (5, 4), torch.tensor([1, 3]))
    assert [spec.shape for spec in graph.outputs] == [(4,), (3, 4), (5, 2), (2, 4)]
    parts = [layer.attrs["index"] for layer in graph.layers if layer.op == "slice" and layer.x.name == "x"]
    assert parts == ["1", ":3", ":, 1:3"]


def test_an_unknown_position_needs_no_value(trace: Any) -> None:
    """Which row it is says nothing about its shape: no reason to run the model."""
    graph = trace(lambda x: x[x.sum(1).argmax()], (5, 4))
    assert graph.outputs[0].shape == (4,)
    layer = graph.layers[-1]
    assert (layer.op, list(layer.inputs), layer.aliases) == ("index", ["x", "x0"], (("y", "x", "view"),))
    assert "for real" not in graph.metadata["rung"]


def test_unknown_bounds_need_values(trace: Any) -> None:
    graph = trace(lambda x: x[: x.argmax()], torch.tensor([0.0, 1.0, 5.0, 2.0]))
    assert graph.outputs[0].shape == (2,)
    assert "for real" in graph.metadata["rung"]


def test_index_names_its_axes(compare: Any) -> None:
    i, j = (torch.empty(shape, dtype=torch.int64, device=META) for shape in ((3, 1), (4,)))
    x = torch.empty(5, 6, 7, 8, device=META)
    layer = compare(lambda x, i, j: x[:, i, :, j], x, i, j).layer
    assert (layer.op, list(layer.inputs), layer.attrs) == ("index", ["x", "x0", "x1"], {"axes": (1, 3)})
    assert layer.y.shape == (3, 4, 5, 7)  # apart from each other, the indexed axes come first
    layer = compare(lambda x, i, j: x[:, i, j], x, i, j).layer
    assert (layer.attrs, layer.y.shape) == ({"axes": (1, 2)}, (5, 3, 4, 8))


def test_a_row_of_a_weight_is_a_piece_and_gathered_rows_are_prepared(compare: Any) -> None:
    weight = torch.nn.Parameter(torch.empty(5, 4, device=META))
    checked = compare(lambda w: w[1:3], weight)
    assert checked.layers == []
    assert checked.specs[id(checked.result)].name == "weight0"
    checked = compare(lambda w: w[[0, 2]], weight)
    assert checked.ops == ["constant", "index"]


def test_writing_a_part_renames_the_whole(trace: Any) -> None:
    def function(x: Any) -> Any:
        y = x + 1
        row = y[0]
        y[:, 1:] = x[:, :1]
        return y * 2, row * 3

    add, row, source, part, copied, twice, thrice = trace(function, (2, 3)).layers
    assert [layer.op for layer in (add, row, source, part, copied)] == ["add", "slice", "slice", "slice", "copy"]
    assert copied.inputs["x"].name == source.y.name
    assert copied.inputs["dest"].name == part.y.name
    assert copied.aliases == (("y", "dest", "write"), ("alias0", "alias0", "write"), ("alias1", "alias1", "write"))
    assert [copied.inputs[f"alias{i}"].name for i in range(2)] == [add.y.name, row.y.name]
    # What is read afterwards has been written.
    assert twice.x.name == copied.outputs["alias0"].name
    assert thrice.x.name == copied.outputs["alias1"].name


def test_views_that_nobody_holds_are_not_renamed(trace: Any) -> None:
    def function(x: Any) -> Any:
        y = x + 1
        for i in range(3):
            y[i] = x[i]
        return y

    writes = [layer for layer in trace(function, (3, 4)).layers if layer.op == "copy"]
    assert [list(layer.outputs) for layer in writes] == [["y", "alias0"]] * 3


def test_a_mask_and_a_constant_is_a_masked_fill(compare: Any) -> None:
    x, chosen = torch.empty(2, 3, device=META), torch.empty(2, 3, dtype=torch.bool, device=META)
    layer = compare(put, x, chosen, 0.0).layer
    assert (layer.op, list(layer.inputs), layer.attrs) == ("masked_fill", ["x", "mask"], {"value": 0.0})
    layer = compare(put, x, chosen, torch.empty(4, device=META)).layer
    assert (layer.op, list(layer.inputs)) == ("index_put", ["x", "x0", "src"])


def test_values_follow_writes(trace: Any) -> None:
    seen: list[Any] = []

    def function(x: Any) -> Any:
        table = torch.zeros(2, 3, dtype=torch.int64)
        row = table[1]
        table[:, torch.tensor([0, 2])] = torch.tensor([7, 8])
        row[1] = 5
        seen.append(table.tolist())
        return x

    trace(function, (2,))
    assert seen == [[[7, 0, 8], [7, 5, 8]]]


def test_values_that_are_no_longer_known(trace: Any) -> None:
    """A write of something of which only the shape is known makes the values at hand stale, through every view."""

    def function(x: Any) -> Any:
        table = torch.zeros(3, dtype=torch.int64)
        head = table[:2]
        table[0] = x.argmax()
        return x[: int(head[0])]

    graph = trace(function, torch.tensor([1.0, 0.0, 5.0, 4.0]))
    assert graph.outputs[0].shape == (2,)
    assert "for real" in graph.metadata["rung"]


def test_a_cache_of_the_model_comes_back(trace: Any) -> None:
    class Cached(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.zeros(1, 8, 4))

        def forward(self, x: Any) -> Any:
            self.cache[:, : x.shape[1]] = x
            return self.cache.sum(1)

    model = Cached()
    layers = trace(model, (1, 3, 4)).layers
    assert [layer.op for layer in layers] == ["copy", "sum"]
    assert layers[0].inputs["alias0"].name == "cache"
    assert layers[1].x.name == layers[0].outputs["alias0"].name
    assert not model.cache.any()
