"""What well-known counters get wrong, counted exactly: on every device, with gradients and without.

Each case writes its multiply-adds and parameters out as arithmetic from the definition of the network.
"""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers.pytorch_utils import Conv1D

import multiprof
from multiprof import Inputs, TensorSpec

_SHARED = run_path(str(Path(__file__).with_name("written.py")))
CASES = _SHARED["Cases"]()
case = CASES.case
module = _SHARED["module"]
parameter = _SHARED["parameter"]

# -- called as functions -------------------------------------------------------------------------------------------

case("@", Inputs((2, 5, 3), (2, 3, 4)), 2 * 5 * 3 * 4, 0, matmul=1)(lambda: lambda a, b: a @ b)
case("einsum", Inputs((2, 5, 3), (2, 4, 3)), 2 * 5 * 4 * 3, 0, einsum=1)(
    lambda: lambda a, b: torch.einsum("bid,bjd->bij", a, b)
)
case("einsum of three", Inputs((2, 30), (30, 3), (3, 40)), 2 * 30 * 3 + 2 * 3 * 40, 0, einsum=2)(
    lambda: lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)
)
case("bmm and baddbmm", Inputs((2, 5, 3), (2, 3, 4)), 2 * (2 * 5 * 3 * 4), 0, matmul=2, add=1)(
    lambda: lambda a, b: torch.baddbmm(torch.bmm(a, b), a, b)
)
case("F.linear", Inputs((2, 5, 3)), 2 * 5 * 3 * 4, 4 * 3 + 4, linear=1)(
    lambda: module(lambda self, x: F.linear(x, self.w, self.b), w=parameter(4, 3), b=parameter(4))
)
case("F.conv2d", (1, 3, 8, 8), 6 * 6 * 5 * 3 * 3 * 3, 5 * 3 * 3 * 3, conv=1)(
    lambda: module(lambda self, x: F.conv2d(x, self.w), w=parameter(5, 3, 3, 3))
)
case("addmm", (5, 3), 5 * 3 * 4, 3 * 4 + 4, linear=1)(
    lambda: module(lambda self, x: torch.addmm(self.b, x, self.w), w=parameter(3, 4), b=parameter(4))
)
case("Conv1D of transformers", (2, 5, 3), 2 * 5 * 3 * 4, 3 * 4 + 4, linear=1)(lambda: Conv1D(4, 3))

# -- convolutions --------------------------------------------------------------------------------------------------

case("deconvolution", (1, 8, 8, 8), 8 * 8 * 8 * 16 * 4, 8 * 4 * 16 + 4, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(8, 4, 4, 2, 1)
)
assert CASES["deconvolution"][1][1] == 32_768
case("grouped deconvolution", (1, 8, 8, 8), 8 * 8 * 8 * 16 * 4 // 2, 8 * 2 * 16 + 4, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=2)
)
case("FCN upsampling", (1, 21, 5, 6), 21 * 21 * 4096 * 5 * 6, 21 * 21 * 4096, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(21, 21, 64, 32, bias=False)
)
case("grouped convolution", (2, 8, 9, 9), 2 * 7 * 7 * 12 * 9 * 8 // 4, 12 * 9 * 8 // 4 + 12, conv=1)(
    lambda: nn.Conv2d(8, 12, 3, groups=4)
)
case("depthwise separable", (1, 6, 10, 10), 9 * 6 * 100 + 6 * 11 * 100, 9 * 6 + 6 * 11, conv=2)(
    lambda: nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.Conv2d(6, 11, 1, bias=False))
)


@case(
    "1-D and 3-D convolution",
    Inputs((1, 4, 16), (1, 2, 5, 6, 7)),
    14 * 8 * 4 * 3 + 4 * 5 * 6 * 3 * 2 * 8,
    8 * 4 * 3 + 3 * 2 * 8,
    conv=2,
)
def _ranks() -> nn.Module:
    one, three = nn.Conv1d(4, 8, 3, bias=False), nn.Conv3d(2, 3, 2, bias=False)
    return module(lambda self, a, b: (self.one(a), self.three(b)), one=one, three=three)


# -- how modules are used ------------------------------------------------------------------------------------------

case("linear on three dimensions", (2, 7, 300), 2 * 7 * 300 * 100, 300 * 100 + 100, linear=1)(
    lambda: nn.Linear(300, 100)
)
case("a module called twice", (2, 8), 2 * (2 * 8 * 8), 8 * 8 + 8, linear=2)(
    lambda: module(lambda self, x: self.fc(self.fc(x)), fc=nn.Linear(8, 8))
)
case("bare parameters", (2, 3), 2 * 3 * 4, 3 * 4 + 4, linear=1, add=1)(
    lambda: module(lambda self, x: x @ self.w + self.b, w=parameter(3, 4), b=parameter(4))
)
case("parameters in lists", (2, 3), 2 * 3 * 4 + 2 * 4 * 5, 3 * 4 + 4 * 5, linear=2)(
    lambda: module(lambda self, x: x @ self.ws[0] @ self.ws[1], ws=nn.ParameterList([parameter(3, 4), parameter(4, 5)]))
)


@case("tied weights", Inputs(TensorSpec((2, 6), "int64")), 2 * 6 * 8 * 50, 50 * 8, embedding=1, linear=1)
def _tied() -> nn.Module:
    made = module(
        lambda self, ids: self.head(self.table(ids)), table=nn.Embedding(50, 8), head=nn.Linear(8, 50, bias=False)
    )
    made.head.weight = made.table.weight
    return made


