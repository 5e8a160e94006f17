"""What the variables of a quantised layer are: Keras makes integers untrainable weights, and scales trainable ones."""

from __future__ import annotations

from typing import Any

from multiprof.ir import BUFFER, CONSTANT, PARAMETER

_WEIGHTS = frozenset(("kernel", "quantized_kernel", "embeddings", "reverse_embeddings"))
_SCALES = ("_scale", "_scales", "_zero", "g_idx")


def kind(layer: Any, variable: Any) -> str | None:
    """The kind of a variable of a quantised layer; ``None`` for any other, whose kind follows from its training.

    A kernel is a learned weight whatever it is stored as, and so is the table of an embedding; scales, zero points and
    what says which group a row is in are constants; what was seen of the ranges of values is state.
    """
    if getattr(layer, "quantization_mode", None) is None:
        return None
    name = str(variable.name)
    if name in _WEIGHTS:
        return PARAMETER
    if name.endswith("_amax_history"):
        return BUFFER
    return CONSTANT if name.endswith(_SCALES) else None


def logical_shape(layer: Any, variable: Any) -> tuple[int, ...] | None:
    """The shape of a weight of four bits, of which two are stored in a byte; ``None`` for any other."""
    if getattr(layer, "quantization_mode", None) != "int4" or variable.name not in _WEIGHTS:
        return None
    shape = getattr(layer, "original_kernel_shape", None)
    if shape is None and hasattr(layer, "_orig_output_dim") and variable.name == "kernel":
        shape = (layer._orig_input_dim, layer._orig_output_dim)
    elif shape is None and variable.name == "embeddings":
        shape = (layer.input_dim, layer.output_dim)
    return None if shape is None else tuple(int(n) for n in shape)


__all__ = ["kind", "logical_shape"]
