"""``multiprof plugins``: what is installed, what it supplies, and what is wrong with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from multiprof.commands.console import say, show
from multiprof.commands.listing import show_table, warn
from multiprof.registry import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="look for clashes and broken plugins; exit with 1 if there are any"
    )


def run(args: argparse.Namespace) -> int:
    registry = build(tolerant=True)
    found = [*registry.clashes(), *registry.problems] if args.check else []  # calls every hook, which finds problems
    rows = [
        [
            plugin.name,
            plugin.distribution or ("built in" if plugin.builtin else ""),
            plugin.version,
            _hooks(plugin.hooks),
        ]
        for plugin in registry.plugins()
    ]
    show_table(["Plugin", "Distribution", "Version", "Supplies"], rows)
    if not args.check:
        warn(args, registry)
        return 0
    for warning in registry.warnings:
        say(args, f"warning: {warning}")
    for sentence in found:
        show(f"problem: {sentence}\n")
    broken = [*found, *registry.warnings]
    show("" if broken else "no clashes, no broken plugins\n")
    return 1 if broken else 0


def _hooks(hooks: Sequence[str]) -> str:
    return ", ".join(sorted(hook.removeprefix("multiprof_") for hook in hooks)) or "nothing"
