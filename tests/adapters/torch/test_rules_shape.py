"""Reshape, transpose and expand: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")
PARTS = ("reshape", "expand", "transpose")


def any_tensor(r: Any, least: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    return r.tensor(r.shape(r.rng.randint(least, 4)), dtype)


def another_shape(r: Any, elements: int) -> list[int]:
    """A random shape of as many elements, sometimes with −1 for one size, now and then one that does not fit."""
    sizes: list[int] = []
    while elements > 1:
        size = r.rng.choice([n for n in range(2, elements + 1) if elements % n == 0])
        sizes.append(size)
        elements //= size
    sizes += [elements] * (elements == 0)
    for _ in range(r.rng.randint(0, 2)):
        sizes.insert(r.rng.randint(0, len(sizes)), 1)
    if sizes and r.rng.random() < 0.3:
        sizes[r.rng.randrange(len(sizes))] = -1
    return sizes + [3] * (r.rng.random() < 0.05)


def view(r: Any) -> Any:
    x = any_tensor(r)
    shape = another_shape(r, x.numel())
    return r.rng.choice((lambda x: x.view(*shape), lambda x: x.view(shape), lambda x: x.view(tuple(shape)))), x


def reshape(r: Any) -> Any:
    x = any_tensor(r)
    shape = another_shape(r, x.numel())
    return r.rng.choice((lambda x: x.reshape(*shape), lambda x: torch.reshape(x, shape))), x


def flatten(r: Any) -> Any:
    x = any_tensor(r)
    a, b = r.axis(x.dim()), r.axis(x.dim())
    return r.rng.choice(
        (
            lambda x: x.flatten(a, b),
            lambda x: torch.flatten(x, a),
            lambda x: torch.flatten(x, start_dim=a, end_dim=b),
            lambda x: x.ravel(),
            lambda x: torch.nn.Flatten()(x),
        )
    ), x


def unflatten(r: Any) -> Any:
    x = any_tensor(r, 1)
    axis = r.axis(x.dim())
    size = x.shape[axis] if -x.dim() <= axis < x.dim() else 2
    sizes = another_shape(r, size)
    return r.rng.choice((lambda x: x.unflatten(axis, sizes), lambda x: torch.unflatten(x, axis, tuple(sizes)))), x


def squeeze(r: Any) -> Any:
    x = any_tensor(r)
    a, b = r.axis(x.dim()), r.axis(x.dim())
    return r.rng.choice(
        (lambda x: x.squeeze(), lambda x: x.squeeze(a), lambda x: torch.squeeze(x, dim=a), lambda x: x.squeeze((a, b)))
    ), x


def unsqueeze(r: Any) -> Any:
    x = any_tensor(r)
    axis = r.axis(x.dim() + 1)
    return r.rng.choice((lambda x: x.unsqueeze(axis), lambda x: torch.unsqueeze(x, dim=axis))), x


def at_least(r: Any) -> Any:
    function = r.rng.choice((torch.atleast_1d, torch.atleast_2d, torch.atleast_3d))
    return (
        r.rng.choice((lambda x, y: function(x), lambda x, y: function(x, y), lambda x, y: function([x, y]))),
        any_tensor(r),
        any_tensor(r),
    )


def as_another(r: Any) -> Any:
    x = any_tensor(r)
    y = r.plain(tuple(n for n in another_shape(r, x.numel()) if n != -1) or (1,))
    return (
        r.rng.choice(
            (
                lambda x, y: x.view(torch.int32),
                lambda x, y: x.view(torch.float16),
                lambda x, y: x.view_as(y),
                lambda x, y: x.reshape_as(y),
            )
        ),
        x,
        y,
    )


def complex_parts(r: Any) -> Any:
    x = any_tensor(r, 0, torch.complex64)
    y = r.tensor((*r.shape(2), 2))
    return r.rng.choice((lambda x, y: torch.view_as_real(x), lambda x, y: torch.view_as_complex(y))), x, y


def transpose(r: Any) -> Any:
    x = any_tensor(r)
    a, b = r.axis(x.dim()), r.axis(x.dim())
    return r.rng.choice(
        (
            lambda x: x.transpose(a, b),
            lambda x: torch.swapaxes(x, a, b),
            lambda x: x.swapdims(dim0=a, dim1=b),
            lambda x: torch.swapaxes(x, axis0=a, axis1=b),
        )
    ), x


def permute(r: Any) -> Any:
    x = any_tensor(r)
    order = list(range(x.dim()))
    r.rng.shuffle(order)
    order = [axis - x.dim() * (r.rng.random() < 0.2) for axis in order]
    if order and r.rng.random() < 0.05:
        order[0] = order[-1]
    return r.rng.choice(
        (
            lambda x: x.permute(*order),
            lambda x: x.permute(order),
            lambda x: torch.permute(x, order),
            lambda x: x.permute(dims=order),
        )
    ), x


def movedim(r: Any) -> Any:
    x = any_tensor(r, 1)
    count = r.rng.randint(1, x.dim())
    source = r.rng.sample(range(x.dim()), count)
    target = r.rng.sample(range(-x.dim(), 0), count)
    if r.rng.random() < 0.1:
        source[0] = r.axis(x.dim())
    return r.rng.choice(
        (
            lambda x: x.movedim(source, target),
            lambda x: torch.moveaxis(x, tuple(source), tuple(target)),
            lambda x: x.movedim(source[0], target[0]),
        )
    ), x


def matrix_transpose(r: Any) -> Any:
    x = any_tensor(r, r.rng.choice((0, 2)))
    return r.rng.choice((lambda x: x.t(), lambda x: torch.t(x), lambda x: x.mT)), x


def two_dimensional(r: Any) -> Any:
    x = r.tensor(r.shape(2))
    return r.rng.choice((lambda x: x.T, lambda x: x.H, lambda x: x.mH, lambda x: x.adjoint())), x


def expand(r: Any) -> Any:
    shape = list(r.shape())
    x = r.tensor(r.broadcasting(tuple(shape)))
    y = r.plain(tuple(shape))
    if shape and len(shape) == x.dim() and r.rng.random() < 0.3:
        shape[-1] = -1
    if shape and r.rng.random() < 0.05:
        shape[-1] = 7
    return (
        r.rng.choice(
            (
                lambda x, y: x.expand(*shape),
                lambda x, y: x.expand(shape),
                lambda x, y: x.expand(size=shape),
                lambda x, y: torch.broadcast_to(x, shape),
                lambda x, y: x.broadcast_to(shape),
                lambda x, y: x.expand_as(y),
            )
        ),
        x,
        y,
    )


def broadcast_tensors(r: Any) -> Any:
    shape = r.shape()
    return torch.broadcast_tensors, *[r.tensor(r.broadcasting(shape)) for _ in range(r.rng.randint(1, 3))]


def meshgrid(r: Any) -> Any:
    indexing = r.rng.choice(("ij", "xy"))
    vectors = [r.tensor(r.shape(r.rng.choice((1, 1, 1, 0)))) for _ in range(r.rng.randint(1, 3))]
    return r.rng.choice(
        (lambda *v: torch.meshgrid(*v, indexing=indexing), lambda *v: torch.meshgrid(v, indexing=indexing))
    ), *vectors


CASES = (
    view, reshape, flatten, unflatten, squeeze, unsqueeze, at_least, as_another, complex_parts, transpose, permute,
    movedim, matrix_transpose, two_dimensional, expand, broadcast_tensors, meshgrid,
)  # fmt: skip


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    sweep(make, PARTS, share=0.99)


def test_a_view_shares_storage_and_a_copy_does_not(compare: Any) -> None:
    x = torch.empty(2, 3, 4, device=META)
    viewed = compare(lambda x: x.reshape(6, 4), x)
    assert viewed.layer.aliases == (("y", "x", "view"),)
    copied = compare(lambda x: x.transpose(1, 2).reshape(2, 12), x)
    assert copied.ops == ["transpose", "reshape"]
    assert copied.layers[1].aliases == ()  # the elements move


@pytest.mark.parametrize(
    ("function", "perm"),
    [
        (lambda x: x.permute(2, 0, 3, 1), (2, 0, 3, 1)),
        (lambda x: x.permute(-2, 0, -1, 1), (2, 0, 3, 1)),
        (lambda x: x.transpose(-1, 1), (0, 3, 2, 1)),
        (lambda x: x.movedim((0, 1), (-1, -2)), (2, 3, 1, 0)),
        (lambda x: x.mT, (0, 1, 3, 2)),
    ],
)
def test_perm_says_which_dimension_comes_where(compare: Any, function: Any, perm: tuple[int, ...]) -> None:
    x = torch.empty(2, 3, 4, 5, device=META)
    layer = compare(function, x).layer
    assert layer.attrs["perm"] == perm
    assert layer.y.shape == tuple(x.shape[axis] for axis in perm)


def test_same_tensor_is_no_layer(compare: Any) -> None:
    x = torch.empty(2, 3, device=META)
    assert compare(lambda x: x.flatten(1, 1), x).layers == []
    assert compare(lambda x: torch.atleast_2d(x), x).layers == []
    assert compare(lambda x: torch.broadcast_tensors(x, x), x).layers == []


def test_view_of_a_weight_is_a_piece_of_it(compare: Any) -> None:
    checked = compare(lambda w: w.t().view(2, 2, 3).unsqueeze(0), torch.nn.Parameter(torch.empty(3, 4, device=META)))
    assert checked.layers == []
    spec = checked.specs[id(checked.result)]
    assert (spec.name, spec.shape) == ("weight0", (1, 2, 2, 3))
    assert checked.is_weight(checked.result)


def test_kernels_record_the_same_layers(compare_aten: Any) -> None:
    def views(x: Any) -> Any:
        y = x.transpose(0, 1).squeeze(0).unsqueeze(-1).expand(-1, -1, 3)
        return y.permute(2, 0, 1).reshape(-1)

    assert compare_aten(views, torch.empty(4, 1, 2, device=META)).ops == [
        "transpose", "reshape", "reshape", "expand", "transpose", "copy", "reshape",
    ]  # fmt: skip
