"""Forms of a live model: wrapped, compiled, lazy, masked, on meta. Its figures stay, and it comes back as it was."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import multiprof
from multiprof import Report

# torch's own: compiling imports what is deprecated, and a checkpoint without gradients is pointless outside of a count.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:None of the inputs have requires_grad")

X = (2, 3, 6, 6)
MACS = 2 * (8 * 36 * 27 + 8 * 4)
PARAMS = 8 * 27 + 8 + 16 + 8 * 4 + 4


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.norm(self.conv(x))).mean((2, 3)))


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.net = Net()
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.net, x, use_reentrant=self.reentrant)


def state(model: nn.Module) -> Any:
    """Modes, attributes, hooks and tensors by identity, and what tensors hold."""
    modules = [
        (name, module.training, [(k, id(v)) for k, v in vars(module).items()], len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    ]
    tensors = {name: (id(t), t._version, t.dtype) for name, t in [*model.named_parameters(), *model.named_buffers()]}
    return modules, tensors


def same(report: Report) -> None:
    plain = multiprof.analyze(Net().eval(), X)
    assert (report.macs, report.params) == (MACS, PARAMS)
    assert (report.flops, report.buffers, report.weight_bytes) == (plain.flops, plain.buffers, plain.weight_bytes)
    assert not report.unsupported() and not report.warnings


def compiled_in_place() -> nn.Module:
    model = Net().eval()
    model.compile()
    return model


WRAPPED: dict[str, Callable[[], nn.Module]] = {
    "torch.compile": lambda: torch.compile(Net().eval()),
    "compile()": compiled_in_place,
    "DataParallel": lambda: nn.DataParallel(Net().eval()),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(Net().eval()),
    "compiled and parallel": lambda: torch.compile(nn.DataParallel(Net().eval())),
}


@pytest.mark.parametrize("name", list(WRAPPED))
def test_wrappers_are_looked_through(name: str) -> None:
    model = WRAPPED[name]()
    before = state(model)
    report = multiprof.analyze(model, X)
    assert state(model) == before
    same(report)
    assert [layer.name for layer in report.layers] == ["conv", "norm", "relu", "mean", "fc"]
    assert report.name == "Net"


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_wrappers_within_the_model(wrap: Any) -> None:
    report = multiprof.analyze(nn.Sequential(wrap(Net()), nn.ReLU()).eval(), X)
    assert (report.macs, report.params) == (MACS, PARAMS)
    assert not report.unsupported() and not report.warnings


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed = torch.distributed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
        yield
        distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("kind", ["ddp", "fsdp", "fully_shard"])
def test_models_spread_over_processes(kind: str) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.nn.parallel import DistributedDataParallel

    model: nn.Module = Net().eval()
    if kind == "ddp":
        model = DistributedDataParallel(model)
    elif kind == "fsdp":
        model = FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    else:
        fully_shard(model)
    before = state(model)
    report = multiprof.analyze(model, X)
    assert state(model) == before
    same(report)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_segments_are_seen_through(reentrant: bool) -> None:
    report = multiprof.analyze(Checkpointed(reentrant).eval(), X)
    same(report)
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5))
    sequence = multiprof.analyze(lambda x: checkpoint_sequential(layers, 2, x, use_reentrant=reentrant), (7, 3))
    assert sequence.macs == 7 * (12 + 20)


def test_lazy_modules_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyConv2d(8, 3, padding=1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(4)).eval()
    report = multiprof.analyze(model, X)
    assert report.macs == 2 * (8 * 36 * 27 + 288 * 4)
    assert report.params == 8 * 27 + 8 + 16 + 288 * 4 + 4
    assert isinstance(model[0].weight, nn.parameter.UninitializedParameter)


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float16, 2), (torch.bfloat16, 2), (torch.float32, 4), (torch.float64, 8)]
)
def test_precisions(dtype: torch.dtype, size: int) -> None:
    report = multiprof.analyze(Net().eval().to(dtype), X)
    assert (report.macs, report.params, report.weight_bytes) == (MACS, PARAMS, size * PARAMS)
    assert report.graph.outputs[0].dtype == str(dtype).removeprefix("torch.")
    assert not report.unsupported()


def test_complex_numbers() -> None:
    layer = nn.Linear(4, 5, dtype=torch.complex64)
    report = multiprof.analyze(layer.eval(), torch.zeros(2, 4, dtype=torch.complex64))
    # 2·4·5 complex multiply-adds of four real ones each, and two additions for each of the 2·5 biases
    assert (report.macs, report.params, report.weight_bytes) == (4 * 40, 25, 200)
    assert report.flops == 2 * 4 * 40 + 2 * 10


class Float8(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(32, 16).to(torch.float8_e4m3fn), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ones(())
        return torch._scaled_mm(
            x.to(torch.float8_e4m3fn), self.weight.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16
        )


def test_float8() -> None:
    report = multiprof.analyze(Float8().eval(), (16, 16))
    assert (report.macs, report.params, report.weight_bytes) == (16 * 16 * 32, 512, 512)
    product = next(layer for layer in report.graph.layers if layer.op == "linear")
    assert (product.x.dtype, report.graph.outputs[0].dtype) == ("float8_e4m3fn", "bfloat16")


@pytest.mark.parametrize("place", ["model on meta", "fake model", "fake input", "all fake"])
def test_tensors_without_values(place: str) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode()
    if place == "model on meta":
        with torch.device("meta"):
            model = Net().eval()
        same(multiprof.analyze(model, X))
    elif place == "fake model":
        with mode:
            model = Net().eval()
        same(multiprof.analyze(model, X))
    elif place == "fake input":
        same(multiprof.analyze(Net().eval(), mode.from_tensor(torch.zeros(X))))
    else:
        with mode:
            same(multiprof.analyze(Net().eval(), torch.zeros(X)))


# -- weights computed from others --------------------------------------------------------------------------------------


def test_pruned_weights_are_dense_with_the_effective_ones_apart() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.Flatten(), nn.Linear(64, 10)).eval()
    prune.l1_unstructured(model[0], "weight", 20)
    prune.random_structured(model[2], "weight", 3, dim=0)
    before = state(model)
    report = multiprof.analyze(model, (5, 2, 6, 6))
    assert state(model) == before
    assert report.macs == 5 * (4 * 16 * 18 + 640)
    assert report.params == 72 + 640 + 10
    zero = report.graph.metadata["masked"]
    assert (zero["zero_parameters"], zero["zero_macs"]) == (20 + 3 * 64, 5 * (16 * 20 + 3 * 64))
    assert zero["layers"] == {"0/conv": {"elements": 72, "nonzero": 52}, "2/linear": {"elements": 640, "nonzero": 448}}
    assert report.warnings == (
        "masks leave 510 of 722 parameters; 2,560 of the MACs are with weights that are zero: dense kernels compute "
        "them, and they are in the totals",
    )


def test_a_mask_as_a_parametrization() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))

        def forward(self, weight: Tensor) -> Tensor:
            return weight * self.mask

    layer = nn.Linear(2, 3)
    nn.utils.parametrize.register_parametrization(layer, "weight", Masked())
    report = multiprof.analyze(layer.eval(), (7, 2))
    assert (report.macs, report.graph.metadata["masked"]["zero_macs"]) == (42, 14)


@pytest.mark.parametrize(
    ("parametrize", "params"),
    [(parametrizations.weight_norm, 24 + 6 + 6), (parametrizations.spectral_norm, 30), (copy.copy, 30)],
)
def test_weights_prepared_from_others(parametrize: Any, params: int) -> None:
    model = parametrize(nn.Linear(4, 6)).eval()
    report = multiprof.analyze(model, (5, 4))
    assert (report.macs, report.params) == (5 * 24, params)
    assert "masked" not in report.graph.metadata


# -- callables of torch.func -------------------------------------------------------------------------------------------

LINEAR = nn.Linear(4, 3).eval()
OTHERS = {name: torch.zeros_like(p) for name, p in LINEAR.named_parameters()}
STACKED, _ = stack_module_state([nn.Linear(4, 3) for _ in range(3)])
BASE = copy.deepcopy(LINEAR).to("meta")


@pytest.mark.parametrize(
    ("function", "shape", "macs"),
    [
        (lambda x: functional_call(LINEAR, OTHERS, (x,)), (5, 4), 60),
        (vmap(LINEAR), (5, 4), 60),
        (vmap(vmap(LINEAR)), (2, 5, 4), 120),
        (lambda x: vmap(lambda p: functional_call(BASE, p, (x,)))(STACKED), (5, 4), 3 * 60),
        (grad(lambda x: LINEAR(x).sum()), (5, 4), 60 + 60),  # and back to the input
        (vmap(grad(lambda x: LINEAR(x).sum())), (5, 4), 60 + 60),
    ],
    ids=["functional_call", "vmap", "vmap twice", "ensemble", "grad", "gradients per sample"],
)
def test_functional_transforms(function: Any, shape: tuple[int, ...], macs: int) -> None:
    before = state(LINEAR)
    report = multiprof.analyze(function, shape)
    assert report.macs == macs
    assert not report.unsupported() and not report.warnings
    assert state(LINEAR) == before


def test_gradients_of_weights_are_named_as_missing() -> None:
    weights = dict(LINEAR.named_parameters())

    def loss(p: Any, x: Tensor) -> Tensor:
        return functional_call(LINEAR, p, (x,)).pow(2).mean()

    report = multiprof.analyze(lambda x: grad(loss)(weights, x), (2, 4))
    assert report.unsupported() and report.coverage < 1
    assert any("the count is too low" in warning for warning in report.warnings)
