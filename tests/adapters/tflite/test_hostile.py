"""Broken and hostile files: a Graph or a ModelError that names file and place, soon and in bounded memory."""

from __future__ import annotations

import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multiprof
from multiprof.adapters.tflite import read
from multiprof.adapters.tflite.flatbuffer import File, Table
from multiprof.errors import ModelError, MultiprofError
from multiprof.inputs import ReadOptions

f32 = np.float32
REAL = Path(__file__).parents[3] / "examples" / "keywords_int8.tflite"
SLOW = 5.0  # seconds, far above the milliseconds it takes: a hang and not a busy machine


def attempt(path: Path) -> str:
    """Read a file: the error's text, or empty. Anything but a `MultiprofError` goes through to the test."""
    begin = time.monotonic()
    try:
        multiprof.analyze(path, framework="tflite")
        message = ""
    except MultiprofError as error:
        message = str(error)
        assert "\n" not in message
        assert "reading the model" not in message, message  # the last net of the caller, not ours
    assert time.monotonic() - begin < SLOW
    return message


def test_truncated_at_every_percent(tmp_path: Path) -> None:
    data = REAL.read_bytes()
    path = tmp_path / "cut.tflite"
    refused = 0
    for percent in range(100):
        path.write_bytes(data[: len(data) * percent // 100])
        message = attempt(path)
        refused += bool(message)
        assert not message or "cut.tflite" in message
    assert refused >= 99  # only padding may be missed


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bits(tmp_path: Path, seed: int) -> None:
    """400 mutations in all, half of them in the file's last bytes, where the tables of this file are."""
    data = REAL.read_bytes()
    chance = random.Random(seed)
    path = tmp_path / "flipped.tflite"
    refused = 0
    for _ in range(20):
        broken = bytearray(data)
        for _ in range(chance.choice((1, 4, 20))):
            place = chance.randrange(len(data)) if chance.random() < 0.5 else len(data) - 1 - chance.randrange(8000)
            broken[place] = chance.choice((broken[place] ^ 1 << chance.randrange(8), 0, 255, 128, 127))
        path.write_bytes(broken)
        refused += bool(attempt(path))
    assert refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are no TFLite model"),
        (b"\x1c\0\0\0TFL", "7 bytes"),
        (b"\x1c\0\0\0ABCD" + b"\0" * 60, "not b'TFL3'"),
        (b"\xff\xff\xff\xffTFL3" + b"\0" * 60, "points to 4294967295"),
        (b"\x08\0\0\0TFL3" + struct.pack("<i", -50) + b"\0" * 8, "an offset points to"),
        (b"\x08\0\0\0TFL3" + struct.pack("<i", 50) + b"\0" * 8, "before the file's beginning"),
        (b"\x0c\0\0\0TFL3\0\0\0\0" + struct.pack("<i", 4) + b"\0" * 8, "list of fields takes 0 bytes"),
    ],
)
def test_headers(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    assert message in attempt(path)


def table(fields: list[bytes]) -> tuple[bytes, int]:
    """A table and its list of fields before it, and where the table begins; all fields have four bytes."""
    offsets = struct.pack(f"<{2 + len(fields)}H", 4 + 2 * len(fields), 4, *(4 + 4 * i for i in range(len(fields))))
    return offsets + struct.pack("<i", len(offsets)) + b"".join(fields), len(offsets)


@pytest.mark.parametrize("length", [1 << 32, (1 << 32) - 1, 1 << 20, 9])
def test_vectors_longer_than_the_file(tmp_path: Path, length: int) -> None:
    data, start = table([struct.pack("<I", 4)])
    path = tmp_path / "vector.bin"
    path.write_bytes(data + struct.pack("<I", length & 0xFFFFFFFF or length - 1) + b"\0" * 8)
    found = Table(File(path), start, "here")
    for kind in ("i32", "u8"):
        with pytest.raises(ModelError, match=r"vector.bin: here: a vector of \d+ elements"):
            found.vector(0, kind)
    with pytest.raises(ModelError, match="a vector of"):
        found.tables(0, "thing", 1 << 40)
    with pytest.raises(ModelError, match="a vector of"):
        found.string(0)


def test_a_table_that_is_its_own_field(tmp_path: Path) -> None:
    """Following it ends by the budget of what one file may make us decode."""
    data, start = table([struct.pack("<i", -4)])
    path = tmp_path / "self.bin"
    path.write_bytes(data)
    found = Table(File(path), start, "here")
    data = bytearray(data)
    data[start + 4 : start + 8] = struct.pack("<I", (1 << 32) - 4)
    path.write_bytes(bytes(data))
    found = Table(File(path), start, "here")
    with pytest.raises(ModelError, match="an offset points to"):  # offsets are unsigned: they lead forward only
        found.table(0, "there")


def test_shared_vectors_are_bounded(tmp_path: Path) -> None:
    """A megabyte of zeros, decoded again and again as one vector."""
    data, start = table([struct.pack("<I", 4)])
    path = tmp_path / "shared.bin"
    path.write_bytes(data + struct.pack("<I", 1 << 20) + b"\0" * (1 << 20))
    found = Table(File(path), start, "here")
    with pytest.raises(ModelError, match="no model is that large"):
        for _ in range(1000):
            found.vector(0, "u8")


def relu(build: Any, shape: tuple[int, ...], operator: Callable[[Any, int, int], None] | None = None) -> None:
    graph = build.graph()
    x, y = graph.input(shape, name="x"), graph.tensor((), name="y")
    if operator is None:
        graph.op("RELU", [x], [y])
    else:
        operator(graph, x, y)
    graph.output(y)


def test_a_tensor_of_1e18_elements_is_arithmetic(build: Any, case: Callable[..., Any]) -> None:
    relu(build, (10**9, 10**9))
    report = case(build).report()
    assert report.flops == 10**18
    assert report.peak_bytes == 8 * 10**18


@pytest.mark.parametrize(
    ("shape", "message"),
    [((-5, 3), "negative dimension"), ((1,) * 65, "65 dimensions")],
)
def test_shapes_that_are_none(build: Any, case: Callable[..., Any], shape: tuple[int, ...], message: str) -> None:
    relu(build, shape)
    path = case(build).path
    assert message in attempt(path)


def test_nothing_costs_nothing(build: Any, case: Callable[..., Any]) -> None:
    relu(build, (0, 4))
    report = case(build).report()
    assert (report.flops, report.peak_bytes, report.coverage) == (0, 0, 1)


def bad(number: int) -> Callable[[Any, int, int], None]:
    """Operators that refer to what is not there, or whose operands contradict one another."""

    def write(graph: Any, x: int, y: int) -> None:
        c = graph.constant
        cases: list[tuple[str, list[int], list[int]]] = [
            ("RELU", [77], [y]),
            ("RELU", [-7], [y]),
            ("RELU", [x], [77]),
            ("RELU", [], [y]),
            ("RELU", [x], []),
            ("RELU", [graph.tensor((1,), name="lost")], [y]),
            ("CONV_2D", [x, c(np.ones((4, 3, 3, 2), f32))], [y]),  # strides of 0
            ("TRANSPOSE", [x, c(np.array([0, 0, 1, 2], np.int32))], [y]),
            ("RESHAPE", [x, c(np.array([7, -1], np.int32))], [y]),
            ("SPLIT", [c(np.array(9, np.int32)), x], [y]),
            ("PAD", [x, c(np.array([[1, 2]], np.int32))], [y]),
            ("GATHER", [x, c(np.array([], np.float32))], []),
            ("WHILE", [x], [y]),
            ("IF", [x], [y]),
            ("FULLY_CONNECTED", [x, c(np.ones((0, 0), f32))], [y]),
            ("TILE", [x, c(np.array([-1, 1, 1, 1], np.int32))], [y]),
            ("READ_VARIABLE", [x], [y]),
            ("UNIDIRECTIONAL_SEQUENCE_LSTM", [x], [y]),
            ("SVDF", [x, c(np.ones((4, 2), f32)), c(np.ones((4, 2), f32)), -1, x], [y]),
            ("STRIDED_SLICE", [x, *[c(np.array([9] * 4, np.int32))] * 2, c(np.array([0] * 4, np.int32))], [y]),
        ]
        code, inputs, outputs = cases[number]
        graph.op(code, inputs, outputs)

    return write


@pytest.mark.parametrize("number", range(20))
def test_operators_that_cannot_be(build: Any, case: Callable[..., Any], number: int) -> None:
    relu(build, (1, 4, 4, 2), bad(number))
    message = attempt(case(build).path)
    assert message.startswith("net.tflite: subgraph 0")


@pytest.mark.parametrize(("sizes", "why"), [((1, 9, 8, 4), "does not go with"), ((2, 8, 8, 4), "is not of the batch")])
def test_transposed_convolutions_refuse_what_the_interpreter_refuses(
    build: Any, case: Callable[..., Any], options: Callable[..., Any], sizes: tuple[int, ...], why: str
) -> None:
    graph = build.graph()
    x, y = graph.input((1, 4, 4, 2), name="x"), graph.tensor((), name="y")
    operands = [graph.constant(np.array(sizes, np.int32)), graph.constant(np.ones((4, 3, 3, 2), f32)), x]
    graph.op("TRANSPOSE_CONV", operands, [y], options("TransposeConv", strideH=2, strideW=2))
    graph.output(y)
    made = case(build)
    with pytest.raises(RuntimeError):
        made.executed()
    assert why in attempt(made.path)


def test_contents_shorter_than_the_shape(build: Any, case: Callable[..., Any]) -> None:
    relu(build, (1,), lambda graph, x, y: graph.op("ADD", [x, graph.tensor((1000, 1000), data=b"1234", name="w")], [y]))
    assert "subgraph 0, tensor 2 (w): its shape (1000, 1000) takes 4000000 bytes" in attempt(case(build).path)


def test_contents_behind_the_flatbuffer(build: Any, case: Callable[..., Any], options: Callable[..., Any]) -> None:
    """Large files keep weights after the tables, at a position of 64 bits."""
    graph = build.graph()
    x, y = graph.input((2, 4), name="x"), graph.tensor((2, 6), name="y")
    weight = graph.tensor((6, 4), name="w", data=b"")
    graph.op("FULLY_CONNECTED", [x, weight, -1], [y], options("FullyConnected"))
    graph.output(y)
    buffer = build.model.buffers[-1]
    buffer.data, buffer.offset, buffer.size = None, 1 << 20, 96
    made = case(build)
    assert "its contents reach to byte 1048672" in attempt(made.path)
    with made.path.open("r+b") as stream:
        stream.truncate((1 << 20) + 96)
    report = made.report()
    assert (report.macs, report.params) == (48, 24)


def test_numbers_that_grow_without_end_are_not_followed(build: Any, case: Callable[..., Any]) -> None:
    """A thousand squarings of 10: a number of 10³⁰⁰ digits, if one computed it."""
    graph = build.graph()
    last = graph.constant(np.array([10], np.int32))
    for _ in range(1000):
        y = graph.tensor((1,), "int32")
        graph.op("MUL", [last, last], [y])
        last = y
    graph.output(last)
    begin = time.monotonic()
    case(build).graph()
    assert time.monotonic() - begin < SLOW


def test_a_chain_of_ten_thousand_operators(build: Any, case: Callable[..., Any]) -> None:
    graph = build.graph()
    last = graph.input((4,))
    for _ in range(10_000):
        y = graph.tensor((4,))
        graph.op("RELU", [last], [y])
        last = y
    graph.output(last)
    assert case(build).report().flops == 40_000


def test_subgraphs_nested_too_deep(build: Any, case: Callable[..., Any], options: Callable[..., Any]) -> None:
    for number in range(100):
        graph = build.graph()
        x, y = graph.input((4,)), graph.tensor((4,))
        if number < 99:
            graph.op("CALL", [x], [y], options("Call", subgraph=number + 1))
        else:
            graph.op("RELU", [x], [y])
        graph.output(y)
    assert "more than 40 subgraphs call one another" in attempt(case(build).path)


def test_ten_million_operators_in_bounded_memory(tmp_path: Path) -> None:
    """All of them one shared table: 40 MB of offsets. Refused by their number, before they are decoded."""
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "import multiprof\n"
        "try:\n    multiprof.analyze(sys.argv[1])\n"
        "except multiprof.MultiprofError as error:\n    print(error)\n"
    )
    count = 10_000_000
    root, at_root = table([struct.pack("<I", 3)] + [struct.pack("<I", 0)] * 4)
    opcode, at_opcode = table([struct.pack("<I", 0)])
    graph, at_graph = table([struct.pack("<I", 0)] * 4)
    # offsets lead forward: the vectors of operator codes and of subgraphs, the tables they name, an empty vector
    parts = [b"\0\0\0\0TFL3", root, struct.pack("<4I", 1, 0, 1, 0), opcode, graph, struct.pack("<I", 0)]
    _, first, vectors, third, fourth, empty = (sum(len(p) for p in parts[:i]) for i in range(6))
    data = bytearray(b"".join(parts))
    operators = len(data)

    def point(position: int, target: int) -> None:
        data[position : position + 4] = struct.pack("<I", target - position)

    point(0, first + at_root)
    for slot, target in ((1, vectors), (2, vectors + 8), (3, empty), (4, empty)):
        point(first + at_root + 4 + 4 * slot, target)
    point(vectors + 4, third + at_opcode)
    point(vectors + 12, fourth + at_graph)
    for slot, target in ((0, empty), (1, empty), (2, empty), (3, operators)):
        point(fourth + at_graph + 4 + 4 * slot, target)
    data += struct.pack("<I", count)
    path = tmp_path / "many.tflite"
    with path.open("wb") as stream:
        stream.write(data)
        stream.truncate(len(data) + 4 * count + 64)
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=REAL.parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "many.tflite: subgraph 0: 10000000 tables of the kind 'operator'" in done.stdout
    assert time.monotonic() - begin < 10 * SLOW


def test_reading_leaves_the_contents_alone(tmp_path: Path, build: Any, options: Callable[..., Any]) -> None:
    """A hole of 200 MB for weights, which a reader that touches them would have in memory."""
    graph = build.graph()
    x, y = graph.input((2, 5000), name="x"), graph.tensor((2, 10_000), name="y")
    weight = graph.tensor((10_000, 5000), name="w", data=b"")
    graph.op("FULLY_CONNECTED", [x, weight, -1], [y], options("FullyConnected"))
    graph.output(y)
    buffer = build.model.buffers[-1]
    buffer.data, buffer.offset, buffer.size = None, 1 << 16, 200_000_000
    path = build.save()
    with path.open("r+b") as stream:
        stream.truncate((1 << 16) + 200_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(path, None, leaves=frozenset(), trace=None, options=ReadOptions())
    assert found.parameters["w"].spec.nbytes == 200_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes
