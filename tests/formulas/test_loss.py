"""Connectionist temporal classification against the recursion, whose result is checked against all alignments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.loss import ctc_loss
from multiprof.ir import Layer
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import exp, largest, log, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

CLASSES = 5  # label 0 is the blank


def joined(items: Sequence[Counted]) -> Counted:
    peak = largest(items)
    return log(total([exp(item - peak) for item in items])) + peak


def by_recursion(tally: Tally, scores: list[list[Counted]], labels: list[int]) -> Counted:
    """Minus the logarithm of the probability; states that cannot be reached have no value and take no part."""
    states = [0, *itertools.chain.from_iterable((label, 0) for label in labels)]
    before: dict[int, Counted] = {s: scores[0][states[s]] for s in range(min(2, len(states)))}
    with tally.term("forward"):
        for step in scores[1:]:
            after = {}
            for s, label in enumerate(states):
                # every state is worked out, as all libraries do, whether or not it can be reached yet
                wanted = [s, s - 1, s - 2] if s > 1 and label != 0 and label != states[s - 2] else [s, s - 1]
                sources = [before.get(i, tally.scalar(-1e30)) for i in wanted if i >= 0]
                reached = sources[0] if len(sources) == 1 else joined(sources)
                after[s] = reached + step[label]
            before = after
    last = [before.get(s, tally.scalar(-1e30)) for s in range(max(len(states) - 2, 0), len(states))]
    with tally.term("end"):
        result = joined(last) if len(last) > 1 else last[0]
    with tally.term("negate"):
        return -result


def by_enumeration(scores: list[list[float]], labels: list[int]) -> float:
    """The sum over every way of naming a label or the blank at each step that collapses to the labels."""
    whole = 0.0
    for path in itertools.product(range(CLASSES), repeat=len(scores)):
        kept = [label for label, _ in itertools.groupby(path) if label]
        if kept == labels:
            whole += math.exp(math.fsum(step[label] for step, label in zip(scores, path, strict=True)))
    return whole


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=2))
def test_ctc_is_the_recursion(make: Make, agree: Agree, sequences: list[tuple[int, int]]) -> None:
    tally = Tally()
    for steps, count in sequences:
        x = tally.array((steps, CLASSES))
        scores = [[x[t, c] for c in range(CLASSES)] for t in range(steps)]
        labels = list(range(1, count + 1))  # no label repeats the one before: what costs most
        loss = by_recursion(tally, scores, labels)
        probability = by_enumeration([[item.value for item in step] for step in scores], labels)
        if probability:
            assert loss.value == pytest.approx(-math.log(probability), rel=1e-9)
    lengths = {"input_lengths": tuple(t for t, _ in sequences), "target_lengths": tuple(s for _, s in sequences)}
    n = len(sequences)
    agree(ctc_loss, make("ctc_loss", {"x": (4, n, CLASSES), "targets": (n, 3)}, {"y": (n,)}, **lengths), tally)


def test_one_step_by_hand(make: Make) -> None:
    """One label, two steps: 3 states. The first blank 1 add; label and last blank 1 cmp, 5 adds, 3 exps each."""
    layer = make("ctc_loss", {"x": (2, 1, 5), "targets": (1, 1)}, {"y": (1,)}, input_lengths=(2,), target_lengths=(1,))
    terms = ctc_loss.price(layer).terms
    assert terms["forward"] == Counts(adds=1 + 2 * 5, cmps=2, exps=6)
    assert terms["end"] == Counts(adds=4, cmps=1, exps=3)
    assert ctc_loss.bound is not None
    assert "upper bound" in ctc_loss.bound(layer)


def test_lengths_that_are_unknown_or_do_not_fit(make: Make) -> None:
    shapes = {"x": (2, 1, 5), "targets": (1, 1)}
    with pytest.raises(UnknownDimensionError, match="data-dependent"):
        ctc_loss.price(make("ctc_loss", shapes, {"y": (1,)}, input_lengths=(None,), target_lengths=(1,)))
    with pytest.raises(PluginError, match="1 input lengths and 2 target lengths"):
        ctc_loss.price(make("ctc_loss", shapes, {"y": (1,)}, input_lengths=(2,), target_lengths=(1, 1)))
