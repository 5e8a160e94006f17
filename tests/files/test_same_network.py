"""One network, three formats: files written by PyTorch, Keras and MXNet count what the live networks count.

The macs are the same; parameters differ by what the converters do to them, and that is written out below.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import multiprof
from multiprof import Report

HERE = Path(__file__).parent
# ResNet-50 has 53 norms, of 26,560 channels together: a scale, a shift, a mean and a variance each
CHANNELS = 26_560
# LSTM, 128 → 256, two layers, both directions, 50 steps: COUNTING.md's 117,964,800 macs
STEPS, FEATURES, HIDDEN = 50, 128, 256
LSTM_MACS = STEPS * 2 * 4 * HIDDEN * ((FEATURES + HIDDEN) + (2 * HIDDEN + HIDDEN))
LSTM_KERNELS = LSTM_MACS // STEPS
# a direction of a layer has 4·H biases; PyTorch and MXNet have two of each
LSTM_BIASES = 2 * 2 * 4 * HIDDEN
# k4 s2, 8×8×8 → 16×16×4: |x|·K·C_o; then → 32×32×2, ungrouped or in two groups
UP1, UP2 = 8 * 8 * 8 * 16 * 4, 16 * 16 * 4 * 16 * 2


def made(script: str, folder: Path) -> Any:
    """Run ``make_<script>.py`` in a process of its own; what it says of the networks."""
    command = [sys.executable, "-W", "ignore", str(HERE / f"make_{script}.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = folder / "facts.json"
    return json.loads(facts.read_text()) if facts.exists() else None


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, int]]]:
    folder = tmp_path_factory.mktemp("keras")
    return folder, made("keras", folder)


@pytest.fixture(scope="module")
def mxnet_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, int]]]:
    folder = tmp_path_factory.mktemp("mxnet")
    return folder, made("mxnet", folder)


@pytest.fixture(scope="module")
def torch_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torch")
    made("torch", folder)
    return folder


@pytest.fixture(scope="module")
def torch_nets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_torch", HERE / "make_torch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def live(torch_nets: ModuleType, name: str) -> Report:
    net, x = getattr(torch_nets, name)()
    report = multiprof.analyze(net, tuple(x.shape))
    assert report.coverage == 1
    return report


def covered(report: Report) -> Report:
    assert not report.unsupported()
    assert report.coverage == 1
    return report


def macs_of(report: Report, *ops: str) -> list[int | None]:
    return [row.macs for row in report.layers if row.op in ops]


# ------------------------------------------------------------------------------------------------------- ResNet-50


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_resnet50_onnx(exporter: str, torch_files: Path, torch_nets: ModuleType) -> None:
    before = live(torch_nets, "resnet50")
    assert (before.macs, before.params) == (4_089_184_256, 25_557_032)
    report = covered(multiprof.analyze(torch_files / f"resnet50_{exporter}.onnx"))
    assert report.macs == before.macs
    assert macs_of(report, "conv", "linear") == macs_of(before, "conv", "linear")
    # scale and shift of every norm are gone into the weights and the biases of convolutions that had none
    assert report.params == before.params - 2 * CHANNELS + CHANNELS
    assert not any(p.kind == "buffer" for p in report.graph.parameters.values())


def test_resnet50_tflite(keras_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = keras_files
    before = facts["resnet50"]
    assert before == {"macs": 3_857_973_248, "values": 25_583_592 + 53_120, "norm_channels": CHANNELS}
    report = covered(multiprof.analyze(folder / "resnet50.tflite"))
    assert report.macs == before["macs"]
    # the convolutions have biases already: all four values a channel are gone
    assert report.params == before["values"] - 4 * CHANNELS


def test_resnet50_mxnet(mxnet_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = mxnet_files
    before = facts["resnet50"]
    # as Keras's, but without biases in the 3×3 convolutions, the stem and the shortcuts: Σ of their channels
    biases = 64 + 3 * 64 + 4 * 128 + 6 * 256 + 3 * 512 + (256 + 512 + 1024 + 2048)
    assert before == {"macs": 3_857_973_248, "values": 25_583_592 - biases, "statistics": 2 * CHANNELS}
    report = covered(multiprof.analyze(folder / "resnet50-symbol.json", (1, 3, 224, 224)))
    assert report.macs == before["macs"]
    assert report.params == before["values"]
    assert sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == "buffer") == 2 * CHANNELS


# ------------------------------------------------------------------------------------------------------------ LSTM


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_lstm_onnx(exporter: str, torch_files: Path, torch_nets: ModuleType) -> None:
    before = live(torch_nets, "lstm")
    assert (before.macs, before.params) == (LSTM_MACS, LSTM_KERNELS + 2 * LSTM_BIASES) == (117_964_800, 2_367_488)
    report = covered(multiprof.analyze(torch_files / f"lstm_{exporter}.onnx"))
    assert report.macs == before.macs
    assert macs_of(report, "lstm") == macs_of(before, "lstm")
    # the zeros that states start from, which the newer exporter stores, are no weights
    assert report.params == before.params


def test_lstm_tflite(keras_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = keras_files
    before = facts["lstm"]
    assert before == {"macs": LSTM_MACS, "values": LSTM_KERNELS + LSTM_BIASES, "norm_channels": 0}
    report = multiprof.analyze(folder / "lstm.tflite")
    loops = [region.id for region in report.graph.regions.values() if region.kind == "loop"]
    assert len(loops) == 4  # one for each layer and direction
    report = covered(multiprof.analyze(folder / "lstm.tflite", trips=dict.fromkeys(loops, STEPS)))
    assert report.macs == before["macs"]
    # the zeros that the states start from, and those in place of the outputs still to come, are no weights
    assert report.params == before["values"]


def test_lstm_mxnet(mxnet_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = mxnet_files
    before = facts["lstm"]
    assert before == {"macs": LSTM_MACS, "values": LSTM_KERNELS + 2 * LSTM_BIASES, "statistics": 0}
    states = (4, 1, HIDDEN)
    inputs = {"data0": (STEPS, 1, FEATURES), "data1": states, "data2": states}
    report = covered(multiprof.analyze(folder / "lstm-symbol.json", inputs))
    assert report.macs == before["macs"]
    assert report.params == before["values"]


# --------------------------------------------------------------------------------------------------- deconvolution


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_deconvolution_onnx(exporter: str, torch_files: Path, torch_nets: ModuleType) -> None:
    before = live(torch_nets, "deconvolution")
    assert macs_of(before, "conv_transpose") == [UP1, UP2 // 2] == [32_768, 16_384]
    report = covered(multiprof.analyze(torch_files / f"deconvolution_{exporter}.onnx"))
    assert macs_of(report, "conv_transpose") == [UP1, UP2 // 2]
    assert report.macs == before.macs
    # weights 8×4×4×4 and 4×1×4×4, biases 4 and 2
    assert report.params == before.params == 512 + 64 + 6


def test_deconvolution_tflite(keras_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = keras_files
    before = facts["deconvolution"]
    assert before == {"macs": UP1 + UP2, "values": 512 + 128 + 6, "norm_channels": 0}
    report = covered(multiprof.analyze(folder / "deconvolution.tflite"))
    assert macs_of(report, "conv_transpose") == [UP1, UP2]
    assert report.macs == before["macs"]
    assert report.params == before["values"]


def test_deconvolution_mxnet(mxnet_files: tuple[Path, dict[str, dict[str, int]]]) -> None:
    folder, facts = mxnet_files
    before = facts["deconvolution"]
    assert before == {"macs": UP1 + UP2 // 2, "values": 512 + 64 + 6, "statistics": 0}
    report = covered(multiprof.analyze(folder / "deconvolution-symbol.json", (1, 8, 8, 8)))
    assert macs_of(report, "conv_transpose") == [UP1, UP2 // 2]
    assert report.macs == before["macs"]
    assert report.params == before["values"]
