"""Whether the benchmark plugin's times are right: beside real converters, the runtimes' own tools, and layer by layer.

    python benchmarks/latency_checks.py --prepare          # make the .tflite files: minutes, no timing
    python benchmarks/latency_checks.py                    # measure everything; writes benchmarks/RESULTS_LATENCY.md
    python benchmarks/latency_checks.py --only tools --networks mobilenetv2

Each section can run alone, on a quiet machine; what was measured before is kept in the folder of files, and the page
shows all of it. Needs torch, litert-torch, tensorflow, keras, onnx, onnxruntime and ai-edge-litert in one environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "plugins" / "multiprof-benchmark"), str(ROOT / "benchmarks")]
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ[name] = "1"
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")

from latency import pairs  # noqa: E402 - the variables must be set first
from latency.checks import store, stored  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "latency" / "files")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--only", default="", help="sections")
    parser.add_argument("--networks", default="", help="networks")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    networks = tuple(args.networks.split(",")) if args.networks else ()
    for section in args.only.split(",") if args.only else ("synthesised", "int8"):
        if args.prepare:
            pairs.prepare(section, args.folder, networks)
        else:
            found = stored(args.folder)
            found |= {check.key: check for check in pairs.measure(section, args.folder, networks)}
            store(args.folder, found.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
