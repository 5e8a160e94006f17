"""What the documents say is true: their code runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import multiprof
from multiprof import cli, hookspecs, installed, registry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(path for path in ROOT.glob("**/*.md") if not {".tox", ".venv"} & set(path.relative_to(ROOT).parts))
HOOKS = {name: f for name, f in vars(hookspecs).items() if name.startswith("multiprof_")}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def named_blocks(language: str) -> dict[str, str]:
    """The guide's code by file name, which stands in the first line."""
    return {block.split("\n", 1)[0].lstrip("# ").strip(): block for block in blocks(GUIDE, language)}


PYTHON = named_blocks("python")
PLUGINS = [name.removesuffix(".py") for name, code in PYTHON.items() if "hookimpl" in code]


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's modules in a folder from which they can be imported."""
    for name, code in PYTHON.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in PYTHON:
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.fixture
def all_installed(guide: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's plugins as if pip had installed them, and nobody else's."""
    entries = [EntryPoint(name, name, installed.GROUP) for name in PLUGINS]
    monkeypatch.setattr(installed, "_scanned", entries)
    monkeypatch.delenv(installed.DISABLE, raising=False)
    return guide


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_every_hook_is_documented_with_its_signature() -> None:
    assert HOOKS
    for name, hook in HOOKS.items():
        signature = str(inspect.signature(hook)).replace("'", "")
        assert f"### `{name}{signature}`" in GUIDE


def test_every_documented_hook_exists_and_has_an_example() -> None:
    assert set(re.findall(r"^### `(\w+)\(", GUIDE, re.MULTILINE)) == set(HOOKS)
    assert {
        name for code in PYTHON.values() for name in re.findall(r"^def (multiprof_\w+)", code, re.MULTILINE)
    } == set(HOOKS)


@pytest.mark.parametrize("name", PLUGINS)
def test_an_example_plugin_is_valid(name: str, guide: Path) -> None:
    built = registry.build([(name, module(name))])
    (plugin,) = (plugin for plugin in built.plugins() if plugin.name == name)
    assert plugin.hooks
    for hook in plugin.hooks:
        assert [owner for owner, _ in built.supplied(hook) if owner.name == name]
    assert built.clashes() == []
    assert built.problems == built.warnings == []


def test_the_plugins_use_public_names_alone() -> None:
    for code in PYTHON.values():
        for source, names in re.findall(r"^from (multiprof[.\w]*) import (.*)$", code, re.MULTILINE):
            if source == "multiprof":
                assert set(names.split(", ")) <= set(multiprof.__all__)
            else:
                assert source.startswith(("multiprof.testing", "multiprof_"))


def test_the_project_file_of_the_guide_names_its_module() -> None:
    project = tomllib.loads(named_blocks("toml")["pyproject.toml"])
    ((_, target),) = project["project"]["entry-points"][installed.GROUP].items()
    assert f"{target}.py" in PYTHON
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{target}.py"]


def test_the_test_of_the_guide_passes(guide: Path) -> None:
    module("test_distances").test_distances_against_loops()


def test_the_first_plugin_is_as_short_as_promised() -> None:
    code = PYTHON["multiprof_distances.py"].rstrip().split("\n")
    assert len(code) - 1 <= 20  # the first line names the file


def test_the_reader_and_the_reporter_work_from_the_command_line(
    all_installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = all_installed / "classifier.dense"
    model.write_text("300 100\n100 10\n", encoding="utf-8")
    assert cli.main(["analyze", str(model), "--input", "4x300", "--format", "oneline"]) == 0
    # 300·100 + 100·10 weights, each used once for each of the 4 rows
    assert capsys.readouterr().out == "classifier: 31,000 parameters, 124,000 MACs\n"


def test_the_command_works(all_installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, saved = all_installed / "classifier.dense", str(all_installed / "report.json")
    model.write_text("300 100\n", encoding="utf-8")
    assert cli.main(["analyze", str(model), "--input", "1x300", "-o", saved]) == 0
    capsys.readouterr()
    assert cli.main(["budget", saved, "--macs", "30000"]) == 0
    assert capsys.readouterr().out == "30,000 of 30,000 MACs\n"
    assert cli.main(["budget", saved, "--macs", "29999"]) == 1


def test_the_convention_counts(all_installed: Path) -> None:
    model = all_installed / "classifier.dense"
    model.write_text("300 100\n", encoding="utf-8")
    (convention,) = module("multiprof_nobias").multiprof_conventions()
    assert convention.count(multiprof.analyze(model, (1, 300))) == {"flops": 2 * 300 * 100}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def commands(text: str) -> list[list[str]]:
    """Every call of multiprof in a document's shell blocks and in its running text."""
    lines = [line for block in blocks(text, "sh") for line in re.split(r"\n|&&", block)]
    lines += re.findall(r"`(multiprof [a-z]+ [^`]+)`", text)  # not the bare names of commands
    words = (shlex.split(line, comments=True) for line in lines)
    return [call[1:] for call in words if call and call[0].split("/")[-1] == "multiprof"]


@pytest.mark.parametrize("call", [*commands(README), *commands(GUIDE)], ids=" ".join)
def test_every_command_named_is_understood(
    call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # where most of the files named are missing: the call is right, not its model
    cli.main(call)
    assert "--help shows what is possible" not in capsys.readouterr().err


def test_a_call_that_is_not_understood_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["analyze", "net.py:build", "--no-such-option"]) == 2
    assert "--help shows what is possible" in capsys.readouterr().err


def test_readme_begins_with_the_two_commands() -> None:
    file, live, tests = blocks(README, "sh")[:3]
    assert "multiprof analyze examples/resnet50.onnx" in file
    assert "multiprof analyze examples/resnet50.py:resnet50 --input 1x3x224x224" in live
    assert [len(block.strip().splitlines()) for block in (file, live, tests)] == [1, 1, 1]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for step in tests.strip().split(" && "):
        assert step in script.splitlines()


def test_readme_lists_the_public_names_and_the_environments() -> None:
    for name in multiprof.__all__:
        if not name.startswith("_"):
            assert f"`{name}`" in README
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for name in re.findall(r"^\[testenv:(.+)\]$", tox, re.MULTILINE):
        assert f"`{name}`" in README


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:\w+/)+[\w.-]*)`", README))))
def test_every_path_readme_names_exists(name: str) -> None:
    assert (ROOT / name).exists()
