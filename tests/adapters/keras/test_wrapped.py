"""Quantised layers, and layers that hold a model of the backend's own: by hand."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]
VERSION = tuple(int(part) for part in keras.__version__.split(".")[:2])
MODES = ["int8", "float8", *(["int4"] if VERSION >= (3, 11) else [])]  # Keras 3.11 was the first to have int4


def quantised(make: Callable[[], Any], shape: tuple[int, ...], mode: str, dtype: str = "float32") -> Any:
    x = layers.Input(shape, dtype=dtype)
    model = keras.Model(x, make()(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an input layer cannot be quantised
        model.quantize(mode)
    return model


@pytest.mark.parametrize("mode", MODES)
def test_a_quantised_dense_layer(mode: str, analyze: Analyze) -> None:
    """Its kernel stays 6·4 learned numbers; scales are none, and neither is what was seen of ranges."""
    report = analyze(quantised(lambda: layers.Dense(4, name="d"), (6,), mode), (2, 6))
    assert report.macs == 2 * 6 * 4
    assert report.params == 6 * 4 + 4
    # float8 remembers 1024 ranges of inputs, of kernels and of gradients
    assert report.buffers == (3 * 1024 if mode == "float8" else 0)
    kernel = report.graph.parameters["d/kernel"]
    assert (kernel.kind, kernel.spec.shape) == ("parameter", (6, 4))
    assert kernel.spec.dtype == {"int8": "int8", "int4": "int4", "float8": "float32"}[mode]
    assert kernel.spec.nbytes == {"int8": 24, "int4": 12, "float8": 96}[mode]
    assert kernel.trainable == (mode == "float8")
    assert report.graph.parameters["d/kernel_scale"].kind == "constant"
    assert not report.unsupported()


@pytest.mark.parametrize("mode", MODES)
def test_a_quantised_sum_and_table(mode: str, analyze: Analyze) -> None:
    make = lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", name="e")  # noqa: E731  # it is called once
    report = analyze(quantised(make, (5, 8), mode), (2, 5, 8))
    assert (report.macs, report.params) == (2 * 5 * 8 * 3, 8 * 3 + 3)
    assert not report.unsupported()
    report = analyze(quantised(lambda: layers.Embedding(10, 8), (5,), mode, "int32"), (2, 5))
    assert (report.macs, report.params, report.buffers) == (0, 10 * 8, 0)
    assert not report.unsupported()


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a layer of Keras on PyTorch alone")
def test_a_module_of_torch(analyze: Analyze) -> None:
    torch = sys.modules["torch"]
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )
    x = layers.Input((3, 8, 8))
    model = keras.Model(x, layers.Dense(2, name="d")(layers.TorchModuleWrapper(net, output_shape=(None, 5))(x)))
    report = analyze(model, (2, 3, 8, 8))
    assert report.macs == 2 * (36 * 4 * 27 + 144 * 5 + 5 * 2)
    assert report.params == 4 * 27 + 4 + 2 * 4 + 144 * 5 + 5 + 5 * 2 + 2
    assert report.buffers == 2 * 4 + 1  # statistics, and how many batches were seen
    assert [row.layer.op for row in report.layers if row.macs] == ["conv", "linear", "linear"]
    assert not report.unsupported()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a layer of Keras on JAX alone")
def test_a_function_of_jax(analyze: Analyze) -> None:
    jnp = sys.modules["jax.numpy"]

    def init_fn(rng: Any, inputs: Any) -> Any:
        return {"w": jnp.ones((6, 4))}

    def call_fn(params: Any, inputs: Any) -> Any:
        return jnp.tanh(inputs @ params["w"])

    x = layers.Input((6,))
    model = keras.Model(x, layers.Dense(2, name="d")(layers.JaxLayer(call_fn=call_fn, init_fn=init_fn, name="j")(x)))
    report = analyze(model, (2, 6))
    assert report.macs == 2 * (6 * 4 + 4 * 2)
    assert report.params == model.count_params() == 6 * 4 + 4 * 2 + 2
    assert [(row.layer.op, row.layer.scope) for row in report.layers] == [
        ("linear", "j"), ("tanh", "j"), ("linear", "d")
    ]  # fmt: skip


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a layer of Keras on JAX alone")
def test_a_module_of_flax(analyze: Analyze) -> None:
    import flax.linen as nn

    class Net(nn.Module):  # type: ignore[misc,name-defined]
        @nn.compact
        def __call__(self, inputs: Any, training: bool = False) -> Any:
            return nn.BatchNorm(use_running_average=not training)(nn.Dense(5)(inputs))

    x = layers.Input((6,))
    model = keras.Model(x, layers.Dense(2, name="d")(layers.FlaxLayer(Net(), name="f")(x)))
    report = analyze(model, (2, 6))
    assert report.macs == 2 * (6 * 5 + 5 * 2)
    assert report.params == 6 * 5 + 5 + 2 * 5 + 5 * 2 + 2
    assert report.buffers == 2 * 5
    assert [row.layer.op for row in report.layers] == ["linear", "batch_norm", "linear"]
