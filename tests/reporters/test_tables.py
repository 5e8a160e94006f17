"""Columns line up in the columns of a terminal, whatever characters they hold, and keep to its width."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.reporters.tables import NARROWEST, Column, facts, markdown, plain, table, wrapped
from multiprof.reporters.text import Terminal

WIDE = "卷积层"  # three characters of two columns each


def columns(text: str) -> int:
    """Columns that a terminal takes for letters, from the standard library's tables."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_a_table_has_titles_a_rule_and_rows():
    lines = table([Column("Name"), Column("Number", "right")], [["a", "1,000"], ["  b", "7"]], Terminal())
    assert lines == [
        "Name  Number",
        "────────────",
        "a      1,000",
        "  b        7",
    ]


def test_no_text_is_taken_for_a_number_and_no_space_is_lost():
    rows = [["1.50", "True"], ["  -2", ""], ["1e3", "0x10"], ["nan", " None "]]
    lines = table([Column("A"), Column("B")], rows, Terminal())
    assert lines[2:] == ["1.50  True", "  -2", "1e3   0x10", "nan    None"]


def test_a_table_without_rows_is_its_titles():
    assert table([Column("A"), Column("Bee")], [], Terminal()) == ["A  Bee", "──────"]


def test_ascii_alone_where_nothing_else_can_be_shown():
    lines = table([Column("A×B"), Column("C")], [["└─ é", "≥7"]], Terminal(ascii=True))
    assert all(line.isascii() for line in lines)
    assert lines[1] == "-" * max(len(lines[0]), len(lines[2]))
    assert lines[2] == "`- \\xe9  >=7"


@pytest.mark.parametrize("text", [WIDE, "e\u0301te\u0301", "ｆｕｌｌ", "plain"])
def test_characters_of_any_width_line_up(text):
    lines = table([Column("Name"), Column("Next")], [[text, "x"], ["longer than all", "x"]], Terminal())
    assert {columns(line.rpartition("x")[0]) for line in lines[2:]} == {17}


def test_the_most_dispensable_column_goes_first():
    titles = [Column("Name"), Column("First", drop=2), Column("Second", drop=1), Column("Stays")]
    rows = [["n" * 20, "f" * 10, "s" * 10, "t" * 10]]

    def shown(width: int) -> list[str]:
        return table(titles, rows, Terminal(width))[0].split()

    assert shown(20 + 3 * 12) == ["Name", "First", "Second", "Stays"]
    assert shown(20 + 3 * 12 - 1) == ["Name", "Second", "Stays"]
    assert shown(20 + 2 * 12 - 1) == ["Name", "Stays"]
    assert shown(1) == ["Name", "Stays"]


def test_a_column_with_a_limit_keeps_to_it_on_a_terminal_alone():
    titles, rows = [Column("A"), Column("B", most=6)], [["a", "b" * 9]]
    assert table(titles, rows, Terminal(80))[2] == "a  bbbbb…"
    assert table(titles, rows, Terminal())[2] == "a  bbbbbbbbb"


@given(
    names=st.lists(st.text(st.sampled_from("ab.─└卷積層ée\u0301"), max_size=40), min_size=1, max_size=5),
    width=st.integers(1, 60),
)
def test_no_line_is_wider_than_the_terminal(names: list[str], width: int):
    lines = table([Column("Name"), Column("Type", drop=1, most=8), Column("N", "right")], [[n, n, "7"] for n in names],
                  Terminal(width))  # fmt: skip
    assert max(map(columns, lines)) <= max(width, NARROWEST + len("  N"))
    assert len(lines) == 2 + len(names)
    assert all(line.endswith("7") for line in lines[2:])


def test_facts_line_up_and_wrap():
    pairs = [("One", "a few words that do not fit"), ("", "more"), (WIDE, "x")]
    assert facts(pairs, Terminal(28)) == [
        "One     a few words that do",
        "        not fit",
        "        more",
        "卷积层  x",
    ]
    assert facts(pairs, Terminal())[0] == "One     a few words that do not fit"
    assert facts([], Terminal(28)) == []


def test_wide_characters_wrap_where_the_terminal_ends():
    text = " ".join([WIDE] * 6)
    assert wrapped(text, 20) == [" ".join([WIDE] * 3)] * 2  # 6 + 1 + 6 + 1 + 6 columns
    assert wrapped(text, 19) == [" ".join([WIDE] * 2)] * 3
    assert wrapped(text, None) == [text]
    assert wrapped("", 20) == [""]
    assert wrapped("a" * 30, 20) == ["a" * 30]


def test_plain_columns():
    assert plain([("a", "1"), ("bb", ""), ("", "2")]) == ["a   1", "bb", "    2"]
    assert plain([]) == []


def test_markdown_lines_up_as_text_and_says_which_columns_stand_to_the_right():
    lines = markdown(["Name", "N"], ["left", "right"], [[WIDE, "7"], ["`b`", "1,000"]]).split("\n")
    assert len({columns(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [WIDE, "7"]
    assert [(cell[0], cell[-1]) for cell in lines[1].strip("|").split("|")] == [(":", "-"), ("-", ":")]
