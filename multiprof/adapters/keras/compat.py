"""What older versions of Keras 3 do otherwise, each with the version that changed it; 3.4 is the oldest read here."""

from __future__ import annotations

from typing import Any


def inputs_of(model: Any) -> list[Any]:
    """The symbolic inputs of a model, none where it has none yet."""
    try:
        return list(getattr(model, "inputs", None) or ())
    except ValueError:  # of a Sequential without a shape; an AttributeError since 3.6
        return []


__all__ = ["inputs_of"]
