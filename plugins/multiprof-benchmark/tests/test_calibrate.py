"""From times of kernels to a device, on times made up by hand; and that every kernel really runs, on both runtimes."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest
import torch
from multiprof_benchmark.calibrate.__main__ import TURNS, WARMUP, in_turns, undisturbed
from multiprof_benchmark.calibrate.device import Sample, described, device_of
from multiprof_benchmark.calibrate.fit import non_negative
from multiprof_benchmark.calibrate.kernels import INTEGERS, KERNELS, Kernel, Prepared, report

from multiprof import Device, devices
from multiprof.roofline import predict

TRUE = Device(
    "box", {"float32": 80e9, "int8": 300e9}, 10e9, "made up", kind="cpu", overhead=1e-6,
    kernels={
        "linear": {"float32": 90e9, "int8": 320e9}, "convolution": {"float32": 85e9, "int8": 250e9},
        "pointwise": {"float32": 95e9, "int8": 310e9}, "thin": {"float32": 60e9, "int8": 200e9},
        "depthwise": {"float32": 40e9, "int8": 120e9}, "deconvolution": {"float32": 25e9}, "matmul": {"float32": 70e9},
        "recurrent": {"float32": 30e9},
    },
    operands={
        **{kind: {dtype: {"x": 20e9, "weight": 15e9, "y": 12e9} for dtype in ("float32", "int8")}
           for kind in ("linear", "convolution", "pointwise", "depthwise", "deconvolution", "matmul")},
        **{kind: {dtype: {"weight": 15e9} for dtype in ("float32", "int8")} for kind in ("thin", "recurrent")},
        **{kind: {"float32": {"x": 9e9, "y": 9e9}}
           for kind in ("transcendental", "elementwise", "normalization", "softmax", "pooling", "transpose")},
    },
)  # fmt: skip


def test_work_of_kernels():
    def work(family: str, *sizes: int) -> tuple[int, int, int, int]:
        made = Kernel(family, sizes).work
        return made.macs, made.x, made.weight, made.y

    assert work("gemm", 2, 3, 4) == (2 * 3 * 4, 4 * 6, 4 * 12, 4 * 8)
    # 8×8 outputs of 16 channels, each of 9·4 products; with stride 2, 4×4
    assert work("convolution", 8, 4, 16, 3, 1) == (64 * 16 * 36, 4 * 64 * 4, 4 * 16 * 36, 4 * 64 * 16)
    assert work("convolution", 8, 4, 16, 3, 2)[0] == 16 * 16 * 36
    assert work("convolution", 8, 3, 16, 4, 4)[0] == 2 * 2 * 16 * 48  # patches: no padding
    assert work("depthwise", 8, 4, 3, 1) == (64 * 4 * 9, 4 * 256, 4 * 36, 4 * 256)
    # 3×3 inputs of 4 channels, each in 16 products with 5 channels; 6×6 outputs
    assert work("deconvolution", 3, 4, 5, 4, 2) == (9 * 4 * 16 * 5, 4 * 36, 4 * 4 * 5 * 16, 4 * 36 * 5)
    assert work("matmul", 5, 2, 3, 4) == (5 * 2 * 3 * 4, 4 * 30, 4 * 60, 4 * 40)
    assert work("sigmoid", 10) == (0, 40, 0, 40)
    assert work("max_pool", 5, 2, 3, 2) == (0, 4 * 25 * 2, 0, 4 * 4 * 2)


@pytest.mark.parametrize("last", [True, False])
def test_a_kernel_is_the_same_work_in_both_layouts(last):
    for kernel in KERNELS:
        (row,) = report(kernel, channels_last=last).layers
        assert row.cost is not None
        assert row.cost.macs == (kernel.work.macs if kernel.family not in ("copy", "start") else 0)


def test_kinds_of_kernels():
    kinds = {kernel.kind for kernel in KERNELS if kernel.family not in ("copy", "start")}
    assert kinds == set(TRUE.operands)
    assert Kernel("convolution", (8, 3, 16, 3, 1)).kind == "thin"
    assert Kernel("convolution", (8, 5, 16, 3, 1)).kind == "convolution"
    assert Kernel("convolution", (8, 5, 16, 1, 1)).kind == "pointwise"


def test_least_squares_without_negative_coefficients():
    # exact: 2·a + 3·b
    assert non_negative([[1, 1], [2, 0], [0, 4]], [5, 4, 12]) == pytest.approx([2, 3])
    # a line that falls: the best without a negative slope is a constant c of ((c − 2)/2)² + (c − 1)² at its least:
    # (c − 2)/4 + (c − 1) = 0, c = 6/5
    assert non_negative([[1, 0], [1, 1]], [2, 1]) == pytest.approx([1.2, 0])
    # of two columns that are one, one does
    assert sum(non_negative([[1, 1], [2, 2]], [3, 6])) == pytest.approx(3)
    # relative errors: (c − 1)² + ((c − 100)/100)²: c·(1 + 1e-4) = 1 + 1e-2
    assert non_negative([[1], [1]], [1, 100]) == pytest.approx([1.01 / 1.0001])
    assert non_negative([[0.0, 0.0]], [1]) == [0, 0]


def test_a_device_is_found_again_from_times_it_would_take():
    samples = []
    for kernel in (*KERNELS, *INTEGERS):
        if kernel.family == "gemm":
            seconds = 2 * kernel.work.macs / TRUE.rates[kernel.dtype]
        elif kernel.family in ("copy", "read"):
            seconds = 8 * kernel.sizes[0] / 10e9 if kernel.family == "copy" else kernel.work.weight / 5e9
        elif kernel.family == "start":
            seconds = TRUE.overhead
        else:
            rate = TRUE.rate(kernel.dtype, kernel.kind)
            handled = TRUE.handling(kernel.dtype, [kernel.kind], kernel.work.operands)
            assert rate is not None and handled is not None
            seconds = TRUE.overhead + handled + (2 * kernel.work.macs / rate)
        samples.append(Sample(kernel, seconds))
    found = device_of("box", samples, "made up")
    assert found.rates == pytest.approx(dict(TRUE.rates))
    assert found.overhead == TRUE.overhead
    assert found.bandwidth == pytest.approx(10e9)
    assert {round(speed) for _, speed in found.caches} == {10_000_000_000}
    assert found.read_bandwidth_of(10**15) == pytest.approx(5e9)
    assert {(k, d) for k, v in found.kernels.items() for d in v} == {(k, d) for k, v in TRUE.kernels.items() for d in v}
    for kind, by_dtype in found.kernels.items():
        for dtype, rate in by_dtype.items():
            # four shapes of a thin convolution, whose inputs are all alike, still tell rate and weight
            assert rate == pytest.approx(TRUE.kernels[kind][dtype], rel=1e-6), kind
    for kind, speeds in found.operands.items():
        assert speeds["float32"] == pytest.approx(dict(TRUE.operands[kind]["float32"]), rel=1e-4), kind


def test_a_device_of_round_numbers():
    gemm, small = Kernel("gemm", (10, 10, 10)), Kernel("gemm", (5, 5, 5))  # 2000 and 250 operations
    samples = [
        Sample(gemm, 2.0), Sample(small, 1.0), Sample(Kernel("add", (10,)), 2.5),
        Sample(Kernel("copy", (1,)), 0.5), Sample(Kernel("copy", (10,)), 8.0), Sample(Kernel("copy", (100,)), 40.0),
        Sample(Kernel("read", (1, 10, 10)), 4.0), Sample(Kernel("read", (1, 10, 20)), 16.0),
        Sample(Kernel("start", (16,)), 0.5),
    ]  # fmt: skip
    device = device_of("box", samples, "round numbers", "A box")
    assert device.rates == {"float32": 1000.0}  # the better of 1000 and 250
    assert device.kernels == {}
    # 120 bytes in the two seconds beyond starting
    assert device.operands == {"elementwise": {"float32": {"x": pytest.approx(60.0), "y": pytest.approx(60.0)}}}
    # 800 bytes in 40 s; 80 bytes in 8 s are slower than that, so that no cache is slower than memory
    assert device.bandwidth == 20.0
    assert device.caches == ((8, 20.0), (80, 20.0))
    # 400 bytes in 4 s, 800 in 16: whatever is larger is main memory
    assert device.reads == ((400, 100.0), (1 << 50, 50.0))
    assert device.overhead == 0.5


def test_products_hidden_behind_their_operands_run_at_the_peak():
    gemm = Sample(Kernel("gemm", (10, 10, 10)), 2.0)  # 1000 operations a second
    copies = [Sample(Kernel("copy", (10,)), 1.0)]
    kernels = [Kernel("linear", (1, 10, n)) for n in (1000, 2000)]  # 40 bytes a column of weight, 20 operations
    samples = [Sample(kernel, kernel.work.weight / 10 + 2 * kernel.work.macs / 1000) for kernel in kernels]
    device = device_of("box", [gemm, *copies, *samples], "")
    for sample in samples:
        work = sample.kernel.work
        rate, handled = device.rate("float32", "linear"), device.handling("float32", ["linear"], work.operands)
        assert rate is not None and handled is not None
        assert 2 * work.macs / rate + handled == pytest.approx(sample.seconds, rel=1e-6)
        assert rate <= 4 * 1000


def test_a_device_written_is_the_device_read(tmp_path):
    device = replace(TRUE, title="A box\\", source='it says "quick"\n', caches=((1, 3e9),), reads=((2, 4e9),))
    (tmp_path / "d.toml").write_text(described(device))
    (read,) = devices.read(tmp_path / "d.toml")
    assert read == replace(device, source='it says "quick" ')


def test_a_written_device_predicts():
    graph = Kernel("linear", (16, 64, 32)).graph()
    made = predict(graph, report(Kernel("linear", (16, 64, 32))).layers, TRUE)
    # 2·32768 operations at 90e9; 4096, 8192 and 2048 bytes; a microsecond
    assert made.seconds == pytest.approx(65536 / 90e9 + 4096 / 20e9 + 8192 / 15e9 + 2048 / 12e9 + 1e-6)


def test_kernels_take_turns():
    order: list[str] = []
    a, b = Kernel("add", (1,)), Kernel("add", (2,))
    runs = {
        a: Prepared(lambda: order.append("a"), lambda: order.append("fresh a")),
        b: Prepared(lambda: order.append("b"), lambda: order.append("fresh b")),
    }
    times = in_turns(runs)
    assert order == ["fresh a", "a", "fresh b", "b"] * (WARMUP + TURNS)
    assert {kernel: len(taken) for kernel, taken in times.items()} == {a: TURNS, b: TURNS}
    assert undisturbed([1.0, 1.0, 1.0, 9.0, 9.0]) == 1.0


@pytest.mark.parametrize("runtime", ["torch", "tflite"])
def test_every_kernel_runs(runtime):
    module = import_module(f"multiprof_benchmark.calibrate.{runtime}_kernels")
    with torch.no_grad():
        for kernel in module.OFFERED:
            if kernel.family == "read" and kernel.sizes[2] > 4096:
                continue  # the same on a hundred megabytes
            made = module.prepared(kernel, 1)
            made.refresh()
            made.run()
