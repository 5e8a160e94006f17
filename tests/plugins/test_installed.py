"""Plugins as installed distributions, in a fresh process: clashes, mistakes, and switching them off."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
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


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def multiprof(site) -> Run:
    """``multiprof ARGUMENTS`` in a process of its own, beside the plugins installed so far."""
    site.install("multiprof-chain", CHAIN, chain="chain")
    return site.run


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., str]:
    """The path of a model of the ops given."""

    def write(*ops: str) -> str:
        path = tmp_path / "model.chain"
        path.write_text("\n".join(ops), encoding="utf-8")
        return str(path)

    return write


def test_an_unknown_op_is_unsupported_until_a_plugin_prices_it(site, multiprof, model):
    before = multiprof("analyze", model("chain.snake"), "--strict")
    assert before.returncode == 1
    assert "chain.snake" in before.stderr
    site.install("multiprof-snake", PRICE.format(muls=2), snake="snake")
    after = multiprof("analyze", model("chain.snake"), "--strict", "--format", "csv")
    assert after.returncode == 0, after.stderr
    assert "multiprof-snake" in multiprof("plugins").stdout


@pytest.fixture
def clash(site):
    """Two distributions that price chain.snake."""
    site.install("multiprof-snake", PRICE.format(muls=2), snake="snake")
    site.install("multiprof-cobra", PRICE.format(muls=3), cobra="cobra")


@pytest.mark.usefixtures("clash")
def test_two_formulas_for_one_op_are_an_error_that_names_both(multiprof, model):
    done = multiprof("analyze", model("relu", "chain.snake"))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "multiprof-snake" in line
    assert "multiprof-cobra" in line
    assert "chain.snake" in line


@pytest.mark.usefixtures("clash")
def test_the_clash_disturbs_nothing_else(multiprof, model):
    assert multiprof("analyze", model("relu"), "--strict").returncode == 0
    for call in (["--help"], ["analyze", "--help"], ["formulas"], ["adapters"], ["plugins"]):
        done = multiprof(*call)
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.usefixtures("clash")
def test_the_clash_is_found_beforehand(multiprof):
    done = multiprof("plugins", "--check")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "chain.snake" in line)
    assert "multiprof-snake" in line
    assert "multiprof-cobra" in line


def test_without_a_clash_the_check_passes(multiprof):
    done = multiprof("plugins", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_plugin_that_cannot_be_imported_is_a_warning_that_names_it(site, multiprof, model):
    site.install("multiprof-broken", "import no_such_module\n", broken="broken")
    done = multiprof("analyze", model("relu"), "--strict")
    assert done.returncode == 0, done.stderr
    assert "multiprof-broken" in done.stderr
    assert "no_such_module" in done.stderr
    assert multiprof("--help").returncode == 0


def test_a_misspelt_hook_is_an_error_that_names_the_plugin_and_the_hook(site, multiprof, model):
    misspelt = PRICE.format(muls=2).replace("multiprof_formulas", "multiprof_formulae")
    site.install("multiprof-snake", misspelt, snake="snake")
    done = multiprof("analyze", model("relu"))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "multiprof-snake" in line
    assert "multiprof_formulas" in line
    assert multiprof("--help").returncode == 0
    assert multiprof("plugins", "--check").returncode == 1


def test_all_plugins_can_be_switched_off(multiprof, model):
    done = multiprof("analyze", model("relu"), env={"MULTIPROF_DISABLE_PLUGINS": "1"})
    assert done.returncode == 2  # nobody reads .chain files any more
    assert multiprof("analyze", model("relu"), env={"MULTIPROF_DISABLE_PLUGINS": "0"}).returncode == 0
