"""What formulas read from a layer's attributes, with an error that says what is missing."""

from __future__ import annotations

from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.ir import Layer


def size(layer: Layer, name: str) -> int:
    """The integer attribute ``name``.

    Raises `UnknownDimensionError` where it is ``None`` (data-dependent) and `PluginError` where the adapter left out
    an attribute that the vocabulary requires.
    """
    value: int | None = layer.attrs.get(name)
    if value is None:
        if name in layer.attrs:
            raise UnknownDimensionError(f"layer {layer.name}: {name} is data-dependent")
        raise PluginError(f"layer {layer.name}: the op {layer.op} requires the attribute {name}, which is not there")
    return value
