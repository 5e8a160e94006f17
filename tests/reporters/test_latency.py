"""Measured times: the same numbers as the measurements, the sum of the layers beside the whole, and nothing hidden."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from multiprof import Device, Measurement, Report, predict
from multiprof.reporters.latency import _ops, render
from multiprof.reporters.table import render as table
from multiprof.reporters.text import duration

STEM, HEAD = ("stem.conv", "stem.norm", "stem.act"), ("head",)
SHARED = {"runner": "cpu", "route": "native", "device": "cpu", "threads": 2}


@pytest.fixture
def measured(whole: Report) -> Report:
    """The net of 3456 + … macs, in 2 s, of which 1.5 in the stem, 0.25 in the head and 0.05 beside."""
    phases, memory = {"load": 3.0, "first": 4.0, "warmup": 1.0}, {"rss": 2048}
    return replace(
        whole,
        measurements=(
            Measurement((2.0, 2.0, 2.1), phases=phases, memory=memory, **SHARED),
            Measurement((1.5, 1.5), kind="group", subject=STEM, **SHARED),
            Measurement((0.25, 0.25), kind="group", subject=HEAD, **SHARED),
            Measurement((0.05, 0.05), kind="overhead", **SHARED),
            Measurement((0.5, 1.0, 0.4), "tflite", precision="int8", environment={"notes": ("made up",)}),
        ),
    )


def cells(text: str, first: str) -> list[str]:
    line = next(line for line in text.split("\n") if line.startswith(first))
    return re.split(r" {2,}", line.strip())


def test_the_whole_model(measured):
    text = render(measured, width=0, ascii=False)
    macs = measured.macs
    row = cells(text, "cpu  ")
    # median and interquartile range of 2, 2 and 2.1; the first run; loading
    assert row[:6] == ["cpu", "native", "cpu", "2", "2 s", "50 ms"]
    assert row[6:10] == ["2 s", "3", "4 s", "3 s"]
    assert row[10] == f"{macs / 2.0 / 1000:.2f} k"
    assert row[11] == "2.00 KiB"


def test_every_layer_and_what_is_left(measured):
    text = render(measured, width=0, ascii=False)
    # the folded norm is no work of its own; 3456 macs in 1.5 s
    assert cells(text, "stem.conv") == ["stem.conv +2", "conv + relu", "3,456", "1.5 s", "0 ns", "75.0%", "2.30 k"]
    assert cells(text, "head") == ["head", "linear", "100", "250 ms", "0 ns", "12.5%", ""][:6]
    assert "Sum  1.75 s in layers, 87.5% of the 2 s of the whole model; 50 ms beside them" in text


def test_the_slowest_first_where_asked(measured):
    text = render(measured, top=1, width=0, ascii=False)
    assert "stem.conv +2" in text
    assert "\nhead " not in text
    assert "… and 1 more" in text


def test_a_time_that_moves_and_what_the_runner_says_are_notes(measured):
    text = render(measured, width=0, ascii=False)
    # of 0.4, 0.5 and 1.0 the quartiles are 0.45 and 0.75
    assert "tflite (native), int8: unreliable: half of the runs differ by 60% of the median" in text
    assert "tflite (native), int8: made up" in text
    assert cells(text, "tflite")[3] == "500 ms !"


def test_the_table_says_it_in_a_line(measured):
    text = table(measured, width=0, ascii=False)
    assert "Measured          2 s on cpu (native), 2 threads: median of 3 runs, IQR 50 ms\n" in text
    assert "Measured          500 ms on tflite (native), int8: median of 3 runs, IQR 300 ms, unreliable\n" in text


def test_predicted_beside_measured(measured):
    device = Device("box", {"float32": 1000.0}, 100.0, "round numbers")
    after = predict(measured, device)
    stem = after.predictions[0].kernels[0]
    assert stem.subject == STEM
    assert cells(render(after, width=0, ascii=False), "stem.conv")[-1] == f"{stem.seconds:.3g} s"


def test_a_row_of_several_kernels_is_predicted_as_their_sum(measured):
    slow, fast = (Device(name, {"float32": rate}, 100.0, "round numbers") for name, rate in (("a", 1e3), ("b", 2e3)))
    after = predict(predict(measured, slow), fast)
    kernels = {kernel.subject: kernel.seconds for kernel in after.predictions[0].kernels}
    whole, rest = measured.measurements[0], measured.measurements[3:]
    both = Measurement((1.5,), kind="group", subject=STEM + HEAD, **SHARED)
    text = render(replace(after, measurements=(whole, both, *rest)), width=0, ascii=False)
    assert cells(text, "stem.conv")[-1] == f"{kernels[STEM] + kernels[HEAD]:.3g} s"
    assert "Predicted  each row on a, the first of 2 devices\n" in text
    part = Measurement((1.5,), kind="group", subject=STEM[:2], **SHARED)  # the kernel holds the activation too
    text = render(replace(after, measurements=(whole, part, *rest)), width=0, ascii=False)
    assert "Predicted  each" in text
    assert "Predicted\n" not in text
    assert cells(text, "stem.conv")[-1] == "2.30 k"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "?"), (0.0, "0 ns"), (7.5e-7, "750 ns"), (0.9996e-6, "1 µs"), (9.999e-7, "1 µs"), (9.994e-7, "999 ns"),
        (0.0172, "17.2 ms"), (0.9999, "1 s"), (12.0, "12 s"), (999.6, "1,000 s"), (12345.6, "12,346 s"),
    ],
)  # fmt: skip
def test_durations_have_three_digits_and_no_exponent(seconds, said):
    assert duration(seconds) == said


def test_a_larger_batch_does_more_work(whole):
    # the net declares its batch of 2
    report = replace(whole, measurements=(Measurement((1.0,), "cpu", batch=8),))
    assert cells(render(report, width=0, ascii=False), "cpu")[-1] == f"{4 * report.macs / 1000:.1f} k"


def test_nothing_measured(whole):
    assert "Measured  nothing: multiprof bench MODEL measures" in render(whole, width=0, ascii=False)


def test_a_prediction_stands_beside_what_it_is_of(measured):
    """The same batch, in the model's own precision."""
    after = predict(measured, Device("box", {"float32": 1000.0}, 100.0, "round numbers"))
    said = cells(render(after, width=0, ascii=False), "stem.conv")[-1]
    for other in ({"precision": "fp16"}, {"batch": 7}):
        changed = tuple(replace(m, **other) for m in after.measurements)
        text = render(replace(after, measurements=changed), width=0, ascii=False)
        assert said not in cells(text, "stem.conv")


