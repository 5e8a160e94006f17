"""The oracles themselves, against published figures and nets so small that a hand can count them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
EXAMPLES = Path(__file__).parents[2] / "examples"


def elements(kind: str, stored: Counter[tuple[str, tuple[int, ...]]]) -> int:
    return sum(number * int(np.prod(shape)) for (found, shape), number in stored.items() if found == kind)


@pytest.mark.parametrize(
    ("name", "image", "macs", "parameters"),
    [
        # the conv3-64 … conv3-512 of VGG-19 (Simonyan & Zisserman 2014), whose authors give 144 million parameters
        ("vgg19", "data_0", 19_632_062_464, 143_667_240),
        # Caffe's model zoo: AlexNet with groups, GoogLeNet without its auxiliary classifiers, SqueezeNet 1.1
        ("bvlc_alexnet", "data_0", 654_560_384, 60_965_224),
        ("inception_v1", "data_0", 1_431_556_352, 6_998_552),
        ("squeezenet", "data_0", 349_151_936, 1_235_496),
        # stride in the 3×3; and the queue's 1×1 tensor that the exporter left in
        ("resnet50", "gpu_0/data_0", 4_089_184_256, 25_557_032 + 1),
    ],
)
def test_published_networks(name: str, image: str, macs: int, parameters: int, oracle_onnx: ModuleType) -> None:
    found = oracle_onnx.count(LIGHT / f"light_{name}.onnx", {image: (1, 3, 224, 224)})
    assert found.macs.total() == macs
    assert elements("parameter", found.stored) == parameters


def written(body: str, folder: Path) -> Path:
    file = folder / "model.onnx"
    onnx.save(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}'), file)
    return file


def counted(body: str, folder: Path, oracle: ModuleType, **inputs: Any) -> dict[str, int]:
    return dict(oracle.count(written(body, folder), inputs).macs)


def test_products_by_hand(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    body = """net (float[2, 3, 8, 8] x, float[4, 3, 3, 3] w, float[4, 2, 3, 3] v, float[2, 5] a, float[2, 7] b) =>
        (float[N, 4, 6, 6] y, float[N, 4, 10, 10] z, float[5, 7] c, float[2, 5, 5] d) {
        y = Conv(x, w)
        z = ConvTranspose <group = 2> (y, v)
        c = Gemm <transA = 1> (a, b)
        e = Constant <value = float[5, 5] {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}> ()
        one = Constant <value = int64[1] {1}> ()
        column = Unsqueeze(a, one)
        product = MatMul(column, e)
        d = Add(product, e)
    }"""
    inputs = {"x": (2, 3, 8, 8), "w": (4, 3, 3, 3), "v": (4, 2, 3, 3), "a": (2, 5), "b": (2, 7)}
    assert counted(body, tmp_path, oracle_onnx, **inputs) == {
        "y": 2 * 4 * 6 * 6 * 27,  # every output is a sum of 3·3·3
        "z": 2 * 4 * 6 * 6 * 2 * 9,  # every input meets two filters of 3·3: 4 channels out in two groups
        "c": 5 * 7 * 2,
        "product": 2 * 1 * 5 * 5,
    }


def test_products_of_integers(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    body = """net (uint8[1, 3, 8, 8] x, uint8[5, 6] a) => (int32[1, 4, 6, 6] y, int32[5, 2] c, uint8[1, 4, 6, 6] z)
        <float one = {1.0}, uint8 zero = {0}> {
        y = ConvInteger(x, w)
        c = MatMulInteger(a, b)
        z = QLinearConv(x, one, zero, w, one, zero, one, zero)
    }"""
    file = written(body, tmp_path)
    model = onnx.load(file)
    for name, shape in {"w": (4, 3, 3, 3), "b": (6, 2)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, np.uint8), name))
    onnx.save(model, file)
    found = oracle_onnx.count(file, {"x": (1, 3, 8, 8), "a": (5, 6)})
    assert found.macs == {"y": 4 * 36 * 27, "c": 5 * 2 * 6, "z": 4 * 36 * 27}
    assert found.stored == {("parameter", (4, 3, 3, 3)): 1, ("parameter", (6, 2)): 1, ("constant", ()): 2}


def test_sequences_stop_at_their_lengths(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    body = """net (float[6, 2, 3] x, float[2, 16, 3] w, float[2, 16, 4] r, int32[2] lengths) => (float[6, 2, 2, 4] y) {
        y = LSTM <hidden_size = 4, direction = "bidirectional"> (x, w, r, , lengths)
    }"""
    inputs = {"x": (6, 2, 3), "w": (2, 16, 3), "r": (2, 16, 4), "lengths": np.array([6, 2])}
    # 6 + 2 steps, both directions, four gates of 4 units, each of 3 inputs and 4 states
    assert counted(body, tmp_path, oracle_onnx, **inputs) == {"y": 8 * 2 * 4 * 4 * (3 + 4)}


def test_branches_and_loops_as_they_run(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    body = """net (float[2, 3] x, float[3, 3] w, int64 trips, bool choice) => (float[2, 3] y, float[2, 3] z) {
        yes = Constant <value = bool {1}> ()
        y = Loop (trips, yes, x) <body = step (int64 i, bool on, float[2, 3] state) => (bool more, float[2, 3] next) {
            more = Identity(on)
            next = MatMul(state, w)
        }>
        z = If (choice) <
            then_branch = one () => (float[2, 3] first) { first = MatMul(y, w) },
            else_branch = two () => (float[2, 3] second) { half = MatMul(x, w)  second = MatMul(half, w) }
        >
    }"""
    inputs: dict[str, Any] = {"x": (2, 3), "w": (3, 3), "trips": np.array(5)}
    once = 2 * 3 * 3
    then = counted(body, tmp_path, oracle_onnx, **inputs, choice=np.array(True))
    assert then == {"next": 5 * once, "first": once}
    other = counted(body, tmp_path, oracle_onnx, **inputs, choice=np.array(False))
    assert other == {"next": 5 * once, "half": once, "second": once}


def test_what_is_stored(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    body = """net (float[1, 2, 4, 4] x, float[1, 3] q) => (float[1, 2, 4, 4] y, float[1, 2] z)
        <float[2] scale = {1, 1}, float[2] shift = {0, 0}, float[2] mean = {0, 0}, float[2] var = {1, 1},
         float[3] unused = {1, 2, 3}, int64[1] whole = {1}, float alone = {2.0},
         int8[3, 2] table = {1, 2, 3, 4, 5, 6}, float[2] steps = {0.5, 0.25}, int8[2] zeros = {0, 0}> {
        n = BatchNormalization(x, scale, shift, mean, var)
        y = Mul(n, alone)
        real = DequantizeLinear <axis = 1> (table, steps, zeros)
        z = MatMul(q, real)
    }"""
    found = oracle_onnx.count(written(body, tmp_path), {"x": (1, 2, 4, 4), "q": (1, 3)})
    assert found.stored == {
        ("parameter", (2,)): 2,  # scale and shift
        ("buffer", (2,)): 2,  # mean and variance
        ("parameter", (3,)): 1,  # unused, but there
        ("parameter", (3, 2)): 1,  # whole numbers that stand for real ones
        ("constant", (1,)): 1,
        ("constant", ()): 1,
        ("constant", (2,)): 2,  # how to make them real
    }


def test_an_unknown_operator_is_no_zero(tmp_path: Path, oracle_onnx: ModuleType) -> None:
    file = written("net (float[2, 2] x) => (float y) { y = Det(x) }", tmp_path)
    with pytest.raises(LookupError, match="Det"):
        oracle_onnx.count(file, {"x": (2, 2)})


def test_tflite_by_hand(oracle_tflite: ModuleType) -> None:
    found = oracle_tflite.count(EXAMPLES / "keywords_int8.tflite", {})
    places = 25 * 5
    block = [places * 64 * 9, places * 64 * 64]
    assert list(found.macs.values()) == [places * 64 * 40, *block * 4, 64 * 12]
    assert elements("parameter", found.stored) == 64 * (40 + 4 * (9 + 64)) + 64 * 12 + 64 * (1 + 4 * 2) + 12


def test_tflite_inputs_of_another_shape(oracle_tflite: ModuleType) -> None:
    found = oracle_tflite.count(EXAMPLES / "keywords_int8.tflite", {"sound": (3, 49, 10, 1)})
    assert found.macs.total() == 3 * 2_656_768
