"""Two .tflite files of one network, timed in turns in one process on one thread."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from multiprof_benchmark.timing import Rules, interleave, ratio

from latency.checks import Check, of_pairs
from latency.files import make, path_of
from multiprof import MultiprofError

NETWORKS = ("mobilenetv2", "resnet50", "efficientnet_b0", "vit", "generator", "lstm")
RULES = Rules(runs=40, seconds=1.5, cap=10.0)
# section → precision, networks, how far the ratio may lie from 1
SECTIONS = {
    "synthesised": ("fp32", NETWORKS, 0.15),
    "int8": ("int8", ("mobilenetv2", "resnet50"), 0.25),
}


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
    for network in networks:
        for framework in ("keras", "torch"):
            paths = [path_of(folder, framework, network, precision, route) for route in ("synthesised", "converted")]
            if (wanted and network not in wanted) or not all(path.is_file() for path in paths):
                continue
            runs = [loaded(path).invoke for path in paths]
            ours, theirs = (timed.times for timed in interleave(runs, RULES))
            _, low, high = ratio(theirs, ours)
            found.append(Check(section, network, framework, *of_pairs(ours, theirs), 1 - far, 1 + far, (low, high)))
            print(f"{found[-1].key}: {found[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return found


def loaded(path: Path) -> Interpreter:
    """A file in the interpreter with random inputs, on one thread."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = source.normal(0.0, 1.0 if detail["dtype"] == np.float32 else 40.0, detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    return interpreter
