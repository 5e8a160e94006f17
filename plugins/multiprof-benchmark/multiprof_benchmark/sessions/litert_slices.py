"""Each operation of a .tflite file as a model of its own, timed alone: the fallback where the runtime's own profiler
cannot be used.

An operation alone finds its operands in the cache, and XNNPACK cannot join it to its neighbours; the sum of all is
within some percent of the whole model's time, and the gap is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from multiprof_benchmark.sessions.litert_file import ABSENT, calls, is_constant, kind, name, numbers, read
from multiprof_benchmark.timing import NANO, Rules, measure

EMPTY = 0  # the number of the buffer that holds nothing
FILE_ID = b"TFL3"
WHOLE_NUMBERS = (schema.TensorType.INT32, schema.TensorType.INT64, schema.TensorType.BOOL)
STEERED = "how often what it calls runs depends on what the model computes before"
LATE = "the {:.0f} s for all layers were over"
UNABLE = "the interpreter does not run it by itself"


@dataclass(frozen=True, slots=True)
class Slice:
    """An operation of the main graph: its number, kind and the names of its results, what makes a model of it alone
    (nothing, where it cannot run alone), and what decides how long it takes.
    """

    number: int
    kind: str
    outputs: tuple[str, ...]
    model: Callable[[], bytes] | None
    key: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Sliced:
    """The operations that were timed, with the seconds of their runs, and why others were not."""

    timed: list[tuple[Slice, tuple[float, ...]]]
    untimed: list[tuple[Slice, str]]

    @property
    def notes(self) -> tuple[str, ...]:
        """``not timed alone: WHILE (2), it runs another graph``, for each reason."""
        kinds: dict[str, Counter[str]] = {}
        for part, reason in self.untimed:
            kinds.setdefault(reason, Counter())[part.kind] += 1
        return tuple(
            f"not timed alone: {', '.join(f'{kind} ({number})' for kind, number in found.items())}: {reason}"
            for reason, found in kinds.items()
        )


def slices(path: str, shapes: dict[int, tuple[int, ...]]) -> Iterator[Slice]:
    """The operations of a file, one by one; ``shapes`` are those of the tensors as they were allocated.

    What calls other graphs comes with all of them; a loop or a branch that whole numbers computed before it steer
    cannot run alone. A weight in 16 bits comes with the DEQUANTIZE that widens it, which is no operation of its own: an
    interpreter does that once, before it runs.
    """
    whole = read(path)
    graph = whole.subgraphs[0]
    widening = {int(item.outputs[0]): item for item in graph.operators if _widens(whole, graph, item)}
    for number, operation in enumerate(graph.operators):
        if numbers(operation.outputs)[:1] and int(operation.outputs[0]) in widening:
            continue
        sort = kind(whole, operation)
        outputs = tuple(name(graph.tensors[at]) for at in operation.outputs)
        if calls(operation) and any(_steers(whole, graph.tensors[at]) for at in numbers(operation.inputs)):
            yield Slice(number, sort, outputs, None)
            continue
        before = [widening[int(at)] for at in operation.inputs if int(at) in widening]
        model = partial(_alone, whole, graph, [*before, operation], shapes)
        yield Slice(number, sort, outputs, model, _key(whole, graph, operation, shapes))


def timed(
    path: str,
    shapes: dict[int, tuple[int, ...]],
    threads: int,
    rules: Rules,
    only: Container[int] | None = None,
    clock: Callable[[], int] = perf_counter_ns,
) -> Sliced:
    """Every operation, or ``only`` some by number, with seconds of its runs; those alike in all but weights are timed
    once.

    The cap of ``rules`` is that of all operations together: each has its share of what is left of it, and one that
    would begin after it is not timed. ``clock`` reads nanoseconds.
    """
    end = clock() + int(rules.cap / NANO)
    parts = [part for part in slices(path, shapes) if only is None or part.number in only]
    different = len({part.key for part in parts if part.model is not None})
    known: dict[tuple[Any, ...], tuple[float, ...] | str] = {}
    found = Sliced([], [])
    for part in parts:
        if part.model is None:
            found.untimed.append((part, STEERED))
            continue
        if part.key not in known:
            left = (end - clock()) * NANO
            share = left / (different - len(known))
            short = Rules(max(5, rules.runs // 2), 0.0, share, 2, rules.warmup_seconds / 50)
            known[part.key] = _time(part.model(), threads, short, clock) if left > 0 else LATE.format(rules.cap)
        times = known[part.key]
        if isinstance(times, str):
            found.untimed.append((part, times))
        else:
            found.timed.append((part, times))
    return found


def _time(model: bytes, threads: int, rules: Rules, clock: Callable[[], int]) -> tuple[float, ...] | str:
    """Seconds of each run, or why it cannot run."""
    try:
        interpreter = Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
        source = np.random.default_rng(0)
        for detail in interpreter.get_input_details():
            dtype, shape = np.dtype(detail["dtype"]), tuple(detail["shape"])
            values = source.normal(size=shape) if dtype.kind == "f" else np.zeros(shape)
            interpreter.set_tensor(detail["index"], values.astype(dtype))
        return measure(interpreter.invoke, rules, clock).times
    except (RuntimeError, ValueError):  # the interpreter's own
        return UNABLE


def _widens(whole: Any, graph: Any, operation: Any) -> bool:
    """Whether an operation makes 32-bit floats of a constant."""
    return kind(whole, operation) == "DEQUANTIZE" and is_constant(whole, graph.tensors[int(operation.inputs[0])])


def _steers(whole: Any, tensor: Any) -> bool:
    """Whether a tensor may hold a number of trips or a choice that the model computes."""
    return tensor.type in WHOLE_NUMBERS and not is_constant(whole, tensor)


def _alone(whole: Any, graph: Any, operations: Sequence[Any], shapes: dict[int, tuple[int, ...]]) -> bytes:
    """The model of one operation, the last, behind those that widen its weights: its tensors renumbered, its constants
    kept, all else an input or an output."""
    operation = operations[-1]
    used = [
        int(at) for item in operations for at in (*item.inputs, *item.outputs, *numbers(item.intermediates))
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
        elif at not in made and not tensor.isVariable and at not in numbers(operation.intermediates):
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
    if calls(operation):
        _with_called(model, whole)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), FILE_ID)
    return bytes(builder.Output())


def _with_called(model: Any, whole: Any) -> None:
    """Add to the model of one operation the graphs that it may call, under their own numbers."""
    codes, buffers = len(model.operatorCodes), len(model.buffers)
    model.operatorCodes += whole.operatorCodes
    model.buffers += whole.buffers
    for called in whole.subgraphs[1:]:
        graph = _copy(called)
        graph.tensors, graph.operators = (
            [_copy(item) for item in called.tensors],
            [_copy(item) for item in called.operators],
        )
        for tensor in graph.tensors:
            tensor.buffer += buffers
        for item in graph.operators:
            item.opcodeIndex += codes
        model.subgraphs.append(graph)


def _placed(operation: Any, number: int, place: dict[int, int]) -> Any:
    """An operation with its own code, on renumbered tensors."""
    single = _copy(operation)
    single.opcodeIndex = number
    single.inputs = np.array([place[int(at)] for at in operation.inputs], dtype=np.int32)
    single.outputs = np.array([place[int(at)] for at in operation.outputs], dtype=np.int32)
    if numbers(operation.intermediates):
        single.intermediates = np.array([place[int(at)] for at in operation.intermediates], dtype=np.int32)
    return single


def _copy(item: Any) -> Any:
    fresh = type(item)()
    fresh.__dict__.update(vars(item))
    return fresh


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
        operands.append((shapes.get(int(at), tuple(numbers(tensor.shape))), tensor.type, held))
    return code.builtinCode, code.customCode, settings, tuple(operands)


__all__ = ["Slice", "Sliced", "slices", "timed"]
