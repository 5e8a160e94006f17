"""Operators' other names, and the names our rules go by, against MXNet's registry."""

from __future__ import annotations

import ctypes
from typing import Any

from multiprof.adapters.mxnet.aliases import ALIASES
from multiprof.adapters.mxnet.rules import RULES


def resolve(checker: Any, name: str) -> str:
    """The name under which MXNet registered the operator that it finds by ``name``."""
    library, check = checker.mx.base._LIB, checker.mx.base.check_call
    handle = ctypes.c_void_p()
    check(library.NNGetOpHandle(name.encode(), ctypes.byref(handle)))
    texts = [ctypes.c_char_p() for _ in range(4)]
    count = ctypes.c_uint()
    lists = [ctypes.POINTER(ctypes.c_char_p)() for _ in range(3)]
    check(
        library.MXSymbolGetAtomicSymbolInfo(
            handle,
            *(ctypes.byref(text) for text in texts[:2]),
            ctypes.byref(count),
            *(ctypes.byref(found) for found in lists),
            *(ctypes.byref(text) for text in texts[2:]),
        )
    )
    assert texts[0].value is not None
    return texts[0].value.decode()


def registered(checker: Any) -> set[str]:
    library, check = checker.mx.base._LIB, checker.mx.base.check_call
    count, names = ctypes.c_uint(), ctypes.POINTER(ctypes.c_char_p)()
    check(library.MXListAllOpNames(ctypes.byref(count), ctypes.byref(names)))
    return {names[i].decode() for i in range(count.value)}


def test_aliases_are_mxnets(checker: Any) -> None:
    assert {name: resolve(checker, name) for name in ALIASES} == dict(ALIASES)


def test_rules_go_by_present_names(checker: Any) -> None:
    """A rule under another name would never be found."""
    known = registered(checker)
    assert not [name for name in RULES if name in known and resolve(checker, name) != name]
    assert len(known & RULES.keys()) > 300
