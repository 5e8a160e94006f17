"""Ways to write a model: loops, branches, nested results, keywords, mappings, parameters of one's own, wrappers."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn, randn
from torch.utils.checkpoint import checkpoint

from accuracy.battery import Call, case, weight


@case("a loop over a ModuleList", 3 * 8 * 64 * 64, 3 * 8 * 64)
def module_list() -> Any:
    def function(m: Any, x: Any) -> Any:
        for part in m.parts:
            x = F.relu(part(x))
        return x

    return Call(function, *(nn.Linear(64, 64) for _ in range(3))), randn(8, 64)


@case("a branch that is not taken", 8 * 64 * 32, 8 * 32, note="the other has 4 times the work")
def branch() -> Any:
    def function(m: Any, x: Any) -> Any:
        return m.parts[0](x) if x.shape[0] < 100 else m.parts[1](x)

    return Call(function, nn.Linear(64, 32), nn.Linear(64, 128)), randn(8, 64)


@case("a branch on a value", 8 * 64 * 32, 8 * 32, note="there is none on meta", cpu_only=True)
def value() -> Any:
    def function(m: Any, x: Any) -> Any:
        return m.parts[0](x) if m.w.abs().sum().item() > 0 else m.parts[1](x)

    return Call(function, nn.Linear(64, 32), nn.Linear(64, 128), w=weight(4)), randn(8, 64)


@case("a module that no forward calls", 8 * 64 * 32, 8 * 32)
def unused() -> Any:
    return Call(lambda m, x: m.parts[0](x), nn.Linear(64, 32), nn.Linear(64, 128)), randn(8, 64)


class Result(NamedTuple):
    first: Any
    rest: dict[str, Any]


@case("nested results", 8 * 64 * (32 + 16 + 8), 8 * (32 + 16 + 8))
def nested() -> Any:
    def function(m: Any, x: Any) -> Any:
        a, b, c = (part(x) for part in m.parts)
        return Result(a, {"b": [b, (c, None)]})

    return Call(function, nn.Linear(64, 32), nn.Linear(64, 16), nn.Linear(64, 8)), randn(8, 64)


@case("a mapping as input", 8 * 64 * 32 + 8 * 48 * 32, 2 * 8 * 32)
def mapping() -> Any:
    function = Call(
        lambda m, batch: m.parts[0](batch["a"]) + m.parts[1](batch["b"]), nn.Linear(64, 32), nn.Linear(48, 32)
    )
    return function, ({"a": randn(8, 64), "b": randn(8, 48)},)


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(64, 32), nn.Linear(48, 32)

    def forward(self, left: Any, *, right: Any = None, scale: float = 1.0) -> Any:
        y = self.left(left)
        return y if right is None else y + scale * self.right(right)


@case("a keyword that only goes by name", 8 * 64 * 32 + 8 * 48 * 32, 2 * 8 * 32)
def keywords() -> Any:
    return Keywords(), (randn(8, 64),), {"right": randn(8, 48), "scale": 0.5}


@case("a parameter of the model's own", 8 * 64 * 64 + 8 * 64 * 32, 8 * 32)
def own_parameter() -> Any:
    return Call(lambda m, x: m.parts[0](torch.tanh(x @ m.w)), nn.Linear(64, 32), w=weight(64, 64)), randn(8, 64)


@case("a subclass of nn.Linear", 8 * 64 * 32, 8 * 32)
def subclass() -> Any:
    class Scaled(nn.Linear):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 0.5

    return Scaled(64, 32), randn(8, 64)


@case("a convolution by unfold and a product", 32 * 256 * 16 * 9)
def unfolded() -> Any:
    return Call(lambda m, x: m.w @ F.unfold(x, 3, padding=1), w=weight(32, 16 * 9)), randn(1, 16, 16, 16)


@case(
    "a hypernetwork: weights from an input",
    1 * 16 * (16 * 8 * 9) + 8 * 16 * 16 * 16 * 9,
    note="conv of computed weights",
)
def hypernetwork() -> Any:
    def function(m: Any, x: Any, z: Any) -> Any:
        return F.conv2d(x, m.parts[0](z).view(8, 16, 3, 3), padding=1)

    return Call(function, nn.Linear(16, 8 * 16 * 9, bias=False)), (randn(1, 16, 16, 16), randn(1, 16))


@case("a mixture of 4 experts, all asked", 4 * 8 * 64 * 32 + 8 * 64 * 4, 4 * 8 * 32 + 8 * 4)
def mixture() -> Any:
    def function(m: Any, x: Any) -> Any:
        share = m.parts[4](x).softmax(-1)
        return sum(share[:, i : i + 1] * m.parts[i](x) for i in range(4))

    return Call(function, *(nn.Linear(64, 32) for _ in range(4)), nn.Linear(64, 4)), randn(8, 64)


@case("vmap over a product", 6 * 32 * 48)
def mapped() -> Any:
    return Call(lambda m, a, b: torch.vmap(torch.mv, (0, None))(a, b)), (randn(6, 32, 48), randn(48))


@case("a checkpointed block", 2 * 8 * 64 * 64, 2 * 8 * 64)
def checkpointed() -> Any:
    def function(m: Any, x: Any) -> Any:
        return checkpoint(m.parts[1], checkpoint(m.parts[0], x, use_reentrant=False), use_reentrant=False)

    return Call(function, nn.Linear(64, 64), nn.Linear(64, 64)), randn(8, 64)


@case("functional_call with the module's own weights", 8 * 64 * 32, 8 * 32)
def functional() -> Any:
    def function(m: Any, x: Any) -> Any:
        return torch.func.functional_call(m.parts[0], dict(m.parts[0].named_parameters()), (x,))

    return Call(function, nn.Linear(64, 32)), randn(8, 64)


@case("DataParallel", 8 * 64 * 32, 8 * 32)
def data_parallel() -> Any:
    return nn.DataParallel(nn.Linear(64, 32)), randn(8, 64)


@case("in training, one part in evaluation", 64 * 256 * 64 * 9 + 64 * 256 * 64 * 9, mixed=True)
def mixed() -> Any:
    """What comes back of modes, running statistics and random numbers."""
    convolutions = (nn.Conv2d(64, 64, 3, padding=1, bias=False) for _ in range(2))
    first, second = convolutions
    return nn.Sequential(first, nn.BatchNorm2d(64), nn.Dropout(), second, nn.BatchNorm2d(64)), randn(1, 64, 16, 16)
