"""Plugins as installed distributions, in a fresh process: clashes, mistakes, and switching them off.

A distribution is written as pip leaves it: a module, and a `.dist-info` folder with its entry point.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Reads files of one op name a line, and hands a tensor from one to the next.
CHAIN = """
from multiprof import Adapter, Graph, Layer, TensorSpec, hookimpl

def read(model, inputs, *, leaves, trace, options):
    x = source = TensorSpec((2, 3), "float32", "x")
    layers = []
    for n, op in enumerate(model.read_text().split()):
        y = TensorSpec(x.shape, x.dtype, f"y{n}")
        layers.append(Layer(f"step{n}", op, {"x": x}, {"y": y}))
        x = y
    return Graph("chain", "chain", (source,), (x,), tuple(layers))

@hookimpl
def multiprof_adapters():
    return [Adapter("chain", "chain:read", suffixes=(".chain",))]
"""

PRICE = """
from multiprof import elementwise, hookimpl

@hookimpl
def multiprof_formulas():
    return [elementwise("chain.snake", muls={muls})]
"""


class Site:
    """A folder of installed distributions, and a way to run multiprof beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.install("multiprof-chain", "chain", CHAIN)

    def install(self, distribution: str, module: str, code: str) -> None:
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[multiprof]\n{module} = {module}\n", encoding="utf-8")

    def model(self, *ops: str) -> str:
        path = self.folder / "model.chain"
        path.write_text("\n".join(ops), encoding="utf-8")
        return str(path)

    def multiprof(self, *arguments: str, disable: str = "") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path, "MULTIPROF_DISABLE_PLUGINS": disable}
        command = [sys.executable, "-m", "multiprof", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_an_unknown_op_is_unsupported_until_a_plugin_prices_it(site: Site) -> None:
    before = site.multiprof("analyze", site.model("chain.snake"), "--strict")
    assert before.returncode == 1
    assert "chain.snake" in before.stderr
    site.install("multiprof-snake", "snake", PRICE.format(muls=2))
    after = site.multiprof("analyze", site.model("chain.snake"), "--strict", "--format", "csv")
    assert after.returncode == 0, after.stderr
    assert "snake" in site.multiprof("plugins").stdout


@pytest.fixture
def clash(site: Site) -> Site:
    """Two distributions that price chain.snake."""
    site.install("multiprof-snake", "snake", PRICE.format(muls=2))
    site.install("multiprof-cobra", "cobra", PRICE.format(muls=3))
    return site


def test_two_formulas_for_one_op_are_an_error_that_names_both(clash: Site) -> None:
    done = clash.multiprof("analyze", clash.model("relu", "chain.snake"))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "multiprof-snake" in line
    assert "multiprof-cobra" in line
    assert "chain.snake" in line


def test_the_clash_disturbs_nothing_else(clash: Site) -> None:
    assert clash.multiprof("analyze", clash.model("relu"), "--strict").returncode == 0
    for call in (["--help"], ["analyze", "--help"], ["formulas"], ["adapters"], ["plugins"]):
        done = clash.multiprof(*call)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_clash_is_found_beforehand(clash: Site) -> None:
    done = clash.multiprof("plugins", "--check")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "chain.snake" in line)
    assert "multiprof-snake" in line
    assert "multiprof-cobra" in line


def test_without_a_clash_the_check_passes(site: Site) -> None:
    done = site.multiprof("plugins", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_plugin_that_cannot_be_imported_is_a_warning_that_names_it(site: Site) -> None:
    site.install("multiprof-broken", "broken", "import no_such_module\n")
    done = site.multiprof("analyze", site.model("relu"), "--strict")
    assert done.returncode == 0, done.stderr
    assert "multiprof-broken" in done.stderr
    assert "no_such_module" in done.stderr
    assert site.multiprof("--help").returncode == 0


def test_a_misspelt_hook_is_an_error_that_names_the_plugin_and_the_hook(site: Site) -> None:
    misspelt = PRICE.format(muls=2).replace("multiprof_formulas", "multiprof_formulae")
    site.install("multiprof-snake", "snake", misspelt)
    done = site.multiprof("analyze", site.model("relu"))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "multiprof-snake" in line
    assert "multiprof_formulas" in line
    assert site.multiprof("--help").returncode == 0
    assert site.multiprof("plugins", "--check").returncode == 1


def test_all_plugins_can_be_switched_off(site: Site) -> None:
    done = site.multiprof("analyze", site.model("relu"), disable="1")
    assert done.returncode == 2  # nobody reads .chain files any more
    assert site.multiprof("analyze", site.model("relu"), disable="0").returncode == 0
