"""Hypothesis profiles (`--hypothesis-profile=long` for `tox -m full`, otherwise the default), and a toy framework."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import multiprof
from multiprof import installed
from multiprof.cli import main

TOY = Path(__file__).parent / "toy"

# No deadline: a test must not fail because the machine was busy. Derandomised: the same commit gives the same result.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("default")


class Site:
    """A folder of installed distributions, for this process and for children: the toy framework, and what is added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.install("toy-plugin", toy="toyplugin")
        for file in TOY.glob("*.py"):
            shutil.copy(file, root)

    def install(self, distribution: str, source: str | None = None, **entry_points: str) -> None:
        """A distribution with entry points of group ``multiprof``; ``source`` is the text of the first one's module."""
        folder = self.root / f"{distribution.replace('-', '_')}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = [f"{name} = {module}" for name, module in entry_points.items()]
        (folder / "entry_points.txt").write_text("[multiprof]\n" + "\n".join(lines) + "\n")
        if source is not None:
            (self.root / f"{next(iter(entry_points.values()))}.py").write_text(source)
        installed._scanned = None

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """``multiprof ARGUMENTS`` in a process of its own, in the folder."""
        return self.python("-m", "multiprof", *arguments, env=env)

    def python(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        paths = [str(self.root), str(Path(multiprof.__file__).parents[1])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", **(env or {})}
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The toy framework and its plugin, installed; modules loaded from there are forgotten at the end."""
    root = tmp_path / "site"
    root.mkdir()
    before = installed._scanned
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    monkeypatch.chdir(root)
    importlib.invalidate_caches()
    yield Site(root)
    installed._scanned = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def cli(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``multiprof ARGUMENTS`` in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture
def told(cli: Callable[..., tuple[int, str, str]]) -> Callable[..., str]:
    """``multiprof analyze ARGUMENTS`` that fails with exit code 2: the one line it says."""

    def call(*arguments: str) -> str:
        code, out, err = cli("analyze", *arguments)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("multiprof: error: ")
        return line.removeprefix("multiprof: error: ")

    return call


@pytest.fixture
def refusal() -> Callable[..., tuple[type, str]]:
    """``multiprof.analyze(…)`` that fails: the class of the error, and its one line."""

    def call(model: Any, inputs: Any = None, **options: Any) -> tuple[type, str]:
        with pytest.raises(multiprof.MultiprofError) as caught:
            multiprof.analyze(model, inputs, **options)
        assert "\n" not in str(caught.value)
        return caught.type, str(caught.value)

    return call
