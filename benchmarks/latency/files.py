"""The .tflite files that are compared: each network synthesised from its graph, and by a real converter."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from multiprof_benchmark.convert import converted
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.subject import CONVERTED, Job, Options, Subject

import multiprof
from multiprof import Report

NETWORKS = Path(__file__).parents[1] / "networks"
SYNTHESISED, UNROLLED = "synthesised", "unrolled"
FRAMEWORKS = {"keras": "keras_networks.py", "torch": "torch_networks.py"}


def target(framework: str, network: str) -> str:
    """The network as `multiprof` takes it."""
    return f"{NETWORKS / FRAMEWORKS[framework]}:{network}"


def report_of(framework: str, network: str) -> Report:
    if framework == "keras":
        return multiprof.analyze(target(framework, network))
    from networks.torch_networks import INPUTS

    return multiprof.analyze(target(framework, network), INPUTS[network])


def path_of(folder: Path, framework: str, network: str, precision: str, route: str) -> Path:
    return folder / f"{framework}-{network}-{precision}-{route}.tflite"


def make(folder: Path, framework: str, network: str, precision: str) -> None:
    """Write both files of a network; what a converter made is kept, for it takes long and does not change."""
    report = report_of(framework, network)
    flat = lower(report, precision=precision)
    path_of(folder, framework, network, precision, SYNTHESISED).write_bytes(flat.data)
    if (framework, network) == ("torch", "lstm"):  # as litert-torch writes it, and not as one operator
        steps = lower(report, precision=precision, unrolled=True)
        path_of(folder, framework, network, precision, UNROLLED).write_bytes(steps.data)
    wanted = path_of(folder, framework, network, precision, CONVERTED)
    if wanted.is_file():
        return
    with TemporaryDirectory() as name:
        place = Path(name)
        report.save(place / "report.json")
        subject = Subject(place / "report.json", framework, "python", target(framework, network))
        Job("tflite", CONVERTED, subject, Options(precision=precision)).write(place)
        shutil.copy(converted(place), wanted)
