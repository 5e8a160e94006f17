"""Models that try to slip something past the reader: the count holds, or the report says what it does not hold."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import multiprof
from multiprof import Cost, Counts, Inputs, InputsError, Report, formula

X = torch.ones(2, 4, 8)
LINEAR = 2 * 4 * 8 * 8  # macs of nn.Linear(8, 8) on X


class Net(nn.Module):
    """A module around one function of itself and its arguments."""

    def __init__(self, function: Callable[..., Any], **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def linear() -> nn.Linear:
    return nn.Linear(8, 8)


def vanished(report: Report) -> list[str]:
    """Tensors that a layer reads, or the graph returns, and nothing has made."""
    graph = report.graph
    known = {spec.name for spec in graph.inputs} | set(graph.parameters)
    missing = []
    for layer in graph.layers:
        missing += [spec.name for spec in layer.inputs.values() if spec.name not in known]
        known |= {spec.name for spec in layer.outputs.values()}
    return missing + [spec.name for spec in graph.outputs if spec.name not in known]


# -- random nets against torch's own counter on a real forward -------------------------------------


class Concat(nn.Module):
    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.left(x), self.right(x)], 1)


def residual(body: nn.Module) -> Net:
    return Net(lambda m, x: x + m.body(x), body=body)


def scribble(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, 0] += 1
    x[:, 1].mul_(2)
    x[:, :, 0] = 0
    return x


def gate(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, 1)
    return left * right.sigmoid()


def attend(m: Any, x: torch.Tensor) -> torch.Tensor:
    n, length, width = x.shape
    q, k, v = m.qkv(x).reshape(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
    return x + m.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def attend_by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
    q, (k, v) = m.q(x), m.kv(x).chunk(2, -1)
    return torch.einsum("bnm,bmd->bnd", (q @ k.mT * 0.3).softmax(-1), v)


def image_pieces(channels: int) -> list[Callable[[], nn.Module]]:
    return [
        lambda: nn.Conv2d(channels, 6, (1, 3), 1, 1, groups=2, bias=False),
        lambda: nn.Conv2d(channels, 4, 3, 2, 1),
        lambda: nn.Conv2d(channels, channels, 3, padding="same", groups=channels, dilation=2),
        lambda: nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
        lambda: nn.ConvTranspose2d(channels, 4, 2, 2),
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.GroupNorm(2, channels),
        lambda: nn.ReLU(inplace=True),
        lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        lambda: nn.AdaptiveAvgPool2d(4),
        lambda: residual(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))),
        lambda: Concat(nn.Conv2d(channels, 2, 1), nn.Conv2d(channels, 4, 3, 1, 1)),
        lambda: Net(gate),
        lambda: Net(scribble),
    ]


def sequence_pieces(width: int) -> list[Callable[[], nn.Module]]:
    return [
        lambda: nn.Linear(width, 12),
        lambda: nn.Linear(width, 8, bias=False),
        lambda: Net(attend, qkv=nn.Linear(width, 3 * width), out=nn.Linear(width, width)),
        lambda: Net(attend_by_hand, q=nn.Linear(width, width), kv=nn.Linear(width, 2 * width)),
        lambda: nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True, norm_first=True),
        lambda: Net(lambda m, x: m.mha(x, x, x)[0], mha=nn.MultiheadAttention(width, 2, batch_first=True)),
        lambda: Net(lambda m, x: m.conv(x.transpose(1, 2)).mT, conv=nn.Conv1d(width, width, 3, padding=1)),
        lambda: residual(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width))),
        lambda: nn.GELU(),
    ]


def random_net(seed: int) -> tuple[nn.Sequential, torch.Tensor]:
    choose = random.Random(seed)
    x = torch.randn(2, 4, 11, 9) if seed % 2 else torch.randn(2, 5, 8)
    pieces: list[nn.Module] = []
    y = x
    for _ in range(choose.randint(3, 6)):
        made = image_pieces(y.shape[1]) if seed % 2 else sequence_pieces(y.shape[-1])
        piece = choose.choice(made)().eval()
        with torch.no_grad():
            z = piece(y.clone())
        if z.shape[1] % 2 == 0 or not seed % 2:  # groups and gates halve the channels
            y = z
            pieces.append(piece)
    return nn.Sequential(*pieces).eval(), x


@pytest.fixture
def _no_fused_attention() -> Iterator[None]:
    """torch's counter sees no fused kernel of the CPU: let it take attention apart."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with sdpa_kernel(SDPBackend.MATH):
        yield
    torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.usefixtures("_no_fused_attention")
