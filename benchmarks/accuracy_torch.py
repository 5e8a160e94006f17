"""How right multiprof is on PyTorch models, beside every counter of the package index, against closed forms.

    python benchmarks/accuracy_torch.py --peers DIRECTORY   # installs the counters there; writes benchmarks/ACCURACY.md
    python benchmarks/accuracy_torch.py --only multiprof --output -    # those that are importable already
    python benchmarks/accuracy_torch.py --results FILE.json            # the tables again, from an earlier run

Needs torch 2.13, transformers and tabulate beside multiprof (constraints/benchmarks.txt), and wheel and setuptools for
DeepSpeed. Every counter gets a folder of its own in DIRECTORY (two of them are both called ``thop``) and processes of
its own; none of them may bring another torch. No counter is the truth: what is expected is written out in
benchmarks/accuracy/, as the arithmetic of each net's definition.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.append(str(HERE.parent))  # multiprof's source, where it is not installed

from accuracy.peers import PEERS, Peer  # noqa: E402  # the path above is what finds it
from accuracy.report import page  # noqa: E402


def folder(peer: Peer, root: Path) -> Path:
    return root / peer.name.replace(" ", "-").lower()


def install(peer: Peer, root: Path) -> None:
    """Put a counter into its folder, without what it requires: torch is there, and must stay the one that it is."""
    target = folder(peer, root)
    if not peer.packages or target.exists():
        return
    flags = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(target)]
    environment = {**os.environ, "DS_BUILD_OPS": "0"}  # DeepSpeed: without its CUDA kernels
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *flags, *peer.packages], env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(f"{peer.name} could not be installed")
    for module in peer.stand_ins:
        file = target.joinpath(*module.split("."))
        file = file / "__init__.py" if "." not in module else file.with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("", encoding="utf-8")


def measure(peer: Peer, root: Path | None, only: list[str], limit: float, cap: float) -> dict[str, Any]:
    """All cases of one counter, by a worker process of its own."""
    paths = [str(folder(peer, root))] if root and peer.packages else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(HERE), str(HERE.parent)])}
    environment.pop("OMP_NUM_THREADS", None)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results.json"
        options = ["--worker", peer.name, "--output", str(out), "--limit", str(limit), *("--nets", *only) * bool(only)]
        try:
            done = subprocess.run(
                [sys.executable, __file__, *options], env=environment, cwd=scratch, timeout=cap, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"peer": peer.name, "version": "", "results": {}, "failed": f"no end in {cap:.0f} s"}
        if done.returncode or not out.exists():
            said = [line for line in done.stderr.splitlines() if line.strip()]
            return {"peer": peer.name, "version": "", "results": {}, "failed": said[-1] if said else "no results"}
        result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="folder where the counters are, or are to be installed")
    parser.add_argument("--only", nargs="+", metavar="COUNTER", help="some of: " + ", ".join(p.name for p in PEERS))
    parser.add_argument("--nets", nargs="+", default=[], help="some of the battery")
    parser.add_argument("--limit", type=float, default=30, help="seconds for one net in one mode")
    parser.add_argument("--cap", type=float, default=1800, help="seconds for one counter")
    parser.add_argument("--results", type=Path, help="JSON of an earlier run to make the tables of, and to add to")
    parser.add_argument("--save", type=Path, help="where to write that JSON")
    parser.add_argument("--output", default=str(HERE / "ACCURACY.md"), help="- for the terminal")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        from accuracy.work import work

        result = work(arguments.worker, arguments.nets, arguments.limit)
        Path(arguments.output).write_text(json.dumps(result), encoding="utf-8")
        return
    results: dict[str, Any] = {}
    if arguments.results:
        results = json.loads(arguments.results.read_text(encoding="utf-8"))
    chosen = [peer for peer in PEERS if not arguments.only or peer.name in arguments.only]
    for peer in chosen if arguments.only or not arguments.results else ():
        start = time.monotonic()
        if arguments.peers:
            install(peer, arguments.peers)
        root = arguments.peers.resolve() if arguments.peers else None
        results[peer.name] = measure(peer, root, arguments.nets, arguments.limit, arguments.cap)
        print(f"{peer.name}: {time.monotonic() - start:.0f} s {results[peer.name].get('failed', '')}", file=sys.stderr)
        if arguments.save:
            arguments.save.write_text(json.dumps(results), encoding="utf-8")
    text = page(results)
    if arguments.output == "-":
        print(text)
    else:
        Path(arguments.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
