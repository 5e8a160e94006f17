"""Every network, by every route, as a .tflite file written from the Graph alone: LiteRT runs it.

The oracle is execution: the file's results have the shapes that the Graph declares. Nothing is left out but what
TensorFlow's converter makes of a list that a loop writes: the file does not say the shapes of its pieces.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

# Loaded when the tests run: other parts of this folder must be collected where LiteRT is not wanted.
WRITER = "multiprof_benchmark.lower.tflite"
UNKNOWN = {("tflite", "bilstm")}  # slices and concatenations of lists, whose pieces have no known shape


def test_network_is_written(route: str, network: str, outcome: Callable[[str, str], Any]) -> None:
    report = outcome(route, network)
    if isinstance(report, str):  # the framework cannot say it, as the other test asserts
        return
    flat = importlib.import_module(WRITER).lower(report, least=0.0)
    assert flat.share.of_macs == 1.0
    if (route, network) in UNKNOWN:
        assert set(flat.share.missing) == {"slice", "concat"}
        assert all("(None, None, None) is not known" in reason for reason, _ in flat.share.missing.values())
        return
    assert flat.share.complete, str(flat.share)
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(model_content=flat.data)
    interpreter.allocate_tensors()
    interpreter.invoke()
    found = [tuple(detail["shape"]) for detail in interpreter.get_output_details()]
    assert found == [tuple(spec.shape) for spec in report.graph.outputs]
