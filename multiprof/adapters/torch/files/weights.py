"""Files of weights alone: no model, which is said with what is in them."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from multiprof.adapters.torch.files.pickled import DICTS, Made, Name, elements, entries, tensor_of
from multiprof.errors import ModelError

_LONGEST_HEADER = 100_000_000  # bytes; safetensors itself reads no longer one
_INERT = frozenset((*DICTS, "torch.Size", "torch.device", "builtins.set", "_codecs.encode"))


def weights_alone(path: Path, tensors: int, count: int) -> ModelError:
    return ModelError(
        f"{path} holds weights alone ({tensors:,} tensors, {count:,} elements), which say nothing of what is computed "
        "with them: give the model, as file.py:callable, or a program that torch.export.save wrote"
    )


def is_safetensors(head: bytes) -> bool:
    """Eight bytes that say how long the header is, and the header, which is a JSON object."""
    return len(head) > 9 and 2 <= int.from_bytes(head[:8], "little") <= _LONGEST_HEADER and head[8:9] == b"{"


def refuse_safetensors(path: Path) -> ModelError:
    """The error for a .safetensors file; its header names every tensor with its shape."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        if any(len(shape) > 64 or not all(0 <= size < 1 << 63 for size in shape) for shape in shapes):
            raise ValueError("a tensor whose shape is no list of sizes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return ModelError(f"{path} cannot be read: its header of safetensors is damaged ({error})")
    return weights_alone(path, len(shapes), sum(map(prod, shapes)))


def contents(value: Any) -> tuple[int, int, str]:
    """The tensors in what a pickle would make, their elements, and the first class that is no plain container.

    A storage counts for nothing. Whatever occurs several times is counted once.
    """
    tensors = count = 0
    first = ""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (str, bytes, int, float, type(None))) or id(item) in seen:
            continue
        seen.add(id(item))
        tensor = tensor_of(item)
        if tensor is not None:
            if id(tensor) not in seen or tensor is item:
                tensors, count = tensors + 1, count + elements(tensor)
                seen.add(id(tensor))
        elif isinstance(item, Made):
            if item.kind not in _INERT and not item.kind.startswith("torch._utils."):
                first = first or item.kind
            waiting += [item.state, *item.items, *(v for pair in reversed(item.pairs) for v in pair), item.args]
        elif isinstance(item, dict):
            waiting += [v for pair in item.items() for v in pair]
        elif isinstance(item, (tuple, list)):
            waiting += item
        elif isinstance(item, Name) and not item.text.startswith(("torch.", "collections.", "builtins.")):
            first = first or item.text
    return tensors, count, first


def refuse_pickle(path: Path, value: Any) -> ModelError:
    """The error for a pickle: that it is no model, or what trusting it would mean."""
    tensors, count, first = contents(value)
    if tensors and not first and next(entries(value), None) is not None:
        return weights_alone(path, tensors, count)
    of = f" of {first}" if first else ""
    return ModelError(
        f"{path} is a Python pickle{of}, which can run any code when it is read: give trust=True (--trust on the "
        "command line) if you trust the file, or have torch.export.save write the model"
    )


__all__ = ["contents", "is_safetensors", "refuse_pickle", "refuse_safetensors", "weights_alone"]
