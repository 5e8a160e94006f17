"""Tensors out of nothing: positions, and random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value
from multiprof.adapters.jax.walker import Walker


@rule("iota", "iota_2x32_shape")
def iota(w: Walker, eqn: Any, values: list[Value]) -> Any:
    outputs = w.results(eqn)
    for y in outputs:
        w.emit("arange", {}, {"y": y})
    return outputs


@rule("empty", "empty2")
def empty(w: Walker, eqn: Any, values: list[Value]) -> Any:
    aval = eqn.outvars[0].aval
    return [Fill(0, tuple(aval.shape), w.like(eqn.outvars[0]).dtype)]


def draw(w: Walker, eqn: Any, values: Sequence[Value], distribution: str) -> list[Value]:
    """Random numbers from a key and the distribution's parameters: one layer per result."""
    outputs = w.results(eqn)
    inputs = {f"x{i}": value for i, value in enumerate(v for v in values if not isinstance(v, Fill))}
    for y in outputs:
        w.emit("random", inputs, {"y": y}, {"distribution": distribution})
    return list(outputs)


@rule(
    "random_bits", "random_seed", "random_split", "random_fold_in", "random_gamma", "rng_bit_generator", "rng_uniform",
    "threefry2x32", "threefry4x32", "philox2x32", "philox4x32",
)  # fmt: skip
def random(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return draw(w, eqn, values, eqn.primitive.name.removeprefix("random_"))
