"""What a .tflite file says of its operators, for those who time them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

ABSENT = -1  # in place of a tensor that an operation does without
CUSTOM = "CUSTOM"
_KINDS: dict[int, str] = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)
}


@dataclass(frozen=True, slots=True)
class Operator:
    """One of the main graph: its number there, its kind (``CONV_2D``), the tensors it reads that are no constants,
    those it makes and their names, and whether it runs another graph (a loop, a branch, a call).
    """

    number: int
    kind: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    names: tuple[str, ...]
    calls: bool = False


def read(path: str | Path) -> Any:
    """The whole file as the schema's own objects."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(Path(path).read_bytes(), 0))


def operators(path: str | Path) -> list[Operator]:
    """The operators of the main graph of a file, in order."""
    model = read(path)
    graph = model.subgraphs[0]
    constant = {at for at, tensor in enumerate(graph.tensors) if is_constant(model, tensor)}
    return [
        Operator(
            number,
            kind(model, item),
            tuple(at for at in numbers(item.inputs) if at != ABSENT and at not in constant),
            tuple(numbers(item.outputs)),
            tuple(name(graph.tensors[at]) for at in numbers(item.outputs)),
            calls(item),
        )
        for number, item in enumerate(graph.operators)
    ]


def has_variables(path: str | Path) -> bool:
    """Whether some tensor keeps its values from run to run."""
    return any(tensor.isVariable for graph in read(path).subgraphs for tensor in graph.tensors)


def kind(model: Any, operation: Any) -> str:
    code = model.operatorCodes[operation.opcodeIndex]
    return _KINDS.get(max(code.builtinCode, code.deprecatedBuiltinCode), CUSTOM)  # old files have one of the two


def calls(operation: Any) -> bool:
    """Whether an operation runs another graph of the file."""
    options = operation.builtinOptions
    return any("ubgraphIndex" in field for field in vars(options)) if options is not None else False


def is_constant(model: Any, tensor: Any) -> bool:
    buffer = model.buffers[tensor.buffer]
    return (buffer.data is not None and len(buffer.data) > 0) or buffer.size > 0


def name(tensor: Any) -> str:
    return tensor.name.decode(errors="replace") if isinstance(tensor.name, bytes) else str(tensor.name)


def numbers(values: Any) -> Sequence[int]:
    return [] if values is None else [int(value) for value in values]


__all__ = [
    "ABSENT",
    "CUSTOM",
    "Operator",
    "calls",
    "has_variables",
    "is_constant",
    "kind",
    "name",
    "numbers",
    "operators",
    "read",
]
