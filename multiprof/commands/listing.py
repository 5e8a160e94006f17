"""What the listing commands share: warnings about plugins, and a plain table."""

from __future__ import annotations

import argparse

from multiprof.commands.console import say, show
from multiprof.registry import Registry
from multiprof.reporters.text import Terminal


def warn(args: argparse.Namespace, registry: Registry) -> None:
    """What is wrong with plugins, which a listing tolerates."""
    for sentence in [*registry.warnings, *registry.problems]:
        say(args, f"warning: {sentence}")


def show_table(titles: list[str], rows: list[list[str]]) -> None:
    from multiprof.reporters.tables import Column, table  # not for help

    show("\n".join(table([Column(title) for title in titles], rows, Terminal.detect(width=0))) + "\n")
