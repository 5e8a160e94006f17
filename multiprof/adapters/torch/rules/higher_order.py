"""Operators that take functions: attention with a function of its scores, loops, and a choice of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.table import RULES, Rule
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import BRANCH, LOOP


def _operator(name: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        operator = getattr(torch.ops.higher_order, name, None)
        if operator is not None:  # torch from 2.5 on has all of them
            RULES[operator] = function
        return function

    return register


@_operator("flex_attention")
def flex_attention(
    t: Tracer,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Any,
    block_mask: Any,
    scale: float,
    *options: Any,
    **named: Any,
) -> Any:
    """Attention counted in full: which blocks are left out is in the values of the mask.

    What the functions of a score do to it is not counted; the report says so.
    """
    batch, heads, q_len, qk_dim = query.shape
    kv_heads, kv_len, v_dim = key.shape[1], key.shape[2], value.shape[3]
    y = t.new((batch, heads, q_len, v_dim), query.dtype)
    sums, largest = (t.new((batch, heads, q_len), torch.float32) for _ in range(2))
    attrs = {
        "batch": batch, "heads": heads, "kv_heads": kv_heads, "q_len": q_len, "kv_len": kv_len, "qk_dim": qk_dim,
        "v_dim": v_dim, "causal": False, "scale": float(scale),
    }  # fmt: skip
    t.emit("attention", {"q": query, "k": key, "v": value}, {"y": y}, attrs)
    for name, tensor in (("logsumexp", sums), ("max_scores", largest)):
        t.emit("fill", {}, {"y": tensor}, {"value": None}, name)
    t.note("flex_attention: all blocks are counted, and nothing that score_mod and mask_mod compute")
    return y, sums, largest


# -- loops and choices: a body is recorded once, in a region of its own --------------------------


def _run(t: Tracer, function: Any, *args: Any) -> list[Any]:
    """Call a function of the model where its operations are recorded; its results in a list."""
    with ShapeMode(t):
        made = function(*args)
    return list(made) if isinstance(made, (tuple, list)) else [made]


def _steps(t: Tracer, stacked: Sequence[Tensor]) -> list[Tensor]:
    """What one trip reads of tensors that a loop goes along: a step of each."""
    found = []
    for x in stacked:
        step = between(x.shape[1:], x.dtype)
        t.emit("slice", {"x": x}, {"y": step}, {"index": "step"}, "step")
        found.append(step)
    return found


def _stacked(t: Tracer, trips: int, made: Sequence[Tensor]) -> list[Tensor]:
    """The results of every trip, one after another."""
    found = []
    for x in made:
        y = between((trips, *x.shape), x.dtype)
        t.emit("stack", {"x0": x}, {"y": y}, {"axis": 0}, "stack")
        found.append(y)
    return found


@_operator("scan")
def scan(t: Tracer, combine_fn: Any, init: Any, xs: Any, additional_inputs: Any = ()) -> Any:
    """A step of each of ``xs`` and the state go in, the state and a step of each result come out."""
    trips = int(xs[0].shape[0])
    with t.region("scan", LOOP, trips):
        made = _run(t, combine_fn, *init, *_steps(t, xs), *additional_inputs)
    carried = made[: len(init)]
    return [*carried, *_stacked(t, trips, made[len(init) :])]


@_operator("map_impl")
def map_(t: Tracer, function: Any, xs: Any, pos_args: Any = ()) -> Any:
    trips = int(xs[0].shape[0])
    with t.region("map", LOOP, trips):
        made = _run(t, function, *_steps(t, xs), *pos_args)
    return tuple(_stacked(t, trips, made))


@_operator("while_loop")
def while_loop(t: Tracer, cond_fn: Any, body_fn: Any, carried_inputs: Any, additional_inputs: Any = ()) -> Any:
    """How often it runs depends on values: the report asks for ``trips``."""
    with t.region("while_loop", LOOP, None):
        _run(t, cond_fn, *carried_inputs, *additional_inputs)
        return tuple(_run(t, body_fn, *carried_inputs, *additional_inputs))


@_operator("cond")
def cond(t: Tracer, pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
    """Both branches are recorded, and the dearer one counts."""
    group = t.unique("cond")
    with t.region(f"{group}/true", BRANCH, 1, group):
        made = _run(t, true_fn, *operands)
    with t.region(f"{group}/false", BRANCH, 1, group):
        _run(t, false_fn, *operands)
    return tuple(made)
