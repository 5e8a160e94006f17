"""Gluon's recurrent layers, exported; loops; numpy-style blocks; types: shapes, macs and parameters against MXNet."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import pytest

import multiprof

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def export(checker: Any, net: Any, *arrays: Any) -> Path:
    net.initialize()
    net.hybridize()
    net(*arrays)
    net.export(str(checker.folder / "net"))
    return Path(checker.folder / "net-symbol.json")


def stored(net: Any) -> int:
    return sum(prod(value.shape) for value in net.collect_params().values())


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layout", ["TNC", "NTC"])
def test_recurrent_layers(checker: Any, kind: str, layers: int, both: bool, layout: str) -> None:
    """7 steps of 2 sequences with 5 features, 6 units: per layer and direction 14·G·6·(C + 6) multiply-adds."""
    mx = checker.mx
    net = getattr(mx.gluon.rnn, kind)(6, num_layers=layers, bidirectional=both, layout=layout)
    shape = (7, 2, 5) if layout == "TNC" else (2, 7, 5)
    path = export(checker, net, mx.nd.zeros(shape))
    directions = 2 if both else 1
    macs = sum(directions * 14 * GATES[kind] * 6 * ((5 if i == 0 else 6 * directions) + 6) for i in range(layers))
    with_values = multiprof.analyze(path, {"data0" if "data0" in path.read_text() else "data": shape}, strict=True)
    assert (with_values.macs, with_values.params) == (macs, stored(net))
    assert sum(row.layer.op in ("lstm", "gru", "rnn") for row in with_values.layers) == layers * directions
    (checker.folder / "net-0000.params").unlink()
    without = multiprof.analyze(path, {"data0" if "data0" in path.read_text() else "data": shape}, strict=True)
    assert (without.macs, without.params) == (macs, stored(net))


@pytest.mark.parametrize("layers", [1, 2])
def test_widths_that_gluon_did_not_know(checker: Any, layers: int) -> None:
    """Exported symbols of layers without ``input_size`` hold matrices of unknown width (``__shape__`` (24, 0))."""
    mx = checker.mx
    net = mx.gluon.rnn.LSTM(6, num_layers=layers, bidirectional=True)
    sym = net(mx.sym.var("data"))
    path = checker.save(sym[0] if isinstance(sym, (list, tuple)) else sym)
    report = multiprof.analyze(path, {"data": (7, 2, 5)}, strict=True)
    below = [5] + [12] * (layers - 1)
    assert report.macs == sum(2 * 14 * 24 * (width + 6) for width in below)
    assert report.params == sum(2 * (24 * (width + 6) + 48) for width in below)


def test_unrolled_cells(checker: Any) -> None:
    """Cells are fully connected layers; each step of 2 sequences costs 2·24·(5 + 6), unrolled 4 times."""
    mx = checker.mx
    cell = mx.gluon.rnn.LSTMCell(6)
    outputs, _ = cell.unroll(4, mx.sym.var("data"), layout="NTC", merge_outputs=True)
    shapes = {"data": (2, 4, 5)}
    report = multiprof.analyze(checker.save(outputs), shapes, strict=True)
    assert report.macs == 4 * 2 * 24 * (5 + 6)
    assert report.params == 24 * (5 + 6) + 48


def test_foreach(checker: Any) -> None:
    mx, s = checker.mx, checker.mx.sym

    def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden = s.FullyConnected(x, num_hidden=4, name="fc") + states[0]
        return s.relu(hidden), [hidden]

    outputs, states = s.contrib.foreach(step, s.var("data"), [s.var("h")])
    sym = mx.sym.Group([outputs, *states])
    shapes = {"data": (6, 2, 3), "h": (2, 4)}
    path = checker.check(sym, shapes)
    report = multiprof.analyze(path, shapes, strict=True)
    assert report.macs == 6 * 2 * 3 * 4
    assert report.params == 3 * 4 + 4


def test_while_loop_and_cond(checker: Any) -> None:
    s = checker.mx.sym
    i, total = s.var("i"), s.var("total")
    outputs, states = s.contrib.while_loop(
        lambda i, total: s.sum(i) < 5,
        lambda i, total: ([i + total], [i + 1, total * i]),
        (i, total),
        max_iterations=10,
    )
    sym = checker.mx.sym.Group([outputs[0], *states])
    path = checker.save(sym)
    shapes = {"i": (3,), "total": (3,)}
    report = multiprof.analyze(path, shapes, trips={next(iter(multiprof.analyze(path, shapes).graph.regions)): 4})
    assert [spec.shape for spec in report.graph.outputs] == [(10, 3), (3,), (3,)]
    assert report.flops == 4 * (2 + 1 + 3 * 3)  # the sum over 3, the comparison, three operations on 3
    a, b = s.var("a"), s.var("b")
    chosen = s.contrib.cond(s.sum(a) < 5, lambda: (a + 5) * (b + 5), lambda: a - b)
    report = multiprof.analyze(checker.save(chosen, "cond"), {"a": (4,), "b": (4,)}, strict=True)
    assert [spec.shape for spec in report.graph.outputs] == [(4,)]
    assert report.flops == 3 + 1 + 3 * 4  # sum over 4, comparison, and the dearer branch


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_types(checker: Any, dtype: str) -> None:
    """Types of every internal of a network that was cast, by MXNet's own inference."""
    mx = checker.mx
    net = mx.gluon.model_zoo.vision.get_model("mobilenet0.25")
    net.cast(dtype)
    sym = net(mx.sym.var("data"))
    internals = sym.get_internals()
    arguments, made, states = internals.infer_type(data=dtype)
    expected = dict(zip(internals.list_outputs(), made, strict=True))
    expected.update(zip(internals.list_arguments(), arguments, strict=True))
    expected.update(zip(internals.list_auxiliary_states(), states, strict=True))
    report = multiprof.analyze(checker.save(sym), multiprof.TensorSpec((1, 3, 224, 224), dtype))
    found = {spec.name: spec.dtype for row in report.layers for spec in (*row.layer.inputs.values(), row.layer.y)}
    differ = {
        name: (found[name], value.__name__)
        for name, value in expected.items()
        if name in found and found[name] != value.__name__
    }
    assert not differ
    assert len(found.keys() & expected.keys()) > 100


