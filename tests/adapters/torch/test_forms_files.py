"""Files of PyTorch: five networks, each exported, traced and scripted, give the live model's figures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import multiprof
from multiprof import Inputs, InputsError, ModelError, Report


class Convolutions(nn.Module):
    """Strided, depthwise, dilated and transposed convolutions, each with a norm of its own kind."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True))
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.norm = nn.GroupNorm(2, 8)
        self.up = nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=2)
        self.act = nn.PReLU(4)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(self.stem(x)))
        y = self.act(self.up(y))
        if y.shape[2] > 4:
            y = F.avg_pool2d(y, 2)
        y = torch.cat([y, y.abs()], 1).mean((2, 3))
        return torch.softmax(self.head(y), -1)

    example = (torch.zeros(2, 3, 16, 12),)
    # outputs of 8×6, of 8×6 depthwise, a deconvolution of each of 8 channels into 2 of 4 by 4×4
    true_macs = 2 * (8 * 8 * 6 * 27 + 8 * 8 * 6 * 9 + 8 * 8 * 6 * 16 * 2 + 8 * 5)
    true_params = 8 * 27 + 16 + 8 * 9 + 8 + 16 + 8 * 2 * 16 + 4 + 4 + 8 * 5 + 5
    true_buffers = 8 + 8 + 1


class Recurrent(nn.Module):
    """Two directions, two layers, a projection; tokens in, tied embedding out."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.gru = nn.GRU(6, 4, 2, bidirectional=True, batch_first=True)
        self.lstm = nn.LSTM(8, 7, proj_size=6)
        self.out = nn.Linear(6, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.gru(self.embed(ids))
        z, _ = self.lstm(y)
        return F.log_softmax(self.out(z), -1)

    example = (torch.zeros(2, 5, dtype=torch.int64),)
    steps = 2 * 5
    true_macs = (
        steps * 2 * 3 * 4 * ((6 + 4) + (8 + 4))  # gates of both layers in both directions
        + steps * (4 * 7 * (8 + 6) + 7 * 6)
        + steps * 6 * 11
    )
    true_params = 66 + 2 * (12 * (6 + 4) + 24 + 12 * (8 + 4) + 24) + 28 * (8 + 6) + 56 + 42
    true_buffers = 0


class Attention(nn.Module):
    """Attention written out, fused, and torch's own module; a layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.mha = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            q, k, v = self.qkv(self.norm(x)).reshape(2, 6, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
            x = x + (F.scaled_dot_product_attention(q, k, v)).transpose(1, 2).reshape(2, 6, 16)
            x = x + (torch.softmax(q @ k.transpose(-2, -1) * self.scale, -1) @ v).transpose(1, 2).flatten(2)
        return self.mha(x, x, x, need_weights=False)[0]

    example = (torch.zeros(2, 6, 16),)
    products = 2 * 4 * 6 * 6 * (4 + 4)
    true_macs = 2 * (12 * 16 * 48 + 2 * products) + 4 * 12 * 16 * 16 + products
    true_params = 16 * 48 + 48 + 4 * (16 * 16 + 16) + 32
    true_buffers = 1


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 20, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    example = (torch.zeros(3, 5, 8),)
    true_macs = 2 * (15 * (4 * 8 * 8 + 2 * 8 * 20) + 3 * 2 * 5 * 5 * (4 + 4))
    true_params = 2 * (4 * (8 * 8 + 8) + 8 * 20 + 20 + 20 * 8 + 8 + 2 * 16)
    true_buffers = 0


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.hardswish(self.conv2(y) + x)


class Residual(nn.Module):
    """Blocks in a list, one of them twice; frozen weights."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(4), Block(4)])
        self.blocks[0].requires_grad_(False)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        x = self.blocks[1](x) * mask
        return self.pool(x).flatten(1)

    example = (torch.zeros(1, 4, 6, 6), torch.zeros(6, 6))
    true_macs = 3 * 36 * (4 * 4 * 9 + 4 * 4)
    true_params = 2 * (4 * 4 * 9 + 8 + 4 * 4 + 4)
    true_buffers = 2 * 9


NETS = {kind.__name__: kind for kind in (Convolutions, Recurrent, Attention, Encoder, Residual)}
FORMS = ("exported", "traced", "scripted")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every network in every form, each made once."""
    folder = tmp_path_factory.mktemp("forms")
    made = {}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporters' own
        for name, kind in NETS.items():
            model = kind().eval()
            for form in FORMS:
                path = folder / f"{name}-{form}{'.pt2' if form == 'exported' else '.pt'}"
                save(model, kind.example, form, path)
                made[name, form] = path
    return made


