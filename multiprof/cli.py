"""The command line: finds the subcommand, runs it, and turns what goes wrong into one line and an exit code.

Exit codes: 0 fine, 1 a check failed, 2 the call or the model is wrong, 130 interrupted, 141 nobody reads the output.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from multiprof import __version__
from multiprof.commands.console import add_verbosity, complain
from multiprof.errors import MultiprofError, UnsupportedOpError

if TYPE_CHECKING:
    from multiprof.extensions import Command

# Name of a module of multiprof.commands, which has add_arguments(parser) and run(args) -> exit code; and its help.
# Only the module of the command at hand is imported.
BUILTINS = {
    "analyze": "count a model: parameters, MACs, FLOPs, memory, layer by layer",
    "explain": "show how a figure comes about: of an op, or of a layer",
    "formulas": "list the formulas with their mathematics",
    "adapters": "list the frameworks that can be read",
    "devices": "list the machines that --device predicts for",
    "plugins": "list the plugins; --check looks for clashes",
}
OK, FAILED, WRONG, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line on stderr."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"{self.prog}: error: {message}; {self.prog} --help shows what is possible\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        chosen = next((word for word in arguments if not word.startswith("-")), "")
        parser = make_parser(chosen, [] if chosen in BUILTINS else _plugin_commands())
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


def make_parser(chosen: str, plugin_commands: Sequence[Command] = ()) -> Parser:
    """The parser of all subcommands; of the built-in ones only the ``chosen`` has its arguments."""
    parser = Parser(
        prog="multiprof",
        description="Parameters, MACs, FLOPs and memory of neural networks, layer by layer, from any framework.",
        epilog="multiprof COMMAND --help shows the options of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"multiprof {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in BUILTINS.items():
        own = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == chosen:
            module = import_module(f"multiprof.commands.{name}")
            _fill(own, module.add_arguments, module.run)
    for command in plugin_commands:
        try:  # on a parser of its own first: what fails must leave no trace
            trial = Parser()
            _fill(trial, command.add_arguments, command.run)
            trial.format_help()
            text = command.help.replace("%", "%%")  # argparse takes it for a format, but not a description
        except Exception as error:  # a third party's code, or an argument that clashes with ours
            complain(f"warning: the command {command.name!r} of a plugin is left out: {type(error).__name__}: {error}")
        else:
            own = commands.add_parser(command.name, help=text, description=command.help, allow_abbrev=False)
            _fill(own, command.add_arguments, command.run)
    return parser


def _fill(
    parser: argparse.ArgumentParser,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    add_arguments(parser)
    add_verbosity(parser)
    parser.set_defaults(run_command=run)


def _plugin_commands() -> list[Command]:
    """The commands of plugins, asked for only where the call may need them: loading plugins takes time.

    What is wrong with a plugin is a warning here: help must work whatever is installed.
    """
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
        if name in BUILTINS:
            complain(f"warning: the command {name!r} of {providers[0]} is left out: multiprof has one of that name")
        elif len(providers) > 1:
            complain(f"warning: the command {name!r} is left out: it is supplied by {' and by '.join(providers)}")
    return [command for _, command in supplied if command.name not in BUILTINS and len(owners[command.name]) == 1]


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
