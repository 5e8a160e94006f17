"""The networks of PyTorch as `torch.onnx.export` writes them by tracing (``dynamo=False``)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch_networks


@torch.no_grad()
def trained(net: torch.nn.Module) -> torch.nn.Module:
    """As if it had been trained: no tensor is zero and no two are equal, or the exporters would drop and share them."""
    torch.manual_seed(0)
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return net


def export(name: str, *, dynamo: bool) -> tuple[Path, None]:
    """The file that PyTorch writes; shapes are fixed, so it needs no inputs."""
    net, shapes = torch_networks.NETWORKS[name]()
    inputs = tuple(torch.zeros(shape) for shape in (shapes if isinstance(shapes, list) else [shapes]))
    path = Path(tempfile.mkdtemp(prefix="conformance-onnx-")) / f"{name}.onnx"
    torch.onnx.export(trained(net), inputs, str(path), dynamo=dynamo)
    return path, None


def networks(*, dynamo: bool) -> dict[str, Callable[[], tuple[Path, None]]]:
    def exported(name: str) -> Callable[[], tuple[Path, None]]:
        return lambda: export(name, dynamo=dynamo)

    return {name: exported(name) for name in torch_networks.NETWORKS}


NETWORKS = networks(dynamo=False)
CANNOT: dict[str, str] = {}
