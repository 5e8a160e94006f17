"""Networks, and what stands in the .tflite files written from them, for several modules of tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from torch import nn

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
CHANGES = ("QUANTIZE", "DEQUANTIZE")


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = function

    def forward(self, *operands):
        return self.function(self, *operands)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
        )
        self.up = nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.body(x))
        x = self.norm(self.up(x))
        return self.head(x.mean((2, 3)))


def main_graph(data: bytes):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    return model, model.subgraphs[0]


def kinds(data: bytes) -> list[str]:
    """The kinds of a file's operators, in order."""
    model, graph = main_graph(data)
    return [KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode] for operator in graph.operators]


def tensors(data: bytes) -> set[tuple[bytes, tuple[int, ...]]]:
    """Names and shapes of what a file's operators write, but for changes of type."""
    model, graph = main_graph(data)
    found = set()
    for operator in graph.operators:
        if KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode] not in CHANGES:
            found.update((graph.tensors[at].name, tuple(graph.tensors[at].shape)) for at in operator.outputs)
    return found


def types_of_operators(data: bytes) -> dict[str, set[str]]:
    """dtype → the kinds of operators that write it, but for changes of type."""
    model, graph = main_graph(data)
    names = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT8: "int8"}
    found: dict[str, set[str]] = {}
    for operator in graph.operators:
        kind = KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode]
        for at in operator.outputs if kind not in CHANGES else ():
            found.setdefault(names.get(graph.tensors[at].type, "other"), set()).add(kind)
    return found


def run_as_given(data: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
