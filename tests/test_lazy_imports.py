"""What is loaded when: a fresh process after ``import multiprof``, after help, and on the first analysis."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import multiprof

HEAVY = ("torch", "tensorflow", "keras", "mxnet", "jax", "numpy", "onnx", "pluggy", "rich", "tabulate", "wcwidth")
LOADED = "import sys; sys.stderr.write(repr(sorted({name.partition('.')[0] for name in sys.modules})))"


@pytest.mark.parametrize(
    "code",
    [
        "import multiprof",
        "import multiprof\nfrom multiprof.cli import main\nmain(['--help'])",
        "import multiprof\nfrom multiprof.cli import main\nmain(['analyze', '--help'])",
    ],
)
def test_nothing_heavy_is_loaded_for_help(site, code):
    result = site.python("-c", f"{code}\n{LOADED}", env={"MULTIPROF_DISABLE_PLUGINS": "1"})
    loaded = ast.literal_eval(result.stderr)
    assert "multiprof" in loaded
    assert not set(HEAVY) & set(loaded)


def test_importing_multiprof_loads_none_of_its_parts(site):
    code = "import multiprof, sys; sys.stderr.write(repr([n for n in sys.modules if n.startswith('multiprof.')]))"
    assert ast.literal_eval(site.python("-c", code).stderr) == []


@pytest.mark.parametrize("command", ["analyze", "explain", "formulas", "adapters", "plugins"])
def test_help_does_not_load_what_draws_tables(site, command):
    code = f"from multiprof.cli import main\nmain([{command!r}, '--help'])\n{LOADED}"
    assert not {"tabulate", "wcwidth"} & set(ast.literal_eval(site.python("-c", code).stderr))


@pytest.mark.parametrize(
    ("result", "needed"),
    [
        ("report.macs == 64", {"pluggy"}),
        ("'Parameters' in str(report)", {"pluggy", "tabulate", "wcwidth"}),
    ],
)
def test_counting_another_frameworks_model_loads_no_framework(site, result, needed):
    code = f"import multiprof, nets\nreport = multiprof.analyze(nets.net, (2, 3))\nassert {result}\n{LOADED}"
    loaded = ast.literal_eval(site.python("-c", code).stderr)
    assert "toyframe" in loaded
    assert set(HEAVY) & set(loaded) == needed


@pytest.mark.parametrize("name", [n for n in multiprof.__all__ if n not in ("__version__", "testing")])
def test_every_public_name_is_there_and_is_the_one_of_its_module(name):
    value = getattr(multiprof, name)
    home = import_module(multiprof._MODULE_OF[name])
    assert getattr(home, name) is value
    assert name in dir(multiprof)


def test_the_lazy_names_are_those_type_checkers_see():
    tree = ast.parse(Path(multiprof.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen.pop("testing") == "multiprof"
    assert seen == multiprof._MODULE_OF
    assert set(multiprof.__all__) == {*seen, "testing", "__version__"}


def test_the_helpers_for_tests_are_a_public_name(site):
    code = "import multiprof; assert multiprof.testing.__name__ == 'multiprof.testing'"
    assert site.python("-c", code).returncode == 0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = multiprof.analyse
