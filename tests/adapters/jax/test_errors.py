"""Bad calls and bad code: one line that says what, where, and what to do."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import multiprof
from multiprof import Inputs, InputsError, ModelError, MultiprofError, TensorSpec


def refusal(model: Any, inputs: Any = None) -> tuple[type, str]:
    with pytest.raises(MultiprofError) as caught:
        multiprof.analyze(model, inputs, framework="jax")
    message = str(caught.value)
    assert "\n" not in message
    return caught.type, message


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: Any, other: Any) -> Any:
        return nn.Dense(3)(x) + other


def test_no_inputs() -> None:
    for model in (lambda x: x + 1, Net(), nnx.Linear(2, 3, rngs=nnx.Rngs(0)), jax.jit(jnp.sin)):
        kind, message = refusal(model)
        assert kind is InputsError
        assert "give inputs" in message
        assert "--input" in message


def test_shapes_that_do_not_fit() -> None:
    kind, message = refusal(lambda x, y: x @ y, [(2, 3), (4, 5)])
    assert kind is InputsError
    assert "dot_general" in message
    assert "test_errors.py" in message
    assert "x [2, 3] float32" in message


def test_missing_arguments() -> None:
    for model in (lambda x, y: x + y, Net()):
        kind, message = refusal(model, (2, 3))
        assert kind is InputsError, message
        assert "missing" in message


def test_too_many_arguments() -> None:
    kind, message = refusal(lambda x: x, [(2,), (3,)])
    assert kind is InputsError
    assert "positional argument" in message


def test_an_unknown_keyword() -> None:
    kind, message = refusal(lambda x: x, {"x": (2,), "y": (2,)})
    assert kind is InputsError
    assert "'y'" in message


def test_a_dimension_without_a_size() -> None:
    kind, message = refusal(lambda x: x, TensorSpec((None, 3), "float32"))
    assert kind is InputsError
    assert "every dimension" in message


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: jnp.zeros(int(x[0])),
        lambda x: x[x > 0],
        lambda x: [1, 2, 3][x.astype(int)[0]],
        lambda x: float(x.sum()),
    ],
)
def test_values_that_only_a_run_would_give(model: Any) -> None:
    kind, message = refusal(model, (3,))
    assert kind is ModelError
    assert "lax.cond" in message
    assert "test_errors.py" in message


def test_code_of_the_user_that_raises() -> None:
    def model(x: Any) -> Any:
        raise RuntimeError("no luck today\nsecond line")

    kind, message = refusal(model, (3,))
    assert kind is ModelError
    assert "RuntimeError" in message
    assert "no luck today" in message


def test_parameters_of_another_shape() -> None:
    module = nn.Dense(3)
    variables = module.init(jax.random.key(0), jnp.ones((1, 4)))
    kind, message = refusal(module, [variables, (2, 5)])
    assert kind is InputsError
    assert "ScopeParamShapeError" in message


def test_a_module_that_is_changed_from_outside() -> None:
    module = nnx.BatchNorm(4, rngs=nnx.Rngs(0))
    module.train()
    kind, message = refusal(lambda x: module(x), (2, 4))
    assert kind is ModelError
    assert "give the module itself" in message


def test_what_is_no_model() -> None:
    assert refusal(3.5, (2,))[0] is ModelError
    assert refusal(jax.jit(jnp.sin).lower(jnp.ones(2)), (2,))[0] is ModelError


def test_a_jaxpr_has_its_shapes() -> None:
    closed = jax.make_jaxpr(jnp.sin)(jnp.ones((2, 3)))
    kind, message = refusal(closed, (4, 5))
    assert kind is InputsError
    assert "(2, 3)" in message


def test_foreign_primitives_are_listed_and_never_nothing() -> None:
    report = multiprof.analyze(lambda x: jax.lax.linalg.schur(x)[0].sum(), (6, 6), framework="jax")
    assert list(report.unsupported()) == ["jax.schur"]
    assert report.macs == 0
    with pytest.raises(multiprof.UnsupportedOpError, match=r"jax\.schur"):
        multiprof.analyze(lambda x: jax.lax.linalg.schur(x)[0].sum(), (6, 6), framework="jax", strict=True)


def test_callbacks() -> None:
    def model(x: Any) -> Any:
        jax.debug.print("{}", x)
        return jax.pure_callback(lambda v: v, x, x)

    report = multiprof.analyze(model, (3,), framework="jax")
    assert list(report.unsupported()) == ["jax.pure_callback"]


def test_deep_nesting_is_refused() -> None:
    def deep(level: int, x: Any) -> Any:
        if not level:
            return jnp.sin(x)
        return jax.lax.cond(x.sum() > 0, partial(deep, level - 1), lambda y: y, x)

    report = multiprof.analyze(partial(deep, 20), Inputs((3,)), framework="jax")
    assert report.flops > 0
