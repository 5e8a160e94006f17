"""The arguments that describe a model and its inputs, and reading it as they say."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from multiprof.commands.console import say
from multiprof.errors import UsageError
from multiprof.ir import BITS, TensorSpec

if TYPE_CHECKING:
    from multiprof.inputs import Inputs
    from multiprof.report import Report

_SHAPE = re.compile(r"\d+([x×,]\d+)*|scalar")
_EXAMPLE = "example: --input 1x3x224x224, or --input ids:1x128:int64 (name and dtype may be left out)"


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that say how to read a model."""
    group = parser.add_argument_group("how to read the model")
    group.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME:]SHAPE[:DTYPE]",
        help="an input, such as 1x3x224x224 or ids:1x128:int64; repeat for several",
    )
    group.add_argument("--dim", action="append", default=[], metavar="NAME=N", help="size of a free dimension")
    group.add_argument("--trips", action="append", default=[], metavar="LOOP=N", help="how often a loop runs")
    group.add_argument("--framework", metavar="F", help="which adapter reads it, where that cannot be told")
    group.add_argument("--signature", metavar="NAME", help="which entry of a file that has several")
    group.add_argument("--hash", action="store_true", help="add the file's SHA-256 to the report")
    group.add_argument("--causal", action="store_true", help="count only the unmasked pairs of causal attention")
    group.add_argument("--trust", action="store_true", help="allow files that run code when they are read")


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that ask for a training step."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--train", action="store_true", help="count a training step: forward, backward, what is kept between, the peak"
    )
    group.add_argument(
        "--optimizer", metavar="NAME", help="with its states and update: sgd, momentum, adam, adamw or adafactor"
    )


def analyze_from(args: argparse.Namespace) -> Report:
    """`multiprof.analyze` as the command line asks for it.

    Whatever the model prints goes to stderr, so that stdout holds the result alone.
    """
    keywords = reading(args) | {"train": args.train, "optimizer": args.optimizer}
    from contextlib import redirect_stdout
    from time import perf_counter

    from multiprof.progress import progress
    from multiprof.reporters.text import clean

    start = perf_counter()
    with progress(f"reading {clean(args.model)}", enabled=not args.quiet), redirect_stdout(sys.stderr):
        from multiprof.api import analyze

        report = analyze(args.model, **keywords)
        if args.hash:
            report.model = {**report.model, "sha256": _sha256(args.model)}
    rung = report.graph.metadata.get("rung", "")
    how = f" ({rung})" if rung else ""
    taken = perf_counter() - start
    say(args, f"read {args.model} with {report.framework}{how}: {len(report.layers)} layers, {taken:.2f} s", level=1)
    return report


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `multiprof.analyze` that the command line asks for."""
    return {
        "inputs": parse_inputs(args.input),
        "framework": args.framework,
        "dims": _numbers("--dim", args.dim),
        "trips": _numbers("--trips", args.trips),
        "signature": args.signature,
        "causal": "unmasked" if args.causal else "full",
        "trust": args.trust,
    }


def _sha256(model: str) -> str:
    """Of a file's contents, as a hexadecimal number."""
    import hashlib
    from pathlib import Path

    path = Path(model).expanduser()
    if not path.is_file():
        raise UsageError(f"--hash: {model} is no file")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def parse_inputs(texts: Iterable[str]) -> Inputs | None:
    """The ``--input`` arguments: unnamed ones by position, named ones by keyword; ``None`` without any."""
    args, kwargs = [], {}
    for text in texts:
        name, spec = _parse_input(text)
        if not name:
            args.append(spec)
        elif name in kwargs:
            raise UsageError(f"--input: {name!r} is given twice")
        else:
            kwargs[name] = spec
    if not args and not kwargs:
        return None
    from multiprof.inputs import Inputs

    return Inputs(*args, **kwargs)


def _parse_input(text: str) -> tuple[str, TensorSpec]:
    """``NAME:SHAPE:DTYPE``, read from the right: a name may hold colons itself."""
    head, _, last = text.rpartition(":")
    name, _, shape = head.rpartition(":")
    if _SHAPE.fullmatch(last):
        name, shape, dtype = head, last, ""
    elif head and _SHAPE.fullmatch(shape):
        dtype = last
        if dtype not in BITS:
            close = get_close_matches(dtype, BITS, 1)
            raise UsageError(
                f"--input {text}: unknown dtype {dtype!r}; "
                + (f"did you mean {close[0]}?" if close else f"one of {', '.join(BITS)}")
            )
    else:
        raise UsageError(f"--input {text!r} is malformed; {_EXAMPLE}")
    dims = () if shape == "scalar" else tuple(int(d) for d in re.split("[x×,]", shape))
    return name, TensorSpec(dims, dtype)


def _numbers(option: str, texts: Iterable[str]) -> dict[str, int]:
    """``NAME=N`` arguments as a dict."""
    found: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if not equals or not name or not number.isdecimal():
            raise UsageError(f"{option} {text!r} is malformed; example: {option} name=8")
        if name in found:
            raise UsageError(f"{option}: {name!r} is given twice")
        found[name] = int(number)
    return found
