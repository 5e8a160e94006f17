"""The example plugins in plugins/ keep their promises; what they compute is tested beside them, where torch is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import multiprof

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OURS = ("multiprof-benchmark",)  # part of multiprof, and no example
PLUGINS = [
    path
    for path in sorted((Path(__file__).parents[2] / "plugins").glob("*/pyproject.toml"))
    if path.parent.name not in OURS
]


def test_there_are_examples() -> None:
    assert {path.parent.name for path in PLUGINS} >= {"multiprof-chebyshev", "multiprof-selective-scan"}


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_an_example_is_complete_and_short(path: Path) -> None:
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    assert project["name"] == path.parent.name
    (module,) = project["entry-points"]["multiprof"].values()
    source = path.parent / f"{module}.py"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 20
    assert (path.parent / "README.md").exists()
    assert list((path.parent / "tests").glob("test_*.py"))


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_an_example_imports_public_names_alone(path: Path) -> None:
    for source in path.parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Import)
            if isinstance(node, ast.ImportFrom):
                assert node.module == "multiprof"
                assert {alias.name for alias in node.names} <= set(multiprof.__all__)
