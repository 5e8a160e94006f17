"""Recurrent layers of Keras whose loop is one canonical layer: LSTM, GRU and SimpleRNN with their usual activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(slots=True)
class Recurrent:
    """One call: the canonical op with its attributes, its weights (Keras variables by role), and the result shapes.

    The bias of a GRU that resets after the product has two rows, ``bias_ih`` and ``bias_hh``: a tuple says which row.
    """

    op: str
    attrs: dict[str, Any]
    weights: dict[str, Any]
    results: dict[str, tuple[int, ...]]


def described(layer: Any, sequences: Any, keras: Any = keras) -> Recurrent | None:
    """The canonical layer of a recurrent layer, or ``None`` where its cell or an activation is another one.

    ``keras`` is the package that the layer is of: with tf_keras there are two.
    """
    cell = layer.cell
    shape = tuple(sequences.shape)
    if len(shape) != 3 or None in shape:
        return None
    if _is(cell, keras.layers.LSTMCell):
        fits, op = (
            cell.activation is keras.activations.tanh and cell.recurrent_activation is keras.activations.sigmoid,
            "lstm",
        )
    elif _is(cell, keras.layers.GRUCell):
        fits, op = (
            cell.activation is keras.activations.tanh and cell.recurrent_activation is keras.activations.sigmoid,
            "gru",
        )
    elif _is(cell, keras.layers.SimpleRNNCell):
        fits, op = cell.activation in (keras.activations.tanh, keras.activations.relu), "rnn"
    else:
        return None
    if not fits or getattr(cell, "quantization_mode", None) is not None:
        return None
    n, t, c = (int(d) for d in shape)
    h = cell.units
    attrs: dict[str, Any] = {
        "steps": n * t, "input_size": c, "hidden_size": h, "reverse": bool(layer.go_backwards), "batch_first": True,
    }  # fmt: skip
    if op == "gru":
        attrs["reset_after"] = bool(cell.reset_after)
    if op == "rnn":
        attrs["nonlinearity"] = "relu" if cell.activation is keras.activations.relu else "tanh"
    weights = {"weight_ih": cell._kernel if hasattr(cell, "_kernel") else cell.kernel}
    weights["weight_hh"] = cell.recurrent_kernel
    if cell.use_bias:
        if op == "gru" and cell.reset_after:
            weights |= {"bias_ih": (cell.bias, 0), "bias_hh": (cell.bias, 1)}
        else:
            weights["bias_ih"] = cell.bias
    results: dict[str, tuple[int, ...]] = {"y": (n, t, h), "hn": (n, h)} if layer.return_sequences else {"y": (n, h)}
    if op == "lstm":
        results["cn"] = (n, h)
    return Recurrent(op, attrs, weights, results)


def _is(cell: Any, kind: type) -> bool:
    """Whether a cell is of just this class, or of the one before it, which LSTM and GRU of Keras 2 have to 2.10."""
    return type(cell) in [cls for cls in kind.__mro__ if cls.__name__ == kind.__name__]


__all__ = ["Recurrent", "described"]
