"""Packed sequences against torch on the processor; the values that decide shapes stay at hand."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import rnn

import multiprof
from multiprof.adapters.torch.mode import tensors_in
from multiprof.adapters.torch.tracer import ValueNeededError

Tensor = torch.Tensor


def agree(trace_shapes: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Shapes, strides and dtypes of all results as torch gives them, integers with the same values; the tracer."""
    expected = tensors_in(function(*args, **kwargs))
    tracer, results = trace_shapes(function, *args, **kwargs)
    assert len(results) == len(expected)
    for mine, its in zip(results, expected, strict=True):
        assert (mine.shape, mine.stride(), mine.dtype) == (its.shape, its.stride(), its.dtype)
        if not its.is_floating_point():
            assert torch.equal(mine, its)
    return tracer


def ragged(rng: random.Random, ordered: bool = True) -> list[int]:
    lengths = [rng.randint(1, 5) for _ in range(rng.randint(1, 4))]
    return sorted(lengths, reverse=True) if ordered else lengths


def rest_of(rng: random.Random) -> tuple[int, ...]:
    return tuple(rng.randint(1, 3) for _ in range(rng.randint(0, 2)))


# -- the two operators -------------------------------------------------------------------------------------------------


def test_packing(trace_shapes: Any) -> None:
    rng = random.Random(0)
    for _ in range(60):
        lengths = ragged(rng)
        time, batch = lengths[0] + rng.randint(0, 2), len(lengths)
        batch_first = rng.random() < 0.5
        x = torch.randn(*((batch, time) if batch_first else (time, batch)), *rest_of(rng))
        tracer = agree(trace_shapes, torch._VF._pack_padded_sequence, x, torch.tensor(lengths), batch_first)
        assert tracer.kernel_calls == 0
        pack, sizes = tracer.layers
        assert (pack.name, pack.op, pack.attrs["axes"]) == ("pack", "index", (int(batch_first),))
        assert pack.outputs["y"].shape[0] == sum(lengths)
        assert (sizes.name, sizes.op) == ("batch_sizes", "index")


def test_padding(trace_shapes: Any) -> None:
    rng = random.Random(0)
    for _ in range(60):
        lengths = ragged(rng)
        sizes = [sum(length > step for length in lengths) for step in range(lengths[0])]
        data = torch.randn(sum(lengths), *rest_of(rng))
        total = rng.choice((0, -1, len(sizes), len(sizes) + 2))
        batch_first = rng.random() < 0.5
        function = torch._VF._pad_packed_sequence
        tracer = agree(trace_shapes, function, data, torch.tensor(sizes), batch_first, 1.5, total)
        assert tracer.kernel_calls == 0
        assert tracer.ops == ["fill", "index_put"] + ["transpose"] * batch_first + ["index"]
        assert [layer.name for layer in tracer.layers][:2] == ["padding", "index_put"]
        assert tracer.layers[0].attrs["value"] == 1.5


def message(function: Any, *args: Any) -> str:
    with pytest.raises(RuntimeError) as caught:
        function(*args)
    return str(caught.value)


@pytest.mark.parametrize("lengths", [[2, 3], [3, 0], [3], [3, 2, 1], []])
def test_lengths_that_do_not_fit_raise_as_torch_does(trace_shapes: Any, lengths: list[int]) -> None:
    args = (torch.randn(3, 2, 4), torch.tensor(lengths, dtype=torch.int64), False)
    expected = message(torch._VF._pack_padded_sequence, *args)
    assert message(trace_shapes, torch._VF._pack_padded_sequence, *args) == expected


def test_lengths_beyond_the_input_are_left_to_torch(trace_shapes: Any) -> None:
    """torch takes them, and returns fewer rows than the batch sizes say."""
    x, lengths = torch.randn(3, 2, 4), torch.tensor([5, 2])
    data, sizes = torch._VF._pack_padded_sequence(x, lengths, False)
    assert len(data) < sum(sizes)
    with pytest.raises(ValueNeededError):
        trace_shapes(torch._VF._pack_padded_sequence, x, lengths, False)


def test_a_total_length_that_is_too_short_raises_as_torch_does(trace_shapes: Any) -> None:
    args = (torch.randn(5, 4), torch.tensor([2, 2, 1]), False, 0.0, 2)
    expected = message(torch._VF._pad_packed_sequence, *args)
    assert message(trace_shapes, torch._VF._pad_packed_sequence, *args) == expected


