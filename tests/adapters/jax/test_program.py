"""What is read, and what of it is a parameter, a buffer, a constant or an input."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiprof
from multiprof import Inputs, TensorSpec


def kinds(report: Any) -> dict[str, str]:
    return {name: parameter.kind for name, parameter in report.graph.parameters.items()}


def names(report: Any) -> list[str]:
    return [spec.name for spec in report.graph.inputs]


W = np.ones((8, 5), np.float32)


def dense(params: Any, x: Any) -> Any:
    return x @ params["w"] + params["b"]


PARAMS = {"w": jnp.ones((8, 5)), "b": jnp.ones(5)}


def test_an_argument_called_params(analyze: Any) -> None:
    report = analyze(dense, [PARAMS, (2, 8)])
    assert kinds(report) == {"params/w": "parameter", "params/b": "parameter"}
    assert names(report) == ["x"]
    assert (report.params, report.trainable_params) == (45, 45)
    assert report.warnings == ()


def test_a_first_dict_of_another_name_is_taken_so_and_said(analyze: Any) -> None:
    report = analyze(lambda p, x: dense(p, x), [PARAMS, (2, 8)])
    assert kinds(report) == {"p/w": "parameter", "p/b": "parameter"}
    assert any("first argument, p," in warning for warning in report.warnings)


def test_a_batch_is_data(analyze: Any) -> None:
    def model(batch: Any, scale: Any) -> Any:
        return batch["image"] * scale

    report = analyze(model, [{"image": (2, 8)}, (8,)])
    assert kinds(report) == {}
    assert names(report) == ["batch.image", "scale"]


def test_flax_collections(analyze: Any) -> None:
    def model(tree: Any, x: Any) -> Any:
        return x @ tree["params"]["w"] + tree["batch_stats"]["mean"]

    report = analyze(model, [{"params": {"w": (8, 5)}, "batch_stats": {"mean": (5,)}}, (2, 8)])
    assert kinds(report) == {"params/w": "parameter", "batch_stats/mean": "buffer"}


def test_what_a_function_closes_over_is_named_as_its_code_names_it(analyze: Any) -> None:
    bias = jnp.ones(5)
    tree = {"deep": [jnp.ones((5, 3))]}
    report = analyze(lambda x: (x @ W + bias) @ tree["deep"][0], (2, 8))
    assert kinds(report) == {"W": "parameter", "bias": "parameter", "tree/deep/0": "parameter"}
    assert report.params == 40 + 5 + 15
    assert [layer.op for layer in report.graph.layers] == ["linear", "linear"]


def test_closed_over_arrays_of_inner_jitted_functions(analyze: Any) -> None:
    table = jnp.arange(6)
    report = analyze(lambda x: jax.jit(lambda y: y @ W)(x) + table[0], (2, 8))
    assert sorted(kinds(report).values()) == ["constant", "parameter"]
    assert report.params == 40


def test_partial_binds_parameters(analyze: Any) -> None:
    for bind in (partial, jax.tree_util.Partial):
        report = analyze(bind(dense, PARAMS), (2, 8))
        assert kinds(report) == {"params/w": "parameter", "params/b": "parameter"}, bind
        assert names(report) == ["x"]
    report = analyze(partial(lambda x, weight: x @ weight, weight=W), (2, 8))
    assert kinds(report) == {"weight": "parameter"}


def test_jitted_and_transformed_functions(analyze: Any) -> None:
    for model in (jax.jit(dense), jax.vmap(dense, (None, 0)), jax.jit(jax.jit(dense))):
        report = analyze(model, [PARAMS, (2, 8)])
        assert report.macs == 2 * 8 * 5
        assert kinds(report) == {"params/w": "parameter", "params/b": "parameter"}
    gradient = analyze(jax.grad(lambda params, x: dense(params, x).sum()), [PARAMS, (2, 8)])
    assert gradient.macs == 8 * 5 * 2  # xᵀ·ones; the forward's product is read by nobody


@jax.tree_util.register_pytree_node_class
class Layer:
    """A callable that is a container of arrays, as in Equinox."""

    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b

    def tree_flatten(self) -> Any:
        return (self.w, self.b), None

    @classmethod
    def tree_unflatten(cls, _: Any, leaves: Any) -> Any:
        return cls(*leaves)

    def __call__(self, x: Any) -> Any:
        return x @ self.w + self.b


def test_a_callable_pytree(analyze: Any) -> None:
    report = analyze(Layer(jnp.ones((8, 5)), jnp.ones(5)), (2, 8))
    assert report.graph.name == "Layer"
    assert sorted(kinds(report).values()) == ["parameter", "parameter"]
    assert report.params == 45
    assert names(report) == ["x"]


def test_arguments_of_every_shape(analyze: Any) -> None:
    Pair = namedtuple("Pair", "a b")

    @partial(jax.tree_util.register_dataclass, data_fields=["left", "right"], meta_fields=["times"])
    @dataclass
    class Batch:
        left: Any
        right: Any
        times: int

    def model(pair: Any, batch: Any, *, mask: Any, flag: bool, mode: str = "no") -> Any:
        assert flag is True
        assert mode == "yes"
        return (pair.a @ pair.b * batch.times + batch.left + batch.right) * mask

    inputs = Inputs(
        Pair(jnp.ones((2, 8)), jax.ShapeDtypeStruct((8, 5), "float32")),
        Batch(np.ones((2, 5), np.float32), jnp.ones(5), 3),
        mask=TensorSpec((2, 5), "float32", "the_mask"),
        flag=True,
        mode="yes",
    )
    report = analyze(jax.tree_util.Partial(model), inputs)
    assert report.macs == 2 * 8 * 5
    assert "the_mask" in names(report) or "mask" in names(report)


def test_dtypes(analyze: Any) -> None:
    """A bare shape has the type of the first floating-point parameter; without x64 an int64 is an int32."""
    half = {"w": jnp.ones((8, 5), jnp.bfloat16)}
    report = analyze(lambda params, x: x @ params["w"], [half, (2, 8)])
    assert report.graph.inputs[0].dtype == "bfloat16"
    report = analyze(lambda i: i + 1, TensorSpec((3,), "int64"))
    assert report.graph.inputs[0].dtype == "int32"


def test_integers_and_scalars_among_parameters(analyze: Any) -> None:
    """Integers are constants; a scalar that is part of a set of parameters is learned."""
    params = {"w": jnp.ones((8, 5)), "steps": jnp.ones(3, jnp.int32), "scale": jnp.float32(2)}
    report = analyze(lambda params, x: x @ params["w"] * params["scale"] + params["steps"].sum(), [params, (2, 8)])
    assert kinds(report) == {"params/w": "parameter", "params/steps": "constant", "params/scale": "parameter"}
    assert report.params == 41


def test_tied_and_unused_parameters(analyze: Any) -> None:
    table = jnp.ones((100, 8))

    def model(params: Any, ids: Any) -> Any:
        return params["embed"][ids] @ params["head"].T

    params = {"embed": table, "head": table, "unused": jnp.ones((7, 7))}
    report = analyze(model, [params, TensorSpec((4,), "int32")])
    assert report.params == 800 + 49
    assert report.graph.parameters["params/embed"].tied == ("params/head",)
    assert report.macs == 4 * 8 * 100
    assert [layer.op for layer in report.graph.layers if layer.op in ("embedding", "gather")] == ["embedding"]


def test_jaxprs_already_made(analyze: Any) -> None:
    closed = jax.make_jaxpr(dense)(PARAMS, jnp.ones((2, 8)))
    traced = jax.jit(dense).trace(PARAMS, jnp.ones((2, 8)))
    for model in (closed, traced):
        report = analyze(model)
        assert report.macs == 80
        assert kinds(report) == {"params/w": "parameter", "params/b": "parameter"}
        assert names(report) == ["x"]
    assert analyze(closed, (2, 8)).macs == 80


class Classifier(nn.Module):
    """With everything that differs between training and inference."""

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.Dense(16, name="hidden")(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.5, deterministic=not train)(nn.relu(x))
        return nn.Dense(10)(x)


def test_linen_variables_are_made_as_shapes_given_or_bound(analyze: Any) -> None:
    module = Classifier()
    variables = module.init(jax.random.key(0), jnp.ones((1, 8)), train=False)
    reports = [
        analyze(module, (2, 8)),
        analyze(module, [variables, (2, 8)]),
        analyze(module.bind(variables), (2, 8)),
        analyze(partial(module.apply, variables, train=False), (2, 8)),
    ]
    for report in reports:
        assert report.macs == 2 * (8 * 16 + 16 * 10)
        assert report.params == 8 * 16 + 16 + 32 + 16 * 10 + 10
        assert kinds(report)["batch_stats/BatchNorm_0/mean"] == "buffer"
        assert kinds(report)["params/hidden/kernel"] == "parameter"
        assert report.flops == reports[0].flops
        assert set(report.by_scope(1)) >= {"hidden", "Dense_0"}
    assert any("train=False" in warning for warning in reports[0].warnings)


def test_a_function_that_applies_a_module(analyze: Any) -> None:
    """Only the function knows which module: its class is a scope of its own."""
    module = Classifier()
    variables = jax.eval_shape(partial(module.init, train=False), jax.random.key(0), jnp.ones((1, 8)))
    report = analyze(lambda variables, x: module.apply(variables, x, train=False), [variables, (2, 8)])
    assert report.macs == 2 * (8 * 16 + 16 * 10)
    assert set(report.by_scope(2)) >= {"Classifier.hidden", "Classifier.Dense_0"}


def test_linen_training_when_asked_for(analyze: Any) -> None:
    """Batch statistics are computed, and the random numbers of dropout are there."""
    report = analyze(Classifier(), Inputs((2, 8), train=True))
    ops = [layer.op for layer in report.graph.layers]
    assert "random" in ops
    assert "batch_norm" not in ops
    assert report.macs == 2 * (8 * 16 + 16 * 10)


def test_framework_is_found_by_type() -> None:
    assert multiprof.analyze(Classifier(), (2, 8)).graph.framework == "jax"
    assert multiprof.analyze(jax.jit(dense), [PARAMS, (2, 8)]).graph.framework == "jax"
    assert multiprof.analyze(jax.make_jaxpr(lambda x: x + 1)(1.0)).graph.framework == "jax"


def test_a_function_without_arguments(analyze: Any) -> None:
    assert analyze(lambda: jnp.ones((2, 3)) @ jnp.ones((3, 4))).macs == 24


@pytest.mark.parametrize("leaf", ["jax.silu", "jax.sin"])
def test_a_formula_may_claim_a_function_or_a_primitive(analyze: Any, leaf: str) -> None:
    @multiprof.formula(leaf)
    def claimed(layer: Any) -> Any:
        """own: |y| muls"""
        return multiprof.Cost({"own": multiprof.Counts(muls=layer.y.numel)})

    report = analyze(lambda x: jnp.sin(jax.nn.silu(x)), (3, 4), formulas=[claimed])
    (row,) = [row for row in report.layers if row.op == leaf]
    assert row.flops == 12
