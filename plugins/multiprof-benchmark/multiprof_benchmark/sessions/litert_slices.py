"""Each operation of a .tflite file as a model of its own, timed alone: what LiteRT tells nobody about the whole.

An operation alone finds its operands in the cache, and XNNPACK cannot join it to its neighbours; the sum of all is
within some percent of the whole model's time, and the gap is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from multiprof_benchmark.timing import Rules, measure

EMPTY = 0  # the number of the buffer that holds nothing
FILE_ID = b"TFL3"
ABSENT = -1  # in place of a tensor that an operation does without


@dataclass(frozen=True, slots=True)
class Slice:
    """An operation of the main graph: its number, the names of its results, and a model of it alone."""

    number: int
    outputs: tuple[str, ...]
    model: bytes
    key: tuple[Any, ...]


def slices(path: str, shapes: dict[int, tuple[int, ...]]) -> Iterator[Slice]:
    """The operations of a file that can run alone; ``shapes`` are those of the tensors as they were allocated.

    What calls other graphs (loops, branches) cannot. A weight in 16 bits comes with the DEQUANTIZE that widens it,
    which is no operation of its own: an interpreter does that once, before it runs.
    """
    with open(path, "rb") as file:
        whole = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read(), 0))
    graph = whole.subgraphs[0]
    widening = {int(item.outputs[0]): item for item in graph.operators if _widens(whole, graph, item)}
    for number, operation in enumerate(graph.operators):
        if _calls(operation) or int(operation.outputs[0]) in widening:
            continue
        before = [widening[int(at)] for at in operation.inputs if int(at) in widening]
        model = _alone(whole, graph, [*before, operation], shapes)
        outputs = tuple(_name(graph.tensors[at]) for at in operation.outputs)
        yield Slice(number, outputs, _packed(model), _key(whole, graph, operation, shapes))


def timed(
    path: str, shapes: dict[int, tuple[int, ...]], threads: int, rules: Rules
) -> list[tuple[Slice, tuple[float, ...]]]:
    """Every operation with seconds of its runs, as many for each; those alike in all but weights are timed once."""
    short = Rules(max(5, rules.runs // 2), 0.0, rules.cap, 2, rules.warmup_seconds / 50)  # as many samples for each
    known: dict[tuple[Any, ...], tuple[float, ...]] = {}
    found = []
    for part in slices(path, shapes):
        if part.key not in known:
            known[part.key] = _time(part.model, threads, short)
        found.append((part, known[part.key]))
    return found


def _time(model: bytes, threads: int, rules: Rules) -> tuple[float, ...]:
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    source = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        dtype, shape = np.dtype(detail["dtype"]), tuple(detail["shape"])
        values = source.normal(size=shape) if dtype.kind == "f" else np.zeros(shape)
        interpreter.set_tensor(detail["index"], values.astype(dtype))
    return measure(interpreter.invoke, rules).times


def _calls(operation: Any) -> bool:
    options = operation.builtinOptions
    return any("ubgraphIndex" in name for name in vars(options)) if options is not None else False


def _widens(whole: Any, graph: Any, operation: Any) -> bool:
    """Whether an operation makes 32-bit floats of a constant."""
    code = whole.operatorCodes[operation.opcodeIndex]
    if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.DEQUANTIZE:  # old files have one
        return False
    stored = whole.buffers[graph.tensors[int(operation.inputs[0])].buffer].data
    return stored is not None and len(stored) > 0


def _alone(whole: Any, graph: Any, operations: Sequence[Any], shapes: dict[int, tuple[int, ...]]) -> Any:
    """The model of one operation, the last, behind those that widen its weights: its tensors renumbered, its constants
    kept, all else an input or an output."""
    operation = operations[-1]
    used = [
        int(at) for item in operations for at in (*item.inputs, *item.outputs, *_list(item.intermediates))
        if at != ABSENT
    ]  # fmt: skip
    used = list(dict.fromkeys(used))
    place = {at: new for new, at in enumerate(used)} | {ABSENT: ABSENT}
    buffers = [schema.BufferT()]
    tensors = []
    made = {int(at) for item in operations for at in item.outputs}
    inputs = []
    for at in used:
        tensor = _copy(graph.tensors[at])
        stored = whole.buffers[tensor.buffer]
        if at in shapes:
            tensor.shape = np.array(shapes[at], dtype=np.int32)
        tensor.shapeSignature = None
        tensor.buffer = EMPTY
        if stored.data is not None and len(stored.data):
            tensor.buffer = len(buffers)
            buffers.append(stored)
        elif at not in made and not tensor.isVariable and at not in _list(operation.intermediates):
            inputs.append(place[at])
        tensors.append(tensor)
    part = schema.SubGraphT()
    part.tensors, part.operators = tensors, [_placed(item, number, place) for number, item in enumerate(operations)]
    part.inputs = np.array(inputs, dtype=np.int32)
    part.outputs = part.operators[-1].outputs
    model = schema.ModelT()
    model.version = whole.version
    model.operatorCodes = [whole.operatorCodes[item.opcodeIndex] for item in operations]
    model.subgraphs, model.buffers = [part], buffers
    return model


def _placed(operation: Any, number: int, place: dict[int, int]) -> Any:
    """An operation with its own code, on renumbered tensors."""
    single = _copy(operation)
    single.opcodeIndex = number
    single.inputs = np.array([place[int(at)] for at in operation.inputs], dtype=np.int32)
    single.outputs = np.array([place[int(at)] for at in operation.outputs], dtype=np.int32)
    if _list(operation.intermediates):
        single.intermediates = np.array([place[int(at)] for at in operation.intermediates], dtype=np.int32)
    return single


def _copy(item: Any) -> Any:
    fresh = type(item)()
    fresh.__dict__.update(vars(item))
    return fresh


def _list(values: Any) -> Sequence[int]:
    return [] if values is None else [int(value) for value in values]


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), FILE_ID)
    return bytes(builder.Output())


def _key(whole: Any, graph: Any, operation: Any, shapes: dict[int, tuple[int, ...]]) -> tuple[Any, ...]:
    """What decides how long an operation takes: its kind, its options, and shapes and types of its operands."""
    code = whole.operatorCodes[operation.opcodeIndex]
    options = operation.builtinOptions
    settings = "" if options is None else repr(sorted(vars(options).items(), key=lambda item: item[0]))
    operands: list[Any] = []
    for at in (*operation.inputs, *operation.outputs):
        tensor = None if at == ABSENT else graph.tensors[int(at)]
        if tensor is None:
            operands.append(None)
            continue
        stored = whole.buffers[tensor.buffer].data
        held = b"" if stored is None else bytes(stored[:64]) if len(stored) <= 64 else b"weights"  # axes and paddings
        operands.append((shapes.get(int(at), tuple(_list(tensor.shape))), tensor.type, held))
    return code.builtinCode, code.customCode, settings, tuple(operands)


def _name(tensor: Any) -> str:
    return tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)


__all__ = ["Slice", "slices", "timed"]
