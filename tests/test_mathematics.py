"""Reading, substituting and evaluating the mathematics of a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.errors import PluginError
from multiprof.mathematics import evaluate, meanings, substitute, terms

SYMBOLS = {"|y|": 802816, "K": 9, "C_i": 64, "C": 7, "G": 1, "n": 5, "P": 0}


def test_terms_are_pairs_of_expression_and_primitive() -> None:
    assert terms("dot: |y|·K·C_i/G macs, |y| dots; bias: |y| adds") == [
        ("dot", [("|y|·K·C_i/G", "macs"), ("|y|", "dots")]),
        ("bias", [("|y|", "adds")]),
    ]
    assert terms("sum: (|x| − |y|)·2 adds") == [("sum", [("(|x| − |y|)·2", "adds")])]


def test_meanings_of_symbols() -> None:
    text = """|y|: elements of y; K: elements of the
    kernel: of the window; C_i: input channels.

    G: not in the first paragraph
    """
    assert meanings(text) == {
        "|y|": "elements of y",
        "K": "elements of the kernel: of the window",
        "C_i": "input channels",
    }


@pytest.mark.parametrize("text", ["", "Sizes, all of them.", "Two words: no symbol", "5: a number; : nothing"])
def test_prose_has_no_meanings_of_symbols(text: str) -> None:
    assert meanings(text) == {}


def test_a_free_formula_has_no_terms() -> None:
    assert terms("free: a view; nothing moves, nothing is computed") == []


@pytest.mark.parametrize(
    "line", ["", "dot", "dot: |y|", "dot: |y| flops", "dot: macs", ": |y| macs", "dot: |y| macs;", "dot: |y| macs,"]
)
def test_a_line_outside_of_the_grammar_is_an_error(line: str) -> None:
    with pytest.raises(PluginError, match="term: expression primitive"):
        terms(line)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("|y|·K·C_i/G", "802,816·9·64/1"),
        ("C·C_i", "7·64"),
        ("4·(n − 1)", "4·(5 − 1)"),
        ("1000·n", "1,000·5"),
    ],
)
def test_substitute(expression: str, text: str) -> None:
    assert substitute(expression, SYMBOLS) == text


def test_substitute_puts_negative_numbers_in_parentheses() -> None:
    assert substitute("a − b", {"a": 1, "b": -2000}) == "1 − (−2,000)"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("|y|·K·C_i/G", 802816 * 9 * 64),
        ("n", 5),
        ("−n", -5),
        ("2·n − 1", 9),
        ("10 − 3 − 2", 5),
        ("12/3/2", 2),
        ("n·(n + 1)/2", 15),
        ("(2 + 3)·(n - 1) * 2", 40),
        ("1/3·9", 3),
        ("C_i·P", 0),
    ],
)
def test_evaluate(expression: str, value: int) -> None:
    assert evaluate(expression, SYMBOLS) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("|w|·2", r"symbol \|w\|"),
        ("C_o", "symbol C_o"),
        ("n/2", "no whole number"),
        ("n/P", "divides by 0"),
        ("(n + 1", "open parenthesis"),
        ("n n", "operator should stand"),
        ("2·", "ends where"),
        ("n·+", "where a number or symbol should stand"),
        ("n²", "symbol n²"),
        ("n % 2", "cannot be read"),
        ("__import__('os')", "symbol __import__"),
        ("", "ends where"),
    ],
)
def test_what_is_no_expression_is_an_error(expression: str, why: str) -> None:
    with pytest.raises(PluginError, match=why):
        evaluate(expression, SYMBOLS)


numbers = st.integers(0, 10**6)


@given(numbers, numbers, numbers)
def test_evaluating_before_and_after_substitution_agrees(a: int, b: int, c: int) -> None:
    symbols = {"a": a, "b": b, "|c|": c}
    for expression in ("a·b + |c|", "a − b·|c|", "a·(b − |c|)", "−a·b − (|c| − a)"):
        python = expression.replace("·", "*").replace("−", "-").replace("|c|", "c")
        expected = eval(python, {"a": a, "b": b, "c": c})
        assert evaluate(expression, symbols) == expected
        assert evaluate(substitute(expression, symbols).replace(",", ""), {}) == expected