@pytest.mark.parametrize("seed", range(40))
def test_random_nets_count_as_their_real_forward_does(seed: int) -> None:
    model, x = random_net(seed)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        y = model(x.clone())
    for report in (multiprof.analyze(model, x), multiprof.analyze(model.to("meta"), tuple(x.shape))):
        assert 2 * report.macs == counter.get_total_flops()
        assert report.params == sum(p.numel() for p in set(model.parameters()))
        assert report.coverage == 1
        assert report.graph.outputs[0].shape == tuple(y.shape)
        assert not vanished(report)


# -- TorchScript inside a module -------------------------------------------------------------------


# torch advises against TorchScript from 2.13 on; models that hold some are still about.
still_about = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ weight) + 1


@still_about
@pytest.mark.parametrize("real", [False, True], ids=["shapes", "real"])
@pytest.mark.parametrize("kind", ["function", "script", "trace"])
def test_scripted_calls_are_counted(kind: str, real: bool) -> None:
    scripted = torch.jit.script(product)
    parts: dict[str, Callable[[], Any]] = {
        "function": linear,
        "script": lambda: torch.jit.script(linear()),
        "trace": lambda: torch.jit.trace(linear(), X),
    }

    def forward(m: Any, x: torch.Tensor) -> Any:
        y = scripted(x, m.part.weight) if kind == "function" else m.part(x)
        return y * (x.sum().item() if real else 1)

    model = Net(forward, part=parts[kind]())
    report = multiprof.analyze(model, X)
    assert report.macs == LINEAR
    assert report.params == 72
    assert report.coverage == 1
    assert not vanished(report)


@still_about
@pytest.mark.parametrize("real", [False, True], ids=["shapes", "real"])
def test_a_scripted_module_in_training_mode_keeps_its_statistics(real: bool) -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(4)))
    model = Net(lambda m, x: m.part(x) * (x.sum().item() if real else 1), part=scripted)
    report = multiprof.analyze(model, X)
    assert report.macs == LINEAR
    assert scripted.training
    buffers = dict(scripted.named_buffers())
    assert buffers["1.num_batches_tracked"] == 0
    assert torch.equal(buffers["1.running_mean"], torch.zeros(4))


@still_about
def test_scripted_functions_are_called_as_before_afterwards() -> None:
    before = torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__
    multiprof.analyze(linear(), X)
    assert (torch._C.ScriptFunction.__call__, torch._C.ScriptMethod.__call__) == before
    assert torch.jit.script(product)(X, torch.eye(8)).device.type == "cpu"


# -- functorch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda m, x: torch.vmap(m.part)(x), LINEAR),
        (lambda m, x: torch.vmap(lambda a: a @ a.mT)(x), 2 * 4 * 4 * 8),
        (lambda m, x: torch.vmap(torch.vmap(m.part))(x), LINEAR),
        (lambda m, x: torch.vmap(lambda w: x @ w)(m.ensemble), 5 * LINEAR),
    ],
)
def test_what_is_mapped_counts_for_every_element(function: Callable[..., Any], macs: int) -> None:
    report = multiprof.analyze(Net(function, part=linear(), ensemble=nn.Parameter(torch.ones(5, 8, 8))), X)
    assert report.macs == macs
    assert not vanished(report)


