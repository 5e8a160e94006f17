"""Live blocks, symbols and modules: the graphs of their exports; costs by arithmetic; nothing of them changed."""

from __future__ import annotations

import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multiprof
from multiprof import Inputs, InputsError, ModelError

ZOO = ("alexnet", "densenet121", "inceptionv3", "mobilenet0.5", "mobilenetv2_0.5", "resnet18_v1", "resnet50_v2",
       "squeezenet1.1", "vgg11_bn")  # fmt: skip


def exported(net: Any, folder: Path, *arrays: Any) -> Path:
    net.initialize()
    net.hybridize()
    net(*arrays)
    net.export(str(folder / net.name))
    return folder / f"{net.name}-symbol.json"


def without_trainable(graph: Any) -> list[Any]:
    return [(key, p.spec, p.kind, p.source, p.tied) for key, p in graph.parameters.items()]


def assert_equal(live: multiprof.Report, file: multiprof.Report) -> None:
    """All but what tells where the model came from, and what only the live one knows is frozen."""
    a, b = live.graph, file.graph
    assert (a.name, a.inputs, a.outputs, a.layers, a.regions) == (b.name, b.inputs, b.outputs, b.layers, b.regions)
    assert without_trainable(a) == without_trainable(b)
    differ = {key for key in a.metadata | b.metadata if a.metadata.get(key) != b.metadata.get(key)}
    assert differ <= {"rung", "format", "file_bytes"}
    assert [row.cost for row in live.layers] == [row.cost for row in file.layers]
    assert (live.macs, live.flops, live.params, live.buffers) == (file.macs, file.flops, file.params, file.buffers)


@pytest.mark.parametrize("name", ZOO)
def test_live_and_exported_are_equal(checker: Any, name: str, tmp_path: Path) -> None:
    """Before its parameters have shapes, once it has run, and exported; parameters against Gluon's own."""
    mx = checker.mx
    net = mx.gluon.model_zoo.vision.get_model(name)
    size = 299 if name == "inceptionv3" else 224
    fresh = multiprof.analyze(net, (1, 3, size, size), strict=True)
    path = exported(net, tmp_path, mx.nd.zeros((1, 3, size, size)))
    live = multiprof.analyze(net, mx.nd.zeros((1, 3, size, size)), strict=True)
    file = multiprof.analyze(path, (1, 3, size, size), strict=True)
    assert_equal(fresh, file)
    assert_equal(live, file)
    parameters = net.collect_params()
    assert live.params + live.buffers == sum(prod(p.shape) for p in parameters.values())
    declared = live.graph.parameters
    assert {key: p.trainable for key, p in declared.items()} == {k: p.grad_req != "null" for k, p in parameters.items()}
    assert {key for key, p in declared.items() if p.kind == "buffer"} == {
        key for key in parameters if key.endswith(("running_mean", "running_var"))
    }


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_block_inside_another(checker: Any, kind: str, tmp_path: Path) -> None:
    mx = checker.mx
    net = mx.gluon.nn.HybridSequential()
    net.add(getattr(mx.gluon.rnn, kind)(6, bidirectional=True), mx.gluon.nn.Dense(3, flatten=False))
    path = exported(net, tmp_path, mx.nd.zeros((7, 2, 5)))
    live = multiprof.analyze(net, (7, 2, 5), strict=True)
    assert_equal(live, multiprof.analyze(path, (7, 2, 5), strict=True))
    gates = {"LSTM": 4, "GRU": 3}[kind]
    assert live.macs == 2 * 14 * gates * 6 * (5 + 6) + 14 * 12 * 3


def test_recurrent_block_with_its_states(checker: Any, tmp_path: Path) -> None:
    """Alone, it is exported with its states as inputs; live it makes them where they are not given."""
    mx = checker.mx
    net = mx.gluon.rnn.LSTM(6)
    state = mx.nd.zeros((1, 2, 6))
    path = exported(net, tmp_path, mx.nd.zeros((7, 2, 5)), [state, state])
    shapes = {"data0": (7, 2, 5), "data1": (1, 2, 6), "data2": (1, 2, 6)}
    live = multiprof.analyze(net, Inputs((7, 2, 5), [(1, 2, 6), state]), strict=True)
    assert_equal(live, multiprof.analyze(path, shapes, strict=True))
    made = multiprof.analyze(net, (7, 2, 5), strict=True)
    assert made.macs == live.macs == 14 * 24 * (5 + 6)
    assert [spec.name for spec in made.graph.inputs] == ["data"]


