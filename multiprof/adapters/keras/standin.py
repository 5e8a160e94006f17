"""A call of one of Keras's functions as one step of the backend's program, and that step as a canonical layer.

The step is an operation of the backend that nobody runs: it has the operands in order, a number by which the call is
known again, and the shape of the result.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

import keras

from multiprof.adapters.keras.functions import OF_IMAGE, OF_LAYERS, OF_NN, OF_NUMPY, OF_OPS, Described
from multiprof.ir import Graph, Layer

_TOKEN = "multiprof:"


def put_in_place(replace: Callable[[Any, str, Any], None], known: list[Described]) -> None:
    """Let `replace` put a stand-in in the place of each function there is; what they describe joins ``known``."""
    thread = get_ident()

    def stand_in(original: Any, describe: Any) -> Any:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            if get_ident() == thread:
                found = _described(signature, describe, args, kwargs)
                if found is not None:
                    made = _step(found, known)
                    return made if found.then is None else found.then(made)
            return original(*args, **kwargs)

        return function

    backend = keras.src.backend
    tables = ((backend.nn, OF_NN), (backend.numpy, OF_NUMPY), (backend.image, OF_IMAGE), (keras.src.ops.nn, OF_OPS))
    for module, table in tables:
        for name, describe in table.items():
            if hasattr(module, name):
                replace(module, name, stand_in(getattr(module, name), describe))
    for name, describe in OF_LAYERS.items():
        cls = getattr(keras.layers, name, None)
        if cls is not None:
            replace(cls, "call", stand_in(cls.call, describe))
    original = backend.nn.separable_conv
    separable = inspect.signature(original)

    @functools.wraps(original)
    def separable_conv(*args: Any, **kwargs: Any) -> Any:
        """As two convolutions, which on TensorFlow is one operation of its own."""
        if get_ident() != thread:
            return original(*args, **kwargs)
        a = separable.bind(*args, **kwargs)
        a.apply_defaults()
        x, depthwise, pointwise, strides, padding, data_format, dilation = a.args
        inner = backend.nn.depthwise_conv(x, depthwise, strides, padding, data_format, dilation)
        return backend.nn.conv(inner, pointwise, 1, "valid", data_format, 1)

    replace(backend.nn, "separable_conv", separable_conv)


def _described(signature: inspect.Signature, describe: Any, args: Any, kwargs: Any) -> Described | None:
    """What a call is; ``None`` where it is none of ours, its shapes are not known, or it is to fail by itself."""
    try:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found: Described | None = describe(bound.arguments)
        if found is None or None in found.shape or any(None in tuple(t.shape) for t in found.operands.values()):
            return None
    except Exception:  # of what a backend takes and we do not expect: it says itself what is wrong
        return None
    return found


def _step(found: Described, known: list[Described]) -> Any:
    tensors = {role: keras.ops.convert_to_tensor(value) for role, value in found.operands.items()}
    dtype = found.dtype or keras.backend.standardize_dtype(tensors[found.like].dtype)
    shape = tuple(int(n) for n in found.shape)
    known.append(found)
    number = len(known) - 1
    return _STEPS[keras.backend.backend()](list(tensors.values()), number, shape, dtype)


def _tensorflow(operands: list[Any], number: int, shape: tuple[int, ...], dtype: str) -> Any:
    tf = sys.modules["tensorflow"]
    (made,) = tf.raw_ops.PyFuncStateless(input=operands, token=f"{_TOKEN}{number}", Tout=[tf.as_dtype(dtype)])
    return tf.reshape(made, shape)  # says the shape, which nothing else does of such an operation


@functools.cache
def _primitive() -> Any:
    """An operation of JAX, made once."""
    extend = sys.modules["jax"].extend.core
    core = sys.modules["jax"].core
    primitive = extend.Primitive("multiprof_keras")
    primitive.def_abstract_eval(lambda *operands, number, shape, dtype: core.ShapedArray(shape, dtype))
    return primitive


def _jax(operands: list[Any], number: int, shape: tuple[int, ...], dtype: str) -> Any:
    import jax.extend.core  # noqa: F401  # Keras has imported jax, not all of it
    import jax.numpy as jnp

    return _primitive().bind(*operands, number=number, shape=shape, dtype=jnp.dtype(dtype))


@functools.cache
def _library() -> Any:
    """An operation of torch, made once and kept: it goes with the library that holds it."""
    torch = sys.modules["torch"]
    library = torch.library.Library("multiprof_keras", "FRAGMENT")
    library.define("step(Tensor[] operands, int number, int[] shape, ScalarType dtype) -> Tensor")

    def meta(operands: Any, number: int, shape: list[int], dtype: Any) -> Any:
        return torch.empty(shape, dtype=dtype, device="meta")

    for key in ("Meta", "CPU", "CUDA"):  # weights stay where they are
        library.impl("step", meta, key)
    return library


def _torch(operands: list[Any], number: int, shape: tuple[int, ...], dtype: str) -> Any:
    torch = sys.modules["torch"]
    _library()
    return torch.ops.multiprof_keras.step.default(operands, number, list(shape), getattr(torch, dtype))


_STEPS: dict[str, Callable[[list[Any], int, tuple[int, ...], str], Any]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}


def canonical(graph: Graph, known: Sequence[Described]) -> list[Layer]:
    """The layers with every stand-in as what it stands for."""
    if not known:
        return list(graph.layers)
    layers: list[Layer] = []
    shaped: dict[str, Layer] = {}  # the stand-ins of TensorFlow, by what says their shape
    for layer in graph.layers:
        number = _number(layer)
        if number is None:
            host = shaped.pop(layer.inputs["x"].name, None) if layer.op == "reshape" else None
            if host is None:
                layers.append(layer)
            else:
                host.outputs["y"] = layer.outputs["y"]
            continue
        found = known[number]
        inputs = dict(zip(found.operands, layer.inputs.values(), strict=True))
        (made,) = layer.outputs.values()
        one = Layer(
            layer.name, found.op, inputs, {"y": made}, dict(found.attrs), layer.scope, found.op, layer.region
        )  # fmt: skip
        if layer.op.startswith("tensorflow."):
            shaped[made.name] = one
        layers.append(one)
    return layers


def _number(layer: Layer) -> int | None:
    """Which call a layer stands for, if it does for one."""
    if layer.op in ("jax.multiprof_keras", "torch.multiprof_keras.step"):
        return int(layer.attrs["number"])
    if layer.op == "tensorflow.PyFuncStateless" and str(layer.attrs.get("token", "")).startswith(_TOKEN):
        return int(layer.attrs["token"].removeprefix(_TOKEN))
    return None


__all__ = ["canonical", "put_in_place"]
