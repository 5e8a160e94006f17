"""Which plugins are installed is found without importlib.metadata where there are none, and with it where there are."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from multiprof import installed


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the path, and no scan yet."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(installed, "_scanned", None)
    monkeypatch.delenv(installed.DISABLE, raising=False)
    return tmp_path


def distribution(folder: Path, name: str, text: str, file: str = "entry_points.txt") -> None:
    folder = folder / name
    folder.mkdir(parents=True)
    (folder / file).write_text(text)
    (folder / ("PKG-INFO" if "egg" in name.lower() else "METADATA")).write_text(
        "Metadata-Version: 2.1\nName: a\nVersion: 1\n"
    )


def test_the_library_is_asked_only_where_a_distribution_names_the_group(alone, monkeypatch):
    monkeypatch.setattr(installed, "_ask", lambda: pytest.fail("importlib.metadata was asked"))
    distribution(alone, "other-1.dist-info", "[console_scripts]\nmultiprof = multiprof.cli:main\n")
    distribution(alone, "empty-1.dist-info", "", "top_level.txt")
    (alone / "multiprof.txt").write_text("[multiprof]\nx = y\n")
    sys.path += [str(alone / "missing"), ""]
    monkeypatch.chdir(alone)
    assert installed.installed_plugins() == []


@pytest.mark.parametrize("name", ["a-1.dist-info", "a-1.egg-info", "A-1.DIST-INFO", "a-1.egg/EGG-INFO"])
def test_what_the_library_finds_is_found(alone, name):
    distribution(alone, name, "[console_scripts]\na = a:main\n\n[multiprof]\nfirst = a\nsecond = a.b\n")
    if ".egg/" in name:
        sys.path.append(str(alone / "a-1.egg"))
    found = installed.installed_plugins()
    assert [(entry.name, entry.value) for entry in found] == [("first", "a"), ("second", "a.b")]
    assert found == list(entry_points(group="multiprof"))
    assert installed.installed_plugins() is found  # one scan a process


def test_an_archive_on_the_path_is_left_to_the_library(alone):
    archive = alone / "plugins.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1\n")
        file.writestr("a-1.dist-info/entry_points.txt", "[multiprof]\nzipped = a\n")
    sys.path.append(str(archive))
    assert [entry.name for entry in installed.installed_plugins()] == ["zipped"]


def test_a_finder_of_its_own_is_left_to_the_library(alone, monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(*_):
            return None

        @staticmethod
        def find_distributions(*_):
            return ()

    asked = []
    monkeypatch.setattr(installed, "_ask", lambda: asked.append(True) or [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert installed.installed_plugins() == []
    assert asked


def test_plugins_are_switched_off_by_the_environment(alone, monkeypatch):
    distribution(alone, "a-1.dist-info", "[multiprof]\nfirst = a\n")
    monkeypatch.setenv(installed.DISABLE, "1")
    assert installed.installed_plugins() == []
    monkeypatch.setenv(installed.DISABLE, "0")
    assert len(installed.installed_plugins()) == 1