def test_several_inputs_by_position_and_name(checker: Any) -> None:
    mx = checker.mx

    class Two(mx.gluon.HybridBlock):
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.dense = mx.gluon.nn.Dense(3)

        def hybrid_forward(self, F: Any, x: Any, y: Any = None) -> Any:
            return self.dense(x if y is None else x + y)

    net = Two()
    for given in (
        [(2, 4), (2, 4)],
        Inputs((2, 4), y=(2, 4)),
        {"x": (2, 4), "y": (2, 4)},
        {"data0": (2, 4), "y": (2, 4)},
    ):
        report = multiprof.analyze(net, given, strict=True)
        assert [spec.name for spec in report.graph.inputs] == ["data0", "data1"]
        assert report.flops == 2 * 4 + 2 * 2 * 3 * 4 + 2 * 3  # the sum, the products, the bias
    assert multiprof.analyze(net, {"x": (2, 4)}).flops == 2 * 2 * 3 * 4 + 2 * 3
    with pytest.raises(InputsError, match="needs the input 'x' too"):
        multiprof.analyze(net, {"y": (2, 4)})
    with pytest.raises(InputsError, match="has no input 'z'; it has x, y"):
        multiprof.analyze(net, {"z": (2, 4)})
    with pytest.raises(InputsError, match=r"3 inputs are given; .* has 2: x, y"):
        multiprof.analyze(net, [(2, 4)] * 3)
    with pytest.raises(InputsError, match="given twice"):
        multiprof.analyze(net, Inputs((2, 4), x=(2, 4)))
    with pytest.raises(InputsError, match="needs inputs: a block does not say what goes in"):
        multiprof.analyze(net)


def test_blocks_that_are_not_hybrid(checker: Any) -> None:
    mx = checker.mx
    net = mx.gluon.nn.Sequential()
    net.add(mx.gluon.nn.Dense(4), mx.gluon.nn.BatchNorm(), mx.gluon.nn.Dense(2))
    report = multiprof.analyze(net, (3, 5), strict=True)
    assert report.macs == 3 * (5 * 4 + 4 * 2)
    assert (report.params, report.buffers) == (5 * 4 + 4 + 4 + 4 + 4 * 2 + 2, 4 + 4)

    class Arrays(mx.gluon.Block):
        def forward(self, x: Any) -> Any:
            return mx.nd.relu(x).asnumpy()

    class Shapes(mx.gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return x.reshape((x.shape[0], -1))

    for net, why in (
        (Arrays(), "asnumpy is not implemented for Symbol"),
        (Shapes(), "'Symbol' object has no attribute 'shape'"),
    ):
        with pytest.raises(ModelError, match=f"cannot be traced: it is called with symbols.*{why}") as caught:
            multiprof.analyze(net, (2, 4))
        assert "\n" not in str(caught.value)


def test_constants_frozen_and_unread_parameters_and_operators_of_ones_own(checker: Any) -> None:
    """Shapes behind a custom operator are MXNet's: its 9 columns make the dense layer's weight 3×9."""
    mx = checker.mx

    @mx.operator.register("multiprof_nine")
    class Nine(mx.operator.CustomOpProp):  # type: ignore[misc]
        def infer_shape(self, shapes: Any) -> Any:
            return shapes, [[shapes[0][0], 9]], []

    class Net(mx.gluon.HybridBlock):
        def __init__(self) -> None:
            super().__init__(prefix="net_")
            with self.name_scope():
                self.dense = mx.gluon.nn.Dense(3)
                self.dense.weight.grad_req = "null"
                self.constant = self.params.get_constant("constant", mx.nd.ones((1, 2)))
                self.unread = self.params.get("unread", shape=(5,))
                self.unknown = self.params.get("unknown", shape=(0,), allow_deferred_init=True)

        def hybrid_forward(self, F: Any, x: Any, constant: Any, unread: Any, unknown: Any) -> Any:
            return self.dense(F.Custom(F.broadcast_add(x, constant), op_type="multiprof_nine"))

    report = multiprof.analyze(Net(), (2, 2))
    found = {name: (p.spec.shape, p.kind, p.trainable) for name, p in report.graph.parameters.items()}
    assert found == {
        "net_constant": ((1, 2), "constant", False),
        "net_dense0_weight": ((3, 9), "parameter", False),
        "net_dense0_bias": ((3,), "parameter", True),
        "net_unread": ((5,), "parameter", True),
    }
    assert report.macs == 2 * 3 * 9
    assert any("net_unknown" in warning for warning in report.graph.metadata["warnings"])
    assert "mxnet.Custom.multiprof_nine" in [row.layer.op for row in report.layers]


def test_types_and_numpy_style(checker: Any) -> None:
    mx = checker.mx
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(3))
    net.cast("float16")
    graph = multiprof.analyze(net, mx.nd.zeros((2, 4), dtype="float16")).graph
    assert {spec.dtype for spec in (*graph.inputs, *graph.outputs)} == {"float16"}
    mx.npx.set_np()
    try:
        net = mx.gluon.nn.HybridSequential()
        net.add(mx.gluon.nn.Conv2D(3, 3), mx.gluon.nn.Dense(2))
        report = multiprof.analyze(net, mx.np.zeros((1, 2, 5, 5)), strict=True)
    finally:
        mx.npx.reset_np()
    assert report.macs == 3 * 9 * 2 * 9 + 27 * 2


