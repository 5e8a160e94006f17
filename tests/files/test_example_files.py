"""The files in examples/ are what they say they are, and can be made again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert.interpreter import Interpreter

import multiprof

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ("resnet50.onnx", "mobilenetv2.onnx", "keywords_int8.tflite")


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_small(name: str) -> None:
    assert (EXAMPLES / name).stat().st_size < 200_000


@pytest.mark.parametrize("name", FILES[:2])
def test_onnx_examples_are_valid_and_run(name: str) -> None:
    file = str(EXAMPLES / name)
    onnx.checker.check_model(file, full_check=True)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"image": np.ones((1, 3, 224, 224), np.float32)})
    assert logits.shape == (1, 1000)
    assert np.isfinite(logits).all()
    assert (np.abs(logits) > 1e-3).all()  # neither zeros nor denormals ran through the net


def test_the_tflite_example_runs() -> None:
    interpreter = Interpreter(str(EXAMPLES / "keywords_int8.tflite"))
    interpreter.allocate_tensors()
    sound, words = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = set()
    for seed in range(8):
        interpreter.set_tensor(sound["index"], np.random.default_rng(seed).integers(-128, 128, (1, 49, 10, 1), np.int8))
        interpreter.invoke()
        found.add(interpreter.get_tensor(words["index"]).tobytes())
    assert len(found) > 1  # what comes out depends on what goes in


def test_resnet50() -> None:
    report = multiprof.analyze(EXAMPLES / "resnet50.onnx")
    assert report.coverage == 1
    assert (report.macs, report.params) == (4_089_184_256, 25_557_032)
    # folded norms' biases, ReLUs, residual additions, max pool, average pool and the classifier's biases: COUNTING.md
    others = 11_113_984 + 9_608_704 + 5_519_360 + 1_605_632 + (98_304 + 2_048) + 1_000
    assert report.flops == 2 * report.macs + others == 8_206_317_544
    # 53 norms of 26,560 channels together have a mean and a variance each
    assert sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == "buffer") == 2 * 26_560
    scopes = {row.scope for row in report.layers}
    assert {"conv1", "layer1.0.conv1", "layer4.2.bn3", "layer2.0.downsample.0", "fc"} <= scopes


def test_mobilenetv2() -> None:
    report = multiprof.analyze(EXAMPLES / "mobilenetv2.onnx")
    assert report.coverage == 1
    macs, params = mobilenetv2()
    assert (report.macs, report.params) == (macs, params) == (300_774_272, 3_504_872)
    assert {"features.0.0", "features.1.conv.1", "features.18.0", "classifier.1"} <= {
        row.scope for row in report.layers
    }


def mobilenetv2() -> tuple[int, int]:
    """Macs and learned values by table 2 of the paper: expansion t, c channels, n blocks, first stride s."""
    size, channels = 112, 32
    macs, params = 9 * 3 * 32 * size**2, 9 * 3 * 32 + 2 * 32
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for t, c, n, s in rows:
        for stride in (s, *[1] * (n - 1)):
            wide, small = t * channels, size // stride
            if t > 1:
                macs += channels * wide * size**2
                params += channels * wide + 2 * wide
            macs += 9 * wide * small**2 + wide * c * small**2
            params += 9 * wide + 2 * wide + wide * c + 2 * c
            size, channels = small, c
    macs += 320 * 1280 * size**2 + 1280 * 1000
    params += 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    return macs, params


def test_keywords() -> None:
    report = multiprof.analyze(EXAMPLES / "keywords_int8.tflite")
    assert report.coverage == 1
    # 25×5 places: the 10×4 stem, then four depthwise 3×3 and 1×1, 64 channels wide; 12 words
    places = 25 * 5
    assert report.macs == places * 64 * (40 + 4 * (9 + 64)) + 64 * 12 == 2_656_768
    # every one has a bias, the norm's; weights are int8, biases int32
    weights, biases = 64 * (40 + 4 * (9 + 64)) + 64 * 12, 64 * (1 + 4 * 2) + 12
    assert report.params == weights + biases == 22_604
    assert report.weight_bytes == weights + 4 * biases


def test_onnx_examples_can_be_made_again(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "make_onnx.py"), str(tmp_path)], check=True, capture_output=True)
    for name in FILES[:2]:
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes()


def test_the_tflite_example_can_be_made_again(tmp_path: Path) -> None:
    """The same network; its scales may differ in the last bit where a processor rounds another way."""
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / "make_tflite.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    before, after = (multiprof.analyze(folder / FILES[2]) for folder in (EXAMPLES, tmp_path))
    assert [(row.name, row.op, row.macs, row.bytes) for row in after.layers] == [
        (row.name, row.op, row.macs, row.bytes) for row in before.layers
    ]
    assert list(after.graph.parameters) == list(before.graph.parameters)
