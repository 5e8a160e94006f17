"""LSTM, GRU and Elman networks against step-by-step loops, and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts
from multiprof.errors import UnknownDimensionError
from multiprof.formulas.recurrent import gru, lstm, rnn
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Array, Tally, cells

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
FORMULAS = {"lstm": lstm, "gru": gru, "rnn": rnn}

lengths_of_sequences = st.lists(st.integers(1, 4), min_size=1, max_size=3)
widths = st.integers(1, 4)
biases_given = st.sampled_from([(), ("bias_ih",), ("bias_ih", "bias_hh")])


def recurrent_layer(
    op: str,
    steps: int,
    c_i: int,
    h: int,
    biases: tuple[str, ...] = ("bias_ih", "bias_hh"),
    roles: tuple[str, ...] = (),
    **attrs: object,
) -> Layer:
    rows = GATES[op] * h
    width = int(attrs.get("proj_size", 0) or h)  # type: ignore[call-overload]
    inputs = {
        "x": TensorSpec((steps, 1, c_i)),
        "weight_ih": TensorSpec((rows, c_i), name="w"),
        "weight_hh": TensorSpec((rows, width), name="u"),
    }
    inputs |= {role: TensorSpec((rows,), name=role) for role in biases}
    inputs |= {role: TensorSpec((3, h), name=role) for role in roles}
    outputs = {"y": TensorSpec((steps, 1, width)), "hn": TensorSpec((1, width))}
    return Layer(op, op, inputs, outputs, {"steps": steps, "input_size": c_i, "hidden_size": h} | attrs)


class Arguments:
    """Counting arrays for one direction of one layer."""

    def __init__(self, op: str, lengths: list[int], c_i: int, h: int, biases: tuple[str, ...], width: int = 0) -> None:
        self.tally = Tally()
        rows = GATES[op] * h
        self.sequences = [self.tally.array((length, c_i)) for length in lengths]
        self.weight_ih = self.tally.array((rows, c_i))
        self.weight_hh = self.tally.array((rows, width or h))
        vectors: list[Array | None] = [self.tally.array((rows,)) for _ in biases]
        first, second = [*vectors, None, None][:2]
        self.biases = (first, second)


@given(lengths_of_sequences, widths, widths, biases_given, st.integers(0, 2), st.booleans(), st.booleans())
def test_lstm_equals_loops(
    lengths: list[int], c_i: int, h: int, biases: tuple[str, ...], projection: int, peephole: bool, reverse: bool
) -> None:
    a = Arguments("lstm", lengths, c_i, h, biases, projection)
    weight_hr = a.tally.array((projection, h)) if projection else None
    peeps = a.tally.array((3, h)) if peephole else None
    cells.lstm(a.tally, a.sequences, a.weight_ih, a.weight_hh, a.biases, weight_hr, peeps, reverse)
    roles = ("peephole",) if peephole else ()
    layer = recurrent_layer("lstm", sum(lengths), c_i, h, biases, roles, proj_size=projection, reverse=reverse)
    assert lstm.price(layer).terms == a.tally.terms


@given(lengths_of_sequences, widths, widths, biases_given, st.booleans(), st.booleans())
def test_gru_equals_loops_in_both_reset_variants(
    lengths: list[int], c_i: int, h: int, biases: tuple[str, ...], reset_after: bool, reverse: bool
) -> None:
    a = Arguments("gru", lengths, c_i, h, biases)
    cells.gru(a.tally, a.sequences, a.weight_ih, a.weight_hh, a.biases, reset_after, reverse)
    layer = recurrent_layer("gru", sum(lengths), c_i, h, biases, reset_after=reset_after, reverse=reverse)
    assert gru.price(layer).terms == a.tally.terms


@given(lengths_of_sequences, widths, widths, biases_given, st.sampled_from(["tanh", "relu"]), st.booleans())
def test_rnn_equals_loops(
    lengths: list[int], c_i: int, h: int, biases: tuple[str, ...], nonlinearity: str, reverse: bool
) -> None:
    a = Arguments("rnn", lengths, c_i, h, biases)
    cells.rnn(a.tally, a.sequences, a.weight_ih, a.weight_hh, a.biases, nonlinearity, reverse)
    layer = recurrent_layer("rnn", sum(lengths), c_i, h, biases, nonlinearity=nonlinearity, reverse=reverse)
    assert rnn.price(layer).terms == a.tally.terms


@pytest.mark.parametrize("op", GATES)
@given(steps=st.integers(0, 50), c_i=widths, h=widths)
def test_cost_is_linear_in_the_steps(op: str, steps: int, c_i: int, h: int) -> None:
    formula = FORMULAS[op]
    assert formula.price(recurrent_layer(op, steps, c_i, h)) == formula.price(recurrent_layer(op, 1, c_i, h)) * steps


@pytest.mark.parametrize("op", GATES)
def test_layout_and_direction_do_not_matter(op: str) -> None:
    time_first = recurrent_layer(op, 12, 3, 2)
    batch_first = recurrent_layer(op, 12, 3, 2, batch_first=True, reverse=True)
    batch_first.inputs["x"] = TensorSpec((4, 3, 3))
    batch_first.inputs["weight_ih"] = TensorSpec((3, GATES[op] * 2))  # as Keras stores it
    assert FORMULAS[op].price(time_first) == FORMULAS[op].price(batch_first)


@pytest.mark.parametrize("op", GATES)
def test_one_bias_costs_half_of_two_and_none_has_no_term(op: str) -> None:
    def bias(*roles: str) -> Counts | None:
        return FORMULAS[op].price(recurrent_layer(op, 5, 3, 2, roles)).terms.get("bias")

    one = Counts(adds=5 * GATES[op] * 2)
    assert bias("bias_ih") == one
    assert bias("bias_ih", "bias_hh") == one * 2
    assert bias() is None


def test_gru_step_by_hand() -> None:
    # C_i = 3, H = 2, two biases, reset after. Products: 3 gates of 2 units over 3 + 2 values, each as two dot products.
    assert gru.price(recurrent_layer("gru", 1, 3, 2)) == Cost(
        {
            "dot": Counts(macs=3 * 2 * 5, dots=2 * 3 * 2),
            "bias": Counts(adds=2 * 3 * 2),
            # per unit: products meet 3 times, two sigmoids of 2 adds, 1 exp, 1 div, the reset's mul, one tanh
            "gates": Counts(adds=2 * (3 + 2 * 2), muls=2, exps=2 * (2 + 1), divs=2 * 2),
            # per unit: 1 − z, two products, their sum
            "state": Counts(adds=2 * 2, muls=2 * 2),
        }
    )


def test_rnn_step_by_hand() -> None:
    # C_i = 3, H = 2, two biases
    dot, bias, gates = Counts(macs=2 * 5, dots=4), Counts(adds=4), Counts(adds=2)
    step = {"dot": dot, "bias": bias, "gates": gates}
    assert rnn.price(recurrent_layer("rnn", 1, 3, 2)).terms == step | {"tanh": Counts(exps=2)}
    assert rnn.price(recurrent_layer("rnn", 1, 3, 2, nonlinearity="relu")).terms == step | {"relu": Counts(cmps=2)}


def test_lstm_projection_and_peephole_by_hand() -> None:
    # S = 7 steps, C_i = 5, H = 4, P = 2: four gates of 4 units over 5 + 2 values, then 4 → 2
    layer = recurrent_layer("lstm", 7, 5, 4, (), ("peephole",), proj_size=2)
    terms = lstm.price(layer).terms
    assert terms["dot"] == Counts(macs=7 * (4 * 4 * (5 + 2) + 4 * 2), dots=7 * (2 * 4 * 4 + 2))
    assert terms["peephole"] == Counts(muls=3 * 4 * 7, adds=3 * 4 * 7)


def test_unknown_steps_are_unknown() -> None:
    layer = recurrent_layer("lstm", 3, 3, 2)
    layer.attrs["steps"] = None
    with pytest.raises(UnknownDimensionError, match="steps"):
        lstm.price(layer)
