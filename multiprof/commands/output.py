"""What to show of a Report, in which formats, and where: the arguments, and doing it."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiprof.commands.console import complain, say, show
from multiprof.errors import UsageError
from multiprof.extensions import Reporter

if TYPE_CHECKING:
    from multiprof.registry import Registry
    from multiprof.report import Report

SHAPING = ("depth", "sort", "top")  # options of the reporters, each an option of the command line


@dataclass(frozen=True, slots=True)
class Output:
    """A format and where it goes: a file, or stdout."""

    reporter: Reporter
    file: Path | None = None


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what to show."""
    group = parser.add_argument_group("what to show")
    group.add_argument("--format", action="append", default=[], metavar="FORMAT", help="table (default), tree, json …")
    group.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="FILE",
        help="write to a file in the format of its suffix; repeat for several",
    )
    group.add_argument("--depth", type=_at_least(0), metavar="N", help="levels of modules to open (default: up to 3)")
    group.add_argument("--sort", choices=("macs", "params", "flops", "bytes", "name"), help="order of the rows")
    group.add_argument("--top", type=_at_least(1), metavar="K", help="only the K dearest layers")
    group.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="predict the time on a machine (multiprof devices lists them) or a .toml file's; repeat for several",
    )
    group.add_argument("--strict", action="store_true", help="exit with 1 when any layer has no cost")


def show_report(args: argparse.Namespace, make: Callable[[], Report], default: str = "table") -> int:
    """Make a report, show it as the arguments say, in the ``default`` format where they say nothing, and return the
    exit code.

    What is wrong with the formats or the devices is said before anything is made.
    """
    from multiprof.api import devices_named, predict
    from multiprof.registry import build

    registry = build()
    outputs = plan(args.format, args.output, registry, default)
    wanted = {key: getattr(args, key) for key in SHAPING if getattr(args, key) is not None}
    _check_options(wanted, outputs)
    on = [device for name in args.device for device in devices_named(name)]
    report = make()
    if on:
        report = predict(report, *on)
    shown = ""
    for output in outputs:
        options = {key: value for key, value in wanted.items() if key in output.reporter.options}
        if output.file is None:
            text = output.reporter.render(report, **options)
            shown += text
            show(text)
        else:
            _write(output, report, options)
            say(args, f"wrote {output.file} ({output.reporter.name})", level=0 if not args.format else 1)
    _warn(args, report, shown)
    return _verdict(args, report)


def plan(formats: list[str], files: list[str], registry: Registry, default: str = "table") -> list[Output]:
    """Which format goes where. A file takes the format of its suffix; formats that no file takes go to stdout."""
    reporters = [_reporter(name, registry) for name in dict.fromkeys(formats)]
    outputs: list[Output] = []
    for name in files:
        path = Path(name).expanduser()
        if any(output.file == path for output in outputs):
            raise UsageError(f"-o {name} is given twice")
        if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise UsageError(f"-o {name}: {path if path.is_dir() else path.parent} is not a {_kind(path)}")
        outputs.append(Output(_for_file(path, reporters, registry), path))
    taken = [output.reporter for output in outputs]
    standard = [reporter for reporter in reporters if reporter not in taken]
    if not files and not standard:
        standard = [_reporter(default, registry)]
    return [Output(reporter) for reporter in standard] + outputs


def _kind(path: Path) -> str:
    return "file" if path.is_dir() else "folder to write to"


def _reporter(name: str, registry: Registry) -> Reporter:
    reporter: Reporter | None = registry.named("multiprof_reporters", name)
    if reporter is None:
        names = [reporter.name for reporter in registry.reporters()]
        close = get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(names)}"
        raise UsageError(f"unknown format {name!r}; {hint}")
    return reporter


def _for_file(path: Path, asked: list[Reporter], registry: Registry) -> Reporter:
    """The format of a file: of those with its suffix an asked one, else the first; without any, the only one asked."""
    every = registry.reporters()
    fitting = [r for r in every if any(path.name.lower().endswith(suffix) for suffix in r.suffixes)]
    chosen = [r for r in fitting if r in asked] or fitting or (asked if len(asked) == 1 else [])
    if not chosen:
        known = ", ".join(dict.fromkeys(suffix for r in every for suffix in r.suffixes))
        raise UsageError(f"-o {path}: no format has this suffix; use one of {known}, or say --format")
    return _reporter(chosen[0].name, registry)


def _check_options(wanted: dict[str, Any], outputs: list[Output]) -> None:
    """Refuse an option that none of the formats understands."""
    for key in wanted:
        if not any(key in output.reporter.options for output in outputs):
            formats = ", ".join(output.reporter.name for output in outputs)
            raise UsageError(f"--{key} does nothing for the format {formats}; leave it out, or add --format table")


def _write(output: Output, report: Report, options: dict[str, Any]) -> None:
    # a file has no edge and takes any character
    fixed = {key: value for key, value in (("width", 0), ("ascii", False)) if key in output.reporter.options}
    assert output.file is not None
    try:
        output.file.write_text(output.reporter.render(report, **options, **fixed), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"-o {output.file}: cannot be written: {error.strerror or error}") from error


def _warn(args: argparse.Namespace, report: Report, shown: str) -> None:
    """The report's warnings on stderr, unless whoever sits before the terminal has just read them on stdout."""
    seen = _letters(shown)
    for warning in report.warnings:
        if not (sys.stdout.isatty() and _letters(warning) in seen):
            say(args, f"warning: {warning}")


def _letters(text: str) -> str:
    """What a text and the same text wrapped, escaped or in ASCII have in common."""
    return "".join(character for character in text if character.isascii() and character.isalnum())


def _verdict(args: argparse.Namespace, report: Report) -> int:
    missing = report.unsupported()
    if not missing:
        return _backward_verdict(args, report)
    ops = ", ".join(f"{op} ({len(layers)})" for op, layers in missing.items())
    if args.strict:
        complain(f"error: --strict: layers without a cost: {ops}")
        return 1
    say(args, f"warning: layers without a cost, the totals are too low: {ops}")
    return 0


def _backward_verdict(args: argparse.Namespace, report: Report) -> int:
    """What the backward pass lacks is among the report's warnings: it is an error where all has to have a cost."""
    lacking = report.training.unsupported() if report.training is not None else {}
    if not args.strict or not lacking:
        return 0
    numbers = Counter(report.layer(name).op for name in lacking)
    ops = ", ".join(f"{op} ({number})" for op, number in numbers.items())
    complain(f"error: --strict: layers whose backward pass has no cost: {ops}")
    return 1


def _at_least(least: int) -> Any:
    def integer(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least {least}")
        return int(text)

    return integer
