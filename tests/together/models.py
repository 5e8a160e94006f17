"""Models that have all that an analysis could disturb, and such that raise in the midst of it; and their state."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch
from flax import nnx

from multiprof.adapters.mxnet.compat import import_mxnet

mx = import_mxnet()
PLAIN = (bool, int, float, str, type(None), tuple)


class Case(NamedTuple):
    """A model, its inputs, and what can be compared of its state; ``fails`` is what it raises, if it does."""

    model: Any
    inputs: Any
    state: Callable[[], Any]
    fails: str = ""


def plain(owner: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if type(value) in PLAIN}


# -- Keras ------------------------------------------------------------------------------------------------------------


def keras_state(model: Any) -> Any:
    layers = model._flatten_layers()
    return {v.path: (v.trainable, np.asarray(v.value).tolist()) for v in model.variables} | {
        f"{layer.name} {name}": value
        for layer in layers
        for name, value in (plain(layer) | {"trainable": layer.trainable, "losses": len(layer._losses)}).items()
    }


def keras_layers() -> Any:
    x = keras.Input((20, 7))
    y = keras.layers.LSTM(5, dropout=0.5, return_sequences=True)(x)
    y = keras.layers.BatchNormalization()(keras.layers.Conv1D(4, 3)(keras.layers.Dropout(0.5)(y)))
    frozen = keras.layers.Dense(3, trainable=False, activity_regularizer="l2")
    model = keras.Model(x, frozen(keras.layers.GaussianNoise(0.1)(y)))
    model.compile("adam", "mse")
    return model


class Random(keras.Model):
    """Draws numbers of its own and of Keras's, also at inference; ``fails`` in the end."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3)
        self.generator = keras.random.SeedGenerator(5)
        self.fails = fails

    def call(self, x: Any) -> Any:
        y = self.dense(x)
        y += keras.random.normal((2, 3), dtype=y.dtype, seed=self.generator)
        y += keras.random.normal((2, 3), dtype=y.dtype)
        if self.fails:
            raise RuntimeError("no luck today")
        return y


def keras_live(folder: Path) -> Case:
    model = keras_layers()
    return Case(model, (2, 20, 7), lambda: keras_state(model))


def keras_random(folder: Path) -> Case:
    model = Random()
    model(np.ones((2, 4), "float32"))
    return Case(model, (2, 4), lambda: keras_state(model))


def keras_unbuilt(folder: Path) -> Case:
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    return Case(model, (2, 5), lambda: keras_state(model))


def keras_file(folder: Path) -> Case:
    path = folder / "model.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's __array__ knows no copy=, which numpy 2 wants
        keras_layers().save(path)
    return Case(path, (2, 20, 7), path.read_bytes)


def keras_wrong_shape(folder: Path) -> Case:
    model = keras_layers()
    return Case(model, (2, 20, 8), lambda: keras_state(model), "is declared batch×20×7; 2×20×8 is given")


def keras_raising(folder: Path) -> Case:
    model = Random()
    model(np.ones((2, 4), "float32"))
    model.fails = True
    return Case(model, (2, 4), lambda: keras_state(model), "no luck today")


def keras_raising_unbuilt(folder: Path) -> Case:
    class Broken(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            raise RuntimeError("no luck today")

    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5), Broken()])
    return Case(model, (2, 5), lambda: keras_state(model), "no luck today")


def keras_broken_file(folder: Path) -> Case:
    path = keras_file(folder).model
    path.write_bytes(path.read_bytes()[:3000])
    return Case(path, (2, 20, 7), path.read_bytes, "cannot be loaded")


# -- TensorFlow -------------------------------------------------------------------------------------------------------


class Module(tf.Module):
    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.ones((4, 3)))
        self.steps = tf.Variable(0, trainable=False)
        self.generator = tf.random.Generator.from_seed(7)
        self.fails = fails

    @tf.function
    def __call__(self, x: Any) -> Any:
        self.steps.assign_add(1)
        y = tf.matmul(x, self.weight) + tf.random.normal((2, 3)) + self.generator.normal((2, 3))
        if self.fails:
            raise RuntimeError("no luck today")
        return tf.nn.dropout(y, 0.5)


def tensorflow_state(module: Any) -> Any:
    count = type(module).__call__.experimental_get_tracing_count()
    return [v.numpy().tolist() for v in module.variables], plain(module), count


def tensorflow_module(folder: Path) -> Case:
    module = Module()
    return Case(module, (2, 4), lambda: tensorflow_state(module))


def tensorflow_file(folder: Path) -> Case:
    module = Module()
    function = module.__call__.get_concrete_function(tf.TensorSpec((2, 4)))
    tf.saved_model.save(module, str(folder / "saved"), signatures=function)
    return Case(folder / "saved", None, (folder / "saved" / "saved_model.pb").read_bytes)


def tensorflow_graph(folder: Path) -> Case:
    with tf.Graph().as_default() as graph:
        tf.nn.relu(tf.compat.v1.placeholder(tf.float32, (2, 4)) * tf.random.normal((2, 4), seed=3))
    return Case(graph, None, lambda: str(graph.as_graph_def()))


