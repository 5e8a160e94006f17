"""Where text goes: results to stdout, messages to stderr. Light to import: help needs it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from multiprof.errors import UsageError, shortened


def say(args: argparse.Namespace, text: str, *, level: int = 0) -> None:
    """A line on stderr: warnings at level 0 (hidden by -q), what is being done at level 1 (shown by -v)."""
    if args.verbose >= level and not args.quiet:
        complain(text)


def complain(text: str) -> None:
    """A line on stderr, whatever the verbosity; control characters and long names of a model do not get there."""
    from multiprof.reporters.text import clean

    line = clean(" ".join(shortened(text).split()))
    sys.stderr.write(f"multiprof: {printable(line, sys.stderr)}\n")


def show(text: str) -> None:
    """A result on stdout, in the characters that stdout can take."""
    try:
        sys.stdout.write(printable(text, sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, for one
        raise UsageError(f"the result cannot be written to stdout: {error.strerror or error}") from error


def printable(text: str, stream: Any) -> str:
    """``text`` with what the stream's encoding lacks written out as escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """The arguments every subcommand has."""
    group = parser.add_argument_group("messages on stderr")
    group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say what is done; -vv: tracebacks too")
