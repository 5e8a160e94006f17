"""Parameter files: every age of the format, found beside the symbol, checked against it, never trusted."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest

import multiprof
from multiprof.adapters.mxnet import params
from multiprof.errors import ModelError, MultiprofError


def dense(files: Any) -> dict[str, Any]:
    net = files.Net()
    x = net.op("FullyConnected", "fc", [net.var("data")], "weight", "bias", num_hidden=4)
    return net.graph(net.op("broadcast_mul", "scaled", [x, net.var("scale")]))


ARRAYS = {"arg:fc_weight": ((4, 3), "float16"), "arg:fc_bias": ((4,), "float16"), "arg:scale": ((1,), "float16")}


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_every_age(files: Any, version: int) -> None:
    path = files.symbol(dense(files))
    stored = files.params(ARRAYS, version=version)
    assert {name: (spec.shape, spec.dtype) for name, spec in params.load(stored).items()} == ARRAYS
    report = multiprof.analyze(path, (2, 3))
    assert (report.params, report.macs) == (4 * 3 + 4 + 1, 2 * 4 * 3)
    assert report.weight_bytes == 2 * report.params
    assert report.graph.inputs[0].dtype == "float16"  # as the weights that meet it
    assert report.model["file_bytes"] == path.stat().st_size + stored.stat().st_size


def test_sparse_arrays(files: Any) -> None:
    """row_sparse: the rows that are stored, their numbers behind them; the shape is that of the whole."""
    body = struct.pack("<IiiqqiqqiiiiiqI", 0xF993FAC9, 1, 2, 2, 3, 2, 10, 3, 1, 0, 0, 6, 1, 2, 0)[:-4]
    raw = (
        struct.pack("<QQQ", 0x112, 0, 1) + body + bytes(2 * 3 * 4) + bytes(2 * 8) + struct.pack("<QQ", 1, 5) + b"table"
    )
    path = files.folder / "sparse.params"
    path.write_bytes(raw)
    assert params.load(path)["table"].shape == (10, 3)


def test_the_last_epoch_is_taken(files: Any) -> None:
    path = files.symbol(dense(files))
    assert params.find(path) is None
    for name in ("net.params", "net-0003.params", "net-0012.params", "net-x.params", "network-0099.params"):
        files.params(ARRAYS, name)
    found = params.find(path)
    assert found is not None and found.name == "net-0012.params"
    assert params.find(files.folder / "network-symbol.json") == files.folder / "network-0099.params"


def test_shapes_must_agree(files: Any) -> None:
    path = files.symbol(dense(files))
    files.params({**ARRAYS, "arg:fc_weight": ((4, 5), "float16")})
    with pytest.raises(ModelError, match=r"node fc \(FullyConnected\).*'fc_weight' has the shape 4×5; 4×3 is needed"):
        multiprof.analyze(path, (2, 3))


def test_unused_arrays_are_declared(files: Any) -> None:
    path = files.symbol(dense(files))
    files.params({**ARRAYS, "aux:left_over": ((7,), "float32")})
    report = multiprof.analyze(path, (2, 3))
    assert report.params == 17 + 7
    assert "left_over" in report.graph.parameters


def test_the_parameters_of_another_network(files: Any) -> None:
    path = files.symbol(dense(files))
    files.params({"0.weight": ((4, 3), "float32")})
    report = multiprof.analyze(path, {"data": (2, 3), "scale": (1,)})
    assert report.params == 4 * 3 + 4
    assert any("net-0000.params holds none" in warning for warning in report.warnings)


def test_truncated_and_flipped(files: Any) -> None:
    """Whatever is damaged: a report, or an error of ours that names a file."""
    path = files.symbol(dense(files))
    stored = files.params(ARRAYS)
    raw = stored.read_bytes()
    for length in range(len(raw)):
        stored.write_bytes(raw[:length])
        with pytest.raises(ModelError, match=r"net-0000\.params"):
            multiprof.analyze(path, (2, 3))
    random = Random(7)
    for _ in range(500):
        damaged = bytearray(raw)
        for _ in range(random.randint(1, 3)):
            damaged[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        stored.write_bytes(bytes(damaged))
        try:
            multiprof.analyze(path, (2, 3))
        except MultiprofError as error:
            assert "net" in str(error)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ends within the head"),
        (struct.pack("<QQQ", 0x113, 0, 0), "does not begin"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 60), "arrays"),
        (struct.pack("<QQQI", 0x112, 0, 1, 10**6), "1000000 dimensions"),
        (struct.pack("<QQQIiiqq", 0x112, 0, 1, 0xF993FAC9, 0, 2, -1, 4), "shape"),
        (struct.pack("<QQQIii", 0x112, 0, 1, 0xF993FAC9, 9, 2), "storage type 9"),
        (struct.pack("<QQQIiiqqiii", 0x112, 0, 1, 0xF993FAC9, 0, 2, 10**9, 10**9, 1, 0, 0), "ends within"),
        (struct.pack("<QQQIiiqqiii", 0x112, 0, 1, 0xF993FAC9, 0, 2, 1, 1, 1, 0, 77), "element type 77"),
        (struct.pack("<QQQQ", 0x112, 0, 0, 3), "names"),
    ],
)
def test_damage_is_named(files: Any, raw: bytes, words: str) -> None:
    path = files.folder / "bad.params"
    path.write_bytes(raw)
    with pytest.raises(ModelError, match=f"bad.params.*{words}"):
        params.load(path)
