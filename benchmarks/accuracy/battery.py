"""What a case of the battery is, and the list that the modules with cases fill."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Built = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """``macs`` are the multiply-adds of dot products, a closed form; ``bias`` the additions of biases.

    ``build()`` gives the module, its arguments and keyword arguments, on torch's default device. ``cpu_only`` are those
    that no one can build or follow without values. ``mixed`` are given in training mode, but for their second part.
    """

    name: str
    group: str
    macs: int
    bias: int
    build: Callable[[], Built]
    note: str = ""
    cpu_only: bool = False
    mixed: bool = False

    def on(self, device: str) -> Built:
        torch.manual_seed(0)
        with torch.device(device):
            module, args, kwargs = self.build()
        module.train(self.mixed)
        if self.mixed:
            list(module.children())[1].eval()
        return module, args, kwargs


CASES: list[Case] = []


def case(name: str, macs: int, bias: int = 0, note: str = "", **flags: bool) -> Callable[[Callable[[], Any]], Any]:
    """Enter a function that returns a module and its arguments: ``module, x`` or ``module, (x, y), {"z": z}``."""

    def enter(function: Callable[[], Any]) -> Callable[[], Any]:
        def build() -> Built:
            module, args, *rest = function()
            args = args if isinstance(args, tuple) else (args,)
            return module, args, rest[0] if rest else {}

        CASES.append(Case(name, function.__module__.rpartition(".")[2], macs, bias, build, note, **flags))
        return function

    return enter


def cases() -> list[Case]:
    """All cases, in the order of the modules."""
    for name in ("convolutions", "products", "recurrent", "attention", "written", "networks"):
        importlib.import_module(f"accuracy.{name}")
    return CASES


class Call(nn.Module):
    """A module around a function of its modules, so that a case can be written in one line."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module, **parameters: nn.Parameter) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)
        for name, parameter in parameters.items():
            setattr(self, name, parameter)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * 0.1)
