"""``multiprof formulas``: the ops that have a cost, with the mathematics and who supplied it."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase

from multiprof.commands.listing import show_table, warn
from multiprof.errors import UsageError
from multiprof.ops import family
from multiprof.registry import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pattern", nargs="?", metavar="PATTERN", help="only ops or families that hold this text, or fit *"
    )


def run(args: argparse.Namespace) -> int:
    registry = build(tolerant=True)
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
    show_table(["Op", "Family", "Supplied by", "Mathematics"], rows)
    warn(args, registry)
    return 0
