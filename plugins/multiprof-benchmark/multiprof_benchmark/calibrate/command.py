"""``multiprof calibrate``: measure what this machine does at its best, and write it as a device."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from datetime import date
from pathlib import Path

from multiprof import Device, ModelError, UsageError
from multiprof.commands.console import say, show
from multiprof_benchmark import environment
from multiprof_benchmark.calibrate.device import Sample, described, device_of
from multiprof_benchmark.calibrate.kernels import Kernel
from multiprof_benchmark.process import command
from multiprof_benchmark.runners.base import thread_variables
from multiprof_benchmark.runners.installed import missing

RUNTIMES = {"torch": ("torch", "torch"), "tflite": ("ai_edge_litert", "tflite")}
CAP = 600.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--on", default="torch,tflite", metavar="RUNTIMES", help="torch, tflite (default: both)")
    parser.add_argument("--threads", default="1", metavar="N,…", help="threads of the runtime (default: 1)")
    parser.add_argument("-o", "--output", metavar="FILE", help="the TOML file to write (default: to stdout)")


def run(args: argparse.Namespace) -> int:
    runtimes = [name.strip() for name in args.on.split(",") if name.strip()]
    threads = _threads(args.threads)
    for name in runtimes:
        if name not in RUNTIMES:
            raise UsageError(f"--on {name!r}; one of {', '.join(RUNTIMES)}")
        reason = missing(*RUNTIMES[name])
        if reason:
            raise UsageError(f"--on {name}: {reason}")
    texts = []
    for name in runtimes:
        for count in threads:
            say(args, f"timing kernels on {name} with {count} thread{'s' if count > 1 else ''}")
            texts.append(described(calibrated(name, count)))
    text = "\n".join(texts)
    if args.output is None:
        show(text)
    else:
        try:
            Path(args.output).expanduser().write_text(text, encoding="utf-8")
        except OSError as error:
            show(text)  # measured for minutes: not to be lost
            raise UsageError(f"-o {args.output}: cannot be written: {error.strerror or error}") from error
        say(args, f"wrote {args.output}: use it with --device {args.output}")
    return 0


def _threads(text: str) -> list[int]:
    cores = environment.usable_cores()
    found = []
    for part in text.split(","):
        if not part.strip().isdecimal() or not 1 <= int(part) <= cores:
            raise UsageError(f"--threads {text!r}: this machine lets a process use 1 to {cores}")
        found.append(int(part))
    return found


def calibrated(runtime: str, threads: int) -> Device:
    """The device that this machine is under a runtime, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seconds.json"
        line = command("multiprof_benchmark.calibrate.__main__", runtime, str(threads), str(file))
        variables = {**os.environ, **thread_variables(threads)}
        try:
            done = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=CAP, check=False)
        except subprocess.TimeoutExpired:
            raise ModelError(f"calibrating {runtime} took longer than {CAP:.0f} s and was stopped") from None
        if done.returncode or not file.is_file():
            last = done.stderr.strip().split("\n")[-1][-300:]
            raise ModelError(f"calibrating {runtime} failed: {last or f'code {done.returncode}'}")
        found = json.loads(file.read_text(encoding="utf-8"))
    machine = environment.machine()
    versions = environment.versions("torch" if runtime == "torch" else "ai-edge-litert")
    version = ", ".join(f"{name} {number}" for name, number in versions.items())
    source = f"multiprof calibrate on {date.today()}: {version}, load {machine.get('load', 'unknown')}"
    samples = [Sample(Kernel(k["family"], tuple(k["sizes"]), k["dtype"]), k["seconds"]) for k in found]
    title = f"{machine['cpu']}, {runtime} on {threads} thread{'s' if threads > 1 else ''}"
    return device_of(f"here-{runtime}-{threads}", samples, source, title)


__all__ = ["add_arguments", "calibrated", "run"]
