"""Loss functions, as the layers that their definitions consist of; torch's own kernels give the results.

A loss of all elements is joined at the end (``reduction``): ATen's numbers for that are 0 (not), 1 (mean) and 2 (sum).
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, prod
from typing import Any

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor, between, broadcast
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer, ValueNeededError

# The elements of a loss: takes the tensor for the result, or None where it is joined afterwards.
Elements = Callable[[Chain, Tensor | None], Tensor]

_JOINS = {1: "mean", 2: "sum", "mean": "mean", "sum": "sum"}


def _joined(t: Tracer, x: Tensor, reduction: Any, elements: Elements, weight: Tensor | None = None) -> Any:
    """The elements, times a weight where there is one, joined as ``reduction`` says."""
    chain = Chain(t, x.dtype)
    join = _JOINS.get(reduction)
    y = t.new((), x.dtype)
    made = elements(chain, None if weight is not None or join else y)
    if weight is not None:
        made = chain.two("mul", made, weight, None if join else y)
    if join:
        chain.reduce(join, made, None, y)
    return y


# -- of two tensors, element by element -------------------------------------------------------------------------------


@rule(aten="mse_loss")
def mse_loss(t: Tracer, self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """(x − target)²"""
    return _joined(t, self, reduction, lambda c, y: c.one("square", c.two("sub", self, target), y))


def _pieces(
    c: Chain, x: Tensor, target: Tensor, border: float, near: Callable[[Tensor], Tensor], factor: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What `huber_loss` and `smooth_l1_loss` share: near(d) where d = |x − target| is below the border, else
    factor·(d − border/2).
    """
    distance = c.one("abs", c.two("sub", x, target))
    below = c.two("less", distance, border, dtype=BOOL)
    far = c.two("sub", distance, border / 2)
    if factor != 1:
        far = c.two("mul", far, factor)
    return below, near(distance), far


@rule(aten="huber_loss")
def huber_loss(t: Tracer, self: Tensor, target: Tensor, reduction: int = 1, delta: float = 1.0) -> Any:
    """½·d² where d = |x − target| is below delta, else delta·(d − delta/2)."""

    def elements(c: Chain, y: Tensor | None) -> Tensor:
        def near(d: Tensor) -> Tensor:
            return c.two("mul", c.one("square", d), 0.5)

        return c.select(*_pieces(c, self, target, delta, near, delta), y)

    return _joined(t, self, reduction, elements)


@rule(aten="smooth_l1_loss")
def smooth_l1_loss(t: Tracer, self: Tensor, target: Tensor, reduction: int = 1, beta: float = 1.0) -> Any:
    """½·d²/beta where d = |x − target| is below beta, else d − beta/2."""

    def elements(c: Chain, y: Tensor | None) -> Tensor:
        def near(d: Tensor) -> Tensor:
            return c.two("mul", c.one("square", d), 0.5 / beta)

        return c.select(*_pieces(c, self, target, beta, near, 1), y)

    return _joined(t, self, reduction, elements)


@rule(aten="soft_margin_loss")
def soft_margin_loss(t: Tracer, self: Tensor, target: Tensor, reduction: int = 1) -> Any:
    """ln(1 + e^(−target·x))"""

    def elements(c: Chain, y: Tensor | None) -> Tensor:
        return c.one("log1p", c.one("exp", c.two("mul", c.one("neg", target), self)), y)

    return _joined(t, self, reduction, elements)


@rule(aten="binary_cross_entropy")
def binary_cross_entropy(
    t: Tracer, self: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = 1
) -> Any:
    """(target − 1)·ln(1 − x) − target·ln x, the logarithms no less than −100."""

    def elements(c: Chain, y: Tensor | None) -> Tensor:
        against = c.one("clip", c.one("log1p", c.one("neg", self)), min=-100.0)
        towards = c.one("clip", c.one("log", self), min=-100.0)
        return c.two("sub", c.two("mul", c.two("sub", target, 1), against), c.two("mul", target, towards), y)

    return _joined(t, self, reduction, elements, weight)


