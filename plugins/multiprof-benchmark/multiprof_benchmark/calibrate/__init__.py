"""``multiprof calibrate``: what this machine does at its best, measured with kernels alone, never with a model.

Matrix products, convolutions and copies are timed in a process of their own with each number of threads; what comes out
is a device like any other, in a TOML file for ``--device``.
"""

from __future__ import annotations

from multiprof_benchmark.calibrate.device import KERNELS, Sample, described, device_of

__all__ = ["KERNELS", "Sample", "described", "device_of"]
