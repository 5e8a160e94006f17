"""README's first command: ResNet-50 from a file, with no framework installed, in the figures worked by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_first_command_counts_resnet_50_exactly(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[0]
    call = first.strip().split(" && ")[-1].split()
    assert call[0].endswith("/multiprof")
    saved = tmp_path / "report.json"
    command = [sys.executable, "-m", "multiprof", *call[1:], "--format", "table", "-o", str(saved)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    totals = json.loads(saved.read_text(encoding="utf-8"))["totals"]
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
    expected = {"params": 25_557_032, "macs": 4_089_184_256, "flops": flops, "peak_bytes": 4 * 3 * 256 * 56 * 56}
    assert {name: totals[name] for name in expected} == expected
    for number in expected.values():
        assert f"{number:,}" in done.stdout
