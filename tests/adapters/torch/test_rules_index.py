"""Gather, scatter and their kin: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")

# Writes that combine values do arithmetic: they are ops of their own.
SCATTER_REDUCE, INDEX_REDUCE = "scatter_reduce", "index_reduce"


def ids(r: Any, x: Any, axis: int) -> Any:
    """Positions along an axis, as many or fewer along the others."""
    sizes = [r.rng.randint(0 if r.rng.random() < 0.05 else 1, max(n, 1)) for n in x.shape]
    if sizes and -len(sizes) <= axis < len(sizes):
        sizes[axis] = r.rng.randint(1, 5)
    return r.tensor(tuple(sizes), torch.int64)


def gather(r: Any) -> Any:
    x = r.tensor(r.shape(empty=0.02))
    axis = r.axis(x.dim())
    vector = r.tensor((r.rng.randint(0, 4),), r.rng.choice((torch.int64, torch.int32)))
    return (
        r.rng.choice(
            (
                lambda x, i, v: x.gather(axis, i),
                lambda x, i, v: torch.gather(x, dim=axis, index=i),
                lambda x, i, v: x.index_select(axis, v),
                lambda x, i, v: torch.index_select(x, dim=axis, index=v),
                lambda x, i, v: torch.take(x, i),
                lambda x, i, v: torch.take_along_dim(x, i, axis),
                lambda x, i, v: x.take_along_dim(i, dim=axis),
            )
        ),
        x,
        ids(r, x, axis),
        vector,
    )


def scatter(r: Any) -> Any:
    rng = r.rng
    x = r.tensor(r.shape(empty=0.02))
    axis = r.axis(x.dim())
    index = ids(r, x, axis)
    source = r.tensor(
        tuple(n + rng.choice((0, 0, 1)) for n in index.shape), rng.choice([torch.float32] * 6 + [torch.float16])
    )
    reduce = rng.choice(("sum", "prod", "mean", "amax", "amin"))
    return (
        rng.choice(
            (
                lambda x, i, s: x.scatter(axis, i, s),
                lambda x, i, s: torch.scatter(x, axis, i, s),
                lambda x, i, s: x.scatter(axis, i, 1.5),
                lambda x, i, s: x.scatter(axis, i, value=2),
                lambda x, i, s: x.scatter(dim=axis, index=i, src=s),
                lambda x, i, s: x.scatter_add(axis, i, s),
                lambda x, i, s: x.scatter_reduce(axis, i, s, reduce=reduce),
                lambda x, i, s: x.clone().scatter_(axis, i, s),
                lambda x, i, s: x.clone().scatter_add_(axis, i, s),
                lambda x, i, s: x.clone().scatter_reduce_(axis, i, s, reduce, include_self=False),
                lambda x, i, s: x.clone().scatter_(axis, i, s, reduce="add"),
            )
        ),
        x,
        index,
        source,
    )


def along(r: Any) -> Any:
    rng = r.rng
    x = r.tensor(r.shape(empty=0.02))
    axis, n = r.axis(x.dim()), rng.randint(1, 3)
    sizes = list(x.shape)
    if -len(sizes) <= axis < len(sizes):
        sizes[axis] = n
    sizes += [2] * (rng.random() < 0.05)
    source = r.tensor(tuple(sizes), rng.choice([torch.float32] * 6 + [torch.float16]))
    return (
        rng.choice(
            (
                lambda x, i, s: x.index_add(axis, i, s),
                lambda x, i, s: torch.index_copy(x, axis, i, s),
                lambda x, i, s: x.index_fill(axis, i, 2),
                lambda x, i, s: x.clone().index_add_(axis, i, s),
                lambda x, i, s: x.clone().index_copy_(axis, i, s),
                lambda x, i, s: x.clone().index_fill_(axis, i, 2.5),
            )
        ),
        x,
        r.tensor((n,), rng.choice((torch.int64, torch.int64, torch.int64, torch.int32))),
        source,
    )


def put(r: Any) -> Any:
    rng = r.rng
    x = r.tensor(r.shape(rng.randint(1, 4), 0))
    common = r.shape(rng.randint(0, 2), 0)
    indices = tuple(r.plain(r.broadcasting(common), torch.int64) for _ in range(rng.randint(1, x.dim())))
    part = torch.empty(x.shape)[tuple(torch.zeros(i.shape, dtype=torch.int64) for i in indices)].shape
    values = r.tensor(r.broadcasting(tuple(part)) if rng.random() < 0.95 else (7,))
    chosen = r.tensor(r.broadcasting(tuple(x.shape)), torch.bool)
    add = rng.random() < 0.5
    return (
        rng.choice(
            (
                lambda x, i, v, m: x.index_put(i, v),
                lambda x, i, v, m: torch.index_put(x, i, v, add),
                lambda x, i, v, m: x.clone().index_put_(i, v, accumulate=add),
                lambda x, i, v, m: x.masked_scatter(m, v),
                lambda x, i, v, m: x.clone().masked_scatter_(m, v),
            )
        ),
        x,
        indices,
        values,
        chosen,
    )


def masked_select(r: Any) -> Any:
    """On values: torch's meta kernel cannot tell the shape."""
    shape = r.shape()
    chosen = torch.zeros(r.broadcasting(shape)).bernoulli_(0.5).bool()
    return (
        r.rng.choice((lambda x, m: x.masked_select(m), lambda x, m: torch.masked_select(x, m))),
        torch.zeros(r.broadcasting(shape)),
        chosen,
    )