def test_symbols(checker: Any) -> None:
    """Parameters are deduced as from a file, and nothing says whether they are trained."""
    mx = checker.mx
    sym = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
    live = multiprof.analyze(sym, {"data": (2, 4)}, strict=True)
    assert_equal(live, multiprof.analyze(checker.save(sym, "fc"), (2, 4), strict=True))
    assert {name: p.trainable for name, p in live.graph.parameters.items()} == {"fc_weight": None, "fc_bias": None}
    with pytest.raises(InputsError, match="fc: a symbol carries no shapes of its inputs; give that of 'data'"):
        multiprof.analyze(sym)
    block = mx.gluon.SymbolBlock(sym, mx.sym.var("data", dtype="float32"))
    assert multiprof.analyze(block, (2, 4)).macs == 2 * 3 * 4


def test_casts_of_mixed_precision_stay(checker: Any, tmp_path: Path) -> None:
    """They are what runs; an export is another network, without them."""
    mx = checker.mx
    sym = mx.sym.amp_cast(mx.sym.var("data"), dtype="float16", name="cast")
    sym = mx.sym.relu(sym, name="relu")
    report = multiprof.analyze(sym, (2, 4), strict=True)
    assert [row.layer.name for row in report.layers] == ["cast", "relu"]
    assert report.graph.outputs[0].dtype == "float16"
    sym.save(str(tmp_path / "relu-symbol.json"))
    report = multiprof.analyze(tmp_path / "relu-symbol.json", (2, 4), strict=True)
    assert [row.layer.name for row in report.layers] == ["relu"]


def test_modules(checker: Any) -> None:
    mx = checker.mx
    sym = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
    sym = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(sym, name="bn", fix_gamma=False), name="softmax")
    module = mx.mod.Module(sym, fixed_param_names=["fc_weight"])
    expected = {
        "fc_weight": ((3, 4), "parameter", False), "fc_bias": ((3,), "parameter", True),
        "bn_gamma": ((3,), "parameter", True), "bn_beta": ((3,), "parameter", True),
        "bn_moving_mean": ((3,), "buffer", False), "bn_moving_var": ((3,), "buffer", False),
    }  # fmt: skip

    def found(report: multiprof.Report) -> dict[str, Any]:
        return {name: (p.spec.shape, p.kind, p.trainable) for name, p in report.graph.parameters.items()}

    def bind(one: Any) -> None:
        one.bind([("data", (2, 4))], [("softmax_label", (2,))])

    assert found(multiprof.analyze(module, (2, 4), strict=True)) == expected
    with pytest.raises(InputsError, match="give that of 'data'"):
        multiprof.analyze(module)
    bind(module)
    assert found(multiprof.analyze(module, strict=True)) == expected
    module.init_params()
    report = multiprof.analyze(module, strict=True)
    assert found(report) == expected and report.macs == 2 * 3 * 4
    assert multiprof.analyze(module, (5, 4)).macs == 5 * 3 * 4  # other shapes than it is bound to
    buckets = mx.mod.BucketingModule(lambda _: (sym, ("data",), ("softmax_label",)), default_bucket_key=1)
    assert multiprof.analyze(buckets, (2, 4)).macs == 2 * 3 * 4
    bind(buckets)
    assert multiprof.analyze(buckets).macs == 2 * 3 * 4
    chain = mx.mod.SequentialModule()
    chain.add(module)
    with pytest.raises(ModelError, match="a SequentialModule has no symbol of its own: give the modules"):
        multiprof.analyze(chain, (2, 4))
    with pytest.raises(ModelError, match="a function is no model of MXNet"):
        multiprof.analyze(lambda x: x, (2, 4), framework="mxnet")


