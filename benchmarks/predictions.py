"""Predicted beside measured times of whole networks on this machine's CPU.

    python benchmarks/predictions.py measure ROUND.json    # a round: calibrate, then measure; some two minutes
    python benchmarks/predictions.py write ROUND.json …    # the table of several rounds, to RESULTS_PREDICTION.md

Needs torch and ai-edge-litert beside multiprof and multiprof-benchmark.

Everything runs on TensorFlow Lite's interpreter with XNNPACK on one thread, timed by `multiprof.benchmark`: each
network's graph as a .tflite file (route synthesised). A round calibrates this machine (`multiprof calibrate`: kernels
alone, never a network) directly before it measures. As a shared machine's speed moves by as much as 1.5 from minute to
minute, several rounds are made, and predictions and measurements are each the median of them; what ran while others
used the processor is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import torch
from multiprof_benchmark import environment
from multiprof_benchmark.calibrate.command import calibrated
from multiprof_benchmark.calibrate.device import described
from multiprof_benchmark.lower.tflite import lower
from networks.prediction_networks import CHOSEN_AFTER, INTEGERS, LOOKED_AT

import multiprof

QUIET = 0.3  # cores that other processes may use meanwhile, on average; else it is measured again
BUSY = 0.6  # from so many on, a round of a network is left out of the table if there is a quieter one
TRIES, PATIENCE = 3, 120.0  # at most so often, and only within so many seconds of a round
EXPLAINED = """
What is known to be missing from the predictions: TensorFlow Lite has no GRU, so that each of its steps is sixteen
operations in the file, where the prediction starts one kernel a step and reads the weights; a batch norm before a
convolution (DenseNet) cannot be folded, and is a multiplication, an addition and an activation that each write their
result, where the prediction has one kernel.
"""
Result = TypeVar("Result")
HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS_PREDICTION.md"
THREADS = 1
# The commit at which calibration and prediction were frozen; the networks of CHOSEN_AFTER were chosen after it.
FROZEN = "a8b0f87"


def measure(path: Path) -> None:
    torch.set_num_threads(1)
    start = perf_counter()

    def quietly(run: Callable[[], Result]) -> tuple[Result, float]:
        """The result of the quietest run, and how many cores others used meanwhile."""
        best: tuple[Result, float] | None = None
        for _ in range(TRIES):
            before = _used()
            result = run()
            others = _others(before)
            best = (result, others) if best is None or others < best[1] else best
            if others < QUIET or perf_counter() - start > PATIENCE:
                break
        assert best is not None
        return best

    device, others = quietly(lambda: calibrated("tflite", THREADS))
    found: dict[str, Any] = {"device": described(device), "others": others, "networks": {}, "integers": {}}
    for name, network in {**LOOKED_AT, **CHOSEN_AFTER}.items():
        module, inputs = network()
        timed = partial(multiprof.benchmark, on="tflite", layers=False, quick=True)
        report, others = quietly(partial(timed, module, inputs, route="synthesised"))
        found["networks"][name] = _row(report, device, others)
        _say(name, found["networks"][name])
        if name in INTEGERS:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "integers.tflite"
                file.write_bytes(lower(report, precision="int8").data)
                whole, others = quietly(partial(timed, str(file)))
            found["integers"][name] = _row(whole, device, others)
            _say(f"{name}, int8", found["integers"][name])
    path.write_text(json.dumps(found), encoding="utf-8")


def _used() -> tuple[float, float, float]:
    """Seconds: now, of all cores at work so far (Linux), and of this process and its workers."""
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]  # without idling and waiting
    return perf_counter(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def _others(before: tuple[float, float, float]) -> float:
    wall, busy, own = (b - a for a, b in zip(before, _used(), strict=True))
    return max(busy - own, 0.0) / wall


def _row(report: multiprof.Report, device: multiprof.Device, others: float) -> dict[str, Any]:
    prediction = multiprof.predict(report, device).predictions[-1]
    (whole,) = [m for m in report.measurements if m.kind == "whole"]
    return {
        "macs": report.macs, "predicted": prediction.seconds, "measured": whole.median, "fastest": whole.minimum,
        "runs": whole.runs, "unknown": prediction.unknown, "others": others,
    }  # fmt: skip


def _say(name: str, row: dict[str, Any]) -> None:
    times = f"{1e3 * row['predicted']:8.2f} {1e3 * row['measured']:8.2f} ms {_error(row):+.0%}"
    print(f"{name:24} {times}, others on {row['others']:.2f} cores", flush=True)


def write(paths: list[Path]) -> None:
    rounds = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    text = "\n".join(_page(rounds)) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(text, end="")


def _page(rounds: list[dict[str, Any]]) -> Iterator[str]:
    yield "# Predicted and measured times of whole networks"
    yield ""
    versions = ", ".join(f"{n} {v}" for n, v in environment.versions("ai-edge-litert", "torch").items())
    busy = [row["others"] for r in rounds for kind in ("networks", "integers") for row in r[kind].values()]
    machine = f"{environment.processor()}, {environment.usable_cores()} cores"
    yield f"{date.today()}, {machine}, {versions}. Other processes used {statistics.median(busy):.2f} cores meanwhile"
    yield f"(median), at most {max(busy):.2f}."
    yield ""
    yield from (__doc__ or "").split("\n\n")[3].strip().split("\n")
    yield ""
    made = f"{len(rounds)} rounds" if len(rounds) > 1 else "one round"
    yield f"Predicted and measured are the medians of {made}, with the lowest and highest in brackets."
    yield f"Calibration and prediction were frozen at commit {FROZEN}; the second group of networks was"
    yield f"chosen after it. A round in which others used more than {BUSY} cores counts only where there is no quieter"
    yield "one; its error stands in brackets."
    yield ""
    groups: list[tuple[str, list[str], str]] = [
        ("Looked at while the prediction was made", list(LOOKED_AT), "networks"),
        ("Chosen after the freeze", list(CHOSEN_AFTER), "networks"),
        ("In 8-bit integers (scales invented)", [n for n in INTEGERS if n in rounds[0]["integers"]], "integers"),
    ]
    errors: dict[str, list[float]] = {"networks": [], "integers": []}
    for title, names, kind in groups:
        if not names:
            continue
        found = [_line(name, [r[kind][name] for r in rounds]) for name in names]
        yield f"## {title}"
        yield ""
        yield "| network | GMACs | predicted, ms | measured, ms | error | error, round by round |"
        yield "|---|---:|---:|---:|---:|---|"
        yield from (line for line, _ in found)
        yield ""
        yield f"Mean absolute percentage error: {_mape([e for _, e in found])}"
        yield ""
        errors[kind] += [e for _, e in found]
    yield from EXPLAINED.strip().split("\n")
    yield ""
    every = [_error(row) for r in rounds for row in r["networks"].values()]
    yield f"Every network in every round, none left out: {_mape(every)}"
    yield ""
    yield f"**All {len(errors['networks'])} networks: mean absolute percentage error {_mape(errors['networks'])}**"


def _line(name: str, rows: list[dict[str, Any]]) -> tuple[str, float]:
    kept = _quiet(rows)
    predicted, measured = ([row[key] for row in kept] for key in ("predicted", "measured"))
    error = statistics.median(predicted) / statistics.median(measured) - 1
    each = ", ".join(f"{_error(row):+.0%}" if row in kept else f"({_error(row):+.0%})" for row in rows)
    cells = [name, f"{rows[0]['macs'] / 1e9:.2f}", _range(predicted), _range(measured), f"{error:+.1%}", each]
    return f"| {' | '.join(cells)} |", error


def _error(row: dict[str, Any]) -> float:
    return float(row["predicted"] / row["measured"] - 1)


def _quiet(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those during which others left the processor alone, if there are any."""
    return [row for row in rows if row["others"] < BUSY] or rows


def _range(seconds: list[float]) -> str:
    low, middle, high = (1e3 * of(seconds) for of in (min, statistics.median, max))
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _mape(errors: list[float]) -> str:
    return f"{statistics.mean(map(abs, errors)):.1%}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("measure", "write"))
    parser.add_argument("rounds", nargs="+", type=Path, metavar="ROUND.json")
    args = parser.parse_args(arguments)
    steps: dict[str, Callable[[list[Path]], None]] = {"measure": lambda paths: measure(paths[0]), "write": write}
    steps[args.what](args.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
