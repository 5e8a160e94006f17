"""The distribution: what the wheel holds, and that it works installed alone, without a framework and the checkout."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = ("jax", "keras", "mxnet", "numpy", "onnx", "tensorflow", "torch")


def run(*command: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command away from the checkout; its exit code must be ``code``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MULTIPROF"))}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{command} exited with {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from the sdist alone."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return email.message_from_bytes(archive.read("multiprof-0.1.0.dist-info/METADATA"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel in it, and nothing else but what the wheel needs."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=True)
    constraints = ROOT / "constraints" / "core.txt"
    run(folder / "bin" / "python", "-m", "pip", "install", "-c", constraints, wheel, cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == "multiprof-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = ROOT / "multiprof"
    suffixes = (".py", ".toml")  # the code, and the descriptions of devices
    package = {str(path.relative_to(ROOT)) for path in sources.rglob("*") if path.suffix in suffixes}
    package.add("multiprof/py.typed")
    assert {name for name in names if not name.startswith("multiprof-0.1.0.dist-info/")} == package
    assert "multiprof-0.1.0.dist-info/licenses/LICENSE" in names


def test_the_sdist_holds_what_the_tests_need(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "tox.ini",
        "toxfile.py",
        "constraints/files.txt",
        "constraints/torch.txt",
        "docs/files.md",
        "docs/plugins.md",
        "examples/resnet50.onnx",
        "examples/resnet50.py",
        "plugins/multiprof-chebyshev/pyproject.toml",
        "tests/files/requirements.txt",
        "tests/test_packaging.py",
        "CHANGELOG.md",
        "LICENSE",
    ):
        assert needed in names


def test_the_metadata_asks_for_no_framework_unless_it_is_named(metadata: Message) -> None:
    assert metadata["Requires-Python"] == ">=3.10"
    required = metadata.get_all("Requires-Dist") or []
    always = sorted(text for text in required if "extra ==" not in text)
    assert always == ["pluggy>=1.5", "tabulate>=0.10", "tomli>=1.1; python_version < '3.11'", "wcwidth>=0.3"]
    assert "torch" in (metadata.get_all("Provides-Extra") or [])
    # no resolver joins mxnet with the other frameworks, so no extra may name it: README says how to install it
    assert not any("mxnet" in text for text in required)


def test_the_version_is_the_same_everywhere(metadata: Message, alone: Path) -> None:
    assert metadata["Version"] == "0.1.0"
    for command in ([alone / "multiprof"], [alone / "python", "-m", "multiprof"]):
        assert run(*command, "--version", cwd=alone).stdout.split() == ["multiprof", "0.1.0"]
    assert "\n## 0.1.0" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_installed_alone_it_is_found_outside_the_checkout(alone: Path) -> None:
    where = run(alone / "python", "-c", "import multiprof; print(multiprof.__file__)", cwd=alone).stdout
    assert Path(where.strip()).is_relative_to(alone.parent)
    find = f"import importlib.util as u; print([m for m in {FRAMEWORKS!r} if u.find_spec(m)])"
    assert run(alone / "python", "-c", find, cwd=alone).stdout.strip() == "[]"


def test_installed_alone_every_public_name_is_there(alone: Path) -> None:
    program = "import multiprof; print(sorted(n for n in multiprof.__all__ if getattr(multiprof, n) is None))"
    assert run(alone / "python", "-c", program, cwd=alone).stdout.strip() == "[]"


def test_installed_alone_the_command_line_works(alone: Path) -> None:
    multiprof = alone / "multiprof"
    usage = run(multiprof, "--help", cwd=alone).stdout
    for command in ("analyze", "explain", "plugins", "formulas", "adapters"):
        assert command in usage
        assert run(multiprof, command, "--help", cwd=alone).stdout
    formulas = run(multiprof, "formulas", cwd=alone).stdout
    assert "conv_transpose" in formulas
    assert "|y|·K·C_i/G" in run(multiprof, "explain", "conv", cwd=alone).stdout
    assert "multiprof[torch]" in run(multiprof, "adapters", cwd=alone).stdout
    assert run(multiprof, "plugins", "--check", cwd=alone).stdout


def test_installed_alone_a_model_of_a_missing_framework_is_one_clear_line(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import torch\n\ndef net():\n    return torch.nn.Linear(2, 2)\n", encoding="utf-8")
    done = run(alone / "multiprof", "analyze", "net.py:net", "--input", "1x2", cwd=tmp_path, code=2)
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert "torch" in line
