"""How long multiprof takes on PyTorch models, beside a plain forward and beside other counters, as ratios in one run.

    python benchmarks/speed_torch.py            # everything; writes benchmarks/RESULTS.md
    python benchmarks/speed_torch.py --nets resnet50 --rounds 5 --output -

Needs torch, transformers, fvcore, torchinfo and ultralytics-thop beside multiprof (constraints/benchmarks.txt); a
counter that is missing is said to be so. Every net is measured in a process of its own, with every counter in turn
in each round; the input's shape changes from call to call, and nothing is kept between calls.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NETS = ("resnet50", "vit_b16", "densenet121", "swin", "gpt2", "llama7b")
IMAGE_SIZES = {"resnet50": (224, 256, 192), "densenet121": (224, 256, 192), "vit_b16": (224,), "swin": (224,)}
BATCHES = (1, 2, 1)  # for nets of one image size the batch changes instead
LENGTHS = (128, 160, 96)
SEQUENCES = {"lstm": 128, "encoder": 256}


def build(net: str) -> Any:
    """The net in eval mode; Llama-7B on the meta device, because its weights would take 27 GB."""
    sys.path[:0] = [str(ROOT / "tests" / "torch"), str(ROOT / "examples")]
    import torch

    if net == "resnet50":
        from resnet50 import resnet50

        return resnet50().eval()
    if net == "lstm":
        return torch.nn.LSTM(128, 256, 2, bidirectional=True).eval()
    if net == "encoder":
        return torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(256, 8, batch_first=True), 4).eval()
    if net == "gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        return GPT2LMHeadModel(GPT2Config()).eval()
    if net == "llama7b":
        from transformers import LlamaConfig, LlamaForCausalLM

        with torch.device("meta"):
            return LlamaForCausalLM(LlamaConfig()).eval()  # the defaults are those of 7B
    import nets

    return {"vit_b16": nets.ViT, "densenet121": nets.DenseNet121, "swin": nets.SwinT}[net]().eval()


def example(net: str, round_: int) -> Any:
    import torch

    if net in IMAGE_SIZES:
        sizes = IMAGE_SIZES[net]
        batch = BATCHES[round_ % len(BATCHES)] if len(sizes) == 1 else 1
        size = sizes[round_ % len(sizes)]
        return torch.randn(batch, 3, size, size)
    length = LENGTHS[round_ % len(LENGTHS)]
    if net in SEQUENCES:
        return torch.randn(2, length, SEQUENCES[net])
    ids = torch.randint(0, 1000, (1, length))
    return ids.to("meta") if net == "llama7b" else ids


def contenders(net: str) -> dict[str, Callable[[Any, Any], Any]]:
    """Every way to count, and the plain forward, as functions of model and input."""
    import torch

    import multiprof

    def forward(model: Any, x: Any) -> Any:
        with torch.inference_mode():
            return model(x)

    def flop_counter(model: Any, x: Any) -> Any:
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(x)
        return counter.get_total_flops()

    def ultralytics_thop(model: Any, x: Any) -> Any:
        import thop

        return thop.profile(model, inputs=(x,), verbose=False)

    def torchinfo(model: Any, x: Any) -> Any:
        import torchinfo

        return torchinfo.summary(model, input_data=x, verbose=0)

    def fvcore(model: Any, x: Any) -> Any:
        import logging

        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore").setLevel(logging.ERROR)
        logging.getLogger("torch.jit").setLevel(logging.ERROR)
        counter = FlopCountAnalysis(model, x)
        counter.unsupported_ops_warnings(False)
        counter.uncalled_modules_warnings(False)
        return counter.total()

    ways: dict[str, Callable[[Any, Any], Any]] = {
        "multiprof": lambda model, x: multiprof.analyze(model, x),
        "forward": forward,
        "FlopCounterMode": flop_counter,
        "ultralytics-thop": ultralytics_thop,
        "torchinfo": torchinfo,
        "fvcore": fvcore,
    }
    if net == "llama7b":  # on meta a forward computes nothing, so it is no measure; tracing it takes minutes
        del ways["forward"], ways["fvcore"]
    return ways


def measure(net: str, threads: int, rounds: int) -> dict[str, Any]:
    """Median seconds of each contender over ``rounds`` interleaved rounds, after one round that does not count."""
    import warnings

    import torch

    warnings.filterwarnings("ignore")
    if threads:
        torch.set_num_threads(threads)
    model = build(net)
    ways = contenders(net)
    times: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, str] = {}
    for round_ in range(rounds + 1):
        x = example(net, round_)
        for name, way in ways.items():
            if name in errors:
                continue
            start = time.perf_counter()
            try:
                way(model, x)
            except Exception as error:
                errors[name] = (
                    f"{type(error).__name__}: {str(error).strip().splitlines()[0][:60] if str(error).strip() else ''}"
                )
                continue
            if round_:
                times[name].append(time.perf_counter() - start)
    return {
        "net": net,
        "threads": torch.get_num_threads(),
        "median": {name: statistics.median(t) for name, t in times.items() if t},
        "errors": errors,
    }


def first_call(net: str) -> dict[str, Any]:
    """The first analysis in a fresh process, beyond importing torch and building the net; what it adds."""
    import resource

    model = build(net)
    x = example(net, 0)
    if net == "llama7b":
        import transformers  # noqa: F401  # its import is not ours to count
    before = set(sys.modules)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    import multiprof

    report = multiprof.analyze(model, x)
    report.macs  # noqa: B018  # the sum is part of the job
    seconds = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    loaded = set(sys.modules) - before
    return {
        "net": net,
        "seconds": seconds,
        "megabytes": grown / 1024,
        "dynamo": "torch._dynamo" in loaded,
        "sympy": "sympy" in loaded,
        "layers": len(report.layers),
        "coverage": report.coverage,
        "rung": report.graph.metadata["rung"],
    }


def worker(*arguments: str) -> Any:
    """Run this file again with ``arguments`` and read the JSON it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled, and so is the one measured
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def median_process(command: list[str], runs: int = 7) -> float:
    """Median wall seconds of a whole process."""
    times = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=ROOT, env=environment)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def table(rows: list[list[str]], header: list[str]) -> str:
    from tabulate import tabulate

    align = ("left", *["right"] * (len(header) - 1))
    return tabulate(rows, header, tablefmt="github", colalign=align, disable_numparse=True)


