"""Losses whose work is no chain of other ops; the others are what adapters make of them."""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import PluginError
from multiprof.formulas._primitives import sizes
from multiprof.ir import Layer


def _ctc_symbols(layer: Layer) -> Mapping[str, int]:
    """N: sequences with labels; E: sequences without any; B: cells that two states lead to, of all sequences; D: cells
    that three states lead to; A: cells that one state leads to
    """
    steps, labels = sizes(layer, "input_lengths"), sizes(layer, "target_lengths")
    if len(steps) != len(labels):
        raise PluginError(f"layer {layer.name}: {len(steps)} input lengths and {len(labels)} target lengths")
    one = two = three = labelled = 0
    for t, s in zip(steps, labels, strict=True):
        moves = max(t - 1, 0)
        one += moves  # the blank before all labels
        if s:
            labelled += 1
            two += moves * (s + 1)  # every later blank, and the first label
            three += moves * (s - 1)
    return {"N": labelled, "E": len(steps) - labelled, "A": one, "B": two, "D": three}


def _repeats(layer: Layer) -> str:
    return "an upper bound: a label that repeats the one before takes two terms of the recursion instead of three"


@formula(
    "ctc_loss",
    symbols=_ctc_symbols,
    bound=_repeats,
    source="Graves et al. 2006, Connectionist temporal classification, equations (6) to (8), in logarithms",
)
def ctc_loss(layer: Layer) -> Cost:
    """forward: A + 5·B + 7·D adds, B + 2·D cmps, 3·B + 4·D exps; end: 4·N adds, N cmps, 3·N exps; negate: N + E adds

    The forward variables of a sequence of S labels with blanks between and around them, 2·S + 1 states, over its steps
    but the first. A state follows itself; from the second state on also the one before; a label also the label before
    it. Joining k logarithms: k − 1 cmps for the largest, k differences, k exps, k − 1 sums, a logarithm and 1 add; then
    the logarithm of the label's probability is added. The last two states are joined in the end, and the sign turned.
    """
    s = _ctc_symbols(layer)
    one, two, three, sequences = s["A"], s["B"], s["D"], s["N"]
    return Cost(
        {
            "forward": Counts(adds=one + 5 * two + 7 * three, cmps=two + 2 * three, exps=3 * two + 4 * three),
            "end": Counts(adds=4 * sequences, cmps=sequences, exps=3 * sequences),
            "negate": Counts(adds=sequences + s["E"]),
        }
    )


FORMULAS = (ctc_loss,)
