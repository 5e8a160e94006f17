"""What a plugin can supply beside formulas: plain values, so that a plugin is tested by calling its hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph

if TYPE_CHECKING:
    import argparse

    from multiprof.report import Report

# Reads code of another framework found inside a model: trace(framework, callable, inputs) -> Graph.
Trace = Callable[[str, Callable[..., Any], Inputs], Graph]


class Reader(Protocol):
    """The function an adapter's ``reader`` names: model and inputs in, `Graph` out."""

    def __call__(
        self, model: Any, inputs: Inputs | None, *, leaves: frozenset[str], trace: Trace, options: ReadOptions
    ) -> Graph: ...


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter can read, as data: matching looks at these fields and `sys.modules`, and imports nothing.

    ``reader`` is ``module:function``. ``types`` are qualified class names (a subclass matches too). A file is known by
    what it begins with, ``magic`` (offset, bytes) or ``pattern`` (a regular expression over its first 4096 bytes), and
    where that says nothing by ``suffixes``. ``requires`` are the modules the reader imports, ``extra`` the extra of the
    distribution that installs them. ``callables``: any callable belongs to it when its framework is loaded; where
    several are, its inputs and its code tell, by the packages of ``requires`` and ``packages`` that they come from. A
    folder that is a model is known by a file in it, whose name is ``folder``.
    """

    framework: str
    reader: str
    types: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    magic: tuple[tuple[int, bytes], ...] = ()
    pattern: bytes = b""
    requires: tuple[str, ...] = ()
    extra: str = ""
    callables: bool = False
    folder: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reporter:
    """A way to show a Report: ``render(report, **options) -> str``; ``options`` are the keywords it understands."""

    name: str
    render: Callable[..., str]
    suffixes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand of the command line; ``run`` returns the exit code."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Convention:
    """Another tool's way of counting, as a view on the same terms: ``count(report) -> {name: number}``."""

    name: str
    count: Callable[[Report], Mapping[str, int]]
    source: str = ""


class Runner(Protocol):
    """A device or runtime that can time a model. The plugin multiprof-benchmark drives it, and defines what it is given
    as ``subject`` (the model as it travelled to a worker process, with its Graph) and as ``options``.
    """

    name: str

    def available(self) -> str | None:
        """The reason why it cannot be used here, or ``None``."""

    def routes(self, subject: Any) -> tuple[str, ...]:
        """The routes (native, converted, synthesised) by which the model can come here, the best one first."""

    def prepare(self, subject: Any, options: Any, route: str) -> Any:
        """Load the model by a route; what is returned says in ``facts()`` what is known of it then."""

    def run(self, prepared: Any) -> Any:
        """Run it once, and return when the work is done."""

    def per_layer(self, prepared: Any, options: Any) -> Any:
        """Times of single layers, from runs of their own."""


__all__ = ["Adapter", "Command", "Convention", "Reader", "Reporter", "Runner", "Trace"]
