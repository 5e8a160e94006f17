"""Our medians beside those of the runtimes' own tools: process after process in turns, each on one thread."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import multiprof
from latency.checks import Check
from latency.files import path_of, target

SECTION = "tools"
NETWORKS = ("mobilenetv2", "resnet50")
ROUNDS = 3
FAR = 0.05
EXAMPLES = Path(__file__).parents[2] / "examples"

# Each prints the median in seconds of 50 runs and at least a second, after warming up.
BARE = {
    "onnxruntime": """
import statistics, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
feed = {i.name: np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32) for i in session.get_inputs()}
times, start = [], time.perf_counter()
while len(times) < 60 or time.perf_counter() - start < 1.5:
    begun = time.perf_counter()
    session.run(None, feed)
    times.append(time.perf_counter() - begun)
print(statistics.median(times[10:]))
""",
    "torch": """
import sys
sys.path.insert(0, sys.argv[2])
import torch
from torch.utils.benchmark import Timer
from networks.torch_networks import INPUTS, NETWORKS
model, x = NETWORKS[sys.argv[1]](), torch.randn(INPUTS[sys.argv[1]])
with torch.inference_mode():
    timer = Timer("model(x)", globals={"model": model, "x": x}, num_threads=1)
    timer.timeit(10)
    print(timer.adaptive_autorange(threshold=0.05, min_run_time=1.5).median)
""",
}


def measure(folder: Path, wanted: tuple[str, ...]) -> list[Check]:
    """The checks of the networks asked for."""
    found = []
    for network in NETWORKS:
        if wanted and network not in wanted:
            continue
        for what, (ours, theirs) in _pairs(folder, network).items():
            found.append(_compared(network, what, ours, theirs))
            print(f"{found[-1].key}: {found[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return found


def _pairs(folder: Path, network: str) -> dict[str, tuple[Callable[[], float], Callable[[], float]]]:
    """What is compared: our median and the tool's, each measured when it is called."""
    flat = path_of(folder, "keras", network, "fp32", "converted")
    stored = EXAMPLES / f"{network}.onnx"
    networks = Path(__file__).parents[1]
    return {
        "LiteRT, litert-benchmark": (lambda: _ours(str(flat), "tflite"), lambda: _litert(flat)),
        "ONNX Runtime, a bare loop": (
            lambda: _ours(str(stored), "onnxruntime"),
            lambda: _bare("onnxruntime", str(stored)),
        ),
        "torch, torch.utils.benchmark": (
            lambda: _ours(target("torch", network), "cpu", (1, 3, 224, 224)),
            lambda: _bare("torch", network, str(networks)),
        ),
    }


def _compared(network: str, what: str, ours: Callable[[], float], theirs: Callable[[], float]) -> Check:
    taken = []
    for turn in range(ROUNDS):
        if turn % 2:
            after, before = theirs(), ours()
        else:
            before, after = ours(), theirs()
        taken.append((before, after))
    least, other = (min(column) for column in zip(*taken, strict=True))
    return Check(SECTION, network, what, least, other, least / other, 1 - FAR, 1 + FAR)


def _ours(model: str, on: str, shape: tuple[int, ...] | None = None) -> float:
    report = multiprof.benchmark(model, shape, on=on, layers=False)
    return float(statistics.median(report.measurements[0].times))


def _bare(name: str, *arguments: str) -> float:
    line = [sys.executable, "-c", BARE[name], *arguments]
    return float(subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()[-1])


def _litert(path: Path) -> float:
    with TemporaryDirectory() as name:
        made = Path(name) / "result.json"
        line = [
            sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", f"--model={path}", "--num_threads=1",
            "--num_runs=60", "--warmup_runs=15", f"--result_json={made}",
        ]  # fmt: skip
        subprocess.run(line, check=True, capture_output=True)
        return float(json.loads(made.read_text(encoding="utf-8"))["latency"]["median_ms"]) / 1e3
