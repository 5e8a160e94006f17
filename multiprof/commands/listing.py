"""``multiprof plugins``, ``formulas`` and ``adapters``: what is there, and who supplied it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from multiprof.commands.common import say, show
from multiprof.errors import UsageError
from multiprof.extensions import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiprof.registry import Registry


def _plugins_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="look for clashes and broken plugins; exit with 1 if there are any"
    )


def _run_plugins(args: argparse.Namespace) -> int:
    registry = _registry()
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
    _show_table(["Plugin", "Distribution", "Version", "Supplies"], rows)
    for warning in registry.warnings:
        say(args, f"warning: {warning}")
    if not args.check:
        for problem in registry.problems:
            say(args, f"warning: {problem}")
        return 0
    for sentence in found:
        show(f"problem: {sentence}\n")
    broken = [*found, *registry.warnings]
    show("" if broken else "no clashes, no broken plugins\n")
    return 1 if broken else 0


def _hooks(hooks: Sequence[str]) -> str:
    return ", ".join(sorted(hook.removeprefix("multiprof_") for hook in hooks)) or "nothing"


def _formulas_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN", help="only ops or families that hold this text, or fit *"
    )


def _run_formulas(args: argparse.Namespace) -> int:
    from fnmatch import fnmatchcase

    from multiprof.ops import family

    registry = _registry()
    pattern = args.pattern or "*"
    pattern = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    rows = [
        [op, family(op), formula.provider, formula.mathematics]
        for op, formulas in registry.formulas().items()
        if fnmatchcase(op, pattern) or fnmatchcase(family(op), pattern)
        for formula in formulas
    ]
    if not rows:
        raise UsageError(f"no formula fits {args.pattern!r}; multiprof formulas lists all")
    _show_table(["Op", "Family", "Supplied by", "Mathematics"], rows)
    _warn(args, registry)
    return 0


def _run_adapters(args: argparse.Namespace) -> int:
    import sys

    from multiprof.adapters.matching import is_installed

    registry = _registry()
    rows = []
    for plugin, adapter in registry.supplied("multiprof_adapters"):
        missing = [name for name in adapter.requires if name not in sys.modules and not is_installed(name)]
        remedy = f"pip install 'multiprof[{adapter.extra}]'" if adapter.extra else "install it"
        reads = [*adapter.types, *adapter.suffixes, *(["callables"] if adapter.callables else [])]
        ready = f"no: {', '.join(missing)} is not installed: {remedy}" if missing else "yes"
        rows.append([adapter.framework, ", ".join(reads), plugin.provider, ready])
    _show_table(["Framework", "Reads", "Supplied by", "Ready"], rows)
    _warn(args, registry)
    return 0


def _registry() -> Registry:
    from multiprof.registry import build

    return build(tolerant=True)


def _warn(args: argparse.Namespace, registry: Registry) -> None:
    for sentence in [*registry.warnings, *registry.problems]:
        say(args, f"warning: {sentence}")


def _show_table(titles: list[str], rows: list[list[str]]) -> None:
    from multiprof.reporters.text import Column, Terminal, table

    terminal = Terminal.detect(width=0)
    show("\n".join(table([Column(title) for title in titles], rows, terminal)) + "\n")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


PLUGINS = Command("plugins", "list the plugins; --check looks for clashes", _plugins_arguments, _run_plugins)
FORMULAS = Command("formulas", "list the formulas with their mathematics", _formulas_arguments, _run_formulas)
ADAPTERS = Command("adapters", "list the frameworks that can be read", _nothing, _run_adapters)
