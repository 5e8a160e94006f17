"""``multiprof explain``: the mathematics of an op, or of one layer of a model with its own numbers."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from multiprof.commands.console import say, show
from multiprof.commands.model import add_model_arguments, add_training_arguments, analyze_from
from multiprof.errors import UsageError

COLUMNS = 100  # of the text, where stdout has no edge of its own

# Arguments that mean something only where a model is read.
_READING = ("input", "dim", "trips", "framework", "signature", "hash", "causal", "trust", "train", "optimizer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "multiprof explain OP | multiprof explain MODEL LAYER [how to read the model]"
    parser.add_argument("what", metavar="OP or MODEL", help="an op such as conv; or a model, as for analyze")
    parser.add_argument("layer", nargs="?", metavar="LAYER", help="the name of a layer of the model")
    add_model_arguments(parser)
    add_training_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from multiprof.explain import explain_layer, explain_op
    from multiprof.registry import build
    from multiprof.reporters.text import Terminal

    if args.layer is None:
        _only_an_op(args)
    registry = build()
    for warning in registry.warnings:
        say(args, f"warning: {warning}")
    terminal = Terminal.detect()
    if args.layer is None:
        text = explain_op(args.what, registry.formulas(), replace(terminal, width=terminal.width or COLUMNS))
    else:
        args.model = args.what
        text = explain_layer(analyze_from(args), args.layer, registry.formulas())
    show("\n".join(terminal.cell(line) for line in text.split("\n")))
    return 0


def _only_an_op(args: argparse.Namespace) -> None:
    given = [f"--{name}" for name in _READING if getattr(args, name)]
    if ":" in args.what or os.path.exists(args.what):
        raise UsageError(f"say which layer of it: multiprof explain {args.what} LAYER")
    if given:
        raise UsageError(f"{', '.join(given)}: an op is explained without a model; to explain a layer, name it too")
