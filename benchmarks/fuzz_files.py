"""Broken files: thousands of mutations of real ones, each of which must give a Report or a one-line error.

    python benchmarks/fuzz_files.py                                   # 10,000 of each format
    python benchmarks/fuzz_files.py --mutations 500 --formats onnx

Every mutation is read in a worker process with a limit of 10 s a file; a worker that dies is replaced and the file it
died on is a failure. What multiprof accepts and the format's own reader (onnx.load and its checker, the LiteRT
interpreter, the JSON parser) rejects is counted too, with the reader's reasons: being more tolerant is no failure, as
only structure is looked at. Needs onnx, tflite and ai-edge-litert beside multiprof. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 10
LIMIT_BYTES = 1 << 30
SUFFIXES = {"onnx": ".onnx", "tflite": ".tflite", "mxnet": "-symbol.json"}
EXTREMES = (b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x80" * 9 + b"\x01", b"\xff" * 10)

TOKENS = rb"(\d+|[A-Za-z_]\w*)"
ODD_TOKENS = (
    b"0",
    b"-5",
    b"1",
    b"999999999999999999",
    b"3000000000",
    b"",
    b"None",
    b"(1, 1, 1)",
    b"1e400",
    b"\xc3\xa9",
)


def mutate(data: bytes, random_: random.Random) -> tuple[str, bytes]:
    """One mutation: its kind, and the file's new contents."""
    text = data.lstrip()[:1] == b"{"  # most flips only spoil the syntax of a text: numbers and names are changed beside
    kinds = ("flip", "flip", "flip", "byte", "extreme", "cut", "drop", "double", "swap")
    kind = random_.choice((*kinds, *("token",) * 20) if text else kinds)
    out = bytearray(data)
    if not out:
        return kind, b""
    if kind == "token":
        pieces = re.split(TOKENS, data)
        for _ in range(random_.choice((1, 1, 2, 4))):
            at = random_.randrange(1, len(pieces), 2)
            other = pieces[random_.randrange(1, len(pieces), 2)]
            pieces[at] = random_.choice((other, *ODD_TOKENS))
        return kind, b"".join(pieces)
    if kind == "flip":
        for _ in range(random_.choice((1, 1, 2, 8))):
            out[random_.randrange(len(out))] ^= 1 << random_.randrange(8)
    elif kind == "byte":
        out[random_.randrange(len(out))] = random_.randrange(256)
    elif kind == "extreme":
        at = random_.randrange(len(out))
        piece = random_.choice(EXTREMES)
        out[at : at + len(piece)] = piece
    elif kind == "cut":
        del out[random_.randrange(len(out)) :]
    else:
        size = random_.randrange(1, 64)
        first, second = random_.randrange(len(out)), random_.randrange(len(out))
        piece = out[first : first + size]
        if kind == "drop":
            del out[first : first + size]
        elif kind == "double":
            out[second:second] = piece
        else:
            out[second : second + size] = piece
    return kind, bytes(out)


def sources(format_: str) -> list[tuple[str, bytes]]:
    """The files that are mutated, by name: those below examples, and small ones with control flow and recurrence."""
    files = [file for file in sorted((ROOT / "examples").iterdir()) if file.name.endswith(SUFFIXES[format_])]
    found = [(file.name, file.read_bytes()) for file in files]
    if format_ == "onnx":
        from onnx.backend.test.case.node import collect_testcases

        for op in ("Loop", "Scan", "If", "LSTM", "QLinearConv", "Einsum"):
            case = next(case for case in collect_testcases(op) if case.model is not None)
            found.append((case.name, case.model.SerializeToString()))
    if format_ == "mxnet":
        from speed_files import write_symbol

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net-symbol.json"
            write_symbol(path, 3)
            found.append((path.name, path.read_bytes()))
    return found


def work(format_: str, folder: Path, start: int, count: int, seed: int, reader: str) -> None:
    """Read mutations ``start`` … ``count`` one by one and print a line of JSON about each."""
    files = sources(format_)
    read = read_ours if reader == "multiprof" else OWN_READERS[format_]
    intact = folder / f"intact{SUFFIXES[format_]}"
    intact.write_bytes(files[0][1])
    read(intact)  # what is imported once does not count for the first mutation

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {LIMIT_S} s")

    signal.signal(signal.SIGALRM, late)
    for number in range(start, count):
        random_ = random.Random(f"{seed} {format_} {number}")
        name, data = files[number % len(files)]
        kind, broken = mutate(data, random_)
        target = folder / f"broken{SUFFIXES[format_]}"
        target.write_bytes(broken)
        print(json.dumps({"number": number, "begun": True}), flush=True)
        began = time.perf_counter()
        signal.alarm(LIMIT_S)
        try:
            result, text = read(target)
        except TimeoutError as error:
            result, text = "slow", str(error)
        finally:
            signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if peak > LIMIT_BYTES and reader == "multiprof":
            result, text = "memory", f"{peak:,} bytes"
        line = {"number": number, "source": name, "kind": kind, "result": result, "text": text[:300]}
        print(json.dumps(line | {"seconds": time.perf_counter() - began, "peak": peak}), flush=True)
        if result == "memory":
            return  # a fresh worker measures the rest


