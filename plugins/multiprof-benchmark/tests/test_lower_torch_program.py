"""A lowered model as a program: how much of the model it is, layer by layer, in any dtype, with numbers made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from handmade import priced, spec
from multiprof_benchmark.lower.torch import Program, lower
from torch import nn

import multiprof
from multiprof import Graph, Layer, Parameter, Region, Report, TensorSpec, UnsupportedOpError

KEYWORDS = Path(__file__).parents[3] / "examples" / "keywords_int8.tflite"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 6 * 6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.norm(self.conv(x))).flatten(1))


class Sorter(nn.Module):
    """A product, and an operator that has no kernel here."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).sort(-1).values


@pytest.fixture
def report() -> Report:
    return multiprof.analyze(Net().eval(), (2, 3, 8, 8))


def with_op(report: Report, old: str, new: str) -> Report:
    rows = tuple(replace(row, layer=replace(row.layer, op=new)) if row.op == old else row for row in report.layers)
    return replace(report, layers=rows, graph=replace(report.graph, layers=tuple(row.layer for row in rows)))


# -- how much it is ----------------------------------------------------------------------------------------------------


def test_the_share_counts_what_runs(report: Report) -> None:
    share = lower(report).share
    macs = 2 * 8 * 6 * 6 * 3 * 3 * 3 + 2 * 288 * 10
    assert (share.macs, share.all_macs, share.complete) == (macs, macs, True)
    assert (share.layers, share.all_layers) == (5, 5)  # conv, norm, relu, flatten, linear
    assert str(share) == "100.0% of the MACs, 5 of 5 layers"


def test_what_cannot_be_lowered_is_named_and_refused(report: Report) -> None:
    odd = with_op(report, "linear", "toy.odd")
    # the convolution alone: 2·8·6·6·27 = 15,552 of 15,552 + 5,760 is 73.0 %
    with pytest.raises(UnsupportedOpError, match=r"only 73\.0% of the MACs, 4 of 5 layers; not lowered: toy\.odd"):
        lower(odd)


def test_less_is_taken_where_it_is_asked_for(report: Report) -> None:
    program = lower(with_op(report, "linear", "toy.odd"), least=0.5)
    assert list(program.share.missing) == ["toy.odd"]
    assert program.share.missing["toy.odd"][1] == ("fc",)
    assert "fc" not in program.steps  # it costs no time, and does not pretend to be there
    (y,) = program(*program.examples)
    assert tuple(y.shape) == (2, 10)  # something of the right shape stands in its place


# -- layer by layer ----------------------------------------------------------------------------------------------------


def test_every_layer_is_callable_by_itself(report: Report) -> None:
    program = lower(report)
    operands = program.operands()
    x = program.examples[0]
    alone = program.steps["fc"](operands["fc"])[0]
    assert torch.equal(alone, program(x)[0])
    assert program.steps["norm"] is program.steps["conv"]  # merged
    assert program.steps["conv"].layers == ("conv", "norm")


def test_an_observer_sees_each_step_once_in_order(report: Report) -> None:
    program = lower(report)
    seen: list[str] = []
    program.observed(lambda step, operands, results: seen.append(step.name), *program.examples)
    assert seen == [row.name for row in report.layers if row.state != "folded"]


