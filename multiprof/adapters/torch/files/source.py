"""The code in a TorchScript file: Python in its syntax, parsed and never handed to Python to run."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from multiprof.adapters.torch.files.archive import LONGEST, Archive
from multiprof.errors import ModelError


@dataclass(eq=False, slots=True)
class Function:
    """A function or method: ``home`` names what its own names are looked up in."""

    name: str
    node: ast.FunctionDef
    parameters: list[str]
    defaults: list[ast.expr]  # of the last parameters


@dataclass(eq=False, slots=True)
class Class:
    """A class of the file: ``base`` is Module, NamedTuple, Enum or empty; ``fields`` are annotated, in their order."""

    name: str
    base: str
    methods: dict[str, Function] = field(default_factory=dict)
    fields: dict[str, ast.expr | None] = field(default_factory=dict)  # with the value of a constant
    parameters: frozenset[str] = frozenset()
    buffers: frozenset[str] = frozenset()


class Code:
    """Functions and classes by their qualified names (``__torch__.torch.nn.functional.relu``), parsed when needed."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._texts: dict[str, bytes] = {}
        for path in archive.names("code/", ".py"):
            self._texts[path] = archive.read(path)
            if sum(map(len, self._texts.values())) > LONGEST:
                raise archive.damaged(f"it holds more than {LONGEST:,} bytes of code")
        self._files: dict[str, dict[str, Function | Class]] = {}

    def find(self, name: str) -> Function | Class | None:
        home, _, last = name.rpartition(".")
        if home not in self._files:
            path = f"code/{home.replace('.', '/')}.py"
            self._files[home] = self._parse(path) if path in self._texts else {}
        return self._files[home].get(last)

    def class_of(self, name: str) -> Class:
        found = self.find(name)
        if not isinstance(found, Class):
            raise self.archive.damaged(f"its code has no class {name}")
        return found

    def _parse(self, path: str) -> dict[str, Function | Class]:
        try:
            tree = ast.parse(self._texts.pop(path).decode())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self.archive.damaged(f"{path}: {error}") from error
        found: dict[str, Function | Class] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = _function(node)
            elif isinstance(node, ast.ClassDef):
                found[node.name] = _class(node)
        return found


def _function(node: ast.FunctionDef) -> Function:
    return Function(node.name, node, [a.arg for a in node.args.args], node.args.defaults)


def _class(node: ast.ClassDef) -> Class:
    made = Class(node.name, node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else "")
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            made.methods[item.name] = _function(item)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            made.fields[item.target.id] = item.value
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            name = item.targets[0].id
            if name in ("__parameters__", "__buffers__"):
                values = frozenset(_texts(item.value))
                if name == "__parameters__":
                    made.parameters = values
                else:
                    made.buffers = values
            else:
                made.fields[name] = item.value
    return made


def _texts(node: ast.expr) -> list[str]:
    elements: list[Any] = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    return [e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, str)]


def place(function: Function, node: ast.AST) -> str:
    return f"line {getattr(node, 'lineno', '?')} of {function.name}"


def out_of_bounds(what: str) -> ModelError:
    return ModelError(f"the code in the file goes beyond what a model needs: {what}")


__all__ = ["Class", "Code", "Function", "out_of_bounds", "place"]
