"""Parts of tensors as views: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")


def any_tensor(r: Any, least: int = 0) -> Any:
    return r.tensor(r.shape(r.rng.randint(least, 4)))


def split(r: Any) -> Any:
    x = any_tensor(r, 1)
    axis = r.axis(x.dim())
    size = x.shape[axis] if -x.dim() <= axis < x.dim() else 2
    first = r.rng.randint(0, size)
    sections = [first, size - first, *([1] if r.rng.random() < 0.05 else [])]
    n = r.rng.randint(1, 4)
    return r.rng.choice(
        (
            lambda x: x.split(n, axis),
            lambda x: torch.split(x, sections, dim=axis),
            lambda x: x.split_with_sizes(sections, axis),
            lambda x: x.chunk(n, axis),
            lambda x: torch.chunk(x, n, dim=axis),
            lambda x: torch.unsafe_chunk(x, n, axis),
            lambda x: x.unbind(axis),
            lambda x: torch.unbind(x, dim=axis),
            lambda x: list(x),
            lambda x: x.tensor_split(n, axis),
            lambda x: torch.tensor_split(x, [first], dim=axis),
            lambda x: x.hsplit(n),
            lambda x: torch.vsplit(x, n),
            lambda x: torch.dsplit(x, [1]),
        )
    ), x


def select(r: Any) -> Any:
    x = any_tensor(r)
    axis = r.axis(x.dim())
    start, length = r.rng.randint(-3, 2), r.rng.randint(0, 3)
    return r.rng.choice(
        (
            lambda x: x.select(axis, start),
            lambda x: torch.select(x, axis, start),
            lambda x: x.narrow(axis, start, length),
            lambda x: torch.narrow(x, axis, start, length),
        )
    ), x


def diagonal(r: Any) -> Any:
    x = any_tensor(r, 1)
    offset = r.rng.randint(-2, 2)
    a, b = r.axis(x.dim()), r.axis(x.dim())
    return r.rng.choice(
        (
            lambda x: x.diagonal(offset),
            lambda x: x.diagonal(offset, a, b),
            lambda x: torch.diagonal(x, offset=offset, dim1=a, dim2=b),
            lambda x: torch.linalg.diagonal(x, offset=offset),
            lambda x: torch.diagonal_copy(x, offset),
        )
    ), x


def diag(r: Any) -> Any:
    x = any_tensor(r, 1)
    offset = r.rng.randint(-2, 2)
    return r.rng.choice((lambda x: x.diag(offset), lambda x: torch.diag(x), lambda x: torch.diag_embed(x, offset))), x


def windows(r: Any) -> Any:
    x = any_tensor(r)
    axis, size, step = r.axis(x.dim()), r.rng.randint(0, 4), r.rng.randint(1, 3)
    return lambda x: x.unfold(axis, size, step), x


def as_strided(r: Any) -> Any:
    function = r.rng.choice(
        (lambda x: x.as_strided((2, 2), (1, 1)), lambda x: torch.as_strided(x, (2,), (0,), 0), lambda x: x[0].detach())
    )
    return function, any_tensor(r, 1)


def complex_parts(r: Any) -> Any:
    x = r.tensor(r.shape(), r.rng.choice((torch.complex64, torch.float32)))
    return r.rng.choice((lambda x: x.real, lambda x: x.imag, lambda x: torch.real(x), lambda x: torch.imag(x))), x


CASES: dict[Any, tuple[str, ...]] = {
    split: ("split",),
    select: ("slice",),
    diagonal: ("slice",),
    diag: ("slice", "fill", "index_put"),
    windows: ("unfold",),
    as_strided: ("slice",),
    complex_parts: ("slice",),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    sweep(make, CASES[make], share=0.7 if make is diag else 0.99)


@pytest.mark.parametrize(
    ("function", "axis", "sizes"),
    [
        (lambda x: x.split(2, 1), 1, (2, 2, 1)),
        (lambda x: x.split([1, 4], -2), 1, (1, 4)),
        (lambda x: x.chunk(2, 1), 1, (3, 2)),
        (lambda x: x.tensor_split(3, 1), 1, (2, 2, 1)),
        (lambda x: x.unbind(-1), 2, (1, 1, 1, 1)),
        (lambda x: x.hsplit([2]), 1, (2, 3)),
    ],
)
def test_split_says_where(compare: Any, function: Any, axis: int, sizes: tuple[int, ...]) -> None:
    layer = compare(function, torch.empty(2, 5, 4, device=META)).layer
    assert layer.attrs == {"axis": axis, "sizes": sizes}
    assert list(layer.outputs) == [f"y{i}" for i in range(len(sizes))]
    assert [kind for _, _, kind in layer.aliases] == ["view"] * len(sizes)


def test_split_where_a_tensor_says(compare: Any) -> None:
    pieces = compare(lambda x: x.tensor_split(torch.tensor([1, 3])), torch.arange(4))
    assert pieces.layers[-1].attrs["sizes"] == (1, 2, 1)


def test_split_of_a_weight_makes_pieces(compare: Any) -> None:
    checked = compare(lambda w: w.chunk(3), torch.nn.Parameter(torch.empty(6, 2, device=META)))
    assert checked.layers == []
    assert [checked.specs[id(y)].name for y in checked.result] == ["weight0"] * 3


def test_a_diagonal_matrix_is_zeros_and_a_write(compare: Any) -> None:
    fill, write = compare(torch.diag, torch.empty(3, device=META)).layers
    assert (fill.op, write.op) == ("fill", "index_put")
    assert write.aliases == (("y", "x", "write"),)
    assert write.y.shape == (3, 3)


@pytest.mark.parametrize(
    ("function", "index"),
    [
        (lambda x: x.select(1, -1), ":, -1"),
        (lambda x: x.narrow(2, 1, 2), ":, :, 1:3"),
        (lambda x: x.diagonal(0, 0, 1), "diagonal(0, 0, 1)"),
        (lambda x: x.as_strided((2,), (3,), 1), "as_strided((2,), (3,), 1)"),
    ],
)
def test_slice_says_which_part(compare: Any, function: Any, index: str) -> None:
    assert compare(function, torch.empty(2, 3, 4, device=META)).layer.attrs == {"index": index}


def test_kernels_record_the_same_layers(compare_aten: Any) -> None:
    def parts(x: Any) -> Any:
        a, b = x.split([1, 3], 1)
        return a[:, 0], b[..., 1:], b.narrow(1, 0, 2).unbind(0)[1].diagonal(), b.unfold(1, 2, 1)

    checked = compare_aten(parts, torch.empty(2, 4, 4, device=META))
    assert set(checked.ops) == {"split", "slice", "unfold"}
    assert checked.layers[1].attrs == {"index": ":, 0"}
    assert checked.layers[2].attrs == {"index": ":, :, 1:"}


def through_a_view(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A write to row 0 of a tensor that is seen as a whole, flat, in two halves, and under a second object."""

    def function(x: Any) -> Any:
        base = x.clone()
        flat, (upper, lower), same = base.view(-1), base.chunk(2), base.detach()
        base[3].add_(1)  # a view that nobody holds afterwards
        write(base[0])
        return base, flat, upper, lower, same

    return function


