"""The networks of PyTorch as `torch.onnx.export` writes them from an exported program (``dynamo=True``)."""

from __future__ import annotations

from onnx_script_networks import networks

NETWORKS = networks(dynamo=True)
CANNOT: dict[str, str] = {}
