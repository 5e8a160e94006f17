"""What the times of single layers add up to, unscaled, beside that of the whole model."""

from __future__ import annotations

import statistics
import sys
from math import inf
from pathlib import Path

import multiprof
from latency.checks import Check
from latency.files import path_of, target
from multiprof import MultiprofError

SECTION = "layers"
NETWORKS = ("mobilenetv2", "resnet50")
ROUNDS = 3
EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGE = (1, 3, 224, 224)


def prepare(folder: Path, wanted: tuple[str, ...]) -> None:
    """Write the Keras networks as SavedModels."""
    from networks.keras_networks import NETWORKS as KERAS

    for network in NETWORKS:
        if not wanted or network in wanted:
            KERAS[network]().export(str(_saved(folder, network)), verbose=False)


def measure(folder: Path, wanted: tuple[str, ...]) -> list[Check]:
    """The checks of the networks asked for."""
    found = []
    for network in NETWORKS:
        if wanted and network not in wanted:
            continue
        ways = {
            "LiteRT": (str(path_of(folder, "keras", network, "fp32", "converted")), None, "tflite", "", 0.9, 1.05),
            "ONNX Runtime": (str(EXAMPLES / f"{network}.onnx"), None, "onnxruntime", "", 0.9, 1.05),
            "torch, the graph step by step": (target("torch", network), IMAGE, "cpu", "synthesised", 0.85, inf),
            "torch, module by module": (target("torch", network), IMAGE, "cpu", "native", 0.8, inf),
            "TensorFlow": (str(_saved(folder, network)), (1, 224, 224, 3), "cpu", "native", 0.85, inf),
        }
        for what, (model, shape, on, route, low, high) in ways.items():
            try:
                taken = [_taken(model, shape, on, route) for _ in range(ROUNDS)]
            except MultiprofError as error:
                print(f"{network}, {what}: {error}", file=sys.stderr)
                continue
            total, median = (min(column) for column in zip(*taken, strict=True))
            found.append(Check(SECTION, network, what, total, median, total / median, low, high))
            print(f"{found[-1].key}: {found[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return found


def _taken(model: str, shape: tuple[int, ...] | None, on: str, route: str) -> tuple[float, float]:
    """Seconds: the sum of the layers' medians, and the median of the whole, of one process."""
    whole, *parts = multiprof.benchmark(model, shape, on=on, route=route).measurements
    return sum(statistics.median(p.times) for p in parts if p.kind == "group"), statistics.median(whole.times)


def _saved(folder: Path, network: str) -> Path:
    return folder / f"saved-{network}"
