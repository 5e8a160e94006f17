"""Recurrent networks as naive loops over counting scalars, step by step as their definitions read.

``sequences`` are arrays (length, C_i), of different lengths if need be, and each starts from a state of zeros.
Weights are stacked by gate: LSTM input, forget, cell, output; GRU reset, update, new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from multiprof.testing.counting import Array, Counted, Tally, maximum, sigmoid, tanh

Vector = list[Counted]


def lstm(
    tally: Tally,
    sequences: Sequence[Array],
    weight_ih: Array,
    weight_hh: Array,
    biases: tuple[Array | None, Array | None] = (None, None),
    weight_hr: Array | None = None,
    peephole: Array | None = None,
    reverse: bool = False,
) -> list[list[Vector]]:
    """One direction of one LSTM layer; returns the output of every step of every sequence.

    ``weight_hr`` (P, H) projects the output, ``peephole`` (3, H) shows the cell state to the input, forget (the old
    one) and output gate (the new one).
    """
    units = weight_ih.shape[0] // 4
    width = weight_hh.shape[1]
    results = []
    for x in sequences:
        h = [tally.scalar() for _ in range(width)]
        c = [tally.scalar() for _ in range(units)]
        outputs = []
        for step in _steps(x, reverse):
            inputs = _product(tally, weight_ih, step, biases[0])
            states = _product(tally, weight_hh, h, biases[1])
            with tally.term("gates"):
                gates = [a + b for a, b in zip(inputs, states, strict=True)]
            emitted = []
            for u in range(units):
                see_old = _peep(tally, peephole, c[u])
                i, f = see_old(gates[u], 0, u), see_old(gates[units + u], 1, u)
                with tally.term("gates"):
                    i, f, g = sigmoid(i), sigmoid(f), tanh(gates[2 * units + u])
                with tally.term("state"):
                    c[u] = f * c[u] + i * g
                o = _peep(tally, peephole, c[u])(gates[3 * units + u], 2, u)
                with tally.term("gates"):
                    o = sigmoid(o)
                with tally.term("state"):
                    emitted.append(o * tanh(c[u]))
            h = emitted if weight_hr is None else _product(tally, weight_hr, emitted, None)
            outputs.append(h)
        results.append(outputs[::-1] if reverse else outputs)
    return results


def gru(
    tally: Tally,
    sequences: Sequence[Array],
    weight_ih: Array,
    weight_hh: Array,
    biases: tuple[Array | None, Array | None] = (None, None),
    reset_after: bool = True,
    reverse: bool = False,
) -> list[list[Vector]]:
    """One direction of one GRU layer.

    ``reset_after`` says that the reset gate multiplies the recurrent product, bias included, not the state before it.
    """
    units = weight_ih.shape[0] // 3
    results = []
    for x in sequences:
        h = [tally.scalar() for _ in range(units)]
        outputs = []
        for step in _steps(x, reverse):
            inputs = _product(tally, weight_ih, step, biases[0])
            states = _product(tally, weight_hh, h, biases[1], rows=range(2 * units))
            with tally.term("gates"):
                r = [sigmoid(inputs[u] + states[u]) for u in range(units)]
                z = [sigmoid(inputs[units + u] + states[units + u]) for u in range(units)]
            new = range(2 * units, 3 * units)
            if reset_after:
                recalled = _product(tally, weight_hh, h, biases[1], rows=new)
                with tally.term("gates"):
                    recalled = [r[u] * recalled[u] for u in range(units)]
            else:
                with tally.term("gates"):
                    kept = [r[u] * h[u] for u in range(units)]
                recalled = _product(tally, weight_hh, kept, biases[1], rows=new)
            with tally.term("gates"):
                candidate = [tanh(inputs[2 * units + u] + recalled[u]) for u in range(units)]
            with tally.term("state"):
                h = [(1.0 - z[u]) * candidate[u] + z[u] * h[u] for u in range(units)]
            outputs.append(h)
        results.append(outputs[::-1] if reverse else outputs)
    return results


def rnn(
    tally: Tally,
    sequences: Sequence[Array],
    weight_ih: Array,
    weight_hh: Array,
    biases: tuple[Array | None, Array | None] = (None, None),
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> list[list[Vector]]:
    """One direction of one Elman layer, with tanh or relu."""
    units = weight_hh.shape[1]
    results = []
    for x in sequences:
        h = [tally.scalar() for _ in range(units)]
        outputs = []
        for step in _steps(x, reverse):
            inputs = _product(tally, weight_ih, step, biases[0])
            states = _product(tally, weight_hh, h, biases[1])
            with tally.term("gates"):
                sums = [a + b for a, b in zip(inputs, states, strict=True)]
            with tally.term(nonlinearity):
                h = [tanh(value) if nonlinearity == "tanh" else maximum(value, 0.0) for value in sums]
            outputs.append(h)
        results.append(outputs[::-1] if reverse else outputs)
    return results


def _steps(x: Array, reverse: bool) -> Iterator[Vector]:
    length, width = x.shape
    for t in reversed(range(length)) if reverse else range(length):
        yield [x.at(t, i) for i in range(width)]


def _product(tally: Tally, weight: Array, vector: Vector, bias: Array | None, rows: range | None = None) -> Vector:
    """The rows of weight·vector, plus the bias as an addition of its own."""
    rows = range(weight.shape[0]) if rows is None else rows
    with tally.term("dot"):
        result = [tally.dot((weight.at(r, i), value) for i, value in enumerate(vector)) for r in rows]
    if bias is not None:
        with tally.term("bias"):
            result = [value + bias.at(r) for value, r in zip(result, rows, strict=True)]
    return result


def _peep(tally: Tally, peephole: Array | None, state: Counted) -> Callable[[Counted, int, int], Counted]:
    def add(gate: Counted, row: int, unit: int) -> Counted:
        if peephole is None:
            return gate
        with tally.term("peephole"):
            return gate + peephole.at(row, unit) * state

    return add


__all__ = ["gru", "lstm", "rnn"]
