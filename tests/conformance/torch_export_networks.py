"""The networks of PyTorch as exported programs (`torch.export`): graphs of operators, that carry their inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch_networks


def exported(name: str) -> Callable[[], tuple[Any, None]]:
    def build() -> tuple[Any, None]:
        net, shapes = torch_networks.NETWORKS[name]()
        inputs = tuple(torch.zeros(shape) for shape in (shapes if isinstance(shapes, list) else [shapes]))
        return torch.export.export(net, inputs), None

    return build


NETWORKS = {name: exported(name) for name in torch_networks.NETWORKS}
CANNOT: dict[str, str] = {}
