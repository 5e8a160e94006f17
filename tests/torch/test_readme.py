"""README's promises that need PyTorch: the figures of the live network, and what its Python prints."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)[number]


@pytest.fixture(scope="module")
def live_network(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What the command for the live network prints, and the same report as JSON."""
    call = block("sh", 1).strip().split(" && ")[-1].split()
    assert call[0].endswith("/multiprof")
    saved = tmp_path_factory.mktemp("report") / "report.json"
    command = [sys.executable, "-m", "multiprof", *call[1:], "--format", "table", "-o", str(saved)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(saved.read_text(encoding="utf-8"))


def test_the_live_resnet_50_is_counted_exactly(live_network: tuple[str, dict[str, Any]]) -> None:
    printed, saved = live_network
    flops = (
        2 * 4_089_184_256
        + 11_113_984  # additions of the folded norms
        + 9_608_704  # comparisons of the ReLUs
        + 5_519_360  # residual additions
        + 1_605_632  # comparisons of the max pool
        + 98_304 + 2_048  # additions and divisions of the average pool
        + 1_000  # bias of the classifier
    )  # fmt: skip
    # the peak is in the first stage: block input, convolution output and norm output, 64 → 256 channels of 56×56
    peak = 4 * 3 * 256 * 56 * 56
    assert (flops, peak) == (8_206_317_544, 9_633_792)
    totals = saved["totals"]
    assert totals["params"] == 25_557_032
    assert totals["macs"] == 4_089_184_256
    assert totals["flops"] == flops
    assert totals["peak_bytes"] == peak
    assert saved["unsupported"] == {}
    for number in ("25,557,032", "4,089,184,256", "8,206,317,544", "9,633,792", "100"):
        assert number in printed
    assert "at least" not in printed


def test_the_python_in_readme_prints_what_it_says() -> None:
    code = block("python")
    assert len([line for line in code.splitlines() if line]) <= 6
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == block("text")


def test_the_figures_of_the_encoder_layer_are_right() -> None:
    tokens, d, ff, heads = 128, 512, 2048, 8
    linear = tokens * (d * 3 * d + d * d + 2 * d * ff)  # input and output projection, two layers between
    attention = 2 * tokens * tokens * d
    flops = (
        2 * (linear + attention)
        + tokens * (3 * d + d + ff + d)  # biases
        + heads * tokens * tokens  # scale
        + heads * tokens * (5 * tokens - 2)  # softmax
        + tokens * ff  # ReLU
        + 2 * tokens * d  # residual additions
        + 2 * tokens * (4 * d - 1 + 3 * d + 2 + 1)  # layer norms: additions, multiplications, divisions, root
    )
    params = 3 * d * d + 3 * d + d * d + d + 2 * d * ff + ff + d + 2 * 2 * d
    said = block("text").replace(",", "")
    assert said.startswith(f"{params} parameters {linear + attention} MACs {flops} FLOPs")
    assert f"'linear': '{linear}' 'attention': '{attention}'" in said
