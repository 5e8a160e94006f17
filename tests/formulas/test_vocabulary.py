"""The built-in formulas as a whole: every op of the vocabulary has one, every zero has a reason."""

from __future__ import annotations

import pkgutil
from collections import Counter
from importlib import import_module

from multiprof import formulas
from multiprof.cost import Formula
from multiprof.mathematics import terms
from multiprof.ops import OPS

BUILT_IN = tuple(formulas.multiprof_formulas())
MAY_BE_FREE = {"shape", "creation", "embedding"}


def test_every_op_has_exactly_one_formula() -> None:
    times = Counter(op for rule in BUILT_IN for op in rule.ops)
    assert times == Counter(list(OPS))


def test_no_module_is_left_out() -> None:
    modules = {
        import_module(f"multiprof.formulas.{found.name}")
        for found in pkgutil.iter_modules(formulas.__path__)
        if not found.name.startswith("_")
    }
    assert {id(rule) for module in modules for rule in module.FORMULAS} == {id(rule) for rule in BUILT_IN}


def test_every_free_row_has_a_reason_and_nothing_else_is_free() -> None:
    for rule in BUILT_IN:
        families = {OPS[op].family for op in rule.ops}
        if families <= MAY_BE_FREE:
            assert rule.free.strip(), f"{rule.ops} are free without a reason"
        else:
            assert not rule.free, f"{rule.ops} of {families} count nothing"
            assert terms(rule.mathematics), f"{rule.ops} have no mathematics"


def test_every_formula_says_where_it_comes_from() -> None:
    def said(rule: Formula) -> str:
        return rule.free or rule.source or rule.details

    assert [rule.ops for rule in BUILT_IN if not said(rule)] == []
