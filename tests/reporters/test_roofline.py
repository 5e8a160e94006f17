"""The roofline table: one row per kernel, the same numbers as the prediction, and never passed off as a measurement."""

from __future__ import annotations

import re
from dataclasses import replace

from multiprof import Device, Energy, predict
from multiprof.reporters.roofline import render

# 1000 operations and 100 bytes a second
BOX = Device("box", {"float32": 1000.0}, 100.0, "round numbers", "A box")


def rows(text: str) -> list[list[str]]:
    lines = text.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("───"))
    table = lines[start + 1 : lines.index("", start)]
    return [re.split(r" {2,}", line.strip()) for line in table]


def test_every_kernel_has_a_row(whole):
    report = predict(whole, BOX)
    text = render(report, width=0, ascii=False)
    found = rows(text)
    kernels = report.predictions[0].kernels
    assert len(found) == len(kernels)
    stem = found[0]
    # convolution, its norm and its activation: 2·3456 products; 128 results each compared once, and biased by the norm
    assert stem[:3] == ["stem.conv +2", "conv + batch_norm + relu", f"{2 * 3456 + 128 + 128:,}"]
    # x 2·3·8·8, the kernel 4·3·3·3, four values of each of 4 channels, the result 2·4·4·4
    moved = 4 * (384 + 108 + 16 + 128)
    assert stem[3:6] == [f"{moved:,}", f"{(2 * 3456 + 256) / moved:.2f}", "memory"]
    assert stem[6] == f"{moved / 100:.3g} s"
    assert "not measured" in text
    assert "round numbers" in text


def test_top_shows_the_slowest_first(whole):
    report = predict(whole, BOX)
    slowest = sorted(report.predictions[0].kernels, key=lambda kernel: -(kernel.seconds or 0))[:2]
    text = render(report, top=2, width=0, ascii=False)
    assert [row[0].split(" ")[0] for row in rows(text + "\n")[:2]] == [kernel.subject[0] for kernel in slowest]
    assert f"… and {len(report.predictions[0].kernels) - 2} more kernels" in text


def test_energy_is_an_estimate_with_a_source(whole):
    table = Energy({"float32": 2.0, "int64": 2.0}, 10.0, "a paper, table 3")
    text = render(predict(whole, replace(BOX, energy=table)), width=0, ascii=False)
    said = r"Energy +[\d.]+ [mµn]?J, an estimate for arithmetic and main memory alone\n +by a paper, table 3\n"
    assert re.search(said, text)
    assert "Energy" not in render(predict(whole, BOX), width=0, ascii=False)