def test_lengths_of_which_only_the_shape_is_known_ask_for_a_real_run() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor, scores: Tensor) -> Any:
            lengths = (scores > 0).sum(0)  # how long each sequence is depends on numbers
            return rnn.pack_padded_sequence(x, lengths, enforce_sorted=False).data

    scores = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, -1.0]])
    report = multiprof.analyze(Net(), (torch.randn(3, 2, 4), scores))
    assert report.graph.metadata["rung"].startswith("run for real")
    assert [spec.shape for spec in report.graph.outputs] == [(3 + 1, 4)]


# -- torch.nn.utils.rnn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_packing_and_padding_functions(trace_shapes: Any, ordered: bool) -> None:
    rng = random.Random(ordered)
    for _ in range(25):
        lengths = ragged(rng, ordered)
        batch_first = rng.random() < 0.5
        shape = (len(lengths), max(lengths)) if batch_first else (max(lengths), len(lengths))
        x = torch.randn(*shape, *rest_of(rng))
        given = torch.tensor(lengths) if rng.random() < 0.5 else lengths
        total = rng.choice((None, max(lengths) + 1))

        def both(x: Tensor, given: Any, batch_first: bool = batch_first, total: int | None = total) -> Any:
            packed = rnn.pack_padded_sequence(x, given, batch_first, enforce_sorted=ordered)
            assert isinstance(packed, rnn.PackedSequence)
            return *packed, *rnn.pad_packed_sequence(packed, not batch_first, 0.0, total)

        agree(trace_shapes, both, x, given)


def test_padding_a_list(compare: Any) -> None:
    rng = random.Random(0)
    for _ in range(40):
        rest = rest_of(rng)
        parts = [torch.empty((length, *rest), device="meta") for length in ragged(rng, ordered=False)]
        first, side = rng.random() < 0.5, rng.choice(("left", "right"))
        checked = compare(rnn.pad_sequence, parts, batch_first=first, padding_value=2.0, padding_side=side)
        assert checked.by_rule
        assert (checked.layer.op, checked.layer.attrs) == ("stack", {"axis": int(not first)})
        assert len(checked.layer.inputs) == len(parts)


@pytest.mark.parametrize("shapes", [[(2, 3), (1, 4)], [(2, 3), (4,)], [(), ()], []])
def test_lists_that_cannot_be_padded_raise_as_torch_does(compare: Any, shapes: list[tuple[int, ...]]) -> None:
    assert compare(rnn.pad_sequence, [torch.empty(shape, device="meta") for shape in shapes]).error is not None


def test_a_padding_side_that_does_not_exist_raises_as_torch_does(compare: Any) -> None:
    parts = [torch.empty((n, 3), device="meta") for n in (2, 1)]
    assert compare(rnn.pad_sequence, parts, padding_side="middle").error is not None


@pytest.mark.parametrize("ordered", [True, False])
def test_packing_and_unpacking_a_list(trace_shapes: Any, ordered: bool) -> None:
    rng = random.Random(ordered)
    for _ in range(15):
        parts = [torch.randn(length, 3) for length in ragged(rng, ordered)]

        def both(*parts: Tensor) -> Any:
            packed = rnn.pack_sequence(list(parts), enforce_sorted=ordered)
            return *packed, *rnn.unpack_sequence(packed)

        agree(trace_shapes, both, *parts)


# -- models ------------------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self, kind: Any, ordered: bool = True, **options: Any) -> None:
        super().__init__()
        self.rnn = kind(6, 5, **options)
        self.ordered = ordered

    def forward(self, x: Tensor, lengths: Any) -> Any:
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=self.ordered)
        y, state = self.rnn(packed)
        return *rnn.pad_packed_sequence(y), state


