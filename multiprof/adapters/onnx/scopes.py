"""Where in the model's module tree a node stands, as its exporter tells it."""

from __future__ import annotations

from ast import literal_eval

from onnx import NodeProto

TORCH_SCOPES = "pkg.torch.onnx.name_scopes"


def node_name(node: NodeProto) -> str:
    """The node's name; where it has none, its operator and its first output."""
    if node.name:
        return node.name
    output = next((name for name in node.output if name), "")
    return f"{node.op_type}:{output}" if output else node.op_type


def node_scope(node: NodeProto) -> str:
    """The path of the module that holds the node, joined by dots; empty where nothing tells.

    PyTorch's newer exporter writes it into the node's metadata; its older one, and tf2onnx, into the node's name.
    """
    for entry in node.metadata_props:
        if entry.key == TORCH_SCOPES:
            found = _from_list(entry.value)
            if found is not None:
                return found
    name = node.name or next((name for name in node.output if name), "")
    return from_path(name) if "/" in name else ""


def from_path(name: str) -> str:
    """``/layer1/layer1.0/conv1/Conv`` → ``layer1.0.conv1``; ``model/block/conv/Conv2D`` → ``model.block.conv``."""
    parts = [part for part in name.split("/")[:-1] if part]
    scope: list[str] = []
    for part in parts:
        if scope and part.startswith(scope[-1] + "."):  # a child of a list repeats the list's name
            scope[-1] = part
        else:
            scope.append(part)
    return ".".join(scope)


def _from_list(text: str) -> str | None:
    """The innermost module of ``['', 'layer1', 'layer1.0', 'conv2d']``, whose last item is the node itself."""
    if len(text) > 10_000 or not text.startswith("["):
        return None
    try:
        items = literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return None
    return items[-2] if len(items) > 1 else ""


def joined(outer: str, own: str) -> str:
    """The path of what stands inside ``outer``: exporters write some paths from the top, and some from there."""
    if not outer or own == outer or own.startswith(outer + "."):
        return own
    return f"{outer}.{own}" if own else outer


__all__ = ["from_path", "joined", "node_name", "node_scope"]
