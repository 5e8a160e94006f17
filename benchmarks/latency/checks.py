"""A check: a ratio, the bounds it should keep, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import isinf
from pathlib import Path

STORE = "checks.json"


@dataclass(frozen=True)
class Check:
    """``ours`` and ``theirs`` in seconds; the ratio ours / theirs should lie between ``low`` and ``high``.

    ``interval`` is the confidence interval of the ratio where the samples were taken in turns. ``note`` says why a
    ratio is what it is.
    """

    section: str
    name: str
    what: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    interval: tuple[float, float] | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.low <= self.ratio <= self.high

    @property
    def key(self) -> str:
        return f"{self.section}/{self.name}/{self.what}"


def stored(folder: Path) -> dict[str, Check]:
    """The checks of former runs, by their keys."""
    path = folder / STORE
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {check.key: check for check in (Check(**row) for row in rows)}


def store(folder: Path, checks: Iterable[Check]) -> None:
    (folder / STORE).write_text(json.dumps([asdict(check) for check in checks], indent=1), encoding="utf-8")


def table(checks: Iterable[Check], ours: str, theirs: str) -> str:
    """Rows of Markdown."""
    lines = [
        f"| network | what | {ours}, ms | {theirs}, ms | ratio | 95 % interval | bounds | holds |",
        "|---|---|---:|---:|---:|---|---|---|",
    ]
    for check in checks:
        between = "" if check.interval is None else "{:.3f} – {:.3f}".format(*check.interval)
        bounds = f"≥ {check.low:.2f}" if isinf(check.high) else f"{check.low:.2f} – {check.high:.2f}"
        holds = ("yes" if check.holds else "no") + (f": {check.note}" if check.note else "")
        lines.append(
            f"| {check.name} | {check.what} | {check.ours * 1e3:.2f} | {check.theirs * 1e3:.2f} | {check.ratio:.3f} |"
            f" {between} | {bounds} | {holds} |"
        )
    return "\n".join(lines)
