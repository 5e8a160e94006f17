"""From times of kernels to a device, by hand; and that every kernel really runs, on both runtimes."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from multiprof_benchmark.calibrate.device import KERNELS, Kernel, Sample, described, device_of

from multiprof import devices


def test_operations_of_kernels():
    assert Kernel("gemm", (2, 3, 4)).operations == 2 * 2 * 3 * 4
    # 8×8 outputs of 16 channels, each of 9·4 products
    assert Kernel("convolution", (8, 4, 16, 3, 1)).operations == 2 * 64 * 16 * 36
    assert Kernel("convolution", (8, 4, 16, 3, 2)).operations == 2 * 16 * 16 * 36
    assert Kernel("depthwise", (8, 4, 3, 1)).operations == 2 * 64 * 4 * 9
    assert Kernel("matmul", (5, 2, 3, 4)).operations == 2 * 5 * 2 * 3 * 4
    assert (Kernel("copy", (10,)).operations, Kernel("copy", (10,)).bytes) == (0, 80)


def test_a_device_of_round_numbers():
    gemm, small = Kernel("gemm", (10, 10, 10)), Kernel("gemm", (5, 5, 5))  # 2000 and 250 operations
    conv, other = Kernel("convolution", (2, 5, 5, 1, 1)), Kernel("convolution", (4, 5, 5, 1, 1))  # 200 and 800
    samples = [
        Sample(gemm, 2.0), Sample(small, 1.0), Sample(conv, 1.5), Sample(other, 4.5),
        Sample(Kernel("copy", (1,)), 0.5), Sample(Kernel("copy", (10,)), 8.0), Sample(Kernel("copy", (100,)), 40.0),
        Sample(Kernel("start", (16,)), 0.5),
    ]  # fmt: skip
    device = device_of("box", samples, "round numbers", "A box")
    assert device.rates == {"float32": 1000.0}  # the better of 1000 and 250
    # 1000 operations in 1 + 4 seconds of work: starting takes half a second each time
    assert device.kernels == {"convolution": {"float32": 200.0}, "deconvolution": {"float32": 200.0}}
    # 800 bytes in 40 s; 80 bytes in 8 s are slower than that, so that no cache is slower than memory
    assert device.bandwidth == 20.0
    assert device.caches == ((8, 20.0), (80, 20.0))
    assert device.overhead == 0.5


def test_a_device_written_is_the_device_read(tmp_path):
    samples = [Sample(kernel, 0.001 * (1 + number)) for number, kernel in enumerate(KERNELS)]
    device = device_of("here-torch-1", samples, 'it says "quick"\n', "A box\\")
    (tmp_path / "d.toml").write_text(described(device))
    (read,) = devices.read(tmp_path / "d.toml")
    assert (read.name, read.title, read.source) == ("here-torch-1", "A box\\", 'it says "quick" ')
    assert read.rates == pytest.approx(dict(device.rates), rel=1e-5)
    assert read.bandwidth == pytest.approx(device.bandwidth, rel=1e-5)
    assert [size for size, _ in read.caches] == [size for size, _ in device.caches]
    assert set(read.kernels) == {"convolution", "deconvolution", "depthwise", "linear", "matmul"}
    assert read.kernels["depthwise"] == pytest.approx(dict(device.kernels["depthwise"]), rel=1e-5)


@pytest.mark.parametrize("runtime", ["torch", "tflite"])
def test_every_kernel_runs(runtime):
    prepared = import_module(f"multiprof_benchmark.calibrate.{runtime}_kernels").prepared
    with torch.no_grad():
        for kernel in KERNELS:
            prepared(kernel, 1)()
