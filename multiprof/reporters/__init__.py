"""Ways to show a Report. They compute nothing: what they show could have come from a saved report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from multiprof.extensions import Reporter
from multiprof.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiprof.report import Report


def _renderer(name: str) -> Callable[..., str]:
    """The ``render`` of a module here, imported when it is first used."""

    def render(report: Report, **options: Any) -> str:
        return str(import_module(f"multiprof.reporters.{name}").render(report, **options))

    return render


_SHAPED = ("depth", "sort", "width", "ascii")

REPORTERS: tuple[Reporter, ...] = (
    Reporter("table", _renderer("table"), (".txt",), (*_SHAPED, "top"), "tree of modules with shapes and totals"),
    Reporter("tree", _renderer("tree"), (".txt",), _SHAPED, "modules with the sums of all that is in them"),
    Reporter("json", _renderer("json"), (".json",), (), "everything, for programs and for multiprof.load"),
    Reporter("csv", _renderer("csv"), (".csv",), ("sort", "top"), "one row per layer, for spreadsheets"),
    Reporter("md", _renderer("md"), (".md",), ("depth", "sort", "top"), "Markdown tables, for pull requests"),
    Reporter("roofline", _renderer("roofline"), (), ("top", "width", "ascii"), "what bounds each kernel on a --device"),
    Reporter("latency", _renderer("latency"), (), ("top", "width", "ascii"), "what multiprof bench measured"),
)


@hookimpl
def multiprof_reporters() -> tuple[Reporter, ...]:
    return REPORTERS