def test_views_are_views() -> None:
    class Views(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.transpose(1, 2)[:, 1:]

    program = lower(multiprof.analyze(Views(), (2, 3, 4)), least=0)
    (x,) = program.examples
    assert program(x)[0].data_ptr() == x.data_ptr() + 4  # one float further: nothing was moved


# -- numbers that are made up ------------------------------------------------------------------------------------------


def test_equal_seeds_make_equal_programs(report: Report) -> None:
    x = torch.randn(2, 3, 8, 8)
    first, again, other = (lower(report, seed=seed)(x)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert "conv.weight" in lower(report).drawn


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_dtype_is_that_of_all_tensors(report: Report, dtype: torch.dtype) -> None:
    program = lower(report, dtype=dtype)
    assert {tensor.dtype for step in program.steps.values() for tensor in step.weights.values()} == {dtype}
    assert program.differences() == []
    assert program(*program.examples)[0].dtype == dtype


def test_activations_of_a_deep_network_are_finite_and_normal() -> None:
    deep = nn.Sequential(*[layer for _ in range(40) for layer in (nn.Linear(64, 64), nn.ReLU())])
    program = lower(multiprof.analyze(deep, (4, 64)), dtype=torch.float16)
    assert program.findings == {}
    (y,) = program(*program.examples)
    assert 1e-3 < float(y.float().std()) < 1e3


def test_activations_that_are_not_numbers_are_told() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(x - 10).relu()

    program = lower(multiprof.analyze(Odd(), (4, 64)), least=0)
    assert program.findings == {"log": "not a number"}  # where they arise, not everywhere behind


def test_indices_are_in_range() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.table(x)

    program = lower(multiprof.analyze(Words(), TensorSpec((5, 100), "int64")), least=0)
    (ids,) = program.examples
    assert 0 <= int(ids.min()) <= int(ids.max()) == 6
    assert tuple(program(ids)[0].shape) == (5, 100, 4)


def test_what_depends_on_values_is_marked() -> None:
    net = Sorter().eval()
    program = lower(multiprof.analyze(net, (2, 8)), values=dict(net.named_parameters()))
    x = torch.randn(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(program(x)[0], net(x))
    assert program.value_dependent == ("sort",)


# -- graphs with control flow ------------------------------------------------------------------------------------------


def looped(trips: int) -> Graph:
    """s ← s·W, ``trips`` times, from x."""
    body = [
        Layer("start", "identity", {"x": spec("x", 2, 3)}, {"y": spec("begin", 2, 3)}),
        Layer("mul", "linear", {"x": spec("s", 2, 3), "weight": spec("w", 3, 3)}, {"y": spec("t", 2, 3)},
              {"in_features": 3, "out_features": 3}, region="loop"),
        Layer("carry", "identity", {"x": spec("t", 2, 3)}, {"y": spec("s", 2, 3)}, region="loop"),
    ]  # fmt: skip
    return Graph(
        "looped", "toy", (spec("x", 2, 3),), (spec("s", 2, 3),), tuple(body), {"w": Parameter(spec("w", 3, 3))},
        {"loop": Region("loop", None, "loop", trips, stateful=True)},
    )  # fmt: skip


def test_a_loop_runs_its_trips() -> None:
    weight = torch.randn(3, 3)
    program = lower(priced(looped(4)), values={"w": weight})
    assert program.share.all_macs == 4 * 2 * 3 * 3
    seen: list[str] = []
    program.observed(lambda step, operands, results: seen.append(step.name), torch.randn(2, 3))
    assert seen == ["start", *["mul", "carry"] * 4]
    state = program.get_buffer("state0")  # what the loop starts from is not in the graph
    expected = state @ weight.T @ weight.T @ weight.T @ weight.T
    torch.testing.assert_close(program(torch.randn(2, 3))[0], expected)


def test_the_dearer_branch_runs_and_that_is_said() -> None:
    def product(name: str, size: int, region: str) -> Layer:
        weight = spec(f"{name}.w", 3, size)
        return Layer(name, "linear", {"x": spec("x", 2, 3), "weight": weight}, {"y": spec(name, 2, size)},
                     {"in_features": 3, "out_features": size, "equation": "ij,jk->ik"}, region=region)  # fmt: skip

    graph = Graph(
        "choice", "toy", (spec("x", 2, 3),), (spec("small", 2, 4), spec("large", 2, 9)),
        (product("small", 4, "then"), product("large", 9, "else")),
        {f"{n}.w": Parameter(spec(f"{n}.w", 3, k)) for n, k in (("small", 4), ("large", 9))},
        {id: Region(id, None, "branch", 1, "choice") for id in ("then", "else")},
    )  # fmt: skip
    program = lower(priced(graph))
    assert list(program.steps) == ["large"]
    assert program.remarks == ("branch 'then' is not run: another one is dearer (1 layers)",)
    assert [tuple(t.shape) for t in program(*program.examples)] == [(2, 4), (2, 9)]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_saved_report_is_enough(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "net.json")
    program = lower(multiprof.load(tmp_path / "net.json"))
    assert program.differences() == []
    x = program.examples[0]
    torch.testing.assert_close(program(x), lower(report)(x))


def test_integers_are_computed_as_real_numbers_and_that_is_said() -> None:
    program: Program = lower(multiprof.analyze(KEYWORDS))
    assert program.share.complete
    assert program.differences() == []
    assert {tensor.dtype for tensor in program(*program.examples)} == {torch.int8}
    notes = {note for notes in program.notes.values() for note in notes}
    assert notes == {"computed in float32: torch has no kernel on these integers"}
