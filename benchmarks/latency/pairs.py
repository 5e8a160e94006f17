"""Two .tflite files of one network, timed in turns in one process on one thread."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from multiprof_benchmark.timing import Rules, sample, take_turns, warmed

from latency.checks import Check
from latency.files import CONVERTED, SYNTHESISED, UNROLLED, make, path_of
from multiprof import MultiprofError
from multiprof.measurement import ratio_of_medians

NETWORKS = ("mobilenetv2", "resnet50", "efficientnet_b0", "vit", "generator", "lstm")
RULES = Rules(runs=40, seconds=1.5, cap=10.0)
# section → precision, networks, how far the ratio may lie from 1
SECTIONS = {
    "synthesised": ("fp32", NETWORKS, 0.15),
    "int8": ("int8", ("mobilenetv2", "resnet50"), 0.25),
}
ONE_OPERATOR = "one operator a layer in ours, 1,600 of its 50 steps in litert-torch's; written alike: the row below"
# (network, what) → why the ratio is what it is
NOTES = {("lstm", "torch"): ONE_OPERATOR}


def prepare(section: str, folder: Path, wanted: tuple[str, ...]) -> None:
    """Make the files of a section."""
    precision, networks, _ = SECTIONS[section]
    for framework in ("keras", "torch"):
        for network in networks:
            if wanted and network not in wanted:
                continue
            print(f"{framework} {network} {precision}", file=sys.stderr, flush=True)
            try:
                make(folder, framework, network, precision)
            except MultiprofError as error:
                print(f"  {error}", file=sys.stderr)


def measure(section: str, folder: Path, wanted: tuple[str, ...]) -> list[Check]:
    """The checks of a section, for what has both files."""
    precision, networks, far = SECTIONS[section]
    found = []
    for network, framework, ours in product(networks, ("keras", "torch"), (SYNTHESISED, UNROLLED)):
        paths = [path_of(folder, framework, network, precision, route) for route in (ours, CONVERTED)]
        if (wanted and network not in wanted) or not all(path.is_file() for path in paths):
            continue
        what = framework if ours == SYNTHESISED else f"{framework}, {ours}"
        samples = in_turns([loaded(path).invoke for path in paths])
        ratio, low, high = ratio_of_medians(samples[1], samples[0])
        medians = statistics.median(samples[0]), statistics.median(samples[1])
        note = NOTES.get((network, what), "")
        found.append(Check(section, network, what, *medians, ratio, 1 - far, 1 + far, (low, high), note))
        print(f"{found[-1].key}: {found[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return found


def in_turns(runs: list[Callable[[], object]]) -> list[tuple[float, ...]]:
    """Seconds of each, sample after sample in turns."""
    repeats = [warmed(run, RULES).repeat for run in runs]
    return take_turns([partial(sample, run, repeat) for run, repeat in zip(runs, repeats, strict=True)], RULES)


def loaded(path: Path) -> Interpreter:
    """A file in the interpreter with random inputs, on one thread."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = source.normal(0.0, 1.0 if detail["dtype"] == np.float32 else 40.0, detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    return interpreter
