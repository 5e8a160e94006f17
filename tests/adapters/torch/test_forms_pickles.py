"""Pickles are refused in one line that says why, and read where the caller trusts them; weights alone are no model."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import multiprof
from multiprof import ModelError, UnknownFrameworkError
from multiprof.cli import main

MODEL = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
SHAPE = (1, 3, 6, 6)
MACS = 4 * 16 * 27 + 64 * 2
PARAMS = 4 * 27 + 8 + 64 * 2 + 2
STATE = PARAMS + 8 + 1  # with means, variances and the number of batches

Save = Callable[[Any, Path], None]


def old_zipless(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def plainly(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=4))


SAVES: dict[str, Save] = {"torch.save": torch.save, "torch.save before 1.6": old_zipless, "pickle": plainly}


class Harm:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", list(SAVES))
def test_a_pickled_module_is_refused(how: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    SAVES[how](MODEL, path)
    with pytest.raises(ModelError) as refused:
        multiprof.analyze(path, SHAPE)
    text = str(refused.value)
    assert f"{path} is a Python pickle of torch.nn.modules.container.Sequential, which can run any code" in text
    assert "trust=True" in text and "--trust" in text and "\n" not in text


@pytest.mark.parametrize("how", list(SAVES))
def test_a_trusted_pickle_is_read(how: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    SAVES[how](MODEL, path)
    report = multiprof.analyze(path, SHAPE, trust=True)
    assert (report.macs, report.params) == (MACS, PARAMS)
    assert report.model["format"] == "pickle"
    assert not any("trust" in warning for warning in report.warnings)


@pytest.mark.parametrize("how", list(SAVES))
@pytest.mark.parametrize("hidden", ["alone", "in a state_dict", "in a module"])
def test_nothing_runs_without_trust(how: str, hidden: str, tmp_path: Path) -> None:
    harm = Harm(tmp_path / "harm")
    held: Any = harm
    if hidden == "in a state_dict":
        held = OrderedDict(weight=torch.zeros(2), harm=harm)
    elif hidden == "in a module":
        held = nn.Linear(2, 2)
        held.extra = harm
    path = tmp_path / "model.pt"
    SAVES[how](held, path)
    with pytest.raises(ModelError, match="is a Python pickle of"):
        multiprof.analyze(path, SHAPE)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("how", list(SAVES)[:2])
@pytest.mark.parametrize("nested", [False, True])
def test_weights_alone(how: str, nested: bool, tmp_path: Path) -> None:
    state: Any = MODEL.state_dict()
    path = tmp_path / "weights.pth"
    SAVES[how]({"epoch": 3, "model": state, "again": state} if nested else state, path)
    for trust in (False, not nested):
        with pytest.raises(ModelError, match=rf"holds weights alone \({len(state)} tensors, {STATE} elements\)"):
            multiprof.analyze(path, SHAPE, trust=trust)


def test_safetensors(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}} | {
        name: {"dtype": "F32", "shape": list(t.shape), "data_offsets": [0, 0]} for name, t in MODEL.state_dict().items()
    }
    text = json.dumps(header).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ModelError, match=rf"holds weights alone \(8 tensors, {STATE} elements\)"):
        multiprof.analyze(path, SHAPE)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (struct.pack("<Q", 50) + b'{"a": 1}', "damaged"),
        (struct.pack("<Q", 8) + b'{"a": 1}', "damaged"),
        (struct.pack("<Q", 22) + b'{"a": {"shape": [-5]}}', "damaged"),
        (struct.pack("<Q", 1 << 60) + b'{"a": 1}', "no file of PyTorch"),
    ],
)
def test_damaged_safetensors(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=why):
        multiprof.analyze(path, SHAPE)


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], "text", torch.zeros(3)], ids=lambda v: type(v).__name__)
def test_a_trusted_pickle_of_something_else(value: Any, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=rf"holds a \S*{type(value).__name__}, which is no model"):
        multiprof.analyze(tmp_path / "model.pt", SHAPE, trust=True)


def test_a_trusted_pickle_whose_class_is_gone(tmp_path: Path, rewritten: Callable[..., Path]) -> None:
    torch.save(MODEL, tmp_path / "model.pt")
    path = rewritten(tmp_path / "model.pt", "data.pkl", b"container\nSequential", b"container\nSequentiel")
    with pytest.raises(ModelError, match=r"cannot be unpickled: .*Sequentiel.*give the model as file\.py:callable"):
        multiprof.analyze(path, SHAPE, trust=True)


def test_another_archive(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/readme.txt", "nothing")
    with pytest.raises(ModelError, match="a zip archive, but of none of the kinds"):
        multiprof.analyze(tmp_path / "x.pt", SHAPE)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x/readme.txt", "nothing")
    with pytest.raises(UnknownFrameworkError):
        multiprof.analyze(tmp_path / "x.zip", SHAPE)


@pytest.mark.parametrize(("folder", "why"), [("aotinductor", "package of AOTInductor"), ("executorch", "ExecuTorch")])
def test_compiled_packages_are_refused(folder: str, why: str, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr(f"model/data/{folder}/model/abc.wrapper.so", b"\x7fELF")
    with pytest.raises(ModelError, match=why):
        multiprof.analyze(tmp_path / "model.pt2", SHAPE)


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(MODEL, tmp_path / "model.pt")
    call = ["analyze", str(tmp_path / "model.pt"), "--input", "1x3x6x6", "--format", "json"]
    assert main(call) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "--trust" in err
    assert main([*call, "--trust"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["macs"] == MACS


def test_the_command_line_reads_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.export.save(torch.export.export(MODEL.eval(), (torch.zeros(SHAPE),)), tmp_path / "model.pt2")
    for arguments in ([], ["--input", "1x3x6x6"], ["--input", "input:1x3x6x6"]):
        assert main(["analyze", str(tmp_path / "model.pt2"), "--format", "json", *arguments]) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["totals"]["macs"], result["model"]["format"]) == (MACS, "torch.export")
    assert main(["analyze", str(tmp_path / "model.pt2"), "--input", "1x3x7x6"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
