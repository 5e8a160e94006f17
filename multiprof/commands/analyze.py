"""``multiprof analyze``: count a model and show the Report in one or more formats."""

from __future__ import annotations

import argparse

from multiprof.commands.model import add_model_arguments, add_training_arguments, analyze_from
from multiprof.commands.output import add_output_arguments, show_report

EXAMPLES = """\
examples:
  multiprof analyze net.py:build --input 1x3x224x224
  multiprof analyze package.module:Net --input ids:1x128:int64 --depth 2 --sort macs
  multiprof analyze net.py:build --train --optimizer adam
  multiprof analyze net.py:build --format table -o report.json -o layers.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model", metavar="MODEL", help="a model file, or file.py:callable or package.module:callable for Python"
    )
    add_model_arguments(parser)
    add_training_arguments(parser)
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return show_report(args, lambda: analyze_from(args))