def test_mapping_over_values_says_that_it_counts_too_little() -> None:
    report = multiprof.analyze(Net(lambda m, x: torch.vmap(m.part)(x) * x.sum().item(), part=linear()), X)
    assert report.coverage < 1
    assert any("count is too low" in warning for warning in report.warnings)


def test_a_gradient_inside_the_forward_is_not_silently_nothing() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(m.part(x).sum(), x)
        return x + slope

    report = multiprof.analyze(Net(forward, part=linear()), X)
    assert report.macs == LINEAR  # the backward product is not counted …
    assert report.coverage < 1  # … and the report says so
    assert not vanished(report)


# -- threads ---------------------------------------------------------------------------------------


def test_analyses_in_several_threads_do_not_disturb_one_another() -> None:
    shared = nn.Sequential(linear(), linear())
    models = [nn.Sequential(*(linear() for _ in range(n))) for n in range(1, 4)] + [shared, shared]
    call = nn.Module.__call__
    found: list[tuple[int, int, tuple[str, ...]]] = []

    def work(model: nn.Sequential) -> None:
        for _ in range(15):
            report = multiprof.analyze(model, X)
            found.append((len(model), report.macs, tuple(layer.name for layer in report.layers)))

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 15 * len(models)
    assert set(found) == {(n, n * LINEAR, tuple(map(str, range(n)))) for n in (1, 2, 3)}
    assert nn.Module.__call__ is call
    assert all(module.training for model in models for module in model.modules())


def test_an_analysis_inside_a_forward() -> None:
    inner: list[int] = []

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        inner.append(multiprof.analyze(m.part, (3, 8)).macs)
        return m.part(x)  # type: ignore[no-any-return]

    report = multiprof.analyze(Net(forward, part=linear()), X)
    assert (report.macs, inner) == (LINEAR, [3 * 8 * 8])


# -- results ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Slotted:
    left: Any
    right: Any = None


def test_tensors_in_slots_are_outputs() -> None:
    report = multiprof.analyze(Net(lambda m, x: Slotted(m.part(x)), part=linear()), X)
    assert [spec.name for spec in report.graph.outputs] == ["part"]


def test_a_generator_is_run_to_its_end() -> None:
    report = multiprof.analyze(Net(lambda m, x: (m.part(x) for _ in range(3)), part=linear()), X)
    assert report.macs == 3 * LINEAR
    assert len(report.graph.outputs) == 3


# -- modules claimed by a formula ------------------------------------------------------------------


class Doubling(nn.Module):
    """Writes to its argument and returns nothing."""

    def forward(self, x: torch.Tensor) -> None:
        x.mul_(2)


class Remembering(nn.Module):
    """Keeps a tensor that it does not return."""

    def __init__(self) -> None:
        super().__init__()
        self.part = linear()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = self.part(x)
        return self.kept + 1  # type: ignore[no-any-return]


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def claims(kind: type) -> Any:
    @formula(f"torch.{kind.__module__}.{kind.__qualname__}")
    def price(layer: Any) -> Cost:
        """dot: 7 macs"""
        return Cost({"dot": Counts(macs=7)})

    return price


def test_a_claimed_module_that_writes_to_its_argument() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = m.first(x)
        m.claimed(y)
        return m.last(y)  # type: ignore[no-any-return]

    model = Net(forward, first=linear(), claimed=Doubling(), last=linear())
    report = multiprof.analyze(model, X, formulas=[claims(Doubling)])
    first, claimed, last = report.graph.layers
    assert report.macs == 2 * LINEAR + 7
    assert claimed.inputs["x0"].name == first.outputs["y"].name
    assert claimed.aliases == (("x0_out", "x0", "write"),)
    assert last.inputs["x"].name == claimed.outputs["x0_out"].name


