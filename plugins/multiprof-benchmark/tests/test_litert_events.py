"""Events of a profiler and operators of a file, put together by hand: who owns what, and what fits nothing."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprof_benchmark.sessions.litert_events import (
    DELEGATED,
    OPERATOR,
    EventsError,
    Mark,
    _pairs,
    assigned,
    partitions,
)
from multiprof_benchmark.sessions.litert_file import Operator

CONV, RELU, ADD, COPY = "Convolution (NHWC, F32) IGEMM", "Clamp (NC)", "Add (ND)", "Copy (NC, X32)"
DENSE = "Fully Connected (NC, F32) GEMM"


def chain(*kinds: str) -> list[Operator]:
    """Operators that each read the result of the one before; the first reads the model's input, tensor 0."""
    return [Operator(at, kind, (at,), (at + 1,), (f"t{at + 1}",)) for at, kind in enumerate(kinds)]


def delegated(*tags: str) -> list[Mark]:
    return [Mark(tag, DELEGATED, at, 0) for at, tag in enumerate(tags)]


def builtin(node: int, kind: str, graph: int = 0) -> Mark:
    return Mark(kind, OPERATOR, node, graph)


def owners(found: list[Operator], marks: list[Mark]) -> list[int | None]:
    return list(assigned(found, marks).owners)


def test_events_of_the_same_kinds_go_to_their_operators_in_order():
    found = chain("CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SQUARED_DIFFERENCE", "LOGISTIC")
    marks = delegated(CONV, "Static Reshape (NC)", DENSE, "Squared Difference (ND)", "Sigmoid (NC)")
    assert owners(found, marks) == [0, 1, 2, 3, 4]


def test_a_convolution_of_one_pixel_may_run_as_a_fully_connected_operator():
    assert owners(chain("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"), delegated(DENSE, CONV, DENSE)) == [0, 1, 2]


def test_what_has_no_event_ran_in_its_maker_and_a_padding_in_its_reader():
    found = chain("TRANSPOSE_CONV", "RELU", "PAD", "CONV_2D", "RESHAPE", "RELU", "ADD")
    given_ = assigned(found, delegated("Deconvolution (NHWC, F32) Subconv2D", CONV, ADD))
    assert given_.owners == (0, 3, 6)
    assert given_.merged == {1: 0, 2: 3, 4: 3, 5: 3}


def test_what_nothing_leads_to_ran_in_its_reader():
    assert assigned(chain("RESHAPE", "RELU", "CONV_2D"), delegated(CONV)).merged == {0: 2, 1: 2}


def test_an_event_that_fits_nothing_belongs_to_the_operator_before_it():
    found = chain("CONV_2D", "CONCATENATION", "ADD")
    assert owners(found, delegated(CONV, RELU, COPY, COPY, COPY, ADD)) == [0, 0, 1, 1, 1, 2]


def test_what_comes_before_everything_and_what_prepares_an_operand_belong_to_the_operator_after():
    found = chain("CONV_2D", "FULLY_CONNECTED")
    assert owners(found, delegated(COPY, CONV, "Convert (NC, F32, QD8)", DENSE)) == [0, 0, 1, 1]


def test_operators_of_a_partition_need_not_stand_beside_each_other():
    """Two branches from tensor 0: CONV_2D and SOFTMAX, then GELU; TensorFlow Lite hands the first and third over
    together, because both are ready, and runs the second behind them."""
    found = [
        Operator(0, "CONV_2D", (0,), (1,), ("a",)),
        Operator(1, "SOFTMAX", (1,), (2,), ("b",)),
        Operator(2, "GELU", (1,), (3,), ("c",)),
        Operator(3, "ADD", (2, 3), (4,), ("d",)),
    ]
    assert [[item.number for item in part] for part in partitions(found, {1})] == [[0, 2], [1], [3]]
    marks = [*delegated(CONV, "GELU (NC)"), builtin(1, "SOFTMAX"), *delegated(ADD)]
    assert owners(found, marks) == [0, 2, 1, 3]


def test_what_a_loop_calls_is_the_loop():
    found = chain("ADD", "WHILE", "ADD")
    inside = [builtin(0, "LESS", graph=1), Mark(DENSE, DELEGATED, 0, 2), builtin(1, "ADD", graph=2)]
    marks = [*delegated(ADD), builtin(1, "WHILE"), *inside, *inside, *delegated(ADD)]
    assert owners(found, marks) == [0, 1, *[None] * 6, 2]


def test_an_event_where_no_operator_was_handed_over_belongs_to_the_one_before():
    assert owners(chain("SOFTMAX", "GELU"), [builtin(0, "SOFTMAX"), *delegated(COPY), builtin(1, "GELU")]) == [0, 0, 1]


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        (delegated(CONV, CONV), "1 of 2 events fit no operator, the first of them 'Convolution'"),
        (delegated(DENSE, ADD, DENSE, DENSE), "2 of 4 events"),
        ([builtin(2, "ADD"), builtin(1, "ADD"), builtin(0, "CONV_2D")], "another order"),
        ([builtin(0, "CONV_2D"), builtin(7, "TfLiteGpuDelegate")], "another order"),
    ],
)
def test_events_that_cannot_be_of_the_file_are_refused(marks, said):
    with pytest.raises(EventsError, match=said):
        assigned(chain("CONV_2D", "ADD", "ADD"), marks)


def test_operators_that_wait_for_each_other_are_refused():
    with pytest.raises(EventsError, match="wait for each other"):
        partitions([Operator(0, "ADD", (1,), (0,), ("a",)), Operator(1, "ADD", (0,), (1,), ("b",))], set())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_as_many_as_possible_are_paired_and_none_crosses(rows, columns):
    @lru_cache(None)
    def longest(i: int, j: int) -> int:  # the textbook's recursion
        if i == len(rows) or j == len(columns):
            return 0
        here = longest(i + 1, j + 1) + 1 if rows[i] == columns[j] else 0
        return max(here, longest(i + 1, j), longest(i, j + 1))

    pairs = _pairs([np.array([row == column for column in columns], dtype=bool) for row in rows], len(columns))
    assert len(pairs) == longest(0, 0)
    assert all(rows[i] == columns[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
