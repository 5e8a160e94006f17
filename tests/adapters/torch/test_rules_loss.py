"""Losses: the layers, run on real values one after another, give what torch gives; counts are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import multiprof
from multiprof import Inputs, Layer

Tensor = torch.Tensor


def _operands(layer: Layer, x: list[Tensor]) -> list[Any]:
    """The operands of a layer of two, with its constant where it has one."""
    if "scalar" not in layer.attrs:
        return x
    return [layer.attrs["scalar"], x[0]] if layer.attrs.get("reverse") else [x[0], layer.attrs["scalar"]]


def _select(layer: Layer, x: list[Tensor]) -> Tensor:
    tensors = iter(x[1:])
    return torch.where(x[0], *(next(tensors) if f"x{i}" in layer.inputs else layer.attrs[f"scalar{i}"] for i in (0, 1)))


def _gather(layer: Layer, x: list[Tensor]) -> Tensor:
    source, index = x
    if source.dim() == index.dim():
        return source[index] if source.dim() == 1 else source.gather(layer.attrs["axis"], index)
    if source.dim() == 1:
        return source[index]
    axis = layer.attrs["axis"]
    return source.gather(axis, index.unsqueeze(axis)).squeeze(axis)


OPERATIONS: dict[str, Callable[[Layer, list[Tensor]], Any]] = {
    **{
        name: lambda layer, x, name=name: getattr(torch, name)(x[0])
        for name in ("square", "abs", "neg", "exp", "log", "log1p", "sqrt")
    },
    **{
        name: lambda layer, x, name=name: getattr(torch, name)(*map(torch.as_tensor, _operands(layer, x)))
        for name in ("add", "sub", "mul", "div", "less", "xlogy")
    },
    "equal": lambda layer, x: torch.eq(*map(torch.as_tensor, _operands(layer, x))),
    "log_sigmoid": lambda layer, x: F.logsigmoid(x[0]),
    "log_softmax": lambda layer, x: torch.log_softmax(x[0], *layer.attrs["axis"]),
    "clip": lambda layer, x: torch.clamp(x[0], layer.attrs.get("min"), layer.attrs.get("max")),
    "where": _select,
    "gather": _gather,
    "sum": lambda layer, x: torch.sum(x[0], layer.attrs["axis"]),
    "mean": lambda layer, x: torch.mean(x[0], layer.attrs["axis"]),
    "fill": lambda layer, x: torch.tensor(0.0),  # the sum of weights that nothing reads
    "reshape": lambda layer, x: x[0].reshape(layer.y.shape),
    "expand": lambda layer, x: x[0].expand(layer.y.shape),
}


def run(report: multiprof.Report, tensors: tuple[Tensor, ...]) -> Tensor:
    """The graph on these inputs, layer by layer."""
    known = {spec.name: tensor for spec, tensor in zip(report.graph.inputs, tensors, strict=True)}
    for layer in report.graph.layers:
        made = OPERATIONS[layer.op](layer, [known[spec.name] for spec in layer.inputs.values()])
        known[layer.y.name] = made
        assert tuple(made.shape) == layer.y.shape or layer.op == "fill", layer.name
    return known[report.graph.outputs[0].name]


def real(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1


X, T, W = real(3, 8), real(3, 8, seed=1), real(8, seed=2)
SIGNS = torch.sign(real(3, 8, seed=3) - 0.5)
LABELS = torch.tensor([1, 7, 0])

LOSSES: list[tuple[str, Callable[..., Tensor], tuple[Tensor, ...], dict[str, Any]]] = [
    ("mse", F.mse_loss, (X, T), {}),
    ("l1", F.l1_loss, (X, T), {}),
    ("huber", F.huber_loss, (3 * X, T), {"delta": 0.7}),
    ("huber 1", F.huber_loss, (3 * X, T), {}),
    ("smooth l1", F.smooth_l1_loss, (3 * X, T), {"beta": 0.6}),
    ("soft margin", F.soft_margin_loss, (X, SIGNS), {}),
    ("bce", F.binary_cross_entropy, (X, T), {}),
    ("bce weighted", lambda x, t, w, **k: F.binary_cross_entropy(x, t, w, **k), (X, T, W), {}),
    ("bce logits", F.binary_cross_entropy_with_logits, (X, T), {}),
    (
        "bce logits weighted",
        lambda x, t, w, **k: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=w, **k),
        (X, T, W),
        {},
    ),
    ("kl", F.kl_div, (X, T), {}),
    ("gaussian", F.gaussian_nll_loss, (X, T, W.expand(3, 8)), {}),
    ("gaussian full", F.gaussian_nll_loss, (X, T, real(3, 1, seed=4)), {"full": True}),
    ("nll", F.nll_loss, (X, LABELS), {}),
    ("nll weighted", lambda x, t, w, **k: F.nll_loss(x, t, w, **k), (X, LABELS, W), {}),
    ("cross entropy", F.cross_entropy, (X, LABELS), {}),
    ("cross entropy of an image", F.cross_entropy, (real(2, 5, 3, 4), LABELS.expand(2, 4, 3).mT % 5), {}),
    ("cross entropy of one", F.cross_entropy, (X[0], LABELS[0]), {}),
]


@pytest.mark.filterwarnings("ignore:reduction")  # the mean of kl_div
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("loss", "tensors", "more"), [row[1:] for row in LOSSES], ids=[row[0] for row in LOSSES])
def test_the_layers_compute_what_torch_computes(
    loss: Callable[..., Tensor], tensors: tuple[Tensor, ...], more: dict[str, Any], reduction: str
) -> None:
    report = multiprof.analyze(lambda *given: loss(*given, reduction=reduction, **more), Inputs(*tensors))
    assert not report.unsupported()
    expected = loss(*tensors, reduction=reduction, **more)
    torch.testing.assert_close(run(report, tensors), expected)


def counts(loss: Callable[..., Tensor], *tensors: Tensor) -> Any:
    report = multiprof.analyze(loss, Inputs(*tensors))
    assert not report.unsupported()
    return report.counts


def test_counts_by_hand() -> None:
    n = 24
    mse = counts(F.mse_loss, X, T)
    assert (mse.adds, mse.muls, mse.divs) == (n + n - 1, n, 1)
    bce = counts(F.binary_cross_entropy, X, T)
    # two logarithms, each limited below; t − 1, −x and the difference; two products
    assert (bce.exps, bce.cmps, bce.adds, bce.muls, bce.divs) == (2 * n, 2 * n, 3 * n + n - 1, 2 * n, 1)
    huber = counts(F.huber_loss, X, T)
    # |d| and whether it is below 1, the selection; d², halved; d, d − ½
    assert (huber.cmps, huber.muls, huber.adds, huber.divs) == (3 * n, 2 * n, 2 * n + n - 1, 1)


def test_nll_by_hand() -> None:
    """3 labels: a sign each, 2 additions and the division; the scores are only read where a label points."""
    nll = counts(F.nll_loss, X, LABELS)
    assert (nll.adds, nll.divs, nll.flops) == (3 + 2, 1, 6)


@pytest.mark.parametrize(("p", "muls"), [(1, 0), (2, 3 * 7)])
def test_multi_margin_by_hand(p: int, muls: int) -> None:
    """Of 8 labels 7 are wrong: x_i − x_j + margin takes 1 addition, and 1 a row; the limit 1 comparison each."""
    loss = counts(lambda x, t: F.multi_margin_loss(x, t, p=p), X, LABELS)
    assert (loss.adds, loss.cmps, loss.muls, loss.divs) == (3 * (7 + 1 + 6) + 2, 3 * 7, muls, 3 + 1)


def test_multilabel_margin_by_hand() -> None:
    """The rows have 2, 0 and 3 labels of 8: 2·6 + 3·5 pairs, whose values alone say so."""
    target = torch.tensor([[0, 3, -1, 0, 0, 0, 0, 0], [-1] * 8, [7, 6, 5, -1, 0, 0, 0, 0]])
    report = multiprof.analyze(F.multilabel_margin_loss, Inputs(X, target))
    assert not report.unsupported()
    assert report.counts.cmps == 2 * 6 + 3 * 5
    unknown = multiprof.analyze(F.multilabel_margin_loss, Inputs(X, target.to("meta")))
    assert set(unknown.unsupported()) == {"torch.aten.multilabel_margin_loss_forward"}


def test_ctc_reads_the_lengths() -> None:
    scores, targets = real(7, 2, 5).log(), torch.tensor([[1, 2, 3], [4, 1, 0]])
    lengths = torch.tensor([7, 5]), torch.tensor([3, 2])
    loss = lambda x, t: F.ctc_loss(x, t, *lengths, reduction="none")  # noqa: E731
    report = multiprof.analyze(loss, Inputs(scores, targets))
    (layer,) = report.layers
    assert (layer.op, layer.layer.attrs) == ("ctc_loss", {"input_lengths": (7, 5), "target_lengths": (3, 2)})
    assert layer.layer.y.shape == tuple(loss(scores, targets).shape)
    # (T − 1)·(1 + 2·S) states: the first takes 1 addition, S + 1 states 5, S − 1 states 7; 4 at the end, and the sign
    assert report.counts.adds == sum((t - 1) * (1 + 5 * (s + 1) + 7 * (s - 1)) + 4 + 1 for t, s in ((7, 3), (5, 2)))


def test_ctc_divides_by_the_lengths_before_the_mean() -> None:
    scores, targets = real(7, 2, 5).log(), torch.tensor([[1, 2, 3], [4, 1, 0]])
    loss = lambda x, t, n, m: F.ctc_loss(x, t, n, m, zero_infinity=True)  # noqa: E731
    report = multiprof.analyze(loss, Inputs(scores, targets, torch.tensor([7, 5]), torch.tensor([3, 2])))
    assert [layer.op for layer in report.layers] == ["ctc_loss", "equal", "where", "div", "mean"]
    assert report.graph.outputs[0].shape == ()
    blind = multiprof.analyze(loss, Inputs(scores, targets, *(torch.empty(2, dtype=torch.long, device="meta"),) * 2))
    assert list(blind.unsupported()) == ["ctc_loss"]
    assert math.isclose(blind.coverage, 0.8)
