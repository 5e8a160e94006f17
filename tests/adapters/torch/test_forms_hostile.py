"""Broken and hostile files of PyTorch: a report or one line that names the file, within bounds, and nothing runs."""

from __future__ import annotations

import io
import json
import pickle
import random
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import multiprof
from multiprof import ModelError, MultiprofError

INPUTS = (1, 3, 6, 6)
SECONDS = 20  # far above what any of these takes, far below what one that is not bounded would


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.lstm = nn.LSTM(4, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv(x)).flatten(2).transpose(1, 2)
        return self.lstm(y)[0].sum(1)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    paths = {form: folder / f"{form}.pt" for form in ("exported", "traced", "scripted", "pickled")}
    model, x = Net().eval(), torch.zeros(INPUTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, (x,)), folder / "exported.pt2")
        torch.jit.trace(model, x, check_trace=False).save(paths["traced"])
        torch.jit.script(model).save(paths["scripted"])
    (folder / "exported.pt2").rename(paths["exported"])
    torch.save(model, paths["pickled"])
    return paths


def survives(path: Path) -> bool:
    """Whether a file is read: anything but a result or one of our errors, or too long a time, fails the test."""
    start = time.monotonic()
    try:
        report = multiprof.analyze(path, INPUTS)
        report.to_dict()
    except MultiprofError as error:
        text = str(error)
        assert text and "Traceback" not in text and "\n" not in text
        return False
    finally:
        assert time.monotonic() - start < SECONDS
    return True


FORMS = ["exported", "traced", "scripted", "pickled"]


@pytest.mark.parametrize("form", FORMS)
def test_truncated(form: str, originals: dict[str, Path], tmp_path: Path) -> None:
    data = originals[form].read_bytes()
    path = tmp_path / "cut.pt"
    read = []
    for cut in range(0, 100, 2):
        path.write_bytes(data[: len(data) * cut // 100])
        if survives(path):
            read.append(cut)
    assert read == []  # the list of a zip archive's entries is at its end


@pytest.mark.parametrize("form", FORMS)
def test_flipped_bits(form: str, originals: dict[str, Path], tmp_path: Path) -> None:
    data = originals[form].read_bytes()
    chance = random.Random(5)
    path = tmp_path / "flipped.pt"
    outcomes = []
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(changed))
        outcomes.append(survives(path))
    assert (True in outcomes) is (form != "pickled") and False in outcomes


@pytest.mark.parametrize("form", FORMS)
def test_damaged_text_under_a_right_checksum(form: str, originals: dict[str, Path], tmp_path: Path) -> None:
    """Bytes of the program, the code and the objects change, and the archive is whole."""
    chance = random.Random(7)
    entries = []
    with zipfile.ZipFile(originals[form]) as source:
        entries = [(info.filename, source.read(info)) for info in source.infolist()]
    telling = [i for i, (name, _) in enumerate(entries) if name.endswith((".json", ".py", "data.pkl"))]
    path = tmp_path / "changed.pt"
    outcomes = []
    for _ in range(80):
        changed = dict(entries)
        name, data = entries[chance.choice(telling)]
        text = bytearray(data)
        for _ in range(chance.randint(1, 2)):
            text[chance.randrange(len(text))] = chance.randrange(32, 127)
        changed[name] = bytes(text)
        with zipfile.ZipFile(path, "w") as target:
            for name, data in changed.items():
                target.writestr(name, data)
        outcomes.append(survives(path))
    assert False in outcomes


def test_a_zip_bomb(tmp_path: Path) -> None:
    """300 MB of spaces in 300 kB, as a program."""
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target, target.open("m/models/model.json", "w") as entry:
        for _ in range(300):
            entry.write(b" " * 1_000_000)
    assert path.stat().st_size < 400_000
    with pytest.raises(ModelError, match="claims 300,000,000 bytes"):
        multiprof.analyze(path)


def test_a_directory_of_a_gigabyte(originals: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(originals["exported"].read_bytes())
    at = data.rfind(b"PK\x05\x06") + 12
    data[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path = tmp_path / "claims.pt2"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="its list of entries claims 1,073,741,824 bytes"):
        multiprof.analyze(path)


# -- programs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(originals: dict[str, Path], tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """``program(change)``: the exported network with its description changed."""

    def make(change: Callable[[Any], None]) -> Path:
        path = tmp_path / "changed.pt2"
        with zipfile.ZipFile(originals["exported"]) as source, zipfile.ZipFile(path, "w") as target:
            for info in source.infolist():
                data = source.read(info)
                if info.filename.endswith("models/model.json"):
                    description = json.loads(data)
                    change(description)
                    data = json.dumps(description).encode()
                target.writestr(info.filename, data)
        return path

    return make


def sizes(description: Any) -> list[Any]:
    found: list[Any] = description["graph_module"]["graph"]["tensor_values"]["p_conv_weight"]["sizes"]
    return found


@pytest.mark.parametrize("size", [-1, 1 << 62, 1 << 80, "4", None, 4.0, [4], {"as_expr": {"expr_str": "4"}}], ids=str)
def test_sizes_that_cannot_be(size: Any, program: Any) -> None:
    def change(description: Any) -> None:
        sizes(description)[0] = size if isinstance(size, dict) else {"as_int": size}

    with pytest.raises(ModelError, match=r"changed\.pt2"):
        multiprof.analyze(program(change))


def test_a_huge_weight_costs_nothing(program: Any) -> None:
    def change(description: Any) -> None:
        values = description["graph_module"]["graph"]["tensor_values"]
        values["p_conv_weight"] |= {
            "sizes": [{"as_int": n} for n in (10**9, 3, 3, 3)],
            "strides": [{"as_int": n} for n in (27, 9, 3, 1)],
        }
        description["graph_module"]["graph"]["nodes"] = description["graph_module"]["graph"]["nodes"][:1]
        conv = description["graph_module"]["graph"]["nodes"][0]
        conv["inputs"] = [entry for entry in conv["inputs"] if entry["name"] != "bias"]
        description["graph_module"]["graph"]["outputs"] = conv["outputs"]

    report = multiprof.analyze(program(change))
    assert report.macs == 10**9 * 16 * 27


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default", "torch.serialization.os.system", "torch.hub.load", "_operator.attrgetter",
        "torch.ops.load_library", "builtins.eval", "torch.ops.aten.__class__.default", "math.__loader__", "",
    ],
)  # fmt: skip
def test_what_a_program_may_not_call(target: str, program: Any) -> None:
    """Other names than those of registered operators and of arithmetic are foreign: listed, and never looked up."""

    def change(description: Any) -> None:
        node = description["graph_module"]["graph"]["nodes"][1]
        node["target"] = target
        node["inputs"] = [{"name": "filename", "arg": {"as_string": "touch harm"}, "kind": 1}, *node["inputs"]]

    report = multiprof.analyze(program(change))
    assert list(report.unsupported()) == ["torch." + ".".join(target.removeprefix("torch.ops.").split(".")[:2])]