def test_numpy_style_blocks(checker: Any) -> None:
    """Deep-numpy networks export operators of other names."""
    mx = checker.mx
    npx = mx.npx
    npx.set_np()
    try:
        net = mx.gluon.nn.HybridSequential()
        net.add(
            mx.gluon.nn.Conv2D(8, 3, padding=1, activation="relu"),
            mx.gluon.nn.BatchNorm(),
            mx.gluon.nn.MaxPool2D(2),
            mx.gluon.nn.Dense(10),
            mx.gluon.nn.LayerNorm(),
        )
        path = export(checker, net, mx.np.zeros((2, 3, 8, 8)))
    finally:
        npx.reset_np()
    text = path.read_text()
    assert "_npx_" in text or "_np" in text
    report = multiprof.analyze(path, (2, 3, 8, 8), strict=True)
    assert report.macs == 2 * 8 * 64 * 27 + 2 * 8 * 16 * 10
    assert report.params + report.buffers == stored(net)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_macs_by_execution(checker: Any, rank: int, groups: int) -> None:
    """With data and weights of ones every output element of a convolution is the number of its products; the padding
    counts too, so there is none. A deconvolution's uncropped result sums to all of its products."""
    mx = checker.mx
    shape = (2, 4, *(6,) * rank)
    for op, weight in (
        ("Convolution", (6, 4 // groups, *(3,) * rank)),
        ("Deconvolution", (4, 6 // groups, *(3,) * rank)),
    ):
        if (op, rank) == ("Deconvolution", 3) and mx.__version__ < "1.8":
            continue  # MXNet 1.7 has it on GPUs alone
        attrs = {"kernel": (3,) * rank, "stride": (2,) * rank, "num_filter": 6, "num_group": groups, "no_bias": True}
        made = getattr(mx.nd, op)(mx.nd.ones(shape), mx.nd.ones(weight), **attrs)
        sym = getattr(mx.sym, op)(mx.sym.var("data"), name="op", **attrs)
        report = multiprof.analyze(checker.save(sym), shape)
        assert report.macs == int(made.sum().asscalar())
        assert report.graph.outputs[0].shape == made.shape