def tensorflow_raising(folder: Path) -> Case:
    module = Module(fails=True)
    return Case(module, (2, 4), lambda: tensorflow_state(module), "no luck today")


def tensorflow_wrong_shape(folder: Path) -> Case:
    module = Module()
    return Case(module, (2, 5), lambda: tensorflow_state(module), "Dimensions must be equal")


# -- JAX --------------------------------------------------------------------------------------------------------------


class Nnx(nnx.Module):
    def __init__(self, fails: bool = False) -> None:
        self.norm, self.drop = nnx.BatchNorm(4, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(1))
        self.fails = fails

    def __call__(self, x: Any) -> Any:
        y = self.drop(self.norm(x))
        if self.fails:
            raise RuntimeError("no luck today")
        return y @ jnp.ones((4, 3))


def nnx_state(module: Any) -> Any:
    graph, state = nnx.split(module)
    leaves = [
        jax.random.key_data(v) if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else v for v in jax.tree.leaves(state)
    ]
    return str(graph), [np.asarray(leaf).tolist() for leaf in leaves]


def jax_function(folder: Path) -> Case:
    weights = {"w": jnp.ones((4, 3))}
    key = jax.random.key(3)
    return Case(
        lambda params, x: x @ params["w"] + jax.random.normal(key, (2, 3)),
        [weights, (2, 4)],
        lambda: (np.asarray(weights["w"]).tolist(), jax.random.key_data(key).tolist()),
    )


def flax_module(folder: Path) -> Case:
    module = Nnx()
    return Case(module, (2, 4), lambda: nnx_state(module))


def flax_raising(folder: Path) -> Case:
    module = Nnx(fails=True)
    return Case(module, (2, 4), lambda: nnx_state(module), "no luck today")


def jax_wrong_shape(folder: Path) -> Case:
    return Case(lambda x: jnp.dot(x, jnp.ones((5, 3))), (2, 4), lambda: None, "dot_general")


# -- PyTorch ----------------------------------------------------------------------------------------------------------


class Torch(torch.nn.Module):
    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.norm, self.drop, self.dense = torch.nn.BatchNorm1d(4), torch.nn.Dropout(), torch.nn.Linear(4, 3)
        self.fails = fails

    def forward(self, x: Any) -> Any:
        y = self.dense(self.drop(self.norm(x))) + torch.rand(2, 3)
        if self.fails:
            raise RuntimeError("no luck today")
        return y * y.sum().item()  # a value: run for real


def torch_state(module: Any) -> Any:
    values = {name: value.tolist() for name, value in module.state_dict().items()}
    return values, [m.training for m in module.modules()], [p.grad for p in module.parameters()]


def torch_module(folder: Path) -> Case:
    module = Torch()
    return Case(module, torch.ones(2, 4, dtype=torch.float32), lambda: torch_state(module))


def torch_raising(folder: Path) -> Case:
    module = Torch(fails=True)
    return Case(module, (2, 4), lambda: torch_state(module), "no luck today")


# -- MXNet ------------------------------------------------------------------------------------------------------------


class Gluon(mx.gluon.HybridBlock):
    def __init__(self, fails: bool = False, in_units: int = 0) -> None:
        super().__init__()
        with self.name_scope():
            self.norm, self.drop = mx.gluon.nn.BatchNorm(), mx.gluon.nn.Dropout(0.5)
            self.dense = mx.gluon.nn.Dense(3, in_units=in_units)
        self.fails = fails

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.dense(self.drop(self.norm(x)))
        if self.fails:
            raise RuntimeError("no luck today")
        return y + F.random.normal(shape=(2, 3))


def gluon_state(block: Any) -> Any:
    parameters = block.collect_params()
    values = [(p.name, p.shape, p.grad_req, p._data and p.data().asnumpy().tolist()) for p in parameters.values()]
    blocks: list[Any] = []
    block.apply(blocks.append)
    return values, [plain(item) for item in blocks], [len(item._cached_graph) for item in blocks]


def mxnet_block(folder: Path) -> Case:
    block = Gluon(in_units=4)
    block.initialize()
    block.hybridize()
    block(mx.nd.ones((2, 4)))
    return Case(block, (2, 4), lambda: gluon_state(block))


def mxnet_deferred(folder: Path) -> Case:
    block = Gluon()
    block.initialize()
    return Case(block, (2, 4), lambda: gluon_state(block))


def mxnet_symbol(folder: Path) -> Case:
    symbol = mx.sym.FullyConnected(mx.sym.Dropout(mx.sym.var("data")), num_hidden=3, name="fc")
    return Case(symbol, (2, 4), symbol.tojson)


def mxnet_raising(folder: Path) -> Case:
    block = Gluon(fails=True)
    block.initialize()
    return Case(block, (2, 4), lambda: gluon_state(block), "no luck today")


def mxnet_wrong_shape(folder: Path) -> Case:
    block = Gluon(in_units=5)
    block.initialize()
    return Case(block, (2, 4), lambda: gluon_state(block), "has the shape 3×5; 3×4 is needed")


CASES: dict[str, Callable[[Path], Case]] = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__annotations__", {}).get("return") == "Case"
}