KINDS = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[5, 3, 2], [2, 5, 3]])
@pytest.mark.parametrize("as_tensor", [True, False])
def test_a_model_counts_the_steps_of_its_sequences(kind: Any, lengths: list[int], as_tensor: bool) -> None:
    """S = 5 + 3 + 2; two layers in both directions, of input 6 and of input 2·5, hidden size 5."""
    model = Encoder(kind, ordered=lengths == [5, 3, 2], num_layers=2, bidirectional=True).eval()
    x = torch.randn(5, 3, 6)
    given = torch.tensor(lengths) if as_tensor else lengths
    report = multiprof.analyze(model, (x, given))
    assert report.macs == 10 * 2 * KINDS[kind] * 5 * ((6 + 5) + (10 + 5))
    expected = tensors_in(model(x, given))
    assert [spec.shape for spec in report.graph.outputs] == [tuple(tensor.shape) for tensor in expected]
    if model.ordered:
        assert report.graph.metadata["kernel_calls"] == 0
        assert report.unsupported() == {}


def test_layers_of_a_model() -> None:
    report = multiprof.analyze(Encoder(nn.GRU), (torch.randn(5, 3, 6), [5, 3, 2]))
    weights = [f"rnn.{role}_l0" for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert [(layer.name, layer.op, [s.name for s in layer.inputs.values()]) for layer in report.graph.layers] == [
        ("constant", "constant", []),
        ("pack", "index", ["x", "constant"]),
        ("batch_sizes", "index", ["constant"]),
        ("rnn/slice", "slice", ["batch_sizes"]),
        ("rnn/fill", "fill", []),
        ("rnn/slice_1", "slice", ["batch_sizes"]),
        ("rnn/l0", "gru", ["pack", *weights, "rnn/fill"]),
        ("padding", "fill", []),
        ("index_put", "index_put", ["padding", "batch_sizes", "rnn/l0"]),
        ("lengths", "index", ["batch_sizes"]),
    ]
    assert report.graph.metadata["rung"] == "shapes by rule"
    # Packing reads 10 rows of 6 floats and 3 lengths, padding 10 rows of 5 and 5 batch sizes; both write the rows.
    assert report.layer("pack").bytes == (10 * 6 * 4 + 3 * 8) + 10 * 6 * 4
    assert report.layer("index_put").bytes == (10 * 5 * 4 + 5 * 8) + 10 * 5 * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_as_input(kind: Any) -> None:
    model = kind(6, 5, num_layers=2).eval()
    packed = rnn.pack_sequence([torch.randn(length, 6) for length in (2, 5, 3)], enforce_sorted=False)
    report = multiprof.analyze(model, (packed,))
    assert report.macs == 10 * KINDS[kind] * 5 * ((6 + 5) + (5 + 5))
    expected = tensors_in(model(packed))
    assert [spec.shape for spec in report.graph.outputs] == [tuple(tensor.shape) for tensor in expected]
    assert report.graph.inputs[0].shape == (10, 6)


def test_a_model_that_runs_for_real() -> None:
    class Real(Encoder):
        def forward(self, x: Tensor, lengths: Any) -> Any:
            return super().forward(x if x.sum() > 0 else -x, lengths)

    model = Real(nn.LSTM, ordered=False, bidirectional=True, batch_first=True).eval()
    x = torch.rand(5, 3, 6)
    report = multiprof.analyze(model, (x, torch.tensor([2, 5, 3])))
    assert report.graph.metadata["rung"].startswith("run for real")
    assert report.macs == 10 * 2 * 4 * 5 * (6 + 5)
    expected = tensors_in(model(x, torch.tensor([2, 5, 3])))
    assert [spec.shape for spec in report.graph.outputs] == [tuple(tensor.shape) for tensor in expected]


def test_lengths_that_do_not_fit_the_input_are_an_error() -> None:
    with pytest.raises(multiprof.MultiprofError, match="sorted in decreasing order"):
        multiprof.analyze(Encoder(nn.LSTM), (torch.randn(5, 3, 6), [2, 3, 5]))


SLOW_IMPORTS = """
import sys, torch, multiprof
from torch import nn
from torch.nn.utils import rnn
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(6, 5, 2, bidirectional=True)
    def forward(self, x, lengths):
        y, state = self.rnn(rnn.pack_padded_sequence(x, lengths))
        return rnn.pad_packed_sequence(y)
assert multiprof.analyze(Encoder(), (torch.randn(5, 3, 6), [5, 3, 2])).macs == 10 * 2 * 4 * 5 * (11 + 15)
print([name for name in ("sympy", "torch._dynamo") if name in sys.modules])
"""


def test_nothing_slow_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW_IMPORTS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