def test_expressions_are_not_evaluated(program: Any, tmp_path: Path) -> None:
    """torch's own loader hands them to sympy, which evaluates them as Python."""
    harm = tmp_path / "harm"

    def change(description: Any) -> None:
        sizes(description)[0] = {
            "as_expr": {"expr_str": f"__import__('os').mkdir({str(harm)!r})", "hint": {"as_int": 4}}
        }

    assert multiprof.analyze(program(change)).macs > 0
    assert not harm.exists()


def test_pickles_beside_a_program_are_not_read(originals: dict[str, Path], rewritten: Callable[..., Path]) -> None:
    path = rewritten(originals["exported"], "sample_inputs/model.pt", b"PK", b"XX")
    assert multiprof.analyze(path).macs == multiprof.analyze(originals["exported"]).macs


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_deep_json(depth: int, tmp_path: Path) -> None:
    path = tmp_path / "deep.pt2"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("m/models/model.json", "[" * depth + "]" * depth)
    with pytest.raises(ModelError, match=r"deep\.pt2"):
        multiprof.analyze(path)


# -- TorchScript -------------------------------------------------------------------------------------------------------

EMPTY = pickle.dumps((), protocol=2)
HEAD = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"


def script(path: Path, body: str, data: bytes = b"") -> Path:
    """A TorchScript file of one module whose forward has this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code = f"{HEAD}  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n{lines}"
    made = data or b"\x80\x02c__torch__\nM\n)\x81}X\x08\x00\x00\x00training\x89sb."
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("m/data.pkl", made)
        target.writestr("m/code/__torch__.py", code)
        target.writestr("m/constants.pkl", EMPTY)
    return path


def test_the_smallest_script(tmp_path: Path) -> None:
    assert multiprof.analyze(script(tmp_path / "m.pt", "return torch.matmul(x, x)"), (3, 3)).macs == 27


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("while True:\n  pass\nreturn x", "statements are run"),
        ("for i in range(9000000000000000000):\n  pass\nreturn x", "statements are run"),
        ("return (self).forward(x, )", "without end|recursion"),
        ('s = "a"\nfor i in range(100):\n  s = torch.add(s, s)\nreturn x', "a list or text"),
        ("s = torch.mul([x], 1000000000)\nreturn x", "a list or text"),
        ("n = 3\nfor i in range(100):\n  n = torch.mul(n, n)\nreturn x", "64 bits"),
        ("return torch.pow(10, 1000000000)", "64 bits"),
        ("n = torch.sum(range(1000000000000))\nreturn x", "a range"),
        ("n = torch.list(range(400000000))\nreturn x", "a range"),
        ("a, b = range(1000000000000)\nreturn x", "a range"),
        ('s = torch.remainder("%4000000000d", 5)\nreturn x', "remainder of a text"),
        ("a = [1]\nfor i in range(60):\n  a = [a, a]\ns = str(a)\nreturn x", "lists in lists"),
        ("a, b = ([1], [1])\nfor i in range(60):\n  a, b = ([a, a], [b, b])\nc = a == b\nreturn x", "lists in lists"),
        ('a = torch.mul("a", 100000)\na = torch.replace(a, "a", a)\nreturn x', "a text"),
        ('a = torch.mul("a", 100000)\na = torch.join(a, torch.mul(["a"], 100000))\nreturn x', "a text"),
        ("a = [[0]]\nwhile True:\n  a = torch.append(a, torch.mul([0], 1000000))\nreturn x", "statements are run"),
        ("a = torch.unbind(torch.zeros([100000000]))\nreturn x", "100,000,000 pieces"),
        ("a = torch.split(torch.zeros([3, 100000000]), 2, 1)\nreturn x", "50,000,000 pieces"),
        ("a = torch.chunk(torch.zeros([100000000]), 90000000)\nreturn x", "90,000,000 pieces"),
        ("import os\nreturn x", "a statement that TorchScript does not have"),
        ('return eval("x")', "calls eval"),
        ('return __import__("os")', "calls __import__"),
        ("return x.__class__", "reads the attribute __class__"),
        ("return (lambda y: y)(x)", "Lambda"),
        ("return [y for y in x]", "ListComp"),
        ('return torch.from_file("harm")', "does not have"),
        ('return ops.aten.save(x, "harm")', "does not have"),
        ("return torch.does_not_exist(x)", "does not have"),
        ("return __torch__.gone.f(x)", "does not define"),
        ('ops.prim.RaiseException("too bad", "builtins.ValueError")', "too bad"),
        ("return y", "."),
        ("return (x).foo(x)", "no such method"),
        ("return torch.zeros([1000000000000, 1000000000000, 1000000000000])", "."),
        ("a, b = x\nreturn a", "."),
        ("return (", "cannot be read"),
        ("return " + "(" * 5000 + "x" + ")" * 5000, "cannot be read"),
        ("return " + "torch.neg(" * 3000 + "x" + ")" * 3000, "."),
    ],
)  # fmt: skip
def test_code_beyond_the_language(body: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = script(tmp_path / "m.pt", body)
    start = time.monotonic()
    with pytest.raises(MultiprofError, match=why) as refused:
        multiprof.analyze(path, (4, 4))
    assert time.monotonic() - start < SECONDS
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "harm").exists()


def test_the_recursion_limit_comes_back(tmp_path: Path) -> None:
    import sys

    before = sys.getrecursionlimit()
    multiprof.analyze(script(tmp_path / "m.pt", "return torch.relu(x)"), (4, 4))
    with pytest.raises(MultiprofError):
        multiprof.analyze(script(tmp_path / "m.pt", "return (self).forward(x, )"), (4, 4))
    assert sys.getrecursionlimit() == before


# -- pickles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02.", b"\x80\x02t.", b"\x80\x02R.", b"\x80\x02h\x05.", b"\x80\x02(((((.", b"\x80\x02}K\x01s.",
        b"\x80\x02r\xff\xff\xff\xff.", b"\x80\x02X\xff\xff\xff\x7fa.", b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02N" + b"\x85" * 100_000 + b".", b"\x80\xff", b"\x80\x02cos\nsystem\n(S'touch harm'\ntR.",
        b"\x80\x02]" + b"(h\x00h\x00e" * 1000 + b".", b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 1000 + b".",
    ],
    ids=range(14),
)  # fmt: skip
@pytest.mark.parametrize("place", ["alone", "data.pkl"])
def test_pickles_that_make_no_sense(data: bytes, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pt"
    if place == "alone":
        path.write_bytes(data)
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as target:
            target.writestr("m/data.pkl", data)
            target.writestr("m/version", "3")
        path.write_bytes(stream.getvalue())
    assert not survives(path)
    assert not (tmp_path / "harm").exists()
    if place == "data.pkl":
        assert not survives(script(tmp_path / "m.pt", "return x", data))


def test_tuples_of_tuples_of_tuples(tmp_path: Path) -> None:
    """Each holds the one before it twice: 2⁵⁰⁰ parts, if they were not the same."""
    data = b"\x80\x02)q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(500)) + b"."
    path = tmp_path / "nested.pkl"
    path.write_bytes(data)
    assert not survives(path)
    assert not survives(script(tmp_path / "m.pt", "return x", data))


def test_a_tensor_of_10_to_the_18_in_a_state_dict(tmp_path: Path) -> None:
    torch.save({"w": torch.empty(1).expand(10**9, 10**9)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=r"1 tensors, 1,000,000,000,000,000,000 elements"):
        multiprof.analyze(tmp_path / "w.pt")
