"""What travels to a worker process: the Graph as a saved report, the model where it can travel, and what is asked.

A live model travels as its framework's own file, in a private folder that only this user can read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import multiprof
from multiprof import Report
from multiprof_benchmark.timing import STANDARD, Rules

REPORT, JOB, RESULT = "report.json", "job.json", "result.json"
TURN, END = "turn", "end"  # what a worker that takes turns is told
NATIVE, CONVERTED, SYNTHESISED = "native", "converted", "synthesised"
ROUTES = (NATIVE, CONVERTED, SYNTHESISED)


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. ``threads`` is how many the runtime may use, ``precision`` the dtype to compute in (empty: the
    model's own), ``least`` the share of the macs below which a synthesised model is refused, ``layers`` whether each
    layer is timed too, ``trust`` whether files may run code of their own.
    """

    threads: int = 1
    precision: str = ""
    least: float = 0.95
    layers: bool = True
    trust: bool = False
    rules: Rules = STANDARD


@dataclass(frozen=True)
class Subject:
    """A model as a worker finds it.

    ``form`` says what ``model`` is: ``file`` (a path of the user's), ``python`` (``file.py:callable``), the name of a
    framework (a live model, written to a file of that framework's own), or empty where only the Graph travels.
    ``notes`` say what a reader must know of how it came there. ``live`` is the model itself where it could not travel;
    its ``form`` is ``live``, and it is measured in this process.
    """

    report_path: Path
    framework: str
    form: str = ""
    model: str = ""
    batch: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    live: Any = None

    @cached_property
    def report(self) -> Report:
        return multiprof.load(self.report_path)

    @property
    def suffix(self) -> str:
        return Path(self.model).suffix.lower() if self.form != "python" else ""


@dataclass(frozen=True)
class Job:
    """One measurement to make: a subject on a runner by a route; in ``turns`` with others, when it is told to."""

    runner: str
    route: str
    subject: Subject
    options: Options
    turns: bool = False

    @property
    def title(self) -> str:
        """``tflite (synthesised), 2 threads, fp16``."""
        options = self.options
        threads = "1 thread" if options.threads == 1 else f"{options.threads} threads"
        batch = f", batch {self.subject.batch}" if self.subject.batch else ""
        return f"{self.runner} ({self.route}), {threads}{f', {options.precision}' if options.precision else ''}{batch}"

    def write(self, folder: Path) -> None:
        data = {
            "runner": self.runner,
            "route": self.route,
            "framework": self.subject.framework,
            "form": self.subject.form,
            "model": self.subject.model,
            "batch": self.subject.batch,
            "arguments": dict(self.subject.arguments),
            "notes": list(self.subject.notes),
            "report": str(self.subject.report_path),
            "options": asdict(self.options),
            "turns": self.turns,
        }
        (folder / JOB).write_text(json.dumps(data), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        data = json.loads((folder / JOB).read_text(encoding="utf-8"))
        options = data["options"]
        rules = Rules(**options.pop("rules"))
        subject = Subject(
            Path(data["report"]), data["framework"], data["form"], data["model"], data["batch"], data["arguments"],
            tuple(data["notes"]),
        )  # fmt: skip
        return cls(data["runner"], data["route"], subject, Options(**options, rules=rules), data["turns"])


__all__ = [
    "CONVERTED", "END", "JOB", "NATIVE", "REPORT", "RESULT", "ROUTES", "SYNTHESISED", "TURN", "Job", "Options",
    "Subject",
]  # fmt: skip