def read_ours(path: Path) -> tuple[str, str]:
    import multiprof

    try:
        report = multiprof.analyze(path, framework=None)
        str(report)
        report.to_dict()
    except multiprof.MultiprofError as error:
        if "\n" in str(error):
            return "failure", f"more than one line: {error!s}"
        return "refused", str(error)
    except TimeoutError:
        raise
    except BaseException as error:
        return "failure", f"{type(error).__name__}: {error}"
    return "read", f"{len(report.layers)} layers"


def read_onnx(path: Path) -> tuple[str, str]:
    import onnx

    try:
        onnx.checker.check_model(onnx.load(path))
    except TimeoutError:
        raise
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}".splitlines()[0]
    return "read", ""


def read_tflite(path: Path) -> tuple[str, str]:
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_path=str(path)).allocate_tensors()
    except TimeoutError:
        raise
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}".splitlines()[0]
    return "read", ""


def read_json(path: Path) -> tuple[str, str]:
    try:
        json.loads(path.read_bytes())
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}".splitlines()[0]
    return "read", ""


OWN_READERS = {"onnx": read_onnx, "tflite": read_tflite, "mxnet": read_json}


def results(format_: str, count: int, seed: int, reader: str) -> Iterator[dict[str, Any]]:
    """What became of every mutation; a worker that dies on one is replaced behind it."""
    start = 0
    with tempfile.TemporaryDirectory() as folder:
        while start < count:
            command = [sys.executable, __file__, "--worker", format_, folder, str(start), str(count), str(seed), reader]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            begun = -1
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
            ) as worker:
                for line in worker.stdout or ():
                    if not line.startswith("{"):
                        continue  # what a library printed
                    found = json.loads(line)
                    if "begun" in found:
                        begun = found["number"]
                    else:
                        start = found["number"] + 1
                        yield found
            if worker.returncode and begun >= start:
                yield {"number": begun, "source": "", "kind": "", "result": "failure", "seconds": 0.0, "peak": 0,
                       "text": f"the process died with {worker.returncode}"}  # fmt: skip
                start = begun + 1
            elif worker.returncode:
                raise SystemExit(f"the worker for {format_} ({reader}) ended with {worker.returncode} before it began")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=10_000, help="of each format")
    parser.add_argument("--formats", nargs="+", choices=sorted(SUFFIXES), default=sorted(SUFFIXES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-own-reader", action="store_true", help="leave the comparison with the own readers out")
    args = parser.parse_args()
    failed = False
    for format_ in args.formats:
        ours = list(results(format_, args.mutations, args.seed, "multiprof"))
        counts = Counter(line["result"] for line in ours)
        slowest = max(line["seconds"] for line in ours)
        peak = max(line["peak"] for line in ours)
        print(f"{format_}: {dict(counts)}, slowest {slowest:.2f} s, peak {peak / 2**20:.0f} MiB", flush=True)
        for line in ours:
            if line["result"] not in ("read", "refused"):
                failed = True
                print(f"  {line['number']} {line['source']} {line['kind']}: {line['result']}: {line['text']}")
        if not args.no_own_reader:
            accepted = {line["number"] for line in ours if line["result"] == "read"}
            reasons: Counter[str] = Counter()
            stricter = 0
            for line in results(format_, args.mutations, args.seed, "own"):
                if line["number"] in accepted and line["result"] != "read":
                    reasons[shortened(line["text"])] += 1
                elif line["result"] == "read" and line["number"] not in accepted:
                    stricter += 1
            print(
                f"  {sum(reasons.values())} read here are refused by the format's own reader, {stricter} the other way"
            )
            for text, number in reasons.most_common(20):
                print(f"    {number} × {text}")
    return 1 if failed else 0


def shortened(text: str) -> str:
    """A reason without the numbers and names that differ from file to file."""
    return "".join("#" if c.isdigit() else c for c in text)[:110]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], Path(sys.argv[3]), *(int(n) for n in sys.argv[4:7]), sys.argv[7])
    else:
        raise SystemExit(main())
