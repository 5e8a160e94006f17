"""PyTorch modules and callables by ``litert-torch``, which exports them and writes the file without TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.recipe import AlgorithmName
from torch import nn

from multiprof import ModelError
from multiprof_benchmark.converters import FULL, INTEGER, SAMPLES, run
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.sessions.torch import TorchSession
from multiprof_benchmark.subject import Job

# What the quantiser can store in 16-bit floats.
HALVED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "EMBEDDING_LOOKUP")


def main(arguments: list[str]) -> int:
    return run(arguments[0], convert)


def convert(job: Job, precision: str) -> bytes:
    """The file's bytes; 8-bit integers are calibrated on random inputs."""
    session = TorchSession(job.subject, replace(job.options, precision=""))
    model = session.model if isinstance(session.model, nn.Module) else Called(session.model)
    with torch.no_grad(), TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        litert_torch.convert(model.eval(), tuple(session.args), session.kwargs or None).export(str(path))
        data = path.read_bytes()
    if precision == FULL:
        return data
    rules = quantizer.Quantizer(bytearray(data))
    if precision == INTEGER:
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        found = rules.calibrate({key: _samples(job, data, key) for key in _signatures(data)}, num_threads=1)
    else:
        for kind in HALVED:
            rules.add_weight_only_config(
                ".*", TFLOperationName[kind], num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
            )
        found = None
    return bytes(rules.quantize(found).quantized_model)


class Called(nn.Module):
    """A plain callable as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def _signatures(data: bytes) -> list[str]:
    return list(Interpreter(model_content=data).get_signature_list())


def _samples(job: Job, data: bytes, key: str) -> list[Mapping[str, Any]]:
    """Random inputs of a signature by its own names."""
    details = Interpreter(model_content=data).get_signature_runner(key).get_input_details()
    return [dict(_matched(details, list(arrays(job.subject.report, seed).values()))) for seed in range(SAMPLES)]


def _matched(details: Mapping[str, Any], given: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each input with the next array of its shape; a converter may reorder them."""
    for name, detail in details.items():
        at = next((at for at, array in enumerate(given) if array.shape == tuple(detail["shape"])), None)
        if at is None:
            raise ModelError(
                f"the converted file's input {name} of the shape {tuple(detail['shape'])} is not the model's"
            )
        yield name, given.pop(at).astype(np.dtype(detail["dtype"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
