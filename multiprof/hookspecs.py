"""The hooks of multiprof, and the two pluggy markers.

A distribution takes part by naming a module under the entry-point group ``multiprof`` and writing any of these
functions in it, each marked with ``@multiprof.hookimpl``. A hook takes nothing and returns values; order does not
matter.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from multiprof.cost import Formula
from multiprof.device import Device
from multiprof.extensions import Adapter, Command, Convention, Reporter, Runner

PROJECT = "multiprof"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def multiprof_adapters() -> Iterable[Adapter]:  # type: ignore[empty-body]  # pluggy reads the signature only
    """What this plugin can read; called without importing any framework."""


@hookspec
def multiprof_formulas() -> Iterable[Formula]:  # type: ignore[empty-body]
    """Costs, each for one or more ops of the vocabulary, foreign ops or module classes."""


@hookspec
def multiprof_conventions() -> Iterable[Convention]:  # type: ignore[empty-body]
    """Other ways of counting, as views on the same terms."""


@hookspec
def multiprof_runners() -> Iterable[Runner]:  # type: ignore[empty-body]
    """Devices and runtimes this plugin can time a model on."""


@hookspec
def multiprof_reporters() -> Iterable[Reporter]:  # type: ignore[empty-body]
    """Ways to show a Report."""


@hookspec
def multiprof_devices() -> Iterable[Device]:  # type: ignore[empty-body]
    """Peak rates and bandwidths for the roofline."""


@hookspec
def multiprof_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Subcommands for the command line."""