def save(model: nn.Module, inputs: tuple[Tensor, ...], form: str, path: Path) -> None:
    if form == "exported":
        torch.export.save(torch.export.export(model, inputs), path)
    elif form == "traced":
        torch.jit.trace(model, inputs, check_trace=False).save(path)
    else:
        torch.jit.script(model).save(path)


def figures(report: Report) -> dict[str, Any]:
    return {
        name: getattr(report, name)
        for name in ("macs", "flops", "params", "trainable_params", "buffers", "weight_bytes")
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", list(NETS))
def test_a_file_counts_as_the_live_model(
    name: str, form: str, files: dict[tuple[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = NETS[name]
    live = multiprof.analyze(kind().eval(), list(kind.example))
    forbid_loaders(monkeypatch)
    report = multiprof.analyze(files[name, form], list(kind.example))
    assert (report.macs, report.params, report.buffers) == (kind.true_macs, kind.true_params, kind.true_buffers)
    assert figures(report) == figures(live)
    assert not report.unsupported() and not report.warnings
    # Only operators that move or make nothing may differ: what a trace makes of Python's own code.
    arithmetic = {op: t.flops for op, t in report.by_op().items() if t.flops}
    assert arithmetic == {op: t.flops for op, t in live.by_op().items() if t.flops}
    assert report.name == name
    assert [spec.shape for spec in report.graph.inputs] == [tuple(x.shape) for x in kind.example]


def forbid_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever unpickles, evaluates or runs a file raise."""
    import pickle

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was loaded")

    for owner, attribute in (
        (torch, "load"), (torch.jit, "load"), (torch.export, "load"), (pickle, "load"), (pickle, "loads"),
        (pickle, "Unpickler"), (torch._C, "import_ir_module"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, attribute, never)


@pytest.mark.parametrize("form", FORMS)
def test_scopes_are_the_modules(form: str, files: dict[tuple[str, str], Path]) -> None:
    report = multiprof.analyze(files["Residual", form], list(Residual.example))
    convolutions = {layer.name: layer.scope for layer in report.layers if layer.op == "conv"}
    assert convolutions == {
        f"blocks.{i}.{conv}{again}": f"blocks.{i}.{conv}"
        for i, again in ((0, ""), (1, ""), (1, "#2"))
        for conv in ("conv1", "conv2")
    }
    assert report.graph.metadata["modules"]["blocks.0.conv1"] == "Conv2d"


def test_a_program_carries_its_inputs(files: dict[tuple[str, str], Path]) -> None:
    assert multiprof.analyze(files["Recurrent", "exported"]).macs == Recurrent.true_macs
    assert multiprof.analyze(files["Recurrent", "exported"], (2, 5)).graph.inputs[0].dtype == "int64"


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_a_torchscript_file_must_be_told_its_inputs(form: str, files: dict[tuple[str, str], Path]) -> None:
    with pytest.raises(InputsError, match=r"does not carry its input shapes"):
        multiprof.analyze(files["Encoder", form])


@pytest.mark.parametrize("given", [[(2, 3, 16, 12), (1,)], (2, 3, 16, 13), (2, 3, 16), {"y": (2, 3, 16, 12)}], ids=str)
def test_inputs_that_a_program_was_not_exported_for(given: Any, files: dict[tuple[str, str], Path]) -> None:
    with pytest.raises(InputsError, match=r"Convolutions-exported\.pt2 was exported for.*it takes x \[2, 3, 16, 12\]"):
        multiprof.analyze(files["Convolutions", "exported"], given)


@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_torchscript_takes_other_sizes(form: str, files: dict[tuple[str, str], Path]) -> None:
    live = multiprof.analyze(Encoder().eval(), (2, 9, 8))
    report = multiprof.analyze(files["Encoder", form], (2, 9, 8))
    assert figures(report) == figures(live)


@pytest.mark.parametrize("training", [True, False])
def test_a_live_scripted_module(training: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.jit.script(Convolutions().train(training))
    before = {name: (id(p), p._version) for name, p in model.named_parameters()}
    report = multiprof.analyze(model, (2, 3, 16, 12))
    assert (report.macs, report.params) == (Convolutions.true_macs, Convolutions.true_params)
    assert model.training is training and len(report.warnings) == training
    assert {name: (id(p), p._version) for name, p in model.named_parameters()} == before


# -- what programs hold beside operators -------------------------------------------------------------------------------


class Odd(nn.Module):
    """Nested inputs, keywords, a constant, free sizes, autocast, a choice by size, a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("hidden", torch.ones(8), persistent=False)
        self.table = torch.arange(8.0)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor, options: dict[str, Tensor], *, mask: Tensor | None = None) -> dict[str, Tensor]:
        y = x * options["a"] + self.hidden + self.table
        with torch.autocast("cpu", torch.bfloat16):
            y = self.fc(y.view(x.shape[0] * x.shape[1], 8))
        if mask is not None:
            y = y * mask.reshape(-1, 1)
        with torch.no_grad():
            y = torch.softmax(y, -1)
        return {"y": torch.cond(x.shape[0] > 3, lambda t: t @ (t + 1).T, lambda t: t * 2, (y,))}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "odd.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Odd().eval(), (torch.zeros(2, 6, 8), {"a": torch.ones(8)}), {"mask": torch.ones(2, 6)},
            dynamic_shapes={"x": {0: batch}, "options": {"a": None}, "mask": {0: batch}},
        )  # fmt: skip
        torch.export.save(program, path)
    return path


@pytest.mark.parametrize("batch", [2, 5])
def test_free_sizes_and_graphs_within_the_graph(odd: Path, batch: int) -> None:
    report = multiprof.analyze(odd, Inputs((batch, 6, 8), {"a": (8,)}, mask=(batch, 6)))
    rows = batch * 6
    assert report.macs == rows * 8 * 10 + (rows * rows * 10 if batch > 3 else 0)
    assert (report.params, report.buffers) == (90, 0)
    assert {p.name: p.kind for p in report.graph.parameters.values()}.items() >= {
        ("hidden", "constant"), ("table", "constant"), ("fc.weight", "parameter"),
    }  # fmt: skip
    linear = next(layer for layer in report.graph.layers if layer.op == "linear")
    assert linear.inputs["x"].dtype == "bfloat16"  # what autocast executes
    assert not report.unsupported()


@pytest.mark.parametrize(
    ("x", "mask", "why"),
    [((65, 6, 8), (65, 6), "size of 65 in x is outside of 1 to 64"), ((2, 6, 8), (3, 6), "mask has the shape")],
)
def test_free_sizes_have_limits(odd: Path, x: Any, mask: Any, why: str) -> None:
    with pytest.raises(InputsError, match=why):
        multiprof.analyze(odd, Inputs(x, {"a": (8,)}, mask=mask))


def test_missing_arguments_of_a_program(odd: Path) -> None:
    with pytest.raises(InputsError, match=r"it takes x \[\?, 6, 8\], options_a \[8\], mask \[\?, 6\]"):
        multiprof.analyze(odd, Inputs((2, 6, 8), {"b": (8,)}, mask=(2, 6)))


class Choice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda t: self.large(self.small(t)), lambda t: self.small(t), (x,))


def test_a_choice_by_values_counts_the_dearer_branch(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(Choice().eval(), (torch.zeros(3, 4),)), tmp_path / "choice.pt2")
    report = multiprof.analyze(tmp_path / "choice.pt2")
    assert (report.macs, report.params) == (2 * 3 * 16, 2 * 20)
    assert sorted(region.kind for region in report.graph.regions.values()) == ["branch", "branch"]
    assert not report.unsupported()


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.multiprof_forms.twice(x @ x)


def test_an_operator_that_is_not_registered_here_is_named(tmp_path: Path, rewritten: Callable[..., Path]) -> None:
    with torch.library._scoped_library("multiprof_forms", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: torch.empty_like(x), "Meta")
        library.impl("twice", lambda x: 2 * x, "CPU")
        torch.export.save(torch.export.export(Own(), (torch.zeros(4, 4),)), tmp_path / "own.pt2")
    path = rewritten(tmp_path / "own.pt2", "models/model.json", b"multiprof_forms", b"multiprof_gone")
    report = multiprof.analyze(path)
    assert report.macs == 64
    assert list(report.unsupported()) == ["torch.multiprof_gone.twice"]
    assert report.graph.outputs[0].shape == (4, 4)


def test_several_programs_in_one_file(tmp_path: Path) -> None:
    from torch.export.pt2_archive._package import package_pt2

    program = torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),))
    package_pt2(str(tmp_path / "two.pt2"), exported_programs={"one": program, "two": program})
    with pytest.raises(ModelError, match=r"several programs \((one, two|two, one)\)"):
        multiprof.analyze(tmp_path / "two.pt2")


class Ranges(nn.Module):
    """``arange`` of two and three numbers, products with constants, one weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(0, x.shape[1]) % 2
        odd = torch.arange(1, x.shape[1] + 1, 2) * 3
        return self.head(self.embed(x * 3 + places)) * 5 + odd.sum()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["traced", "scripted"])
def test_constants_and_ranges(form: str, tmp_path: Path) -> None:
    """Objects of the file's two pickles are told apart, and so are the operators of one name."""
    example = torch.ones(2, 6, dtype=torch.int64)
    save(Ranges(), (example,), form, tmp_path / "m.pt")
    report = multiprof.analyze(tmp_path / "m.pt", [example])
    assert (report.macs, report.params) == (2 * 6 * 8 * 10, 80) and not report.unsupported()
    assert [layer.y.shape for layer in report.graph.layers if layer.op == "arange"] == [(6,), (3,)]
