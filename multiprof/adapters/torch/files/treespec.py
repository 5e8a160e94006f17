"""How a program of torch.export lists its arguments: flattened by a tree of containers, stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from multiprof.errors import InputsError

Spec = Mapping[str, Any]

_DICTS = ("builtins.dict", "collections.OrderedDict", "collections.defaultdict")


def parse(text: str) -> Spec:
    """The tree of a signature's ``in_spec``: a version, then nodes with ``type``, ``context`` and ``children_spec``."""
    _version, spec = json.loads(text)
    if not isinstance(spec, dict):
        raise ValueError("a tree of arguments that is none")
    return spec


def keys(spec: Spec) -> list[Any]:
    """The keys of a mapping in the order of its leaves."""
    found = json.loads(spec["context"])
    if spec["type"] == "collections.defaultdict":
        found = found[1]
    return list(found)


def leaves(spec: Spec) -> int:
    return 1 if spec["type"] is None else sum(leaves(child) for child in spec["children_spec"])


def build(spec: Spec, values: Iterator[Any]) -> Any:
    """The containers of ``spec`` around ``values``, which are taken one by one."""
    if spec["type"] is None:
        return next(values)
    children = [build(child, values) for child in spec["children_spec"]]
    if spec["type"] in _DICTS:
        return dict(zip(keys(spec), children, strict=True))
    return children if spec["type"] == "builtins.list" else tuple(children)


def flatten(spec: Spec, value: Any, where: str, missing: Callable[[str], InputsError]) -> list[Any]:
    """The leaves of ``value`` in the order of ``spec``; ``missing`` words the error for a part that is not there."""
    if spec["type"] is None:
        return [value]
    children = spec["children_spec"]
    if spec["type"] in _DICTS:
        names = keys(spec)
        if not isinstance(value, Mapping) or set(names) - set(value):
            raise missing(f"{where} is a mapping with the keys {', '.join(map(str, names))}")
        parts = [(f"{where}[{name!r}]", value[name]) for name in names]
    elif not isinstance(value, (list, tuple)):
        fields = [getattr(value, name, None) for name in json.loads(spec["context"] or "null") or ()]
        parts = [(where, field) for field in fields]
    else:
        parts = [(f"{where}[{i}]", item) for i, item in enumerate(value)]
    if len(parts) != len(children):
        raise missing(f"{where} has {len(children)} parts")
    return [
        leaf
        for child, (name, part) in zip(children, parts, strict=True)
        for leaf in flatten(child, part, name, missing)
    ]


__all__ = ["Spec", "build", "flatten", "keys", "leaves", "parse"]