@case("unused branches", (2, 3), 2 * 3 * 4, 3 * 4 + 3 * 5, linear=1)
def _unused() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.used(x) if x.dim() == 2 else self.unused(x)

    return module(forward, used=nn.Linear(3, 4, bias=False), unused=nn.Linear(3, 5, bias=False))


@case("integer inputs", Inputs(TensorSpec((2, 6), "int64")), 2 * 6 * 8 * 3, 50 * 8 + 8 * 3, embedding=1, linear=1)
def _integers() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 3, bias=False))


@case(
    "a dict as the input",
    Inputs({"x": (2, 3), "ids": TensorSpec((2,), "int64")}),
    2 * 3 * 4 + 2 * 4 * 5,
    3 * 4 + 9 * 4 + 4 * 5,
    linear=2,
)
def _dict() -> nn.Module:
    def forward(self: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"y": self.b(self.a(batch["x"]) + self.table(batch["ids"]))}

    return module(forward, a=nn.Linear(3, 4, bias=False), b=nn.Linear(4, 5, bias=False), table=nn.Embedding(9, 4))


@case("keyword inputs", {"x": (2, 3), "mask": TensorSpec((2, 1), "bool")}, 2 * 3 * 4, 3 * 4, linear=1)
def _keywords() -> nn.Module:
    def forward(self: Any, *, mask: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).masked_fill(mask, 0.0)

    return module(forward, fc=nn.Linear(3, 4, bias=False))


# -- control flow --------------------------------------------------------------------------------------------------


@case("a loop over the shape", (2, 5, 3), sum(2 * n * 3 * 3 for n in range(1, 6)), 9, linear=5)
def _loop() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        parts = [self.fc(x[:, : n + 1]) for n in range(x.shape[1]) if len(x) > 1]
        return torch.cat(parts, dim=1)

    return module(forward, fc=nn.Linear(3, 3, bias=False))


@case("a branch on integers", Inputs((2, 3), torch.tensor([1, 0, 1])), 2 * 2 * 3 * 3, 3 * 9, linear=2)
def _routed() -> nn.Module:
    def forward(self: Any, x: torch.Tensor, route: torch.Tensor) -> torch.Tensor:
        for expert, chosen in zip(self.experts, route, strict=True):
            if chosen:
                x = expert(x)
        return x

    return module(forward, experts=nn.ModuleList(nn.Linear(3, 3, bias=False) for _ in range(3)))


# -- lazy and compiled models --------------------------------------------------------------------------------------


@case("lazy modules", (2, 3, 8, 8), 2 * 6 * 6 * 5 * 27 + 2 * 180 * 7, 5 * 27 + 5 + 180 * 7 + 7, conv=1, linear=1)
def _lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(5, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(7))


def never(graph: Any, inputs: Any) -> Any:
    raise AssertionError("a compilation was started")


case("a compiled model", (2, 8), 2 * 8 * 5, 8 * 5 + 5, linear=1, relu=1)(
    lambda: torch.compile(nn.Sequential(nn.Linear(8, 5), nn.ReLU()), backend=never)
)
case("a compiled submodule", (2, 8), 2 * 8 * 5 + 2 * 5 * 3, 8 * 5 + 5 + 5 * 3 + 3, linear=2, relu=1)(
    lambda: nn.Sequential(torch.compile(nn.Sequential(nn.Linear(8, 5), nn.ReLU()), backend=never), nn.Linear(5, 3))
)


@case("a module compiled in place", (2, 8), 2 * 8 * 5, 8 * 5 + 5, linear=1)
def _in_place() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 5))
    made.compile(backend=never)
    made[0].compile(backend=never)
    return made


@case("a compiled function", Inputs((2, 8), (8, 5)), 2 * 8 * 5, 0, matmul=1)
def _function() -> Any:
    return torch.compile(lambda a, b: a @ b, backend=never)


@pytest.mark.parametrize("name", CASES)
def test_exact(exact: Any, name: str) -> None:
    build, figures, ops = CASES[name]
    exact(build, *figures, **ops)


def test_unused_parameters_are_named() -> None:
    report = multiprof.analyze(CASES["unused branches"][0](), (2, 3))
    assert list(report.unused_parameters()) == ["unused.weight"]


def test_a_lazy_model_stays_lazy() -> None:
    model = CASES["lazy modules"][0]()
    multiprof.analyze(model, (2, 3, 8, 8))
    assert isinstance(model[0].weight, nn.UninitializedParameter)
    multiprof.analyze(model, (2, 4, 9, 9))
    assert isinstance(model[-1].weight, nn.UninitializedParameter)


class Deciding(nn.Module):
    """Decides by the sign of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.often = nn.Linear(3, 4, bias=False)
        self.seldom = nn.Linear(3, 50, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.often(x) if x.sum() > 0 else self.seldom(x)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_on_values_takes_the_way_of_the_values(sign: int) -> None:
    report = multiprof.analyze(Deciding(), sign * torch.ones(2, 3))
    assert report.macs == 2 * 3 * (4 if sign > 0 else 50)
    assert report.params == 3 * 4 + 3 * 50
    assert report.coverage == 1.0


def test_a_branch_on_values_of_which_only_shapes_are_known_says_so() -> None:
    with torch.device("meta"):
        model = Deciding()
    with pytest.raises(multiprof.ModelError, match="give a model with real parameters"):
        multiprof.analyze(model, torch.ones(2, 3))


def test_the_same_module_priced_as_compiled_and_as_written() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    written, compiled = (
        multiprof.analyze(model, (1, 3, 8, 8)),
        multiprof.analyze(torch.compile(model, backend=never), (1, 3, 8, 8)),
    )
    assert written.layers == compiled.layers
