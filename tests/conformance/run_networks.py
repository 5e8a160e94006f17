"""Analyse the networks of one module: ``run_networks.py MODULE FOLDER [NETWORK ...]``.

A module has ``NETWORKS``, name -> a callable that builds a network and returns the model (a live object or a path) and
its inputs, and where needed keyword arguments of `multiprof.analyze`; and ``CANNOT``, name -> why its framework has no
such network. For each a file goes to the folder: ``<name>.json``, the report, or ``<name>.error``, what went wrong; and
``cannot.json``.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path

import multiprof


def main(module: str, folder: Path, *only: str) -> None:
    networks = importlib.import_module(module)
    (folder / "cannot.json").write_text(json.dumps(networks.CANNOT))
    for name, build in networks.NETWORKS.items():
        if only and name not in only:
            continue
        try:
            model, inputs, *options = build()
            report = multiprof.analyze(model, inputs, **(options[0] if options else {}))
            report.save(folder / f"{name}.json")
        except Exception:  # told by the test of this network; the others are read all the same
            (folder / f"{name}.error").write_text(traceback.format_exc())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
