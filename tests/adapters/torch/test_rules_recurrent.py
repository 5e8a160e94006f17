"""Recurrent layers: shapes, strides and dtypes against torch's kernels; layers and counts against the arithmetic."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

import multiprof

# torch says so once in a process, when a processor's kernel is asked for a projection.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
LAYER_OPS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}


def empty(*shape: int, dtype: torch.dtype = torch.float32, device: str = "meta") -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype, device=device)


def weight(*shape: int, **options: Any) -> nn.Parameter:
    return nn.Parameter(empty(*shape, **options))


class Call:
    """Arguments of one call of ``torch.lstm`` and its relatives, drawn at random."""

    def __init__(self, rng: random.Random, name: str, packed: bool = False, **options: Any) -> None:
        self.name = name
        self.layers = rng.randint(1, 3)
        self.bidirectional = rng.random() < 0.5
        self.batch_first = not packed and rng.random() < 0.5
        self.biases = rng.random() < 0.7
        self.hidden = rng.randint(2, 5)
        self.returned = self.hidden - 1 if name == "lstm" and rng.random() < 0.4 else self.hidden
        self.features = rng.randint(1, 4)
        self.lengths = sorted((rng.randint(1, 4) for _ in range(rng.randint(1, 3))), reverse=True)
        time, batch = self.lengths[0], len(self.lengths)
        self.directions = 2 if self.bidirectional else 1
        total = self.layers * self.directions
        shape = (batch, time) if self.batch_first else (time, batch)
        leading = (sum(self.lengths),) if packed else shape
        self.x = empty(*leading, self.features, **options)
        if not packed and rng.random() < 0.3:  # any strides
            self.x = empty(self.features, *shape, **options).permute(1, 2, 0)
        self.states = [empty(total, batch, self.returned, **options)]
        if name == "lstm":
            self.states.append(empty(total, batch, self.hidden, **options))
        self.weights: list[torch.Tensor] = []
        gates = GATES[name] * self.hidden
        for number in range(total):
            below = self.features if number < self.directions else self.returned * self.directions
            self.weights += [weight(gates, below, **options), weight(gates, self.returned, **options)]
            if self.biases:
                self.weights += [weight(gates, **options), weight(gates, **options)]
            if self.returned != self.hidden:
                self.weights.append(weight(self.returned, self.hidden, **options))

    @property
    def steps(self) -> list[int]:
        """Batch sizes of the packed sequence."""
        return [sum(length > step for length in self.lengths) for step in range(self.lengths[0])]

    def args(self) -> list[Any]:
        hx = self.states if self.name == "lstm" else self.states[0]
        options = [self.biases, self.layers, 0.5, False, self.bidirectional]
        return [self.x, hx, self.weights, *options, self.batch_first]

    def packed_args(self, batch_sizes: torch.Tensor) -> list[Any]:
        hx = self.states if self.name == "lstm" else self.states[0]
        return [self.x, batch_sizes, hx, self.weights, self.biases, self.layers, 0.5, False, self.bidirectional]


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_stacks_answer_as_the_meta_kernels(compare: Any, name: str, dtype: torch.dtype) -> None:
    rng = random.Random(f"{name} {dtype}")
    for _ in range(12):
        call = Call(rng, name, dtype=dtype)
        checked = compare(getattr(torch, name), *call.args())
        assert checked.by_rule
        found = [layer for layer in checked.layers if layer.op == LAYER_OPS[name]]
        ends = [""] if call.directions == 1 else ["", "_reverse"]
        assert [layer.name for layer in found] == [f"l{k}{end}" for k in range(call.layers) for end in ends]
        for number, layer in enumerate(found):
            below = call.features if number < call.directions else call.directions * call.returned
            assert layer.attrs["steps"] == len(call.lengths) * call.lengths[0]
            assert layer.attrs["input_size"] == below == layer.inputs["x"].shape[-1]
            assert layer.attrs["hidden_size"] == call.hidden
            assert layer.attrs["reverse"] == (call.bidirectional and number % 2 == 1)
            assert layer.attrs["batch_first"] == call.batch_first
            assert layer.outputs["y"].shape == (*call.x.shape[:2], call.returned)
            assert ("bias_ih" in layer.inputs) == ("bias_hh" in layer.inputs) == call.biases
            if name == "lstm":
                assert layer.attrs["proj_size"] == (call.returned if call.returned < call.hidden else 0)
                assert ("weight_hr" in layer.inputs) == (call.returned < call.hidden)
            elif name == "gru":
                assert layer.attrs["reset_after"] is True
            else:
                assert layer.attrs["nonlinearity"] == name.removeprefix("rnn_")


@pytest.mark.parametrize("name", GATES)
def test_stacks_answer_as_the_processor(name: str, trace_shapes: Any) -> None:
    rng = random.Random(name)
    for _ in range(12):
        call = Call(rng, name, device="cpu")
        with torch.no_grad():
            expected = getattr(torch, name)(*call.args())
        tracer, results = trace_shapes(getattr(torch, name), *call.args())
        assert tracer.kernel_calls == 0
        assert [(r.shape, r.stride(), r.dtype) for r in results] == [(r.shape, r.stride(), r.dtype) for r in expected]


@pytest.mark.parametrize("name", GATES)
def test_packed_stacks_answer_as_the_processor(name: str, trace_shapes: Any) -> None:
    rng = random.Random(f"packed {name}")
    for _ in range(12):
        call = Call(rng, name, packed=True, device="cpu")
        args = call.packed_args(torch.tensor(call.steps))
        with torch.no_grad():
            expected = getattr(torch, name)(*args)
        tracer, results = trace_shapes(getattr(torch, name), *args)
        assert tracer.kernel_calls == 0
        assert [(r.shape, r.stride(), r.dtype) for r in results] == [(r.shape, r.stride(), r.dtype) for r in expected]
        found = [layer for layer in tracer.layers if layer.op == LAYER_OPS[name]]
        assert len(found) == call.layers * call.directions
        assert all(layer.attrs["steps"] == sum(call.lengths) for layer in found)


def test_operators_within_torch_are_recorded_whole(compare_aten: Any) -> None:
    """Under inference_mode torch hands the operator over as it is, with the results made."""
    for name in GATES:
        for seed in range(6):
            call = Call(random.Random(seed), name)
            with torch.inference_mode():
                checked = compare_aten(getattr(torch, name), *call.args())
            assert checked.kernel_calls == 1
            assert checked.ops.count(LAYER_OPS[name]) == call.layers * call.directions


def test_operators_of_exported_programs_are_answered_whole(compare: Any) -> None:
    for name in GATES:
        call = Call(random.Random(name), name)
        checked = compare(getattr(torch.ops.aten, name).input, *call.args())
        assert checked.by_rule
        assert checked.ops.count(LAYER_OPS[name]) == call.layers * call.directions


def broken(rng: random.Random, name: str) -> list[Any]:
    """A call with one argument that does not fit."""
    call = Call(rng, name)
    args = call.args()
    choice = rng.randrange(7)
    if choice == 0:
        args[0] = empty(*call.x.shape[:2], call.features + 1)
    elif choice == 1:
        args[0] = empty(*call.x.shape[1:])
    elif choice == 2:
        args[1] = [s[..., :-1] for s in call.states] if name == "lstm" else call.states[0][..., :-1]
    elif choice == 3:
        args[1] = [empty(s.shape[0], s.shape[1] + 1, s.shape[2]) for s in call.states]
        args[1] = args[1] if name == "lstm" else args[1][0]
    elif choice == 4:
        args[2] = call.weights[:-1]
    elif choice == 5:
        number = rng.randrange(len(call.weights))
        args[2] = list(call.weights)
        args[2][number] = weight(*(size + 1 for size in call.weights[number].shape))
    else:
        args[4] += 1
    return args


@pytest.mark.parametrize("name", GATES)
def test_arguments_that_do_not_fit_raise_as_torch_does(compare: Any, name: str) -> None:
    rng = random.Random(f"broken {name}")
    raised = 0
    for _ in range(40):
        checked = compare(getattr(torch, name), *broken(rng, name))
        raised += checked.error is not None
        assert not checked.by_rule
    assert raised > 20


@pytest.mark.parametrize("name", GATES)
def test_two_dtypes_are_refused_as_on_a_processor(name: str, trace_shapes: Any) -> None:
    args = Call(random.Random(0), name).args()
    args[0] = args[0].double()
    with pytest.raises(RuntimeError, match="one dtype, but got float64 and float32"):
        trace_shapes(getattr(torch, name), *args)


def test_dropout_between_layers_in_training_is_between_them_alone(trace_shapes: Any) -> None:
    x, h = empty(2, 1, 3), empty(2, 1, 3)
    weights = [weight(3, 3) for _ in range(4)]
    between = ["random", "div", "mul"]
    for layers, dropout, ops in ((2, 0.5, ["rnn", *between, "rnn"]), (2, 0.0, ["rnn", "rnn"]), (1, 0.5, ["rnn"])):
        options = (False, layers, dropout, True, False, False)
        tracer, _ = trace_shapes(torch.rnn_tanh, x, h[:layers], weights[: 2 * layers], *options)
        assert tracer.kernel_calls == 0
        assert [layer.op for layer in tracer.layers if layer.op not in ("split", "stack")] == ops


def test_keywords(compare: Any) -> None:
    names = ("input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first")
    for name in GATES:
        call = dict(zip(names, Call(random.Random(name), name).args(), strict=True))
        assert compare(getattr(torch, name), **call).by_rule


def test_packed_keywords(trace_shapes: Any) -> None:
    names = ("data", "batch_sizes", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
    for name in GATES:
        call = Call(random.Random(name), name, packed=True, device="cpu")
        kwargs = dict(zip(names, call.packed_args(torch.tensor(call.steps)), strict=True))
        for given in range(len(names)):
            args = [kwargs[n] for n in names[:given]]
            tracer, (y, *_) = trace_shapes(getattr(torch, name), *args, **{n: kwargs[n] for n in names[given:]})
            assert tracer.kernel_calls == 0
            assert y.shape == (sum(call.lengths), call.returned * call.directions)


# -- cells -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GATES)
def test_cells(compare: Any, name: str) -> None:
    rng = random.Random(name)
    for _ in range(30):
        batch, features, hidden = rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 4)
        gates = GATES[name] * hidden
        state = empty(batch, hidden)
        hx = [state, empty(batch, hidden)] if name == "lstm" else state
        biases = [weight(gates), weight(gates)] if rng.random() < 0.6 else []
        function = getattr(torch, f"{name}_cell")
        weights = [weight(gates, features), weight(gates, hidden), *biases]
        checked = compare(function, empty(batch, features), hx, *weights)
        assert checked.by_rule
        layer = checked.layer
        assert layer.op == LAYER_OPS[name]
        sizes = [layer.attrs[name] for name in ("steps", "input_size", "hidden_size")]
        assert sizes == [batch, features, hidden]
        assert compare(function, empty(batch, features + 1), hx, *weights).error is not None


def test_cells_of_other_strides_answer_as_the_meta_kernels(compare: Any) -> None:
    for name in GATES:
        gates = GATES[name] * 3
        state = empty(3, 2).t()
        hx = [state, empty(3, 2).t()] if name == "lstm" else state
        compare(getattr(torch, f"{name}_cell"), empty(4, 2).t(), hx, weight(gates, 4), weight(gates, 3))


# -- whole modules -----------------------------------------------------------------------------------------------------


def test_counting_example_lstm() -> None:
    for batch_first in (False, True):
        model = nn.LSTM(128, 256, num_layers=2, bidirectional=True, batch_first=batch_first)
        shape = (1, 50, 128) if batch_first else (50, 1, 128)
        # 50 steps, 2 directions, 4 gates of 256: first from 128 + 256, then from 2·256 + 256
        assert multiprof.analyze(model, shape).macs == 50 * 2 * 4 * 256 * (128 + 256 + 512 + 256) == 117_964_800


def test_counting_example_gru() -> None:
    report = multiprof.analyze(nn.GRU(128, 128), (50, 1, 128))
    assert report.macs == 50 * 3 * 128 * (128 + 128) == 4_915_200


def test_counting_example_one_step_of_an_lstm() -> None:
    """dot 40 macs; bias 16 adds; gates 20 adds, 8 exps, 6 divs; state 6 muls, 2 adds, 2 exps; 140 FLOPs."""
    for model, shape in ((nn.LSTM(3, 2), (1, 1, 3)), (nn.LSTMCell(3, 2), (1, 3)), (nn.LSTMCell(3, 2), (3,))):
        report = multiprof.analyze(model, shape)
        assert (report.macs, report.flops) == (40, 140)


def test_projection() -> None:
    report = multiprof.analyze(nn.LSTM(20, 12, proj_size=5), (7, 2, 20))
    assert report.macs == 7 * 2 * (4 * 12 * (20 + 5) + 12 * 5) == 17_640


def test_elman_network() -> None:
    report = multiprof.analyze(nn.RNN(6, 5, nonlinearity="relu"), (4, 3, 6))
    assert report.macs == 4 * 3 * 5 * (6 + 5) == 660
    assert report.by_op()["rnn"].layers == 1


def described(layers: Any) -> list[Any]:
    return [(layer.name, layer.op, [s.name for s in layer.inputs.values()]) for layer in layers]


def test_layers_of_a_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(6, 5, num_layers=1, bidirectional=True, bias=False)

        def forward(self, x: torch.Tensor) -> Any:
            return self.rnn(x)

    report = multiprof.analyze(Net(), (4, 3, 6))
    weights = ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]
    back = [f"{name}_reverse" for name in weights]
    assert described(report.graph.layers) == [
        ("rnn/fill", "fill", []),
        ("rnn/fill_1", "fill", []),
        ("rnn/split", "split", ["rnn/fill"]),
        ("rnn/split_1", "split", ["rnn/fill_1"]),
        ("rnn/l0", "lstm", ["x", *weights, "rnn/split:y0", "rnn/split_1:y0"]),
        ("rnn/l0_reverse", "lstm", ["x", *back, "rnn/split:y1", "rnn/split_1:y1"]),
        ("rnn/concat", "concat", ["rnn/l0", "rnn/l0_reverse"]),
        ("rnn/stack", "stack", ["rnn/l0:hn", "rnn/l0_reverse:hn"]),
        ("rnn/stack_1", "stack", ["rnn/l0:cn", "rnn/l0_reverse:cn"]),
    ]
    assert [spec.name for spec in report.graph.outputs] == ["rnn/concat", "rnn/stack", "rnn/stack_1"]
    assert [spec.shape for spec in report.graph.outputs] == [(4, 3, 10), (2, 3, 5), (2, 3, 5)]
    assert report.graph.metadata["kernel_calls"] == 0


def test_one_layer_takes_and_returns_the_states_as_they_are() -> None:
    state = torch.randn(1, 3, 5)
    report = multiprof.analyze(nn.GRU(6, 5), (torch.randn(4, 3, 6), state))
    assert [layer.name for layer in report.graph.layers] == ["l0"]
    (layer,) = report.graph.layers
    assert layer.inputs["h0"].name == "hx"
    assert [spec.name for spec in report.graph.outputs] == ["l0", "l0:hn"]


def test_a_cell_is_named_after_its_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(6, 5)

        def forward(self, x: torch.Tensor) -> Any:
            h = None
            for step in x:
                h = self.cell(step, h)
            return h

    report = multiprof.analyze(Net(), (4, 3, 6))
    assert report.macs == 4 * 3 * 3 * 5 * (6 + 5)
    names = [layer.name for layer in report.graph.layers if layer.op == "gru"]
    assert names == ["cell/gru", "cell#2/gru", "cell#3/gru", "cell#4/gru"]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 6), (1, 1, 6)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_modules_return_what_they_return_without_us(kind: Any, shape: tuple[int, ...], batch_first: bool) -> None:
    model = kind(6, 5, num_layers=2, bidirectional=True, batch_first=batch_first, dropout=0.3).eval()
    x = torch.randn(shape)
    y, states = model(x)
    expected = [y, *(states if isinstance(states, tuple) else [states])]
    report = multiprof.analyze(model, x)
    assert [spec.shape for spec in report.graph.outputs] == [tuple(tensor.shape) for tensor in expected]
    assert report.graph.metadata["kernel_calls"] == 0


def test_an_input_of_another_size_is_the_callers_mistake() -> None:
    with pytest.raises(multiprof.InputsError, match="Expected 6, got 7"):
        multiprof.analyze(nn.LSTM(6, 5), (4, 3, 7))


SLOW_IMPORTS = """
import sys, torch, multiprof
from torch import nn
for kind in (nn.LSTM, nn.GRU, nn.RNN):
    report = multiprof.analyze(kind(6, 5, 2, bidirectional=True, batch_first=True), (2, 4, 6))
    assert report.macs > 0 and report.graph.metadata["kernel_calls"] == 0
for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
    assert multiprof.analyze(kind(6, 5), (2, 6)).macs > 0
print([name for name in ("sympy", "torch._dynamo") if name in sys.modules])
"""


def test_nothing_slow_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW_IMPORTS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
