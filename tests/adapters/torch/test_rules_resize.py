"""Interpolation by rule: against torch's meta kernels on random arguments, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOATS = (torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16)
FORMATS = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
ANY_RANK = ("nearest", "nearest-exact", "area")
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])


def image(random_tensors: Any, rank: int) -> torch.Tensor:
    rng = random_tensors.rng
    shape = (rng.randint(1, 3), rng.randint(1, 5), *(rng.randint(1, 9) for _ in range(rank)))
    return random_tensors.plain(shape, rng.choice(FLOATS))


def arguments(random_tensors: Any, rank: int) -> dict[str, Any]:
    """Any mode, a size or scales, options; about half of the combinations are refused."""
    rng = random_tensors.rng
    given: dict[str, Any] = {
        "mode": rng.choice((*ANY_RANK, LINEAR[rank], LINEAR[rank], "bicubic", "bilinear", "cubic"))
    }
    if rng.random() < 0.5:
        given["size"] = rng.choice((5, 1, 0, tuple(rng.randint(1, 12) for _ in range(rank)), [4] * rank, (3, 3)))
    if "size" not in given or rng.random() < 0.05:
        scales = tuple(rng.uniform(0.2, 3.0) for _ in range(rank))
        given["scale_factor"] = rng.choice((2, 0.5, 1.5, 3.0, 0.1, scales, scales, [2] * rank, (1.3, 1.3)))
    if rng.random() < 0.3:
        given["align_corners"] = rng.random() < 0.5
    if rng.random() < 0.2:
        given["recompute_scale_factor"] = rng.random() < 0.6
    if rng.random() < 0.15:
        given["antialias"] = True
    return given


@RANKS
def test_interpolate(rank: int, compare: Any, random_tensors: Any) -> None:
    ruled: dict[str, int] = {}
    refused = 0
    for _ in range(400):
        x, given = image(random_tensors, rank), arguments(random_tensors, rank)
        call = compare(F.interpolate, x, **given)
        if call.error is not None:
            refused += 1
            continue
        if 0 in call.result.shape:  # torch's average over no window at all
            continue
        assert call.by_rule
        mode, layer = given["mode"], call.layer
        ruled[mode] = ruled.get(mode, 0) + 1
        assert layer.op == "resize"
        before, after = x.shape[2:], tuple(call.result.shape[2:])
        scale: Any = given.get("scale_factor")
        if scale is None or given.get("recompute_scale_factor") or mode == "area":
            scale = tuple(m / n for n, m in zip(before, after, strict=True))
        elif isinstance(scale, (int, float)):
            scale = (scale,) * rank
        expected = {"mode": mode, "scale": tuple(scale), "data_format": FORMATS[rank]}
        if mode not in ANY_RANK:
            expected["align_corners"] = given.get("align_corners", False)
            expected["antialias"] = given.get("antialias", False)
        assert layer.attrs == expected
    assert refused > 80
    assert set(ruled) == {*ANY_RANK, LINEAR[rank], *(["bicubic"] if rank == 2 else [])}
    assert min(ruled.values()) > 5


@RANKS
def test_odd_tensors(rank: int, compare: Any, random_tensors: Any) -> None:
    """Strides, dtypes and ranks of any kind: the rule answers rightly or not at all."""
    rng = random_tensors.rng
    for _ in range(100):
        shape = random_tensors.shape(rng.choice((rank + 1, rank + 2, rank + 2, rank + 3)), empty=0.05)
        x = random_tensors.tensor(shape, rng.choice((torch.float32, torch.float32, torch.uint8, torch.int64)))
        compare(F.interpolate, x, **arguments(random_tensors, rank))


@RANKS
def test_operators(rank: int, compare_aten: Any, random_tensors: Any) -> None:
    """Without a rule for the function: the same layer from the aten operator, with the scales that torch passes."""
    x = random_tensors.plain((2, 3, 4, 5, 6)[: rank + 2])
    twice = (2.0,) * rank
    for mode in ("nearest", "nearest-exact"):
        layer = compare_aten(F.interpolate, x, scale_factor=2, mode=mode).layer
        assert (layer.op, layer.attrs) == ("resize", {"mode": mode, "scale": twice, "data_format": FORMATS[rank]})
    modes = [(LINEAR[rank], False)]
    if rank == 2:
        modes += [("bicubic", False), ("bicubic", True), ("bilinear", True)]
    size = tuple(n * 3 for n in x.shape[2:])
    for mode, antialias in modes:
        layer = compare_aten(F.interpolate, x, size, mode=mode, align_corners=True, antialias=antialias).layer
        assert layer.op == "resize"
        assert layer.attrs == {
            "mode": mode,
            "scale": (3.0,) * rank,
            "data_format": FORMATS[rank],
            "align_corners": True,
            "antialias": antialias,
        }


def test_modules(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 4, 5))
    nearest, linear = torch.nn.UpsamplingNearest2d(scale_factor=2), torch.nn.UpsamplingBilinear2d((8, 10))
    assert compare(nearest, x).layer.attrs == {"mode": "nearest", "scale": (2.0, 2.0), "data_format": "NCHW"}
    layer = compare(linear, x).layer
    assert (layer.attrs["mode"], layer.attrs["align_corners"]) == ("bilinear", True)
    assert layer.outputs["y"].shape == (2, 3, 8, 10)


@pytest.mark.parametrize("mode", [*ANY_RANK, "bilinear", "bicubic"])
def test_channels_last(mode: str, compare: Any, random_tensors: Any) -> None:
    """As a permutation leaves it before a convolution; the result keeps the order, as torch's kernels have it."""
    for shape in ((2, 6, 5, 3), (1, 4, 4, 2), (1, 1, 3, 2)):
        x = random_tensors.plain(shape).permute(0, 3, 1, 2)
        call = compare(F.interpolate, x, scale_factor=2, mode=mode)
        assert call.by_rule
        assert call.result.stride(1) == 1


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
