"""Random arguments of single operators: the inferred shapes are MXNet's, and what MXNet refuses is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import pytest

from multiprof.errors import MultiprofError

_SPEC = importlib.util.spec_from_file_location("mxnet_operators", Path(__file__).parent / "operators.py")
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

CASES = 150
# What MXNet's shape inference refuses and ours takes, by words of its message, each with the reason.
ACCEPTED = {
    "must be in range [0, ": "the convention same: its check reads a third padding where there are one or two",
    "Dilate is not supported in 3d deconvolution": "a kernel that is missing there: the shapes are well defined",
    "only 1D or 2D Deconvolution is supported": "MXNet 1.7 has the third dimension on GPUs alone: likewise",
}


@pytest.mark.parametrize("build", _MODULE.BUILDERS, ids=lambda build: build.__name__)
def test_shapes_are_mxnets(checker: Any, build: Callable[[Any, Random], Any]) -> None:
    random = Random(build.__name__)
    accepted = 0
    wrong: list[str] = []
    for _ in range(CASES):
        try:
            sym, shapes = build(checker.mx, random)
        except (checker.mx.base.MXNetError, AssertionError, ValueError):
            continue  # MXNet does not even build it
        try:
            theirs = checker.theirs(sym, shapes)
        except (checker.mx.base.MXNetError, AssertionError) as error:
            try:
                found = checker.ours(checker.save(sym), shapes)
            except MultiprofError:
                continue
            if not any(reason in str(error) for reason in ACCEPTED):
                refusal = str(error).partition("Check failed")[2] or str(error)
                wrong.append(f"accepted {sym.attr_dict().get('op')} {shapes}: {found}; MXNet: {refusal[:200]}")
            continue
        if build is _MODULE.reshape and prod(theirs["op_output"]) != prod(shapes["x"]):
            try:  # MXNet's inference lets other numbers of elements pass, and its execution fails
                found = checker.ours(checker.save(sym), shapes)
            except MultiprofError:
                continue
            if prod(found["op_output"]) != prod(shapes["x"]):
                wrong.append(f"accepted {sym.attr_dict().get('op')} {shapes}: {found}")
            continue
        if any(0 in shape for shape in theirs.values()):
            continue  # nothing is left of a dimension, which MXNet takes for one that is unknown
        accepted += 1
        try:
            checker.check(sym, shapes)
        except (AssertionError, MultiprofError) as error:
            wrong.append(f"{sym.attr_dict().get('op')} {shapes}: {str(error).splitlines()[0]}")
    assert not wrong, f"{len(wrong)} of {CASES}, e.g.\n" + "\n".join(wrong[:4])
    assert accepted >= CASES // 10, f"MXNet accepts only {accepted} of {CASES}"