@pytest.mark.parametrize(
    "write",
    [
        lambda row: row.zero_(),
        lambda row: row.copy_(torch.ones(3)),
        lambda row: row.uniform_(),
        lambda row: row.mul_(2),
        lambda row: row[None].tril_(),
        lambda row: row.__setitem__(slice(1, 2), 5),
        lambda row: row[None].squeeze(0).detach().fill_(2),
    ],
)
def test_a_write_through_a_view_renames_all_that_share_it(compare: Any, compare_aten: Any, write: Any) -> None:
    for check in (compare, compare_aten):
        checked = check(through_a_view(write), torch.empty(4, 3, device=META))
        base, flat, upper, lower, same = (checked.specs[id(y)].name for y in checked.result)
        last = checked.layers[-1]
        outputs = [spec.name for spec in last.outputs.values()]
        assert set(outputs) >= {base, flat, upper, lower, same}
        assert len(set(outputs)) == len(outputs)  # every name is given once
        for role, before, kind in last.aliases:
            assert kind == "write"
            assert last.inputs[before].name != last.outputs[role].name
            if role != "y":
                assert role == before
                assert last.inputs[role].shape == last.outputs[role].shape


def test_what_is_no_view_keeps_its_name(compare: Any) -> None:
    def function(x: Any) -> Any:
        base = x.clone()
        copy, view = base.clone(), base[0]
        view.zero_()
        return copy

    checked = compare(function, torch.empty(4, 3, device=META))
    assert checked.specs[id(checked.result)].name == checked.layers[1].y.name
