"""The command line: finds the subcommand, runs it, and turns what goes wrong into one line and an exit code.

Exit codes: 0 fine, 1 a check failed, 2 the call or the model is wrong, 130 interrupted, 141 nobody reads the output.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from multiprof import __version__
from multiprof.commands import analyze, explain, listing
from multiprof.commands.common import add_verbosity, complain
from multiprof.errors import MultiprofError, UnsupportedOpError
from multiprof.extensions import Command

BUILTINS = (analyze.COMMAND, explain.COMMAND, listing.FORMULAS, listing.ADAPTERS, listing.PLUGINS)
OK, FAILED, WRONG, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line on stderr."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"{self.prog}: error: {message}; {self.prog} --help shows what is possible\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = make_parser(_plugin_commands(arguments))
        try:
            args = parser.parse_args(arguments)
        except SystemExit as end:  # --help, --version, or a call that cannot be understood
            return int(end.code or OK)
        return _run(args.run_command, args)
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED


def make_parser(plugin_commands: Sequence[Command] = ()) -> Parser:
    """The parser of all subcommands."""
    parser = Parser(
        prog="multiprof",
        description="Parameters, MACs, FLOPs and memory of neural networks, layer by layer, from any framework.",
        epilog="multiprof COMMAND --help shows the options of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"multiprof {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in BUILTINS:
        _add(commands, command)
    for command in plugin_commands:
        try:
            _fill(Parser(), command)  # tried on a parser of its own: what fails must leave no trace
        except Exception as error:  # a third party's code, or an argument that clashes with ours
            complain(f"warning: the command {command.name!r} of a plugin is left out: {type(error).__name__}: {error}")
        else:
            _add(commands, command)
    return parser


def _add(commands: argparse._SubParsersAction[Parser], command: Command) -> None:
    parser = commands.add_parser(command.name, help=command.help, description=command.help, allow_abbrev=False)
    _fill(parser, command)


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    command.add_arguments(parser)
    add_verbosity(parser)
    parser.set_defaults(run_command=command.run)


def _plugin_commands(arguments: Sequence[str]) -> list[Command]:
    """The commands of plugins, asked for only where the call may need them: loading plugins takes time.

    What is wrong with a plugin is a warning here: help must work whatever is installed.
    """
    builtin = {command.name for command in BUILTINS}
    if next((word for word in arguments if not word.startswith("-")), "") in builtin:
        return []
    from multiprof.installed import installed_plugins

    if not installed_plugins():
        return []
    from multiprof.registry import build

    registry = build(tolerant=True)
    supplied = registry.commands()
    for sentence in [*registry.warnings, *registry.problems]:
        complain(f"warning: {sentence}")
    owners: dict[str, list[str]] = {}
    for plugin, command in supplied:
        owners.setdefault(command.name, []).append(plugin.provider)
    for name, providers in owners.items():
        if name in builtin:
            complain(f"warning: the command {name!r} of {providers[0]} is left out: multiprof has one of that name")
        elif len(providers) > 1:
            complain(f"warning: the command {name!r} is left out: it is supplied by {' and by '.join(providers)}")
    return [command for _, command in supplied if command.name not in builtin and len(owners[command.name]) == 1]


def _run(command: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a subcommand; its errors become one line, with the traceback under -vv."""
    try:
        return command(args)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except MultiprofError as error:
        _traceback(args)
        complain(f"error: {error}")
        return FAILED if isinstance(error, UnsupportedOpError) else WRONG
    except Exception as error:
        _traceback(args)
        from multiprof.blame import describe

        hint = "" if args.verbose > 1 else "; -vv shows the traceback"
        complain(f"error: unexpected {describe(error)}: this is a bug in multiprof or in a plugin{hint}")
        return WRONG


def _traceback(args: argparse.Namespace) -> None:
    if args.verbose > 1:
        import traceback

        traceback.print_exc()


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere: whoever read stdout has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
