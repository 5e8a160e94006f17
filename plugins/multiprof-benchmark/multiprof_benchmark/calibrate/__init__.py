"""``multiprof calibrate``: what this machine does, measured with kernels alone, never with a model.

Matrix products, convolutions and streams are timed in a process of their own with each number of threads; what comes
out is a device like any other, in a TOML file for ``--device``.
"""

from __future__ import annotations

from multiprof_benchmark.calibrate.device import Sample, described, device_of
from multiprof_benchmark.calibrate.kernels import KERNELS, Kernel

__all__ = ["KERNELS", "Kernel", "Sample", "described", "device_of"]
