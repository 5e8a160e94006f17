"""The CPU or a CUDA device as torch sees it: threads, waiting, memory, and the dtype to compute in."""

from __future__ import annotations

from typing import Any

import torch

from multiprof import UsageError

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
    """A device and the threads that work for it; setting those is for this process alone."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self.cuda = name.startswith("cuda")
        torch.set_num_threads(threads)
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

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
