"""The events of LiteRT's profiler, given to the operators of the .tflite file that they are of.

An operator that the interpreter runs itself has an event that numbers it. XNNPACK numbers its own operators instead,
which are those of the file as it rewrote them: what it runs as one goes by, in order, the kinds that both have. Which
operators it runs together follows from TensorFlow Lite's partitioning, which is repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multiprof import MultiprofError
from multiprof_benchmark.sessions.litert_file import Operator

OPERATOR, DELEGATED = 2, 8  # types of events: of what the interpreter runs itself, and of what XNNPACK runs
MAIN = 0  # the graph that is run; what loops and branches call has other numbers
LARGEST = 50_000_000  # operators times events that are aligned at most; a larger model would take minutes

# What XNNPACK calls the operators of a file, where it is not the same word.
KINDS: dict[str, tuple[str, ...]] = {
    "AVERAGE_POOL_2D": ("Average Pooling", "Global Average Pooling", "Mean"),
    "BATCH_MATMUL": ("Batch Matrix Multiply", "Fully Connected", "Dynamic Fully Connected"),
    "CAST": ("Convert",),
    "CEIL": ("Ceiling",),
    "CONCATENATION": ("Concatenate", "Copy"),
    "CONV_2D": ("Convolution", "Fully Connected"),
    "COS": ("Cosine",),
    "DEPTHWISE_CONV_2D": ("Convolution", "Multiply"),
    "DEQUANTIZE": ("Convert",),
    "DIV": ("Divide",),
    "DYNAMIC_UPDATE_SLICE": ("Copy",),
    "EXPAND_DIMS": ("Static Expand Dims", "Static Reshape", "Copy"),
    "FULLY_CONNECTED": ("Fully Connected", "Dynamic Fully Connected", "Batch Matrix Multiply"),
    "GELU": ("GELU", "ApproxGELU"),
    "HARD_SWISH": ("HardSwish",),
    "LEAKY_RELU": ("LeakyReLU",),
    "LOGISTIC": ("Sigmoid",),
    "MAX_POOL_2D": ("Max Pooling", "ArgMax Pooling"),
    "MUL": ("Multiply",),
    "NEG": ("Negate",),
    "PACK": ("Copy",),
    "PAD": ("Constant Pad",),
    "PADV2": ("Constant Pad",),
    "POW": ("Power",),
    "QUANTIZE": ("Convert",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
    "RELU_0_TO_1": ("Clamp",),
    "RELU_N1_TO_1": ("Clamp",),
    "RESHAPE": ("Static Reshape", "Static Expand Dims", "Copy", "Split Dims", "Fuse Dims"),
    "ROUND": ("Bankers Rounding", "Bankders Rounding"),
    "RSQRT": ("Reciprocal Square Root",),
    "SIN": ("Sine",),
    "SPLIT": ("Even Split", "Slice", "Copy"),
    "SQRT": ("Square Root",),
    "SQUEEZE": ("Static Reshape", "Copy"),
    "STRIDED_SLICE": ("Slice", "Copy"),
    "SUB": ("Subtract",),
    "TRANSPOSE": ("Transpose", "Copy", "Static Reshape"),
    "TRANSPOSE_CONV": ("Deconvolution",),
}
WORK = ("Convolution", "Deconvolution", "Fully Connected", "Dynamic Fully Connected", "Batch Matrix Multiply")
AHEAD = ("QD8", "QDU8", "QP8", "Pack LH")  # what prepares the operand of the operator that follows
INTO_NEXT = ("PAD", "PADV2", "DEQUANTIZE", "QUANTIZE")  # what XNNPACK merges into the operator that reads it


class EventsError(MultiprofError):
    """Events that do not fit the file."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event without its time: what is the same in every run."""

    tag: str
    type: int
    node: int
    graph: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whose each event is (by its place; ``None``: nobody's), and what each operator without one was merged into."""

    owners: tuple[int | None, ...]
    merged: Mapping[int, int] = field(default_factory=dict)


def partitions(found: Sequence[Operator], own: set[int]) -> list[list[Operator]]:
    """The operators as they run: in turn those that the interpreter runs itself (``own``) and those it hands over.

    TensorFlow Lite puts whatever is ready, and of the same kind of the two, into one partition, in the order of the
    file (graph_info.cc): operators of a partition need not stand beside each other.
    """
    unmade = {tensor for item in found for tensor in item.makes}
    waiting = list(found)
    order: list[list[Operator]] = []
    while waiting:
        taken: list[Operator] = []
        rest: list[Operator] = []
        for item in waiting:
            ready = not any(tensor in unmade for tensor in item.reads)
            if ready and (not taken or (item.number in own) == (taken[0].number in own)):
                taken.append(item)
                unmade.difference_update(item.makes)
            else:
                rest.append(item)
        if not taken:
            raise EventsError("the operators of the file wait for each other")
        order.append(taken)
        waiting = rest
    return order


def assigned(found: Sequence[Operator], marks: Sequence[Mark]) -> Assigned:
    """Whose each event of a run is; `EventsError` where one that computes fits no operator.

    An event that fits none belongs to the operator before it, or, where it prepares an operand, to the one after it.
    An operator without events was merged: a padding or a change of type into the operator that reads it, anything else
    into the one whose result it reads.
    """
    main = [at for at, mark in enumerate(marks) if mark.graph == MAIN and mark.type in (OPERATOR, DELEGATED)]
    ends = [place for place, at in enumerate(main) if marks[at].type == OPERATOR]
    own = [marks[main[place]].node for place in ends]
    order = partitions(found, set(own))
    if [item.number for part in order for item in part if item.number in set(own)] != own:
        raise EventsError("the operators ran in another order than expected")
    owners: list[int | None] = [None] * len(marks)
    seen = 0
    for part in order:
        if part[0].number in set(own):
            for item in part:
                owners[main[ends[seen]]] = item.number
                seen += 1
        else:
            start = ends[seen - 1] + 1 if seen else 0
            stop = ends[seen] if seen < len(ends) else len(main)
            _align(part, main[start:stop], marks, owners)
    before: int | None = None
    for at in main:  # what no partition was expected for
        owners[at] = before if owners[at] is None else owners[at]
        before = owners[at]
    return Assigned(tuple(owners), _merged(found, {owner for owner in owners if owner is not None}))


def _align(part: Sequence[Operator], events: Sequence[int], marks: Sequence[Mark], owners: list[int | None]) -> None:
    """Give the events of a partition to its operators: as many as possible by their kinds, in order, then the rest."""
    if len(part) * len(events) > LARGEST:
        raise EventsError(f"{len(part):,} operators and {len(events):,} events are too many to compare")
    words = [_word(marks[at].tag) for at in events]
    for row, column in _pairs([_fits(item.kind, words) for item in part], len(words)):
        owners[events[column]] = part[row].number
    lost = [word for at, word in zip(events, words, strict=True) if owners[at] is None and word in WORK]
    if lost:
        raise EventsError(f"{len(lost)} of {len(events)} events fit no operator, the first of them {lost[0]!r}")
    before: int | None = None
    for position, at in enumerate(events):
        if owners[at] is None:
            behind = next((owners[later] for later in events[position:] if owners[later] is not None), None)
            ahead = any(word in marks[at].tag for word in AHEAD)
            owners[at] = behind if behind is not None and (ahead or before is None) else before
        before = owners[at] if owners[at] is not None else before


def _word(tag: str) -> str:
    """``Fully Connected`` of ``Fully Connected (NC, F32) GEMM``."""
    return tag.partition(" (")[0]


def _fits(kind: str, words: Sequence[str]) -> Any:
    """For each event whether it may be of an operator of that kind."""
    known = KINDS.get(kind)
    if known is not None:
        return np.array([word in known for word in words], dtype=bool)
    plain = kind.replace("_", "").lower()
    return np.array([word.replace(" ", "").lower() == plain for word in words], dtype=bool)


def _pairs(fits: Sequence[Any], width: int) -> list[tuple[int, int]]:
    """The longest chain of (row, column) that fit, both rising: the longest common subsequence."""
    best = np.zeros((len(fits) + 1, width + 1), dtype=np.int32)
    for row, fit in enumerate(fits):
        reached = np.maximum(best[row, 1:], best[row, :-1] + fit)
        best[row + 1, 1:] = np.maximum.accumulate(reached)
    chain = []
    row, column = len(fits), width
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            chain.append((row, column))
    return chain[::-1]


def _merged(found: Sequence[Operator], ran: set[int]) -> dict[int, int]:
    """The operator into which each one without events was merged; those beside which nothing ran are left out."""
    maker = {tensor: item.number for item in found for tensor in item.makes}
    readers: dict[int, list[int]] = {}
    for item in found:
        for tensor in item.reads:
            readers.setdefault(tensor, []).append(item.number)

    def walk(item: Operator, forward: bool) -> int | None:
        here = item
        for _ in range(len(found)):
            if forward:
                near = [reader for tensor in here.makes for reader in readers.get(tensor, ())]
            else:
                near = [maker[tensor] for tensor in here.reads if tensor in maker]
            if not near:
                return None
            here = found[near[0]]
            if here.number in ran:
                return here.number
        return None

    merged: dict[int, int] = {}
    for item in found:
        if item.number not in ran:
            forward = item.kind in INTO_NEXT
            host = walk(item, forward)
            host = walk(item, not forward) if host is None else host
            if host is not None:
                merged[item.number] = host
    return merged


__all__ = ["DELEGATED", "MAIN", "OPERATOR", "Assigned", "EventsError", "Mark", "assigned", "partitions"]
