"""Messages of errors: one that holds a megabyte of somebody's names is still a message."""

from __future__ import annotations

import multiprof


def test_a_message_is_kept_as_it_is():
    text = "net.onnx: node 'conv' has 0 groups; " + "many short words " * 30
    assert str(multiprof.ModelError(text)) == text


def test_a_message_is_one_line_whatever_a_file_calls_its_nodes():
    said = str(multiprof.ModelError("node 'a\nb\x1b[31m\u2028\ud800' – Größe ×2"))
    assert said == "node 'a\\nb\\x1b[31m\\u2028\\ud800' – Größe ×2"


def test_long_names_are_cut_in_their_middle():
    name = "a" * 1000 + "z" * 1000
    said = str(multiprof.UsageError(f"node {name} has no input {name} : give one"))
    cut = "a" * 60 + "…(2,000 characters)…" + "z" * 40
    assert said == f"node {cut} has no input {cut} : give one"


def test_endless_lists_end():
    said = str(multiprof.InputsError("free axes: " + ", ".join(f"axis{n}" for n in range(10_000))))
    assert said.startswith("free axes: axis0, axis1, ")
    assert said.endswith(" … (98,899 characters)")
    assert len(said) < 6100
