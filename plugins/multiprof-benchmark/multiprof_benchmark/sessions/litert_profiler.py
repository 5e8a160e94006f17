"""``python -m multiprof_benchmark.sessions.litert_profiler FOLDER``: a .tflite file under LiteRT's own profiler.

It runs in a process of its own, which may crash: the interface it goes through is half private. Its runs are none of
those that the model's own time is taken from.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from multiprof_benchmark.process import command, ended
from multiprof_benchmark.sessions import litert_events as events
from multiprof_benchmark.sessions.litert_c import CompiledModel, Event, ProfilerError, supported
from multiprof_benchmark.sessions.litert_file import Operator, has_variables, operators
from multiprof_benchmark.timing import NANO, Rules, measure

MODULE = "multiprof_benchmark.sessions.litert_profiler"
JOB, VALUES, RESULT, LOG = "profile.json", "values.npz", "profiled.json", "profile.log"
LEAST, MOST = 0.5, 1.05  # of a run without the profiler, what its operators take: otherwise it is not understood
MICRO = 1e-6
VARIABLE = "it takes no file with variable tensors, such as an LSTM's"
SHOWN = 5  # kinds of operators that a note names


@dataclass(frozen=True, slots=True)
class Profile:
    """``steps`` are the numbers of the operators that took time, ``runs`` their seconds in each run, ``merged`` which
    other operator each one ran in that took none of its own, ``outside`` those that XNNPACK does not run, ``whole``
    seconds of the runs in between, without the profiler.
    """

    steps: tuple[int, ...]
    runs: tuple[tuple[float, ...], ...]
    merged: Mapping[int, int]
    outside: tuple[int, ...]
    whole: tuple[float, ...]

    def put(self, others: Mapping[int, Sequence[float]]) -> Profile:
        """With other times for some operators; as many runs as there are of all of them."""
        count = min([len(self.runs), *(len(times) for times in others.values())])
        runs = [
            tuple(
                others[number][at] if number in others else time for number, time in zip(self.steps, run, strict=True)
            )
            for at, run in enumerate(self.runs[:count])
        ]
        return replace(self, runs=tuple(runs))

    def without(self, numbers: set[int]) -> Profile:
        """Without some operators."""
        kept = [at for at, number in enumerate(self.steps) if number not in numbers]
        runs = tuple(tuple(run[at] for at in kept) for run in self.runs)
        return replace(self, steps=tuple(self.steps[at] for at in kept), runs=runs)

    @property
    def share(self) -> float:
        """What the operators take of a run without the profiler.

        Each run is compared with the one after it: what slows the machine slows them both.
        """
        pairs = zip(self.runs, self.whole, strict=False)  # there are fewer runs where some operator has fewer times
        return statistics.median(sum(run) / max(whole, MICRO) for run, whole in pairs)

    def check(self, least: float = LEAST) -> None:
        """Raise `ProfilerError` unless the operators take together what the whole takes without the profiler."""
        if not least <= self.share <= MOST:
            raise ProfilerError(f"its operators take {self.share:.0%} of what a run takes without it")

    def note(self, found: Sequence[Operator]) -> str:
        """``outside XNNPACK: SOFTMAX (12), 3.1% of the time``; empty where XNNPACK runs everything."""
        if not self.outside:
            return ""
        kinds = Counter(found[number].kind for number in self.outside)
        named = [f"{kind} ({number})" for kind, number in kinds.most_common(SHOWN)]
        if len(kinds) > SHOWN:
            named.append(f"{len(kinds) - SHOWN} kinds more")
        places = [at for at, number in enumerate(self.steps) if number in set(self.outside)]
        spent = statistics.median(sum(run[at] for at in places) / max(sum(run), MICRO) for run in self.runs)
        return f"outside XNNPACK: {', '.join(named)}, {spent:.1%} of the time of all operators"


def profiled(path: str, values: Mapping[int, Any], threads: int, rules: Rules) -> Profile:
    """The times of a file's operators; ``values`` are the arrays of its inputs by the number of their tensor.

    `ProfilerError` in one line where the runtime does not tell them or tells something else.
    """
    why = supported() or (VARIABLE if has_variables(path) else None)
    if why:
        raise ProfilerError(why)
    with tempfile.TemporaryDirectory(prefix="multiprof-profile-") as name:
        folder = Path(name)
        np.savez(folder / VALUES, **{str(number): array for number, array in values.items()})
        job = {"path": path, "threads": threads, "rules": asdict(rules)}
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        with (folder / LOG).open("wb") as log:
            try:
                done = subprocess.run(
                    command(MODULE, name), stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=rules.cap,
                    check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise ProfilerError(f"it took longer than {rules.cap:.0f} s") from None
        if not (folder / RESULT).is_file():
            said = (folder / LOG).read_text(encoding="utf-8", errors="replace")
            raise ProfilerError(f"its process {ended(done.returncode, said)}")
        return read(json.loads((folder / RESULT).read_text(encoding="utf-8")))


def read(result: Mapping[str, Any]) -> Profile:
    """A profile from what its process wrote; `ProfilerError` where that says why not."""
    if "error" in result:
        raise ProfilerError(str(result["error"]))
    return Profile(
        tuple(result["steps"]),
        tuple(tuple(run) for run in result["runs"]),
        {int(number): host for number, host in result["merged"].items()},
        tuple(result["outside"]),
        tuple(result["whole"]),
    )


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    rules = Rules(**job["rules"])
    half = Rules(max(10, rules.runs // 2), rules.seconds / 2, rules.cap / 2, rules.warmup_runs, rules.warmup_seconds)
    with np.load(folder / VALUES) as stored:
        values = {int(number): stored[number] for number in stored}
    samples: list[list[Event]] = []
    whole: list[float] = []

    def in_turns() -> None:
        samples.append(of_main(model.profiled()))
        start = perf_counter_ns()
        model.run()
        whole.append((perf_counter_ns() - start) * NANO)

    try:
        with CompiledModel(job["path"], job["threads"], values) as model:
            taken = len(measure(in_turns, half).times)
        result: dict[str, Any] = of_runs(operators(job["path"]), samples[-taken:], whole[-taken:])
    except (ProfilerError, events.EventsError) as error:
        result = {"error": str(error)}
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")
    return 0


def of_main(found: Sequence[Event]) -> list[Event]:
    """The events of operators of the main graph, without those of the graphs that it calls."""
    return [
        event for event in found if event.graph == events.MAIN and event.type in (events.OPERATOR, events.DELEGATED)
    ]


def of_runs(found: Sequence[Operator], samples: Sequence[Sequence[Event]], whole: Sequence[float]) -> dict[str, Any]:
    """What `read` reads, of runs as `of_main` gives them, and seconds of those without the profiler.

    Runs of other operators than the last run's are left out.
    """
    marks = [_marks(sample) for sample in samples]
    alike = [sample for sample, its in zip(samples, marks, strict=True) if its == marks[-1]]
    given = events.assigned(found, marks[-1])
    steps = sorted({owner for owner in given.owners if owner is not None})
    place = {number: at for at, number in enumerate(steps)}
    runs = []
    for sample in alike:
        spent = [0] * len(steps)
        for owner, event in zip(given.owners, sample, strict=True):
            if owner is not None:
                spent[place[owner]] += event.elapsed
        runs.append([time * MICRO for time in spent])
    outside = sorted({mark.node for mark in marks[-1] if mark.type == events.OPERATOR})
    return {
        "steps": steps,
        "runs": runs,
        "merged": given.merged,
        "outside": outside,
        "whole": [time for time, its in zip(whole, marks, strict=True) if its == marks[-1]],
    }


def _marks(sample: Sequence[Event]) -> list[events.Mark]:
    return [events.Mark(event.tag, event.type, event.node, event.graph) for event in sample]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