def ratios(results: list[dict[str, Any]]) -> str:
    names = ["multiprof", "forward", "FlopCounterMode", "ultralytics-thop", "torchinfo", "fvcore"]
    rows = []
    for result in results:
        median = result["median"]
        base = median.get("forward")
        row = [result["net"], str(result["threads"]), f"{median['multiprof'] * 1e3:.1f}"]
        row.append(f"{median['multiprof'] / base:.3f}" if base else "–")
        for name in names[1:]:
            if name in median:
                row.append(f"{median[name] / median['multiprof']:.1f} ×")
            else:
                row.append(result["errors"].get(name, "–"))
        rows.append(row)
    header = ["net", "threads", "multiprof, ms", "of a forward", *(f"{name} / multiprof" for name in names[1:])]
    return table(rows, header)


def first_calls(results: list[dict[str, Any]]) -> str:
    header = ["net", "layers", "ms", "peak memory added, MB", "loads torch._dynamo", "sympy", "coverage", "read by"]
    rows = []
    for r in results:
        loads = ["yes" if r[module] else "no" for module in ("dynamo", "sympy")]
        numbers = [str(r["layers"]), f"{r['seconds'] * 1e3:.0f}", f"{r['megabytes']:.1f}"]
        rows.append([r["net"], *numbers, *loads, f"{r['coverage']:.1%}", r["rung"]])
    return table(rows, header)


def start_up() -> str:
    python = sys.executable
    empty = median_process([python, "-c", "pass"])
    rows = [["python -c pass", f"{empty * 1e3:.0f}", ""]]
    for name, command in (
        ("import multiprof", ["-c", "import multiprof"]),
        ("multiprof --help", ["-m", "multiprof", "--help"]),
    ):
        seconds = median_process([python, *command])
        rows.append([name, f"{seconds * 1e3:.0f}", f"{(seconds - empty) * 1e3:.0f}"])
    return table(rows, ["", "ms", "beyond Python itself, ms"])


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    parts = []
    for name in ("torch", "transformers", "fvcore", "torchinfo", "ultralytics-thop"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"{name} missing")
    return ", ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS), help="comma-separated; all by default")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "RESULTS.md"), help="- for the terminal")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, net, *rest = arguments.worker
        print(json.dumps(first_call(net) if kind == "first" else measure(net, int(rest[0]), int(rest[1]))))
        return
    nets = arguments.nets.split(",")
    repeated = []
    for net in nets:
        for threads in ("1", "0"):
            repeated.append(worker("--worker", "repeat", net, threads, str(arguments.rounds)))
            print(repeated[-1], file=sys.stderr)
    first = [worker("--worker", "first", net) for net in (*nets, "lstm", "encoder")]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = f"""# How fast multiprof is on PyTorch models

Made by `python benchmarks/speed_torch.py` on {machine}, {versions()}.

One process per net and thread count; in each of {arguments.rounds} rounds every counter in turn, with another input
shape each round; medians. "of a forward" is multiprof's time (trace, price, report) over that of a plain forward under
`inference_mode`; the last columns say how many times longer the others take. Llama-7B stands on the meta device, where
a forward computes nothing.

## Repeated calls

{ratios(repeated)}

## The first call in a fresh process

Beyond `import torch` (for Llama and GPT-2 also `transformers`) and building the net; `import multiprof` is included.

{first_calls(first)}

## Start-up, whole processes

{start_up()}
"""
    if arguments.output == "-":
        print(text)
    else:
        Path(arguments.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
