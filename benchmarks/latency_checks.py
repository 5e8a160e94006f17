"""Whether the benchmark plugin's times are right: beside real converters, the runtimes' own tools, and layer by layer.

    python benchmarks/latency_checks.py --prepare          # make the files: minutes, nothing is timed
    python benchmarks/latency_checks.py                    # measure everything; writes benchmarks/RESULTS_LATENCY.md
    python benchmarks/latency_checks.py --only tools --networks mobilenetv2

Each section can run alone, on a quiet machine; what was measured before is kept in the folder of files, and the page
shows all of it. Needs what constraints/converters.txt pins, in one environment, and multiprof-benchmark installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ[name] = "1"  # before any framework is loaded
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
SECTIONS = {
    "synthesised": ("Synthesised beside converted", "synthesised", "converted"),
    "int8": ("The same on 8-bit integers", "synthesised", "converted"),
    "tools": ("Beside the runtimes' own tools", "multiprof bench", "the tool"),
    "layers": ("Sums of layers beside the whole", "sum of layers", "whole"),
}
ABOUT = {
    "synthesised": "One network as two .tflite files: one written from its graph, the other by TensorFlow's converter "
    "(Keras) or litert-torch (PyTorch). Both are loaded in one process and run in turns. Medians; the interval is that "
    "of the ratio.",
    "int8": "Invented scales against calibrated ones (random images), integers in and out.",
    "tools": "Processes in turns, three of each; of their medians the least, for whatever else runs only adds time.",
    "layers": "Medians of what each layer takes, added up without any scaling; what is no layer's is left out. Of "
    "three processes the least of either column.",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "latency", help="where files are kept")
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "RESULTS_LATENCY.md"), help="- for stdout alone")
    parser.add_argument("--prepare", action="store_true", help="make the files, measure nothing")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"sections: {', '.join(SECTIONS)}, or none")
    parser.add_argument("--networks", default="", help="some networks alone")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from latency import layers, pairs, tools
    from latency.checks import store, stored

    args.folder.mkdir(parents=True, exist_ok=True)
    networks = tuple(args.networks.split(",")) if args.networks else ()
    checks = stored(args.folder)
    for section in args.only.split(","):
        if args.prepare and section in pairs.SECTIONS:
            pairs.prepare(section, args.folder, networks)
        elif args.prepare and section == tools.SECTION:  # the converted files of the networks that tools are tried on
            pairs.prepare("synthesised", args.folder, networks or tools.NETWORKS)
        elif args.prepare and section == layers.SECTION:
            layers.prepare(args.folder, networks)
        elif not args.prepare and section in SECTIONS:
            if section in pairs.SECTIONS:
                found = pairs.measure(section, args.folder, networks)
            else:
                found = (tools if section == tools.SECTION else layers).measure(args.folder, networks)
            checks |= {check.key: check for check in found}
            store(args.folder, checks.values())
    if not args.prepare:
        text = page(list(checks.values()))
        print(text)
        if args.output != "-":
            Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def page(checks: list[Any]) -> str:
    """The results as Markdown."""
    from latency.checks import table

    packages = ("torch", "litert-torch", "tensorflow-cpu", "keras", "onnxruntime", "ai-edge-litert")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    parts = [
        "# Whether the measured times are right",
        f"Made by `python benchmarks/latency_checks.py` on {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {versions}; one thread, batch 1. Networks: `benchmarks/networks`.",
    ]
    for section, (title, ours, theirs) in SECTIONS.items():
        rows = [check for check in checks if check.section == section]
        if rows:
            parts += [f"## {title}", ABOUT[section], table(rows, ours, theirs)]
    held = sum(check.holds for check in checks)
    parts.append(f"{held} of {len(checks)} ratios lie within their bounds.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
