"""The kernels in PyTorch."""

from __future__ import annotations

import torch

from multiprof_benchmark.calibrate.kernels import KERNELS, Kernel, Prepared, report
from multiprof_benchmark.lower.torch import lower

OFFERED: tuple[Kernel, ...] = KERNELS


def prepared(kernel: Kernel, threads: int) -> Prepared:
    """The kernel with random weights and inputs. Nothing is differentiated in this process from here on."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    program = lower(report(kernel, channels_last=False))
    ((name, step),) = program.steps.items()
    operands = program.operands()[name]
    inputs = list(program.examples)

    def refresh() -> None:
        for tensor in inputs:
            tensor.copy_(tensor.clone())

    return Prepared(lambda: step(operands), refresh)


__all__ = ["OFFERED", "prepared"]
