"""A Graph says enough to be run: every network, by every route, as a torch program made of the Graph alone.

The oracle is execution: what each layer returns has the shape and the dtype that the Graph declares, as the framework
or the file had them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

# Loaded when the tests run: other parts of this folder must be collected where torch is not wanted.
PROGRAMS = "multiprof_benchmark.lower.torch"


def test_network_runs(route: str, network: str, outcome: Callable[[str, str], Any]) -> None:
    report = outcome(route, network)
    if isinstance(report, str):  # the framework cannot say it, as the other test asserts
        return
    program = importlib.import_module(PROGRAMS).lower(report)
    # What a converted loop writes into a list at a computed place has no shape known beforehand; all else runs.
    unknown = {
        row.name
        for row in report.layers
        if any(None in spec.shape for spec in (*row.layer.inputs.values(), *row.layer.outputs.values()))
    }
    missing = {name for _, names in program.share.missing.values() for name in names}
    assert missing <= unknown, str(program.share)
    assert program.share.macs == report.macs > 0
    assert program.differences() == []
    assert program.findings == {}
    wanted = [tuple(spec.shape) for spec in report.graph.outputs]
    assert [tuple(tensor.shape) for tensor in program(*program.examples)] == wanted
