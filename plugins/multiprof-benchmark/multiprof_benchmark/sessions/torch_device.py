"""The CPU or a CUDA device as torch sees it: threads, waiting, memory, and the dtype to compute in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from multiprof import UsageError

Result = TypeVar("Result")
MILLI = 1e-3

# What users call a precision, and torch's dtype for it.
PRECISIONS = {
    "": None, "fp32": torch.float32, "float32": torch.float32, "fp16": torch.float16, "float16": torch.float16,
    "bf16": torch.bfloat16, "bfloat16": torch.bfloat16,
}  # fmt: skip


def precision(name: str) -> torch.dtype | None:
    """The dtype of a precision, ``None`` for the model's own; `UsageError` for one that torch does not compute in."""
    if name not in PRECISIONS:
        raise UsageError(f"precision {name!r}: torch computes in one of fp32, fp16, bf16")
    return PRECISIONS[name]


class Device:
    """A device and the threads that work for it; setting those is for this process alone.

    ``event`` makes marks that the device passes in its own time, such as CUDA's: with them its time for every run is
    known beside that of the wall, which holds starting the work and waiting for it too.
    """

    def __init__(self, name: str, threads: int, event: Callable[[], Any] | None = None) -> None:
        self.name = name
        self.cuda = name.startswith("cuda")
        self.event = event
        self.spent: list[float] = []
        torch.set_num_threads(threads)
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self.event = event or (lambda: torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]

    def run(self, work: Callable[[], Result]) -> Result:
        """What ``work`` returns, once the device has done it all."""
        if self.event is None:
            result = work()
            self.wait()
            return result
        start, end = self.event(), self.event()
        start.record()
        result = work()
        end.record()
        self.wait()
        self.spent.append(start.elapsed_time(end) * MILLI)
        return result

    def threads(self) -> int:
        """The threads torch really uses."""
        return torch.get_num_threads()

    def wait(self) -> None:
        """Return when everything asked of the device is done."""
        if self.cuda:
            torch.cuda.synchronize()

    def memory(self) -> dict[str, int]:
        return {"cuda": torch.cuda.max_memory_allocated()} if self.cuda else {}

    def environment(self) -> dict[str, Any]:
        if not self.cuda:
            return {}
        return {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


__all__ = ["PRECISIONS", "Device", "precision"]
