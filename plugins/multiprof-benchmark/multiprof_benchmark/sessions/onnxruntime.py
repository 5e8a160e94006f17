"""ONNX Runtime, with all its graph optimisations; per-node times from its own profile, in a session apart."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnxruntime as ort

from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.join import Join
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import Rules, measure

NODE = "_kernel_time"  # what ends the names of a node's own time in the profile


class OrtSession:
    """An ONNX file in ONNX Runtime on one execution provider."""

    def __init__(self, subject: Subject, options: Options, provider: str = "CPUExecutionProvider") -> None:
        self.subject = subject
        self.provider = provider
        self.threads = options.threads
        self.feed = arrays(subject.report)
        before = environment.thread_count()
        self.session = self._open()
        after = environment.thread_count()
        # its pool is made with the session; the caller works too
        self.pool = options.threads if before is None or after is None else 1 + after - before
        known = [spec.name for spec in self.session.get_inputs()]
        self.feed = {name: self.feed[name] for name in known}

    def _open(self, profile: str = "") -> Any:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = self.threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        if profile:
            settings.enable_profiling = True
            settings.profile_file_prefix = profile
        return ort.InferenceSession(self.subject.model, settings, providers=[self.provider])

    def run(self) -> object:
        return self.session.run(None, self.feed)

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of nodes, joined to layers by the node's name; a node the optimiser made goes by the names it holds."""
        with tempfile.TemporaryDirectory() as folder:
            session = self._open(str(Path(folder) / "profile"))
            rules = Rules(
                runs=max(10, options.rules.runs // 2), seconds=options.rules.seconds / 2, cap=options.rules.cap
            )
            measure(lambda: session.run(None, self.feed), rules)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return Join(self.subject.report).parts(_runs(events))

    def facts(self) -> Facts:
        used = self.session.get_providers()[0]
        found = {"provider": used, **environment.versions("onnxruntime", "onnxruntime-gpu", "numpy")}
        device = "cpu" if used == "CPUExecutionProvider" else used.removesuffix("ExecutionProvider").lower()
        return Facts(device, self.pool, found)


def _runs(events: list[dict[str, Any]]) -> list[list[tuple[str, float]]]:
    """The (node, seconds) of every run in a profile, in order; the first runs, warming up, are left out."""
    runs: list[list[tuple[str, float]]] = []
    current: list[tuple[str, float]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(NODE):
            current.append((event["name"].removesuffix(NODE), event["dur"] * 1e-6))
        elif event.get("name") == "model_run":
            runs.append(current)
            current = []
    if current:
        runs.append(current)
    return runs[len(runs) // 3 :]


__all__ = ["OrtSession"]