def test_files_are_read_without_the_live_reader(checker: Any, tmp_path: Path) -> None:
    mx = checker.mx
    path = checker.save(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc"))
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import multiprof; multiprof.analyze(sys.argv[1], (2, 4)); "
        "loaded = {'mxnet', 'numpy', 'multiprof.adapters.mxnet.live', 'multiprof.adapters.mxnet.tracing'}; "
        "assert not loaded & set(sys.modules), loaded & set(sys.modules); "
        "assert 'multiprof.adapters.mxnet.reader' in sys.modules"
    )
    root = str(Path(multiprof.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code, str(path), root], check=True)


# -- purity -----------------------------------------------------------------------------------------------------------


def parts(block: Any) -> list[Any]:
    return [block, *(part for child in block._children.values() for part in parts(child))]


def shown(value: Any) -> Any:
    """Containers item by item, everything else by identity."""
    if isinstance(value, dict):
        return id(value), [(key, shown(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shown(item) for item in value]
    return value if isinstance(value, (bool, int, float, str)) else id(value)


def fingerprint(mx: Any, net: Any) -> Any:
    """Blocks and parameters with all they hold, values and gradients, MXNet's modes, counters of names, numpy."""
    blocks = [(id(part), shown(vars(part)), shown(vars(part._scope))) for part in parts(net)]
    parameters = [(shown(vars(p)), p.shape, str(p.dtype)) for p in net.collect_params().values()]
    values = [
        (p.list_data()[0].asnumpy().tobytes(), p.list_grad()[0].asnumpy().tobytes() if p.grad_req != "null" else b"")
        for p in net.collect_params().values()
        if p._data is not None
    ]
    modes = mx.autograd.is_recording(), mx.autograd.is_training(), mx.util.is_np_array(), mx.util.is_np_shape()
    names = dict(mx.name.NameManager._current.value._counter)
    return blocks, parameters, values, modes, names, sorted(vars(np)), repr(np.random.get_state())


@pytest.mark.parametrize("state", ["new", "deferred", "ran", "hybridized", "recording"])
def test_a_block_is_left_as_it_was(checker: Any, state: str) -> None:
    mx = checker.mx
    calls: list[Any] = []

    class Noting(mx.gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            self.last = x
            self.notes.append(x)
            return F.Dropout(x)

    noting = Noting(prefix="")  # its operators are named by the scope outside
    noting.notes = ["a note"]
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(4, 3), mx.gluon.nn.BatchNorm(), noting, mx.gluon.rnn.LSTM(3), mx.gluon.nn.Dense(2))
    if state != "new":
        net.initialize()
    if state in ("ran", "hybridized", "recording"):
        if state == "hybridized":
            net.hybridize()
        with mx.autograd.record():
            made = net[4](net[1](net[0](mx.nd.ones((1, 2, 5, 5)))))
        made.backward()
    net.register_forward_hook(lambda *args: calls.append(args))
    net[0].register_forward_pre_hook(lambda *args: calls.append(args))
    front = mx.gluon.nn.HybridSequential(prefix="")
    front.add(*[net[i] for i in (0, 1, 2)])
    before = fingerprint(mx, net), fingerprint(mx, front)
    mx.random.seed(5)
    drawn = mx.nd.random.uniform(shape=(3,)).asnumpy().tolist()
    mx.random.seed(5)
    if state == "recording":
        with mx.autograd.record():
            multiprof.analyze(front, (1, 2, 5, 5), strict=True)
            assert mx.autograd.is_recording() and mx.autograd.is_training()
    else:
        multiprof.analyze(front, (1, 2, 5, 5), strict=True)
    with pytest.raises(InputsError):
        multiprof.analyze(front, "none")
    multiprof.analyze(net[3], (4, 2, 5), strict=True)
    assert mx.nd.random.uniform(shape=(3,)).asnumpy().tolist() == drawn
    assert (fingerprint(mx, net), fingerprint(mx, front)) == before
    assert calls == [] and noting.notes == ["a note"] and not hasattr(noting, "last")


def test_a_block_whose_trace_fails_is_left_as_it_was(checker: Any) -> None:
    mx = checker.mx

    class Failing(mx.gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            self.seen = x
            raise KeyError("no such thing")

    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(3), Failing())
    before = fingerprint(mx, net)
    with pytest.raises(ModelError, match=r"KeyError: 'no such thing' \(.*test_live\.py:\d+\)"):
        multiprof.analyze(net, (2, 4))
    assert fingerprint(mx, net) == before
