"""Measures a live model that cannot travel to a worker where it is, in this process; it comes back as it was.

Nothing here is apart from the rest of the program: what else it does, and what it did before, is in the times and in
the memory. A crash of the runtime is a crash of the program, and no cap on memory holds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from multiprof import ModelError, MultiprofError
from multiprof_benchmark.subject import Job

NATIVE_FRAMEWORKS = ("torch", "keras", "tensorflow")


def run(job: Job) -> dict[str, Any]:
    """The result of a job as `pool.run` returns it; the sample rules are those of the job, its cap included."""
    from multiprof_benchmark.worker import make, said

    note = f"measured in this process, beside whatever else it does: {job.subject.notes[0]}"
    job = replace(job, subject=replace(job.subject, notes=(note,)))
    with ExitStack() as stack:
        stack.enter_context(_folder_unchanged())
        if "torch" in sys.modules:
            stack.enter_context(_torch_unchanged(job.subject.live))
        try:
            *_, result = make(job)
        except MultiprofError:
            raise
        except Exception as error:  # the runtime's own, or the model's
            raise ModelError(said(error)) from error
    return result


@contextmanager
def _folder_unchanged() -> Iterator[None]:
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _torch_unchanged(model: Any) -> Iterator[None]:
    """Modes, attributes, buffers, random numbers and threads of PyTorch as they were."""
    import torch

    from multiprof.adapters.torch.state import GlobalState, ModelState, spare_buffers

    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    scripted = [module for module in modules if isinstance(module, torch.jit.ScriptModule) and module.training]
    state, process = ModelState(modules), GlobalState()
    try:
        spare_buffers(modules)
        for module in modules:
            # not .eval(): models override train() (to merge adapters, to freeze norms), which would change them
            module.__dict__["training"] = False
        for module in scripted:
            module.training = False
        yield
    finally:
        state.restore()
        for module in scripted:
            module.training = True
        process.restore()


__all__ = ["NATIVE_FRAMEWORKS", "run"]
