"""Scopes and layer names out of tensor names.

A tensor is named after the operations it comes from, with the path of their layer: ``net/block1/conv/BiasAdd``. A
converter that merges several joins their names with ``;``. The result of a whole function is called
``StatefulPartitionedCall:0``, which says nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

# What the names of an operator's own operation contain, to choose among several joined names.
_HINTS: dict[str, tuple[str, ...]] = {
    "CONV_2D": ("conv",),
    "CONV_3D": ("conv",),
    "DEPTHWISE_CONV_2D": ("depthwise", "conv"),
    "TRANSPOSE_CONV": ("conv2d_transpose", "transpose", "conv"),
    "FULLY_CONNECTED": ("matmul", "tensordot", "dense", "linear"),
    "BATCH_MATMUL": ("matmul", "einsum"),
}
# A loop's body is a function of its own, whose names repeat the whole path: net/lstm/while/body/_1/net/lstm/while/cell
_FUNCTION = re.compile(r".*/(?:body|cond|then|else)/_\d+/", re.DOTALL)
_MEANINGLESS = ("StatefulPartitionedCall", "PartitionedCall", "Identity", "XlaCallModule")


@lru_cache(maxsize=4096)
def split_name(tensor: str, operator: str) -> tuple[str, str]:
    """(path with dots, last part) of the name that fits the operator best; both empty where the name says nothing."""
    parts = [part for part in tensor.split(";") if part]
    if not parts:
        return "", ""
    chosen = parts[0]
    for hint in _HINTS.get(operator, ()):
        found = next((part for part in parts if hint in part.rpartition("/")[2].lower()), None)
        if found:
            chosen = found
            break
    head, colon, number = chosen.rpartition(":")
    if colon and number.isdigit():
        chosen = head
    function = _FUNCTION.match(chosen)  # from the beginning alone: a search tries every place of a long name
    if function is not None:
        chosen = chosen[function.end() :]
    if operator == "WHILE" and "/while" in chosen:
        chosen = chosen[: chosen.index("/while") + 6]
    path, _, leaf = chosen.rpartition("/")
    pieces = [piece for piece in path.split("/") if piece and not piece.startswith(_MEANINGLESS)]
    if leaf.startswith(_MEANINGLESS):
        leaf = ""
    return ".".join(pieces), leaf


def common_head(scopes: list[str]) -> str:
    """The first part of all scopes, where they share it and it is not the whole of any: the model's own name."""
    heads = {scope.partition(".")[0] for scope in scopes if scope}
    if len(heads) != 1 or any("." not in scope for scope in scopes if scope):
        return ""
    return heads.pop()


__all__ = ["common_head", "split_name"]
