"""What older versions of TensorFlow lack, each with the version that brought it."""

from __future__ import annotations

from typing import Any


def is_subtype(shape: Any, other: Any) -> bool:
    """Whether every tensor of the one shape has the other too; ``TensorShape.is_subtype_of`` since 2.9."""
    if other.rank is None:
        return True
    if shape.rank != other.rank:
        return False
    return all(b is None or a == b for a, b in zip(shape.as_list(), other.as_list(), strict=True))


__all__ = ["is_subtype"]