@rule(aten="binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    t: Tracer,
    self: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 1,
) -> Any:
    """(1 − target)·x − w·log_sigmoid(x), w = 1 + target·(pos_weight − 1), or 1."""

    def elements(c: Chain, y: Tensor | None) -> Tensor:
        against = c.two("mul", c.two("sub", 1, target), self)
        towards = c.one("log_sigmoid", self)
        if pos_weight is not None:
            factor = c.two("add", c.two("mul", target, c.two("sub", pos_weight, 1)), 1)
            towards = c.two("mul", factor, towards)
        return c.two("sub", against, towards, y)

    return _joined(t, self, reduction, elements, weight)


@rule("F.gaussian_nll_loss")
def gaussian_nll_loss(
    t: Tracer,
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """½·(ln v + (x − target)²/v), v the variance, no less than eps; ``full`` adds ½·ln 2π.

    torch looks at the values of the variance, which are not at hand.
    """
    if not isinstance(var, Tensor) or any(v.dtype not in FLOATS or v.dtype is not input.dtype for v in (target, var)):
        return NotImplemented
    if reduction not in ("none", "mean", "sum") or broadcast(input.shape, target.shape) != tuple(input.shape):
        return NotImplemented
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.shape[:-1] != input.shape[:-1] or var.shape[-1] != 1:
            return NotImplemented
    chain = Chain(t, input.dtype)
    y = t.new(() if reduction != "none" else input.shape, input.dtype)
    last = y if reduction == "none" else None
    limited = chain.one("clip", var, min=eps)
    square = chain.one("square", chain.two("sub", input, target))
    total = chain.two("add", chain.one("log", limited), chain.two("div", square, limited))
    total = chain.two("mul", total, 0.5, None if full else last)
    if full:
        total = chain.two("add", total, 0.5 * log(2 * pi), last)
    if reduction != "none":
        chain.reduce(reduction, total, None, y)
    return y


# -- of scores and labels ---------------------------------------------------------------------------------------------


@rule(aten=("nll_loss_forward", "nll_loss2d_forward"))
def nll_loss(t: Tracer, self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int) -> Any:
    """Minus the score of the label, times its weight; a mean divides by the sum of the weights.

    Labels that are to be ignored count as the others do.
    """
    y, total = t.new((), self.dtype), t.new((), self.dtype)
    c, join = Chain(t, self.dtype), _JOINS.get(reduction)
    axis = min(1, self.dim() - 1)
    picked = c.make("gather", {"x": self, "indices": target}, target.shape, {"axis": axis})
    if weight is None:
        loss = c.one("neg", picked, None if join else y)
        if join:
            c.reduce(join, loss, None, y)
        t.emit("fill", {}, {"y": total}, None, "total_weight")
        return y, total
    factors = c.make("gather", {"x": weight, "indices": target}, target.shape, {"axis": 0})
    loss = c.two("mul", c.one("neg", picked), factors, None if join else y)
    c.reduce("sum", factors, None, total)
    if join == "sum":
        c.reduce("sum", loss, None, y)
    elif join:
        c.two("div", c.reduce("sum", loss), total, y)
    return y, total


@rule(aten="multi_margin_loss")
def multi_margin_loss(
    t: Tracer,
    self: Tensor,
    target: Tensor,
    p: Any = 1,
    margin: Any = 1,
    weight: Tensor | None = None,
    reduction: int = 1,
) -> Any:
    """Over all labels i but the right one j: max(0, margin − x_j + x_i)^p, the sum divided by the number of labels."""
    c, join = Chain(t, self.dtype), _JOINS.get(reduction)
    y = t.new((), self.dtype)
    rows, labels = (1, *self.shape) if self.dim() == 1 else self.shape
    right = c.make("gather", {"x": self, "indices": target}, (rows, 1), {"axis": self.dim() - 1})
    others = c.make("slice", {"x": self}, (rows, labels - 1), {"index": "all labels but the right one"})
    over = c.one("clip", c.two("add", others, c.two("sub", margin, right)), min=0.0)
    if p == 2:
        over = c.one("square", over)
    if weight is not None:
        factors = c.make("gather", {"x": weight, "indices": target}, (rows, 1), {"axis": 0})
        over = c.two("mul", over, factors)
    loss = c.two("div", c.reduce("sum", over, (1,)), labels, None if join else y)
    if join:
        c.reduce(join, loss, None, y)
    return y


@rule(aten="multilabel_margin_loss_forward")
def multilabel_margin_loss(t: Tracer, self: Tensor, target: Tensor, reduction: int) -> Any:
    """Over all pairs of a label j and one i that is none: max(0, 1 − x_j + x_i), divided by how many labels there are.

    A row of the target has the labels up to the first −1. Without its values the number of pairs is unknown.
    """
    try:
        values = t.value(target)
    except ValueNeededError:
        return NotImplemented
    rows = values.reshape(-1, values.shape[-1]).tolist()
    y, marks = t.new((), self.dtype), t.new((), self.dtype)
    classes, pairs, present = len(rows[0]), 0, 0
    for row in rows:
        labels = row[: row.index(-1)] if -1 in row else row
        pairs += len(labels) * (classes - len(set(labels)))
        present += len(labels)
    c, join = Chain(t, self.dtype), _JOINS.get(reduction)
    t.emit("fill", {}, {"y": marks}, {"value": 0}, "is_target")
    right = c.make("gather", {"x": self, "indices": target}, (present,), {"axis": self.dim() - 1})
    others = c.make("slice", {"x": self}, (pairs,), {"index": "pairs of a label and one that is none"})
    margins = c.make("expand", {"x": c.two("sub", 1, right)}, (pairs,), {"shape": (pairs,)})
    over = c.one("clip", c.two("add", others, margins), min=0.0)
    per_row = between((len(rows),), self.dtype)
    t.emit("sum", {"x": over}, {"y": per_row}, {"axis": (0,), "keepdim": False}, "sum")
    loss = c.two("div", per_row, classes, None if join else y)
    if join:
        c.reduce(join, loss, None, y)
    return y, marks


# -- connectionist temporal classification ----------------------------------------------------------------------------


def _lengths(t: Tracer, given: Any) -> tuple[int | None, ...]:
    """Lengths given as numbers or as a tensor; unknown where only the shape of that is known."""
    if not isinstance(given, Tensor):
        return tuple(int(n) for n in given)
    try:
        return tuple(int(n) for n in t.value(given).reshape(-1).tolist())
    except ValueNeededError:
        return (None,) * prod(given.shape)


def _ctc(t: Tracer, scores: Tensor, targets: Tensor, steps: Any, labels: Any, reduction: Any, zero: bool) -> Any:
    if scores.dtype not in FLOATS or scores.dim() not in (2, 3):
        return NotImplemented
    single = scores.dim() == 2
    rows = 1 if single else scores.shape[1]
    attrs = {"input_lengths": _lengths(t, steps), "target_lengths": _lengths(t, labels)}
    if any(len(lengths) != rows for lengths in attrs.values()):
        return NotImplemented
    join = _JOINS.get(reduction)
    y = t.new(() if single or join else (rows,), scores.dtype)
    c = Chain(t, scores.dtype)
    loss = between((rows,) if not single else (), scores.dtype) if zero or join else y
    t.emit("ctc_loss", {"x": scores, "targets": targets}, {"y": loss}, attrs, "ctc_loss")
    if zero:
        infinite = c.two("equal", loss, float("inf"), dtype=BOOL)
        loss = c.select(infinite, 0.0, loss, None if join else y)
    if join == "mean":
        loss = c.two("div", loss, labels) if isinstance(labels, Tensor) else c.two("div", loss, 1)
    if join:
        c.reduce(join, loss, None, y)
    return y


@rule("F.ctc_loss")
def f_ctc_loss(
    t: Tracer,
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The recursion as one layer; a mean divides by the lengths of the targets first."""
    return _ctc(t, log_probs, targets, input_lengths, target_lengths, reduction, zero_infinity)


@rule("torch.ctc_loss", aten="ctc_loss")
def ctc_loss(
    t: Tracer,
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Any:
    return _ctc(t, log_probs, targets, input_lengths, target_lengths, reduction, zero_infinity)
