"""What a training step keeps and the most it holds, against a step that runs on the CPU.

Saved activations: the storages that `torch.autograd.graph.saved_tensors_hooks` sees, each once, those of parameters and
buffers not counted. The peak: every allocation and release that torch's CPU allocator reports to the profiler during
the third step (the optimizer has its states by then), on top of what is there before it: weights, buffers, inputs and
states. The loss keeps nothing and hands over one gradient, as large as the output.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

import multiprof

NAMES = (
    *("mlp", "alexnet", "resnet", "mobilenet", "dense", "unet", "gpt", "vit", "plain", "lstm", "gru", "rnn", "encoder"),
    *("dropped encoder", "dropped lstm"),
)


def storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    """Bytes of each storage under the tensors."""
    found = (tensor.untyped_storage() for tensor in tensors)
    return {storage._cdata: storage.nbytes() for storage in found}


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    own = storages((*model.parameters(), *model.buffers()))
    seen: dict[int, int] = {}
    alive = []

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        seen.update(storages((tensor,)))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(x)
    return sum(size for key, size in seen.items() if key not in own)


class Loss(torch.autograd.Function):
    """A number made of the output; its gradient is made when the backward pass begins."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        ctx.shape = y.shape
        return y.new_zeros(())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return torch.ones(ctx.shape)


OPTIMIZERS = {"sgd": lambda p: torch.optim.SGD(p, 0.01), "adam": torch.optim.Adam, "adafactor": torch.optim.Adafactor}


def measured_peak(model: nn.Module, x: Tensor, name: str) -> int:
    optimizer = OPTIMIZERS[name](model.parameters())

    def step() -> None:
        y = model(x)
        Loss.apply(y).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    allocations: list[tuple[int, int]] = []

    def collect(events: Any) -> None:
        for event in events:
            if event.tag == torch._C._profiler._EventType.Allocation:
                allocations.append((event.start_time_ns, event.extra_fields.alloc_size))
            collect(event.children)

    collect(profiler.profiler.kineto_results.experimental_event_tree())
    alive = most = 0
    for _, size in sorted(allocations, key=lambda pair: pair[0]):
        alive += size
        most = max(most, alive)
    assert abs(alive) < 1024  # all that the step made is gone, so nothing was missed
    states = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    return most + sum(storages((*model.parameters(), *model.buffers(), x, *states)).values())


@pytest.mark.parametrize("name", NAMES)
def test_saved_activations(training_nets, name):
    make, inputs = training_nets.NETS[name]
    model, x = make().train(), inputs()
    report = multiprof.analyze(model, x, train=True)
    assert report.training.saved_bytes == pytest.approx(saved_bytes(model, x), rel=0.05)


def test_most_saved_activations_are_exact(training_nets):
    exact = ("mlp", "alexnet", "resnet", "mobilenet", "dense", "gpt", "vit", "gru", "rnn", "encoder", "dropped encoder")
    for name in exact:
        make, inputs = training_nets.NETS[name]
        model, x = make().train(), inputs()
        assert multiprof.analyze(model, x, train=True).training.saved_bytes == saved_bytes(model, x), name


class Called(nn.Module):
    def __init__(self, call: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.call = call
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Any:
        return self.call(self, x)


# Behind a layer of 8 -> 8 features on 5 positions of 2 samples.
KEPT = {
    "rms norm": lambda: Called(lambda m, x: m.n(m.l(x)), l=nn.Linear(8, 8), n=nn.RMSNorm(8)),
    "rms norm of the input": lambda: Called(lambda m, x: m.l(m.n(x)), l=nn.Linear(8, 8), n=nn.RMSNorm(8)),
    "reflected": lambda: Called(
        lambda m, x: torch.nn.functional.pad(m.l(x), (1, 1), mode="reflect"), l=nn.Linear(8, 8)
    ),
    "real fft": lambda: Called(lambda m, x: torch.fft.irfft(torch.fft.rfft(m.l(x)) * 2), l=nn.Linear(8, 8)),
    "attention with weights": lambda: Called(lambda m, x: m.a(x, x, x), a=nn.MultiheadAttention(8, 2)),
    "dropped attention with weights": lambda: Called(
        lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, dropout=0.1)
    ),
    "lstm cell": lambda: Called(lambda m, x: m.c(x[0], m.c(x[1]))[0], c=nn.LSTMCell(8, 6)),
    "gru cell": lambda: Called(lambda m, x: m.c(x[0], m.c(x[1])), c=nn.GRUCell(8, 6)),
    "rnn cell": lambda: Called(lambda m, x: m.c(x[0], m.c(x[1])), c=nn.RNNCell(8, 6)),
    "double lstm": lambda: Called(lambda m, x: m.r(x.double())[0], r=nn.LSTM(8, 6).double()),
}


@pytest.mark.parametrize("name", KEPT)
def test_single_layers_keep_exactly_what_autograd_does(name):
    model, x = KEPT[name]().train(), torch.rand(5, 2, 8)
    training = multiprof.analyze(model, x, train=True).training
    assert training.saved_bytes == saved_bytes(model, x)
    assert training.peak is not None


# Within a tenth. No workspace is counted: where these small networks peak in a convolution or a recurrent layer whose
# operands oneDNN copies into its own layout, the peak is that much higher.
PEAKS = ("mlp", "alexnet", "resnet", "mobilenet", "gpt", "vit", "plain", "gru", "rnn", "encoder")
WITH_WORKSPACE = ("dense", "unet", "lstm")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", PEAKS)
def test_the_peak_of_a_step(training_nets, name, optimizer):
    make, inputs = training_nets.NETS[name]
    model, x = make().train(), inputs()
    report = multiprof.analyze(model, x, train=True, optimizer=optimizer)
    peak = report.training.peak
    assert peak.bytes == pytest.approx(measured_peak(model, x, optimizer), rel=0.1)
    assert peak.bytes == peak.weights + peak.gradients + peak.states + peak.activations + peak.flowing


@pytest.mark.parametrize("name", WITH_WORKSPACE)
def test_the_peak_of_a_step_without_the_workspace_of_its_kernels(training_nets, name):
    make, inputs = training_nets.NETS[name]
    model, x = make().train(), inputs()
    real = measured_peak(model, x, "sgd")
    counted = multiprof.analyze(model, x, train=True, optimizer="sgd").training.peak_bytes
    assert 0.75 * real < counted < real


class Deep(nn.Module):
    """Eight blocks that are checkpointed, or not."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 32))
            for _ in range(8)
        )
        self.again = again

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
        return x


def test_checkpoints_lower_the_peak():
    x = torch.randn(512, 32)
    peaks = {}
    for again in (False, True):
        model = Deep(again)
        peaks[again] = multiprof.analyze(model, x, train=True, optimizer="sgd").training.peak_bytes
        assert peaks[again] == pytest.approx(measured_peak(model, x, "sgd"), rel=0.1)
    assert peaks[True] < 0.5 * peaks[False]
