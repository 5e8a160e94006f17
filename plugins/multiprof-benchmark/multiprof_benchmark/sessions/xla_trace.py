"""How long each instruction of a program compiled by XLA takes, by JAX's own profiler, and what it was made of."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from multiprof_benchmark.timing import Rules, repeated

NANO = 1e-9
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%(\S+) = (.*)$")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%(\S+) .*\{$")
_CALLS = re.compile(r"(?:calls|to_apply|body|condition)=%([^,\s)]+)")
_NAME = re.compile(r'op_name="([^"]*)"')
_OPERAND = re.compile(r"%([^,\s)]+)")


def instruction_times(run: Callable[[], object], known: set[str], rules: Rules) -> list[dict[str, float]]:
    """The seconds of every known instruction in each run."""

    def once() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                run()
            (path,) = Path(folder).rglob("*.xplane.pb")
            return _spent(path, known)

    return repeated(once, rules)


def _spent(path: Path, known: set[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            for event in line.events:
                if event.name in known:
                    found[event.name] = found.get(event.name, 0.0) + event.duration_ns * NANO
    return found


class Program:
    """The text of a compiled program: its instructions, what they call, and the names of what they were made from."""

    def __init__(self, text: str) -> None:
        self.names: dict[str, list[str]] = {}  # instruction -> the names it carries
        self.called: dict[str, list[str]] = {}
        self.inside: dict[str, list[str]] = {}  # computation -> its instructions
        self.steps: list[str] = []  # those of the program itself; what loops and fusions hold is within them
        self.users: dict[str, list[str]] = {}
        current: list[str] = []
        for line in text.split("\n"):
            if found := _COMPUTATION.match(line):
                current = self.inside.setdefault(found[1], [])
                if line.startswith("ENTRY"):
                    self.steps = current
            elif found := _INSTRUCTION.match(line):
                name, body = found[1], found[2]
                current.append(name)
                self.names[name] = _NAME.findall(body)
                self.called[name] = _CALLS.findall(body)
                for operand in _OPERAND.findall(body):
                    self.users.setdefault(operand, []).append(name)

    def made_of(self, instruction: str) -> Iterator[str]:
        """Its own name, then those of what it calls; where there is none, those of what reads it."""
        waiting, seen, some = [instruction], set(), False
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            some = some or bool(self.names.get(name))
            yield from self.names.get(name, ())
            for called in self.called.get(name, ()):
                waiting += self.inside.get(called, ())
        if not some:
            for user in self.users.get(instruction, ()):
                yield from self.names.get(user, ())


__all__ = ["Program", "instruction_times"]
