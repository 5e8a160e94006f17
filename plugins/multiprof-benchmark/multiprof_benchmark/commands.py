"""``multiprof bench``: measure a model, and ``multiprof runners``: what it can be measured on."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import multiprof
from multiprof import Command, UsageError
from multiprof.commands.console import say
from multiprof.commands.listing import show_table
from multiprof.commands.model import add_model_arguments, reading
from multiprof.commands.output import add_output_arguments, show_report
from multiprof_benchmark.calibrate import command as calibrate

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
EXAMPLES = """\
examples:
  multiprof bench model.onnx --on tflite,cpu
  multiprof bench net.py:build --input 1x3x224x224 --on cpu --threads 1,2 --batch 1,8 --quick
  multiprof bench before.onnx --interleave after.onnx
  multiprof bench model.onnx --on onnxruntime,tflite --threads 1,2 --interleave
  multiprof bench model.tflite --on tflite --format latency -o times.json
"""


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, or file.py:callable or package.module:callable for Python"
    )
    add_model_arguments(parser)
    group = parser.add_argument_group("how to measure")
    group.add_argument("--on", default="cpu", metavar="RUNNERS", help="runtimes, such as tflite,cpu (default: cpu)")
    group.add_argument("--threads", default="1", metavar="N,…", help="threads of the runtime (default: 1)")
    group.add_argument("--batch", default="", metavar="N,…", help="batch sizes (default: that of the inputs)")
    group.add_argument(
        "--precision", default="", metavar="P,…", help="fp32, fp16, bf16, int8 (default: the model's own)"
    )
    group.add_argument("--route", default="", help="native, converted or synthesised (default: the best there is)")
    group.add_argument("--quick", action="store_true", help="fewer samples")
    group.add_argument("--no-layers", action="store_true", help="the whole model alone")
    group.add_argument("--least", type=float, default=0.95, metavar="SHARE", help="of the MACs to run (default: 0.95)")
    group.add_argument("--cap", type=float, metavar="SECONDS", help="limit of each measurement")
    group.add_argument("--memory", default="", metavar="SIZE", help="limit of a process, such as 4G (default: all)")
    group.add_argument(
        "--interleave", nargs="?", const=True, metavar="MODEL",
        help="compare: run this model in turns with MODEL; without one, the settings of this call with each other",
    )  # fmt: skip
    group.add_argument("--no-inputs", action="store_true", help="the model is called without inputs")
    add_output_arguments(parser)


def run_bench(args: argparse.Namespace) -> int:
    def measure() -> multiprof.Report:
        keywords = reading(args)
        inputs = keywords.pop("inputs")
        if args.no_inputs and inputs is not None:
            raise UsageError("--no-inputs and --input: give one of them")
        return multiprof.benchmark(
            args.model,
            multiprof.Inputs() if args.no_inputs else inputs,
            on=_names(args.on),
            threads=_numbers("--threads", args.threads) or (1,),
            batch=_numbers("--batch", args.batch) or None,
            precision=_names(args.precision) or "",
            route=args.route,
            quick=args.quick,
            layers=not args.no_layers,
            least=args.least,
            cap=args.cap,
            memory=_bytes("--memory", args.memory),
            interleave=args.interleave,
            progress=lambda text: say(args, text),
            **keywords,
        )

    with _tidy_when_told_to_end():
        return show_report(args, measure, default="latency")


@contextmanager
def _tidy_when_told_to_end() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: workers are stopped and temporary folders removed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def add_runners_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run_runners(args: argparse.Namespace) -> int:
    rows = []
    for runner in multiprof.runners():
        reason = runner.available()
        about = (type(runner).__doc__ or "").split("\n")[0]
        rows.append([runner.name, about, f"no: {reason}" if reason else "yes"])
    show_table(["Runner", "What it is", "Ready"], rows)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(option: str, text: str) -> tuple[int, ...]:
    found = []
    for part in _names(text):
        if not part.isdecimal() or not int(part):
            raise UsageError(f"{option} {text!r}: give whole numbers from 1 on, such as 1,2,4")
        found.append(int(part))
    return tuple(found)


def _bytes(option: str, text: str) -> int | None:
    """``4G`` as a number of bytes, by powers of 1,024; ``None`` where nothing is given."""
    if not text:
        return None
    number, unit = (text[:-1], text[-1].upper()) if text[-1].isalpha() else (text, "")
    if unit not in UNITS or not number.isdecimal() or not int(number):
        raise UsageError(f"{option} {text!r}: give a number of bytes, or one with K, M, G or T, such as 4G")
    return int(number) * UNITS[unit]


COMMANDS = (
    Command("bench", "measure a model on TensorFlow Lite, CPU or GPU, layer by layer", add_bench_arguments, run_bench),
    Command("calibrate", "measure what this machine can do, for --device", calibrate.add_arguments, calibrate.run),
    Command("runners", "list what a model can be measured on", add_runners_arguments, run_runners),
)

__all__ = ["COMMANDS"]
