"""Interpolation by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOAT, HALF, BYTE = torch.float32, torch.float16, torch.uint8
MODES = ("nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear")
RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
FORMATS = {1: "NCL", 2: "NCHW", 3: "NCDHW"}


def image(random_tensors: Any, rank: int) -> Any:
    rng = random_tensors.rng
    shape = (rng.randint(1, 2), rng.randint(1, 3), *(rng.randint(1, 6) for _ in range(rank)))
    dtype = rng.choice((FLOAT,) * 9 + (HALF, BYTE))
    if rng.random() < 0.7:
        return random_tensors.plain(shape, dtype)
    if rng.random() < 0.5:  # channels last
        return torch.empty((shape[0], *shape[2:], shape[1]), dtype=dtype, device="meta").movedim(-1, 1)
    return random_tensors.tensor(shape, dtype)


@pytest.mark.parametrize("mode", MODES)
def test_interpolate(mode: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(400):
        rank = RANKS.get(mode) if rng.random() < 0.95 else None
        rank = rng.randint(1, 3) if rank is None else rank
        x = image(random_tensors, rank)
        options: dict[str, Any] = {"mode": mode}
        if rng.random() < 0.5:
            size = rng.choice((rng.randint(0, 8), [rng.randint(1, 8) for _ in range(rank)], (2,) * (rank + 1)))
            options["size"] = size
        else:
            factor = rng.choice((2, 0.5, 1.7, [rng.choice((1, 2, 0.7)) for _ in range(rank)]))
            options["scale_factor"] = factor
        if rng.random() < 0.3:
            options["recompute_scale_factor"] = rng.choice((True, False))
        if rng.random() < (0.5 if mode in RANKS else 0.05):
            options["align_corners"] = rng.choice((True, False))
        if rng.random() < (0.3 if mode in ("bilinear", "bicubic") else 0.02):
            options["antialias"] = True
        call = compare(F.interpolate, x, **options)
        ruled += call.by_rule
        if call.by_rule:
            attrs = call.layer.attrs
            assert call.layer.op == "resize"
            assert (attrs["mode"], attrs["data_format"]) == (mode, FORMATS[rank])
            assert attrs["align_corners"] is options.get("align_corners", False)
            assert attrs["antialias"] is options.get("antialias", False)
            assert len(attrs["scale"]) == rank
    assert ruled > 180


def test_scale(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((1, 2, 6, 8))
    assert compare(F.interpolate, x, scale_factor=2).layer.attrs["scale"] == (2, 2)
    assert compare(F.interpolate, x, size=(3, 16)).layer.attrs["scale"] == (0.5, 2.0)


def test_faces(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((1, 2, 6, 8))
    for function, mode in (
        (lambda x: F.upsample(x, scale_factor=2), "nearest"),
        (lambda x: F.upsample_nearest(x, scale_factor=2), "nearest"),
        (lambda x: F.upsample_bilinear(x, scale_factor=2), "bilinear"),
        (torch.nn.Upsample(scale_factor=2, mode="bicubic"), "bicubic"),
        (torch.nn.UpsamplingNearest2d(size=4), "nearest"),
    ):
        call = compare(function, x)
        assert call.by_rule
        assert call.layer.attrs["mode"] == mode
    assert compare(F.upsample_bilinear, x, scale_factor=2).layer.attrs["align_corners"] is True


@pytest.mark.parametrize("mode", MODES)
def test_operators_of_aten(mode: str, compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    """Without the rule for the function, its operators lead to the same layer; area is adaptive pooling."""
    x = random_tensors.plain((1, 2, 6, 8, 4)[: RANKS.get(mode, 2) + 2])
    options = {"mode": mode, "size": 3} | ({"align_corners": True} if mode in RANKS else {})
    ruled, beneath = compare(F.interpolate, x, **options), compare_aten(F.interpolate, x, **options)
    assert ruled.layer.op == "resize"
    if mode == "area":
        assert beneath.ops == ["adaptive_avg_pool"]
    else:
        assert beneath.layer.op == "resize"
        assert beneath.layer.attrs == ruled.layer.attrs
    if mode in ("bilinear", "bicubic"):
        assert compare_aten(F.interpolate, x, **options, antialias=True).layer.attrs["antialias"] is True


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 3, "scale_factor": 2},
        {"size": (1, 2, 3)},
        {"size": 0},
        {"scale_factor": 0.01},
        {"scale_factor": (2,)},
        {"size": 2.5},
        {"size": 3, "mode": "linear"},
        {"size": 3, "mode": "trilinear"},
        {"size": 3, "mode": "sinc"},
        {"size": 3, "align_corners": True},
        {"size": 3, "mode": "nearest", "antialias": True},
        {"size": 3, "recompute_scale_factor": True},
    ],
)
def test_bad_arguments(options: Any, compare: Any, random_tensors: Any) -> None:
    assert compare(F.interpolate, random_tensors.plain((1, 2, 6, 8)), **options).error is not None