def test_what_a_claimed_module_keeps_is_untraced_when_used() -> None:
    model = Net(lambda m, x: m.last(m.claimed(x) + m.claimed.kept), claimed=Remembering(), last=linear())
    report = multiprof.analyze(model, X, formulas=[claims(Remembering)])
    assert report.macs == LINEAR + 7
    assert list(report.unsupported()) == ["torch.untraced"]
    assert not vanished(report)


def test_a_claimed_module_that_hands_its_argument_through() -> None:
    model = nn.Sequential(linear(), Nothing(), linear())
    report = multiprof.analyze(model, X, formulas=[claims(Nothing)])
    assert report.macs == 2 * LINEAR + 7
    assert report.graph.layers[1].aliases == (("y", "x0", "view"),)
    assert not vanished(report)


# -- messages --------------------------------------------------------------------------------------


def test_the_error_names_the_module_that_raised() -> None:
    model = nn.Sequential(linear(), nn.Sequential(nn.ReLU(), nn.Linear(9, 8)))
    with pytest.raises(InputsError, match=r"in module '1\.1'"):
        multiprof.analyze(model, X)


def test_an_error_that_the_model_handled_is_not_blamed() -> None:
    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(RuntimeError):
            m.wrong(x)
        raise ValueError("of its own")

    with pytest.raises(multiprof.ModelError) as caught:
        multiprof.analyze(nn.Sequential(Net(forward, wrong=nn.Linear(9, 8))), X)
    assert f"in module '0' at {__file__}:" in str(caught.value)


def test_a_module_without_weights_that_nobody_registered_is_no_news() -> None:
    report = multiprof.analyze(Net(lambda m, x: nn.GELU()(x)).eval(), X)
    assert report.warnings == ()
    report = multiprof.analyze(Net(lambda m, x: m.parts[0](x), parts=[linear()]).eval(), X)
    assert report.macs == LINEAR
    assert report.params == 72
    assert "does not register" in report.warnings[0]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_sparse_parameters_are_declared() -> None:
    for sparse in (torch.eye(8).to_sparse(), torch.eye(8).to_sparse_csr()):
        model = Net(lambda m, x: m.part(x), part=linear(), unused=nn.Parameter(sparse))
        assert multiprof.analyze(model, Inputs(X)).params == 72 + 64


def test_weight_norm_only_prepares_a_weight() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3), dim=0)
    report = multiprof.analyze(model, X)
    states = {layer.op: (layer.state, layer.layer.outputs["y"].shape) for layer in report.layers}
    assert states == {
        "norm": ("prepared", (6, 1, 1)),
        "div": ("prepared", (6, 1, 1)),
        "mul": ("prepared", (6, 4, 3)),
        "conv": ("priced", (2, 6, 6)),
    }
    assert report.layers[0].layer.attrs == {"axis": (1, 2), "keepdim": True, "ord": 2}
    assert report.macs == 2 * 6 * 6 * 4 * 3
    assert report.params == 6 * 4 * 3 + 6 + 6


class Cache:
    """A key-value cache as models grow it: lists of layers' tensors inside an object of the caller's."""

    def __init__(self) -> None:
        self.layers = [{"keys": torch.ones(2, 3, 8)}]
        self.seen = 3


def test_a_cache_given_as_an_argument_comes_back_as_it_was() -> None:
    def forward(m: Any, x: torch.Tensor, cache: Cache) -> torch.Tensor:
        entry = cache.layers[0]
        entry["keys"] = torch.cat([entry["keys"], m.part(x)], 1)
        cache.layers.append({"keys": x})
        cache.seen += x.shape[1]
        return x @ entry["keys"].mT

    cache = Cache()
    keys = cache.layers[0]["keys"]
    for inputs in (Inputs(X, cache), Inputs(X, cache=cache)):
        report = multiprof.analyze(Net(forward, part=linear()), inputs)
        assert report.macs == LINEAR + 2 * 4 * (3 + 4) * 8
        assert len(cache.layers) == 1
        assert cache.layers[0]["keys"] is keys
        assert cache.seen == 3
