"""A framework that is not installed: one line that names it and its extra, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

# What is installed here is not found in the child: as in an environment without it.
BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jax", "jaxlib", "keras", "mxnet", "onnx", "tensorflow", "tf_keras", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""
COMMAND = BLOCKED + "from multiprof.cli import main; sys.exit(main(sys.argv[1:]))"
ANALYZE = """
import multiprof
try:
    multiprof.analyze(ARGUMENTS)
except multiprof.MultiprofError as error:
    print(type(error).__name__, error, sep=": ")
"""
FUNCTION = "def net():\n    return lambda x: x\n"


def analyzing(arguments: str) -> str:
    return BLOCKED + ANALYZE.replace("ARGUMENTS", arguments)


def line(framework: str, package: str | None = None, extra: str | None = None) -> str:
    return (
        f"reading {framework} models needs {package or framework}, which is not installed: "
        f"pip install 'multiprof[{extra or framework}]'"
    )


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("net.onnx", "onnx"),
        ("net.keras", "keras"),
        ("net.h5", "keras"),
        ("net.pb", "tensorflow"),
        ("saved", "tensorflow"),
    ],
)
def test_files(site, name: str, framework: str) -> None:
    path: Path = site.root / name
    if path.suffix:
        path.write_bytes(b"")
    else:
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"")
    done = site.python("-c", analyzing(repr(name)))
    assert (done.stdout, done.stderr) == (f"MissingDependencyError: {line(framework)}\n", "")
    done = site.python("-c", COMMAND, "analyze", name)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"multiprof: error: {line(framework)}\n")


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow", "keras"])
def test_functions(site, framework: str) -> None:
    (site.root / "own.py").write_text(FUNCTION)
    done = site.python("-c", analyzing(f"lambda x: x, (2, 3), framework={framework!r}"))
    assert (done.stdout, done.stderr) == (f"MissingDependencyError: {line(framework)}\n", "")
    done = site.python("-c", COMMAND, "analyze", "own.py:net", "--input", "2x3", "--framework", framework)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"multiprof: error: {line(framework)}\n")


def test_mxnet_which_has_no_extra(site) -> None:
    (site.root / "own.py").write_text("from multiprof.adapters.mxnet.compat import import_mxnet\nmx = import_mxnet()\n")
    done = site.python("-c", COMMAND, "analyze", "own.py:net")
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("multiprof: error: mxnet cannot be imported (No module named")
    assert "pip install --no-deps mxnet==1.9.1 and pip install graphviz numpy requests" in said


def test_a_plain_function_when_nothing_is_loaded(site) -> None:
    done = site.python("-c", analyzing("lambda x: x, (2, 3)"))
    assert done.stdout == (
        "UnknownFrameworkError: a plain callable, and no framework that reads callables is loaded: say "
        "framework='jax' or framework='tensorflow' or framework='torch' or framework='toy'\n"
    )
