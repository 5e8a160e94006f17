"""Which adapter reads a model: by class, by how a file begins, by suffix; nothing is imported to find out."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

import multiprof
from multiprof import Adapter
from multiprof.adapters import ADAPTERS
from multiprof.adapters.matching import find_adapter, load_reader, match_file, match_type


class Base:
    pass


class Derived(Base):
    pass


class Both(Derived):
    pass


def named(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


BASE = Adapter("base", "nowhere:read", types=(named(Base),))
DERIVED = Adapter("derived", "nowhere:read", types=(named(Derived),))


def test_the_table_is_data_and_loads_nothing(site):
    code = "import sys, multiprof.adapters as a; assert a.ADAPTERS; assert 'torch' not in sys.modules; print('fine')"
    assert site.python("-c", code).stdout == "fine\n"


def test_every_framework_has_one_row():
    names = [adapter.framework for adapter in ADAPTERS]
    assert len(set(names)) == len(names)


def test_the_torch_row():
    (row,) = [adapter for adapter in ADAPTERS if adapter.framework == "torch"]
    assert row.reader == "multiprof.adapters.torch:read"
    assert (row.requires, row.extra, row.callables) == (("torch",), "torch", True)


def test_a_subclass_belongs_to_the_adapter_of_its_base():
    assert match_type(Derived, [BASE]) == [BASE]
    assert match_type(object, [BASE]) == []


def test_the_nearest_class_decides_whatever_the_order():
    assert match_type(Both, [BASE, DERIVED]) == [DERIVED]
    assert match_type(Both, [DERIVED, BASE]) == [DERIVED]
    assert match_type(Base, [BASE, DERIVED]) == [BASE]


def test_a_class_is_found_under_the_name_it_is_re_exported_by(monkeypatch):
    package = types.ModuleType("front")
    package.Shown = Base
    adapter = Adapter("front", "nowhere:read", types=("front.Shown",))
    assert match_type(Derived, [adapter]) == []  # not imported, so it cannot be that one
    monkeypatch.setitem(sys.modules, "front", package)
    assert match_type(Derived, [adapter]) == [adapter]


def test_two_adapters_for_one_class_ask_the_caller():
    other = Adapter("other", "nowhere:read", types=(named(Base),))
    with pytest.raises(multiprof.UsageError, match=r"base or other: say which, with framework='base' \(--framework"):
        find_adapter(Base(), [BASE, other])
    assert find_adapter(Base(), [BASE, other], "other") is other


def test_a_callable_belongs_to_the_framework_that_is_loaded(monkeypatch):
    loaded = Adapter("loaded", "nowhere:read", requires=("sys",), callables=True)
    absent = Adapter("absent", "nowhere:read", requires=("a_framework_not_loaded",), callables=True)
    assert find_adapter(lambda: 1, [absent, loaded]) is loaded
    with pytest.raises(multiprof.UnknownFrameworkError, match="no framework that reads callables is loaded: say"):
        find_adapter(lambda: 1, [absent])


def test_a_class_is_no_model():
    loaded = Adapter("loaded", "nowhere:read", types=(named(Base),), requires=("sys",), callables=True)
    with pytest.raises(multiprof.UnknownFrameworkError, match="Base is a class, not a model: make an instance of it"):
        find_adapter(Base, [loaded])


def test_an_unknown_object_is_named_with_what_is_known():
    with pytest.raises(
        multiprof.UnknownFrameworkError, match=r"builtins\.int is no model of a known framework \(base\)"
    ):
        find_adapter(7, [BASE])


@pytest.mark.parametrize(("given", "hint"), [("bas", "did you mean 'base'"), ("zzz", "known: base, derived")])
def test_an_unknown_framework_gets_a_hint(given, hint):
    with pytest.raises(multiprof.UnknownFrameworkError, match=f"unknown framework '{given}'; {hint}"):
        find_adapter(Base(), [BASE, DERIVED], given)


def test_a_file_goes_by_its_beginning_then_by_its_longest_suffix(tmp_path: Path):
    plain = Adapter("plain", "nowhere:read", suffixes=(".json",))
    symbol = Adapter("symbol", "nowhere:read", suffixes=("-symbol.json",), pattern=rb'\s*\{\s*"nodes"')
    flat = Adapter("flat", "nowhere:read", suffixes=(".flat",), magic=((4, b"TFL3"),))
    nodes, flatbuffer = b'\n{ "nodes": []}', b"\x1c\x00\x00\x00TFL3rest"
    files = {
        "net-symbol.json": (b"", [symbol]),  # says nothing: the longest suffix
        "net.JSON": (b"{}", [plain]),
        "other.json": (nodes, [symbol]),  # the beginning goes before the suffix
        "net.flat": (b"", [flat]),
        "misnamed.json": (flatbuffer, [flat]),
        "blob": (flatbuffer, [flat]),
        "short": (b"TFL3", []),
    }
    for name, (content, expected) in files.items():
        (tmp_path / name).write_bytes(content)
        assert match_file(tmp_path / name, [plain, symbol, flat]) == expected, name
    adapters = [plain, symbol, flat]
    with pytest.raises(multiprof.UnknownFrameworkError, match=r"known suffixes: -symbol\.json, \.flat, \.json"):
        find_adapter(tmp_path / "short", adapters)
    with pytest.raises(multiprof.UnknownFrameworkError, match="nothing here reads"):
        find_adapter(tmp_path, adapters)


def test_among_several_that_know_a_beginning_the_suffix_decides(tmp_path: Path):
    keras = Adapter("keras", "nowhere:read", suffixes=(".keras",), magic=((0, b"PK"),))
    torch = Adapter("torch", "nowhere:read", suffixes=(".pt",), magic=((0, b"PK"),))
    for name in ("net.keras", "net.zip"):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
    assert find_adapter(tmp_path / "net.keras", [torch, keras]) is keras
    with pytest.raises(multiprof.UsageError, match="could be read by keras or torch: say which"):
        find_adapter(tmp_path / "net.zip", [torch, keras])


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(multiprof.ModelError, match=r"pipe\.onnx is neither a file nor a folder"):
        find_adapter(tmp_path / "pipe.onnx", ADAPTERS)


@pytest.mark.parametrize(
    ("content", "framework"),
    [
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\xff", "onnx"),
        (b"\x08\x03:\x89\x01\x0a\x43", "onnx"),  # neither producer nor domain
        (b"\x1c\x00\x00\x00TFL3\x00\x00", "tflite"),
        (b'{\n  "nodes": [\n    {\n      "op": "null", ', "mxnet"),
        (b'{"nodes":[{"op":"null","param":{},"name":"data"', "mxnet"),
    ],
)
def test_the_formats_of_the_table_are_known_whatever_the_file_is_called(tmp_path: Path, content, framework):
    (tmp_path / "model.bin").write_bytes(content)
    assert [adapter.framework for adapter in match_file(tmp_path / "model.bin", ADAPTERS)] == [framework]


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"PK\x03\x04", b'{"schema_version": 1}', b"\x89HDF\r\n", b"import x\n"]
)
def test_other_files_are_not_taken_for_one(tmp_path: Path, content):
    (tmp_path / "model.bin").write_bytes(content)
    assert match_file(tmp_path / "model.bin", ADAPTERS) == []


def test_a_missing_file_and_python_without_a_callable_say_what_to_do(tmp_path: Path):
    with pytest.raises(
        multiprof.ModelError, match=r"no such file: .*gone\.onnx; give a model file, or file\.py:callable"
    ):
        find_adapter(tmp_path / "gone.onnx", [BASE])
    with pytest.raises(multiprof.ModelError, match="no such file"):
        find_adapter(tmp_path / "gone.onnx", [BASE], "base")
    script = tmp_path / "net.py"
    script.write_text("")
    for framework in (None, "base"):
        with pytest.raises(multiprof.UnknownFrameworkError, match=r"net\.py is Python: say which model in it"):
            find_adapter(script, [BASE], framework)


def test_files_and_live_models_are_not_mixed_up(tmp_path: Path):
    file = tmp_path / "net.bin"
    file.write_bytes(b"")
    reads_files = Adapter("files", "nowhere:read", suffixes=(".bin",))
    with pytest.raises(multiprof.UnknownFrameworkError, match="the base adapter reads no files"):
        find_adapter(file, [BASE], "base")
    with pytest.raises(multiprof.UnknownFrameworkError, match="the files adapter reads files alone"):
        find_adapter(Base(), [reads_files], "files")


def test_a_missing_framework_is_told_with_its_extra():
    adapter = Adapter("rare", "nowhere:read", requires=("a_framework_not_installed",), extra="rare")
    with pytest.raises(multiprof.MissingDependencyError) as caught:
        load_reader(adapter)
    assert str(caught.value) == (
        "reading rare models needs a_framework_not_installed, which is not installed: pip install 'multiprof[rare]'"
    )


def test_a_framework_lost_inside_the_reader_is_told_with_its_extra(site):
    (site.root / "needy.py").write_text("import half_framework.missing\n")
    (site.root / "half_framework.py").write_text("")
    adapter = Adapter("half", "needy:read", requires=("half_framework",), extra="half")
    with pytest.raises(multiprof.MissingDependencyError, match=r"pip install 'multiprof\[half\]'"):
        load_reader(adapter)


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("a_module_not_there:read", r"the odd adapter \(a_module_not_there:read\) cannot be imported"),
        ("multiprof.errors:read", r"the odd adapter names multiprof\.errors:read, which does not exist"),
    ],
)
def test_a_reader_that_is_not_there_is_the_plugins_fault(reader, said):
    with pytest.raises(multiprof.PluginError, match=said):
        load_reader(Adapter("odd", reader))