CASES: dict[Any, tuple[tuple[str, ...], float]] = {
    gather: (("gather", "expand", "remainder"), 0.6),
    scatter: (("scatter", SCATTER_REDUCE, "copy"), 0.5),
    along: (("index_put", INDEX_REDUCE, "copy", "fill"), 0.35),
    put: (("index_put", INDEX_REDUCE, "copy"), 0.6),
    masked_select: (("index",), 1.0),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    ops, share = CASES[make]
    sweep(make, ops, share=share, times=500)


X = torch.empty(4, 5, 6, device=META)
IDS = torch.empty(4, 2, 6, dtype=torch.int64, device=META)
VECTOR = torch.empty(2, dtype=torch.int64, device=META)
SOURCE = torch.empty(4, 2, 6, device=META)
WRITES: dict[str, tuple[Any, str, list[str], dict[str, Any]]] = {
    "scatter": (lambda x, i, v, s: x.scatter_(1, i, s), "scatter", ["x", "indices", "src"], {"axis": 1}),
    "scatter by value": (lambda x, i, v, s: x.scatter_(-2, i, 2), "scatter", ["x", "indices"], {"axis": 1, "value": 2}),
    "scatter_add": (
        lambda x, i, v, s: x.scatter_add_(1, i, s),
        SCATTER_REDUCE, ["x", "indices", "src"], {"axis": 1, "reduce": "sum"},
    ),
    "scatter_reduce": (
        lambda x, i, v, s: x.scatter_reduce_(1, i, s, "amax"),
        SCATTER_REDUCE, ["x", "indices", "src"], {"axis": 1, "reduce": "amax"},
    ),
    "index_copy": (lambda x, i, v, s: x.index_copy_(1, v, s), "index_put", ["x", "x0", "src"], {"axes": (1,)}),
    "index_add": (
        lambda x, i, v, s: x.index_add_(1, v, s), INDEX_REDUCE, ["x", "x0", "src"], {"axes": (1,), "reduce": "sum"},
    ),
    "index_fill": (lambda x, i, v, s: x.index_fill_(1, v, 3), "index_put", ["x", "x0"], {"axes": (1,), "value": 3}),
    "index_put": (
        lambda x, i, v, s: x.index_put_((v, v), s[0, 0, 0]), "index_put", ["x", "x0", "x1", "src"], {"axes": (0, 1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_writes(compare: Any, compare_aten: Any, name: str) -> None:
    function, op, roles, attrs = WRITES[name]
    for check in (compare, compare_aten):
        layer = check(function, X, IDS, VECTOR, SOURCE).layers[-1]
        assert (layer.op, list(layer.inputs), layer.attrs) == (op, roles, attrs)
        assert layer.aliases == (("y", "x", "write"),)


def test_reads(compare: Any, compare_aten: Any) -> None:
    for check in (compare, compare_aten):
        layer = check(lambda x, i: x.gather(1, i), X, IDS).layer
        assert (layer.op, list(layer.inputs), layer.attrs, layer.y.shape) == (
            "gather", ["x", "indices"], {"axis": 1}, (4, 2, 6),
        )  # fmt: skip
        layer = check(lambda x, i: x.index_select(-1, i), X, VECTOR).layer
        assert (layer.attrs, layer.y.shape) == ({"axis": 2}, (4, 5, 2))
        layer = check(lambda x, i: x[:, i], X, VECTOR).layers[-1]
        assert (layer.op, layer.attrs, layer.y.shape) == ("index", {"axes": (1,)}, (4, 2, 6))


def test_out_of_place_writes_read_the_rest(compare: Any) -> None:
    layer = compare(lambda x, i, s: x.scatter(1, i, s), X, IDS, SOURCE).layer
    assert layer.aliases == ()
    assert layer.y.shape == (4, 5, 6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, s: x.slice_scatter(s, 1, 0, 2),
        lambda x, s: x.select_scatter(s[:, 0], 1, 0),
        lambda x, s: torch.diagonal_scatter(x, s[:, 0, :4].t()[:4].t()[:, 0].expand(6, 4), 0, 0, 1),
    ],
)
def test_a_part_replaced_in_a_copy(compare_aten: Any, function: Any) -> None:
    layer = compare_aten(function, X, SOURCE).layers[-1]
    assert (layer.op, list(layer.inputs)) == ("index_put", ["x", "src"])
    assert layer.y.shape == (4, 5, 6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.nonzero(),
        lambda x: torch.argwhere(x),
        lambda x: torch.where(x > 1)[0],
        lambda x: torch.unique(x),
        lambda x: torch.bincount(x),
        lambda x: x[x > 1],
        lambda x: x.masked_select(x > 1),
    ],
)
def test_shapes_that_are_in_the_values(trace: Any, function: Any) -> None:
    values = torch.tensor([3, 0, 2, 3, 1])
    expected = tuple(function(values).shape)
    assert trace(function, values).outputs[0].shape == expected  # the values of small integers are at hand
    graph = trace(lambda x: function(x.long()), values.float())  # of floats only the shape is, until it is run
    assert graph.outputs[0].shape == expected
    assert "for real" in graph.metadata["rung"]


def test_one_hot(compare: Any, trace: Any) -> None:
    x = torch.empty(3, 4, dtype=torch.int64, device=META)
    checked = compare(lambda x: torch.nn.functional.one_hot(x, 5), x)
    assert checked.by_rule
    assert checked.ops == ["arange", "reshape", "equal", "cast"]
    graph = trace(lambda x: torch.nn.functional.one_hot(x), torch.tensor([1, 4]))
    assert graph.outputs[0].shape == (2, 5)
    assert "for real" not in graph.metadata["rung"]
