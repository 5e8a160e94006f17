"""Recurrent networks: one layer per direction and layer of the stack, the whole sequence at once.

S is the number of steps, the sum of the sequence lengths over the batch (N·T when nothing is packed). Each direction
is a layer that runs over all S steps; in a stack of both directions the next layer's C_i is twice H. B is the number
of bias vectors: 0, 1 (Keras) or 2 (PyTorch, cuDNN: one with the input's product, one with the state's).
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def _symbols(layer: Layer) -> dict[str, int]:
    """S: steps, the sum of the sequence lengths; C_i: input size; H: hidden size; B: bias vectors, 0 to 2"""
    return {
        "S": size(layer, "steps"),
        "C_i": size(layer, "input_size"),
        "H": size(layer, "hidden_size"),
        "B": ("bias_ih" in layer.inputs) + ("bias_hh" in layer.inputs),
    }


def _lstm_symbols(layer: Layer) -> Mapping[str, int]:
    """S: steps, the sum of the sequence lengths; C_i: input size; H: hidden size; P: projection size, 0 without;
    R: size of what is fed back, H or P; B: bias vectors, 0 to 2
    """
    projection = layer.attrs.get("proj_size") or 0
    symbols = _symbols(layer)
    return symbols | {"P": projection, "R": projection or symbols["H"]}


@formula(
    "lstm",
    symbols=_lstm_symbols,
    source="F. Gers, J. Schmidhuber, F. Cummins: Learning to forget, 2000; projection: H. Sak et al., 2014",
)
def lstm(layer: Layer) -> Cost:
    """dot: S·(4·H·(C_i + R) + H·P) macs, S·(8·H + P) dots; bias: S·4·H·B adds; peephole: S·3·H muls, S·3·H adds; gates: S·10·H adds, S·4·H exps, S·3·H divs; state: S·3·H muls, S·H adds, S·H exps

    A step: four gates, each the product of the input and of the previous output with a weight. Gates: per unit the two
    products meet (4 adds), then three sigmoids (2 adds, 1 exp, 1 div each) and one tanh. State: c = f·c + i·g and
    h = o·tanh(c). With projection the output is W·h of size P, and that is what is fed back: R = P; without, R = H.
    Peepholes show the cell state to three gates, a product and an addition each. A layer is one direction, which runs
    over all S steps.
    """  # noqa: E501  (the mathematics is one line)
    s, c_i, h, biases = _symbols(layer).values()
    p = layer.attrs.get("proj_size") or 0
    units = s * h
    terms = {"dot": Counts(4 * units * (c_i + (p or h)) + units * p, 8 * units + s * p)}
    if biases:
        terms["bias"] = Counts(adds=4 * units * biases)
    if "peephole" in layer.inputs:
        terms["peephole"] = Counts(muls=3 * units, adds=3 * units)
    terms["gates"] = Counts(adds=10 * units, exps=4 * units, divs=3 * units)
    terms["state"] = Counts(muls=3 * units, adds=units, exps=units)
    return Cost(terms)


@formula("gru", symbols=_symbols, source="K. Cho et al.: Learning phrase representations, 2014")
def gru(layer: Layer) -> Cost:
    """dot: S·3·H·(C_i + H) macs, S·6·H dots; bias: S·3·H·B adds; gates: S·7·H adds, S·H muls, S·3·H exps, S·2·H divs; state: S·2·H adds, S·2·H muls

    Gates: per unit the two products meet (3 adds), two sigmoids (2 adds, 1 exp, 1 div each), the reset gate multiplies
    (1 mul) and one tanh. State: h = (1 − z)·n + z·h. The two reset variants (the gate multiplies the recurrent product,
    bias included, or the state before it) compute different values with the same counts. A layer is one direction,
    which runs over all S steps.
    """  # noqa: E501  (the mathematics is one line)
    s, c_i, h, biases = _symbols(layer).values()
    units = s * h
    terms = {"dot": Counts(3 * units * (c_i + h), 6 * units)}
    if biases:
        terms["bias"] = Counts(adds=3 * units * biases)
    terms["gates"] = Counts(adds=7 * units, muls=units, exps=3 * units, divs=2 * units)
    terms["state"] = Counts(adds=2 * units, muls=2 * units)
    return Cost(terms)


@formula("rnn", symbols=_symbols, source="J. Elman: Finding structure in time, 1990")
def rnn(layer: Layer) -> Cost:
    """dot: S·H·(C_i + H) macs, S·2·H dots; bias: S·H·B adds; gates: S·H adds; tanh: S·H exps; relu: S·H cmps

    Gates: the two products meet. Then comes either tanh or relu. A layer is one direction, which runs over all S steps.
    """
    s, c_i, h, biases = _symbols(layer).values()
    units = s * h
    terms = {"dot": Counts(units * (c_i + h), 2 * units)}
    if biases:
        terms["bias"] = Counts(adds=units * biases)
    terms["gates"] = Counts(adds=units)
    if layer.attrs.get("nonlinearity", "tanh") == "relu":
        terms["relu"] = Counts(cmps=units)
    else:
        terms["tanh"] = Counts(exps=units)
    return Cost(terms)


FORMULAS = (lstm, gru, rnn)
