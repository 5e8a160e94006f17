"""By which routes a network reaches multiprof: each a module of networks, read in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Route:
    """``module`` holds the networks, ``differences`` what differs in them; ``environment`` is set for the process."""

    module: str
    differences: str
    environment: Mapping[str, str] = field(default_factory=dict)


# what draws the first weights is compiled for every shape anew, which takes longer than all that the tests look at
JAX = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}

ROUTES: dict[str, Route] = {
    "torch": Route("torch_networks", "differences_torch"),
    "torch-export": Route("torch_export_networks", "differences_torch"),
    "onnx-script": Route("onnx_script_networks", "differences_onnx"),
    "onnx-dynamo": Route("onnx_dynamo_networks", "differences_onnx"),
    "keras-tensorflow": Route("keras_networks", "differences_keras", {"KERAS_BACKEND": "tensorflow"}),
    "keras-jax": Route("keras_networks", "differences_keras", JAX | {"KERAS_BACKEND": "jax"}),
    "keras-torch": Route("keras_networks", "differences_keras", {"KERAS_BACKEND": "torch"}),
    "keras-saved": Route("keras_saved_networks", "differences_keras", {"KERAS_BACKEND": "tensorflow"}),
    "tensorflow": Route("tensorflow_networks", "differences_tensorflow"),
    "tensorflow-saved": Route("tensorflow_saved_networks", "differences_tensorflow"),
    "tensorflow-frozen": Route("tensorflow_frozen_networks", "differences_tensorflow"),
    "tflite": Route("tflite_networks", "differences_tflite"),
    "mxnet": Route("mxnet_networks", "differences_mxnet"),
    "mxnet-symbol": Route("mxnet_symbol_networks", "differences_mxnet"),
    "jax": Route("jax_networks", "differences_jax", JAX),
    "flax": Route("flax_networks", "differences_jax", JAX),
}
