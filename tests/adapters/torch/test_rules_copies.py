"""Copies and conversions: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")
DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)
FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last)


def clone(r: Any) -> Any:
    layout = r.rng.choice(FORMATS)
    return r.rng.choice(
        (
            lambda x: x.clone(),
            lambda x: torch.clone(x, memory_format=layout),
            lambda x: x.contiguous(),
            lambda x: x.contiguous(memory_format=layout),
            lambda x: copy.deepcopy(x),
        )
    ), r.tensor(r.shape())


def same_elements(r: Any) -> Any:
    return r.rng.choice(
        (lambda x: x.detach(), lambda x: x.data, lambda x: x.conj(), lambda x: x.resolve_conj())
    ), r.tensor(r.shape())


def convert(r: Any) -> Any:
    dtype, layout = r.rng.choice(DTYPES), r.rng.choice(FORMATS)
    return (
        r.rng.choice(
            (
                lambda x, y: x.to(dtype),
                lambda x, y: x.to(dtype=dtype),
                lambda x, y: x.to(y),
                lambda x, y: x.to("meta", dtype),
                lambda x, y: x.to("meta"),
                lambda x, y: x.to(dtype, copy=True),
                lambda x, y: x.to(dtype, False, True),
                lambda x, y: x.to(memory_format=layout),
                lambda x, y: x.to(dtype, memory_format=layout),
                lambda x, y: x.type(dtype),
                lambda x, y: x.type_as(y),
                lambda x, y: x.float(),
                lambda x, y: x.double(),
                lambda x, y: x.half(),
                lambda x, y: x.bfloat16(),
                lambda x, y: x.int(),
                lambda x, y: x.long(),
                lambda x, y: x.bool(),
            )
        ),
        r.tensor(r.shape(), r.rng.choice(DTYPES)),
        r.tensor(r.shape(), dtype),
    )


def copy_into(r: Any) -> Any:
    shape = r.shape()
    source = r.broadcasting(shape) if r.rng.random() < 0.9 else r.shape()
    return (
        lambda x, y: x.copy_(y),
        r.tensor(shape, r.rng.choice(DTYPES)),
        r.tensor(source, r.rng.choice(DTYPES)),
    )


CASES: dict[Any, tuple[str, ...]] = {
    clone: ("copy",),
    same_elements: (),
    convert: ("copy", "cast"),
    copy_into: ("copy", "cast"),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    sweep(make, CASES[make], share=0.99, times=400)


def test_what_needs_no_copy_is_no_layer(compare: Any) -> None:
    x = torch.empty(2, 3, device=META)
    for function in (
        lambda x: x.contiguous(),
        lambda x: x.to(torch.float32),
        lambda x: x.to("meta"),
        lambda x: x.float(),
        lambda x: x.detach(),
        lambda x: x.data,
    ):
        checked = compare(function, x)
        assert checked.layers == []
        assert checked.specs[id(checked.result)].name == "input0"


def test_devices_are_not_left(trace: Any) -> None:
    """Where a tensor is makes no difference to what is counted; a machine without a GPU reads a model for one."""
    graph = trace(lambda x: x.cpu().cuda().to("cuda:1").to(device="cpu").pin_memory() + 1, (2, 3))
    assert [layer.op for layer in graph.layers] == ["add"]


def test_cast_says_to_what(compare: Any) -> None:
    layer = compare(lambda x: x.half(), torch.empty(2, 3, device=META)).layer
    assert (layer.op, layer.attrs, layer.y.dtype) == ("cast", {"dtype": "float16"}, "float16")


def test_copy_into_another_dtype_converts_first(compare: Any) -> None:
    x, y = torch.empty(2, 3, device=META), torch.empty(3, dtype=torch.int64, device=META)
    cast, copied = compare(lambda x, y: x.copy_(y), x, y).layers
    assert (cast.op, cast.y.shape, cast.y.dtype) == ("cast", (3,), "float32")
    assert copied.inputs["x"].name == cast.y.name
    assert copied.inputs["dest"].name == "input0"
    assert copied.aliases == (("y", "dest", "write"),)


def test_a_copy_of_a_weight_is_prepared(compare: Any) -> None:
    checked = compare(lambda w: w.half(), torch.nn.Parameter(torch.empty(3, 4, device=META)))
    assert checked.ops == ["cast"]
    assert checked.is_weight(checked.result)


def test_type_is_that_of_the_device_of_the_model(trace: Any) -> None:
    found: list[str] = []
    trace(lambda x: found.append(x.type()) or x * 2, (2, 3))
    assert found == ["torch.FloatTensor"]


def test_values_survive_copies(trace: Any) -> None:
    found: list[Any] = []

    def function(x: Any, n: Any) -> Any:
        found.append(n.to("cpu").long().clone().cuda().to("cpu", torch.int32).tolist())
        return x

    trace(function, (2, 3), torch.tensor([3, 1, 2]))
    assert found == [[3, 1, 2]]


def test_kernels_record_the_same_layers(compare_aten: Any) -> None:
    def copies(x: Any) -> Any:
        y = x.t().contiguous().half().detach()
        return y.copy_(x.t().to(torch.float64))

    checked = compare_aten(copies, torch.empty(2, 3, device=META))
    assert checked.ops == ["transpose", "copy", "cast", "transpose", "cast", "cast", "copy"]
