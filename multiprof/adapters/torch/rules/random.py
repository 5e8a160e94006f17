"""Random tensors, new and in place. Small ones get values; the generators that make them are put back afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._create import create, new_strides
from multiprof.adapters.torch.rules._moves import like, number, sizes
from multiprof.adapters.torch.rules._strides import is_canonical
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import ALIAS_ROLE


def spare(t: Tracer, generator: Any) -> None:
    """Put a generator of the caller's own back at the end; torch's default ones are put back with all other state."""
    if generator is not None:
        state = generator.get_state()
        t.undo.append(lambda: generator.set_state(state))


def _draw(
    t: Tracer, name: str, shape: Sequence[int], dtype: Any, build: Any, generator: Any = None, **options: Any
) -> Any:
    spare(t, generator)
    return create(t, "random", shape, dtype or torch.get_default_dtype(), {"distribution": name}, build, **options)


def _factory(name: str, distribution: str) -> None:
    function = getattr(torch, name)

    @rule(f"torch.{name}", aten=name)
    def make(t: Tracer, *size: Any, dtype: Any = None, **options: Any) -> Any:
        shape = sizes(t, size or (options.pop("size"),))
        return _draw(t, distribution, shape, dtype, lambda: function(shape, dtype=dtype), **options)

    @rule(f"torch.{name}_like", aten=f"{name}_like")
    def make_like(t: Tracer, input: Tensor, *, dtype: Any = None, memory_format: Any = None, **options: Any) -> Any:
        dtype = dtype or input.dtype
        if not dtype.is_floating_point:
            return NotImplemented
        stride = new_strides(t, input, memory_format)
        return _draw(
            t, distribution, input.shape, dtype, lambda: function(input.shape, dtype=dtype), stride=stride, **options
        )


_factory("rand", "uniform")
_factory("randn", "normal")


@rule("torch.randint", aten="randint")
def randint(t: Tracer, *args: Any, dtype: Any = None, **options: Any) -> Any:
    low, high, size = options.pop("low", 0), options.pop("high", None), options.pop("size", None)
    rest = list(args)
    if size is None:
        size = rest.pop()
    if rest:
        high = rest.pop()
    if rest:
        low = rest.pop()
    low, high, shape = number(t, low), number(t, high), sizes(t, (size,))
    if high <= low:
        return NotImplemented
    dtype = dtype or torch.int64
    return _draw(t, "integers", shape, dtype, lambda: torch.randint(low, high, shape, dtype=dtype), **options)


@rule("torch.randint_like", aten="randint_like")
def randint_like(
    t: Tracer,
    input: Tensor,
    low: Any,
    high: Any = None,
    *,
    dtype: Any = None,
    memory_format: Any = None,
    **options: Any,
) -> Any:
    low, high = (0, low) if high is None else (low, high)
    if high <= low:
        return NotImplemented
    dtype = dtype or input.dtype
    stride = new_strides(t, input, memory_format)
    build = lambda: torch.randint(low, high, input.shape, dtype=dtype)  # noqa: E731  # as in every other rule here
    return _draw(t, "integers", input.shape, dtype, build, stride=stride, **options)


@rule("torch.randperm", aten="randperm")
def randperm(t: Tracer, n: Any, *, dtype: Any = None, **options: Any) -> Any:
    n, dtype = number(t, n), dtype or torch.int64
    return _draw(t, "permutation", (n,), dtype, lambda: torch.randperm(n, dtype=dtype), **options)


@rule("torch.normal", aten="normal")
def normal(
    t: Tracer, mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None, **options: Any
) -> Any:
    parameters = [x for x in (mean, std) if isinstance(x, Tensor)]
    if t.forced is not None and parameters:
        y = t.forced.pop(0)
        t.emit("random", {f"x{i}": x for i, x in enumerate(parameters)}, {"y": y}, {"distribution": "normal"})
        return y
    if size is None or parameters:
        return NotImplemented  # a distribution for each element
    shape = sizes(t, (size,))
    return _draw(t, "normal", shape, dtype, lambda: torch.normal(mean, std, shape, dtype=dtype), generator, **options)


@rule("torch.bernoulli", "Tensor.bernoulli", aten="bernoulli")
def bernoulli(t: Tracer, input: Tensor, p: Any = None, *, generator: Any = None) -> Any:
    if input.dtype is torch.bool or (t.forced is None and not is_canonical(input)):
        return NotImplemented
    spare(t, generator)
    y = like(t, input)
    t.emit("random", {"x0": input}, {"y": y}, {"distribution": "bernoulli"})
    return y


def _drawn(distribution: str) -> Any:
    def draw(t: Tracer, input: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        """By torch's own kernel, from probabilities or rates."""
        spare(t, generator)
        y = t.new((), input.dtype)
        parameters = [input, *(a for a in args if isinstance(a, Tensor))]
        inputs = {f"x{i}": x for i, x in enumerate(parameters)}
        t.emit("random", inputs, {"y": y}, {"distribution": distribution})
        return y

    return draw


for _name in ("multinomial", "poisson", "binomial"):
    rule(aten=_name)(_drawn(_name))


def _in_place(name: str, distribution: str) -> None:
    @rule(f"Tensor.{name}", aten=name)
    def fill(t: Tracer, input: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        parameters = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        if not input.is_floating_point() and name not in ("random_", "bernoulli_", "geometric_"):
            return NotImplemented
        spare(t, generator)
        inputs = {f"x{i}": x for i, x in enumerate(parameters)}
        return t.write("random", input, inputs, {"distribution": distribution}, ALIAS_ROLE)


for _name, _distribution in {
    "uniform_": "uniform",
    "normal_": "normal",
    "bernoulli_": "bernoulli",
    "random_": "integers",
    "exponential_": "exponential",
    "cauchy_": "cauchy",
    "log_normal_": "log-normal",
    "geometric_": "geometric",
}.items():
    _in_place(_name, _distribution)


def _initialiser(name: str, distribution: str) -> None:
    @rule(f"torch.nn.init.{name}")
    def initialise(t: Tracer, tensor: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Any:
        spare(t, generator)
        return t.write("random", tensor, {}, {"distribution": distribution}, ALIAS_ROLE)


for _name, _distribution in {"uniform_": "uniform", "normal_": "normal", "kaiming_uniform_": "uniform"}.items():
    _initialiser(_name, _distribution)
