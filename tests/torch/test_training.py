"""A training step against closed forms, and against the operators that a real backward pass dispatches."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

import multiprof
from multiprof.backward.step import train
from multiprof.cli import main
from multiprof.engine import price
from multiprof.passes import training_form
from multiprof.registry import build
from multiprof.testing.graphs import resnet50


def step(model, inputs, optimizer=None, **options):
    return multiprof.analyze(model, inputs, train=True, optimizer=optimizer, **options)


def backward(report, name):
    return {term: counts.macs for term, counts in report.training.layer(name).cost.terms.items() if counts.macs}


def test_linear_of_the_worked_example():
    """300 → 100 on 4 samples: 120,000 macs each; the input needs no gradient unless it says so; bias 400 − 100 adds."""
    report = step(nn.Linear(300, 100), (4, 300))
    (name,) = report.training.layers
    terms = report.training.layer(name).cost.terms
    assert {term: (c.macs, c.adds) for term, c in terms.items()} == {"weight_grad": (120_000, 0), "bias_grad": (0, 300)}
    wanted = step(nn.Linear(300, 100), torch.zeros(4, 300, requires_grad=True))
    assert backward(wanted, name) == {"input_grad": 120_000, "weight_grad": 120_000}


def three(first=True, second=True):
    """Three layers of 10 → 20 → 30 → 5, of which the first two may be frozen."""
    net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
    net[0].requires_grad_(first)
    net[2].requires_grad_(second)
    return net


def test_a_frozen_trunk_costs_less():
    """On 8 samples the layers make 1,600, 4,800 and 1,200 macs forward."""
    assert step(three(), (8, 10)).training.backward.macs == 1600 + 2 * 4800 + 2 * 1200
    # the first trained layer makes no input gradient, what is before it has no backward pass
    head = step(three(False, False), (8, 10))
    assert head.training.backward.macs == 1200
    assert {name for name, part in head.training.layers.items() if part.state != "none"} == {"4"}
    assert head.training.layer("4").saved == (("3", 8 * 30 * 4),)
    assert head.training.gradient_bytes == (30 * 5 + 5) * 4
    # a frozen layer behind a trained one passes the gradient on, and keeps no input
    middle = step(three(True, False), (8, 10))
    assert middle.training.backward.macs == 1600 + 4800 + 2 * 1200
    assert backward(middle, "2") == {"input_grad": 4800}


class Cut(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.first, self.second, self.how = nn.Linear(4, 4), nn.Linear(4, 4), how

    def forward(self, x):
        if self.how == "no_grad":
            with torch.no_grad():
                x = self.first(x)
        elif self.how == "detach":
            x = self.first(x).detach()
        elif self.how == "data":
            x = self.first(x).data
        elif self.how == "unused":
            self.first(x)
        else:
            x = self.first(x)
        return self.second(x)


@pytest.mark.parametrize("how", ["no_grad", "detach", "data", "unused", "whole"])
def test_where_autograd_stops(how):
    report = step(Cut(how), (2, 4))
    reached = report.training.layer("first").state == "priced"
    # the gradients that a real backward pass leaves
    model = Cut(how)
    model(torch.randn(2, 4)).sum().backward()
    assert reached == (model.first.weight.grad is not None) == (how == "whole")
    assert report.training.gradient_bytes == sum(p.nbytes for p in model.parameters() if p.grad is not None)


def test_the_model_is_analysed_in_training_mode_and_comes_back_as_it_was():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = step(model, (6, 4))
    assert {layer.op for layer in report.graph.layers} >= {"random", "mul", "batch_norm"}
    assert report.layer("1/batch_norm").layer.attrs["batch_stats"] and not report.folded()
    assert not any(module.training for module in model.modules()) and torch.is_grad_enabled()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert multiprof.analyze(model, (6, 4)).training is None


def test_tied_weights_have_one_gradient_that_is_added_up():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6, bias=False)

        def forward(self, x):
            return self.fc(self.fc(x))

    report = step(Tied(), (3, 6), "momentum")
    assert report.training.gradient_bytes == report.training.state_bytes == 36 * 4
    sums = [part.cost.terms.get("accumulate") for part in report.training.layers.values()]
    assert [s.adds for s in sums if s] == [36]  # the second gradient joins the first


def test_resnet50():
    """Every convolution and the classifier make as many macs for each gradient as forward, but the stem (118,013,952)
    makes no gradient of the image: 3·4,089,184,256 − 118,013,952.
    """
    formulas = build().formulas()
    report = train(price(training_form(resnet50()), formulas), formulas, "momentum")
    assert report.macs == 4_089_184_256
    assert report.step.macs == 3 * 4_089_184_256 - 118_013_952 == 12_149_538_816
    assert report.training.gradient_bytes == report.training.state_bytes == 25_557_032 * 4


def test_gpt2(training_nets):
    """GPT-2 of 124 M parameters on 1024 tokens: twelve blocks of 12·768² weights and the head, on every token;
    attention 2·1024²·768 a block forward. Backward twice the products with weights, and of attention five products
    for the two of the forward pass, the scores made again among them.
    """
    tokens, width, words = 1024, 768, 50257
    with torch.device("meta"):
        model = training_nets.GPT(words, width, 12, 12, tokens)
    report = step(model, multiprof.TensorSpec((1, tokens), "int64"), "adamw")
    weights = tokens * (12 * 12 * width**2 + words * width)
    product = tokens**2 * width
    assert report.macs == weights + 12 * 2 * product
    assert report.training.backward.macs == 2 * weights + 12 * 5 * product
    params = 12 * (12 * width**2 + 13 * width) + words * width + tokens * width + 2 * width
    assert report.params == params == 124_439_808
    assert report.training.gradient_bytes == params * 4
    # two moments and a step count for each of 148 tensors
    assert report.training.state_bytes == 2 * params * 4 + 148 * 4


# FlopCounterMode counts grouped convolutions' weight gradients as if they were whole, and no fused recurrent kernel.
COUNTED = ("mlp", "alexnet", "resnet", "dense", "unet", "gpt", "vit", "plain", "gru", "rnn", "encoder")


@pytest.mark.parametrize("name", COUNTED)
def test_macs_are_those_of_the_operators_that_run(training_nets, name):
    make, inputs = training_nets.NETS[name]
    model, x = make().train(), inputs()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    report = step(model, x)
    # attention there is products, of which none is made again
    again = sum(
        part.cost.terms["recompute"].macs for part in report.training.layers.values() if "recompute" in part.cost.terms
    )
    assert 2 * (report.macs + report.training.backward.macs - again) == counter.get_total_flops()
    assert not report.training.unsupported()


class Checkpointed(nn.Module):
    """Three blocks of two layers, each a checkpointed segment, and a head."""

    def __init__(self, kind):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 32)) for _ in range(3))
        self.head = nn.Linear(32, 4)
        self.kind = kind

    def forward(self, x):
        for block in self.blocks:
            x = block(x) if self.kind is None else checkpoint(block, x, use_reentrant=self.kind)
        return self.head(x)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_segments_are_paid_twice_and_keep_their_inputs(reentrant):
    """Reentering checkpoints need an input that requires a gradient."""
    x = torch.randn(8, 32, requires_grad=True)
    plain, segmented = step(Checkpointed(None), x), step(Checkpointed(reentrant), x)
    assert segmented.training.backward == plain.training.backward
    assert segmented.training.recomputed.macs == 3 * 2 * 8 * 32 * 64  # the blocks once more, the head not
    assert plain.training.recomputed.macs == 0
    assert segmented.step.macs - plain.step.macs == segmented.training.recomputed.macs
    # three inputs of segments and that of the head, 8·32 numbers each, of which the first is the caller's x
    assert segmented.training.saved_bytes == 4 * 8 * 32 * 4
    assert plain.training.saved_bytes == 4 * 8 * 32 * 4 + 3 * 8 * 64 * 4  # and the hidden layers
    # what runs, without the early stop that spares the last layer of a segment
    with set_checkpoint_early_stop(False), FlopCounterMode(display=False) as counter:
        Checkpointed(reentrant)(x).sum().backward()
    assert 2 * segmented.step.macs == counter.get_total_flops()


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adafactor": torch.optim.Adafactor,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_states_are_those_of_torch(name):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 10))
    model[0].bias.requires_grad_(False)
    x = torch.randn(2, 3, 8, 8)
    report = step(model, x, name)
    optimizer = OPTIMIZERS[name](model.parameters())
    F.cross_entropy(model(x), torch.tensor([1, 2])).backward()
    optimizer.step()
    states: dict[str, int] = {}
    for state in optimizer.state.values():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                states[key] = states.get(key, 0) + value.nbytes
    assert report.training.states == states
    assert report.training.gradient_bytes == sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)


def test_without_anything_to_train_it_says_so():
    report = step(nn.Linear(3, 3).requires_grad_(False), (2, 3))
    assert report.training.backward.flops == 0 and report.training.saved_bytes == 0
    assert any("no backward pass" in warning for warning in report.warnings)


def test_a_saved_report_is_the_same(tmp_path):
    report = step(Checkpointed(False), torch.randn(8, 32, requires_grad=True), "adamw")
    report.save(tmp_path / "r.json")
    again = multiprof.load(tmp_path / "r.json")
    assert again == report and again.step == report.step and str(again) == str(report)


def test_strict_on_the_command_line_fails_where_the_backward_pass_has_no_cost(tmp_path, capsys):
    path = tmp_path / "special_net.py"
    path.write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return torch.lgamma(super().forward(x))\n"
        "def build():\n"
        "    return Net(8, 4)\n"
    )
    line = ["analyze", f"{path}:build", "--input", "4x8", "--train"]
    assert main(line) == 0
    assert "its totals are too low" in capsys.readouterr().err
    assert main([*line, "--strict", "-q"]) == 1
    assert (
        capsys.readouterr().err == "multiprof: error: --strict: layers whose backward pass has no cost: special (1)\n"
    )
    assert main([*line[:-1], "--strict", "-q"]) == 0