def test_a_layer_that_only_another_batch_has(measured):
    odd = Measurement((0.5,), kind="group", subject=("elsewhere",), **SHARED)
    text = render(replace(measured, measurements=(*measured.measurements, odd)), width=0, ascii=False)
    assert cells(text, "elsewhere") == ["elsewhere", "500 ms", "0 ns", "25.0%"]


def test_a_comparison_and_how_sure_it_is(measured):
    pair = Measurement(
        (3.0, 3.0, 3.0, 3.3), kind="compared", label="after", against="before", baseline=(2.0, 2.0, 2.0, 2.2), **SHARED
    )
    text = render(replace(measured, measurements=(*measured.measurements, pair)), width=0, ascii=False)
    said = "after takes 1.500 times as long as before (1.500 to 1.500): 3 s against 2 s, 4 turns on cpu (native), 2 thr"
    assert said in text
    assert "ratio of medians, 95% interval by the bootstrap over turns (2,000 resamples)" in text
    even = replace(pair, times=(1.0, 3.0, 1.0, 3.0), baseline=(3.0, 1.0, 3.0, 1.0))
    assert "which is faster is not known" in render(replace(measured, measurements=(even,)), width=0, ascii=False)


def test_steps_of_no_known_layer_and_the_gap(measured):
    steps = [Measurement((0.01 * n,), kind="overhead", label=f"step {n}", **SHARED) for n in range(1, 9)]
    text = render(replace(measured, measurements=(*measured.measurements[:3], *steps)), width=0, ascii=False)
    # 2 s, of which 1.75 in layers and 0.36 in steps
    assert "110 ms more in the rows than in all" in text
    assert "Beside  80 ms in step 8, of no known layer" in text
    assert "step 2," not in text
    assert "and 2 more" in text
    assert "200 ms in no row" in render(measured, width=0, ascii=False)


def test_memory_and_energy(measured):
    whole = replace(measured.measurements[0], memory={"rss": 2048, "heap": 1024}, energy={"package-0": 0.5})
    report = replace(measured, measurements=(whole,))
    text = render(report, width=0, ascii=False)
    assert cells(text, "cpu  ")[-1] == "1.00 KiB"  # the heap says more of the model than the process
    assert "1.00 KiB more in the C heap, 2.00 KiB more in the process, files that it maps included; predicted" in text
    assert "500 mJ a run (package-0), what ran beside it included" in text
    bare = replace(whole, energy={}, environment={"energy": "energy is not measured: no counter"})
    assert "Energy  energy is not measured: no counter" in render(replace(report, measurements=(bare,)), width=0)


def test_the_ops_of_a_large_group_are_named_in_part(measured):
    report = measured
    rows = [replace(report.layers[0], layer=replace(report.layers[0].layer, op=name)) for name in "abcdef"]
    assert _ops([*rows, rows[0]]) == "a ×2 + b + c + d and 2 more"
