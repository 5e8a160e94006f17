"""Times that cannot be true, on machines made up."""

from __future__ import annotations

import pytest
from multiprof_benchmark.calibrate.kernels import Kernel, report
from multiprof_benchmark.plausible import processor_peak, too_fast

from multiprof import Measurement

AVX2 = "processor : 0\nmodel name : Some CPU\nflags : fpu sse avx avx2 fma\n"
LINEAR = report(Kernel("linear", (100, 100, 100)))  # 2e6 operations


@pytest.fixture
def cpuinfo(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(AVX2)
    return path


def measured(seconds: float, **more) -> Measurement:
    fields = {"runner": "cpu", "route": "native", "device": "cpu", "threads": 1} | more
    return Measurement((seconds,), **fields)


def test_what_a_processor_cannot_exceed(cpuinfo, tmp_path):
    # 6.5 GHz, 8 lanes, a multiply-add is two, two units
    assert processor_peak(1, cpuinfo) == 6.5e9 * 8 * 2 * 2
    assert processor_peak(3, cpuinfo) == 3 * processor_peak(1, cpuinfo)
    cpuinfo.write_text(AVX2.replace("avx2", "avx2 avx512f"))
    assert processor_peak(1, cpuinfo) == 6.5e9 * 16 * 2 * 2
    assert processor_peak(1, tmp_path / "none") == 6.5e9 * 64


@pytest.mark.parametrize(
    ("measurement", "said"),
    [
        (measured(1e-5), False),  # 200e9 a second, of 208e9
        (measured(0.9e-5), True),
        (measured(0.9e-5, threads=2), False),
        (measured(0.9e-5, precision="int8"), False),
        (measured(0.5e-6, precision="int8"), True),  # 4e12, of 3.3e12
        (measured(0.9e-5, kind="group", subject=("linear0",)), False),
        (measured(0.9e-5, device="npu"), False),  # nothing is known of it
        (measured(1e-9, device="cuda", environment={"gpu": "NVIDIA H200"}), True),  # 2e15, of 1.98e15
        (measured(2e-9, device="cuda", environment={"gpu": "NVIDIA H200"}), False),
        (measured(1e-12, device="cuda", environment={"gpu": "NVIDIA Z9"}), False),
    ],
)
def test_a_rate_above_the_peak_is_said(measurement, said, cpuinfo):
    found = list(too_fast(LINEAR, [measurement], cpuinfo))
    assert len(found) == said
    assert all("operations per second, above the" in line for line in found)


def test_a_larger_batch_is_more_work(cpuinfo):
    # the kernel declares no batch: a measurement of one is taken as it is
    assert len(list(too_fast(LINEAR, [measured(0.9e-5, batch=2)], cpuinfo))) == 1


def test_a_model_without_products_has_no_rate(cpuinfo):
    assert list(too_fast(report(Kernel("add", (10,))), [measured(1e-12)], cpuinfo)) == []
