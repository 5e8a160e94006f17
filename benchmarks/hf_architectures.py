"""What multiprof says of the architectures of transformers, beside independent counts of the same models.

    python benchmarks/hf_architectures.py               # all; writes benchmarks/HF.md
    python benchmarks/hf_architectures.py --only Llama ViT --output -

Needs torch and transformers beside multiprof (constraints/benchmarks.txt), and nothing is downloaded. Every
architecture is counted at its paper's size on the meta device (on the CPU where its forward reads values), and
once more small, where it also runs: the multiply-adds must be those of the kernels that torch dispatches then
(benchmarks/dispatch_count.py), and those of a closed form where one is written in hf_architectures_models.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.append(str(HERE.parent))  # multiprof's source, where it is not installed

import torch  # noqa: E402  # the paths above are for what follows
from dispatch_count import dispatched_macs  # noqa: E402
from hf_architectures_diffusion import BLOCKS, Block  # noqa: E402
from hf_architectures_media import MEDIA  # noqa: E402
from hf_architectures_models import PROMPT, SMALL_PROMPT, Architecture  # noqa: E402
from hf_architectures_text import TEXT  # noqa: E402

import multiprof  # noqa: E402

ARCHITECTURES = (*TEXT, *MEDIA, *BLOCKS)


@dataclass
class Row:
    """One architecture at one size; ``problems`` are what does not agree, empty where all does."""

    report: multiprof.Report
    seconds: float
    declared: int  # the model's own number of parameters
    dispatched: int | None = None
    closed: int | None = None
    problems: list[str] = field(default_factory=list)
    explained: str = ""


def apart(report: multiprof.Report) -> int:
    """Multiply-adds of layers that compute from weights alone, which stand beside the totals."""
    return sum(layer.cost.macs for layer in report.prepared() if layer.cost is not None)


def of_one_term(report: multiprof.Report) -> int:
    """Multiply-adds of contractions over one element, which torch runs as elementwise products."""
    layers = (layer for layer in report.layers if layer.op == "einsum" and layer.cost is not None)
    return sum(c.macs for layer in layers for c in layer.cost.terms.values() if c.macs and c.macs == c.dots)


def examined(architecture: Architecture | Block, small: bool) -> Row:
    """Count ``architecture`` and hold the figures against what the model declares and what torch dispatches."""
    device = "cpu" if small or architecture.values else "meta"
    model = architecture.build(small, device)
    arguments = architecture.arguments(model, small, device)
    torch.manual_seed(1)
    start = time.perf_counter()
    report = multiprof.analyze(model, multiprof.Inputs(**arguments))
    seconds = time.perf_counter() - start
    row = Row(report, seconds, model.num_parameters())
    if report.params != row.declared:
        row.problems.append(f"{report.params:,} parameters for {row.declared:,}")
    if architecture.closed is not None:
        size = arguments["pixel_values"].shape[-1] if "pixel_values" in arguments else SMALL_PROMPT if small else PROMPT
        row.closed = architecture.closed(model.config, size)
        if row.closed != report.macs:
            row.problems.append(f"{report.macs:,} macs for {row.closed:,} of the closed form")
    arguments = architecture.arguments(model, small, device)  # a cache may have grown
    if device == "meta":
        arguments = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    torch.manual_seed(1)
    try:
        row.dispatched = dispatched_macs(model, **arguments).macs
    except (RuntimeError, NotImplementedError):
        if small:  # on meta the forward may ask for values, or mix devices: then the small one must do
            raise
        row.explained = f"{apart(report):,} more from weights alone" if apart(report) else ""
        return row
    difference = row.dispatched - report.macs
    if difference and difference == apart(report):
        row.explained = f"{difference:,} more from weights alone"
    elif difference and difference == apart(report) - of_one_term(report):
        row.explained = f"{-difference:,} less: contractions over one element are run as products"
    elif difference:
        row.problems.append(f"{report.macs:,} macs for {row.dispatched:,} dispatched")
    return row


def cells(architecture: Architecture | Block, small: Row, full: Row) -> list[str]:
    report = full.report
    unsupported = ", ".join(f"`{op}`" for op in report.unsupported()) or "–"
    checks = ["dispatch, small" if full.dispatched is None else "dispatch, both sizes"]
    checks += ["closed form"] if full.closed is not None else []
    wrong = [*(f"small: {p}" for p in small.problems), *full.problems]
    verdict = "; ".join(wrong) if wrong else "equal: " + ", ".join(checks)
    notes = "; ".join(filter(None, (architecture.note, full.explained or small.explained)))
    return [
        architecture.name, architecture.group, f"{full.seconds * 1e3:.0f}", f"{len(report.layers):,}",
        f"{report.coverage:.1%}" if report.coverage < 1 else "100 %", f"{report.macs:,}", verdict, f"{report.params:,}",
        "=" if report.params == full.declared else "≠", unsupported, notes,
    ]  # fmt: skip


HEADER = ["architecture", "kind", "ms", "layers", "coverage", "MACs", "held against", "parameters", "num_parameters()",
          "unsupported", ""]  # fmt: skip


def page(rows: list[list[str]], failed: list[str]) -> str:
    from importlib.metadata import version

    from tabulate import tabulate

    align = ("left", "left", "right", "right", "right", "right", "left", "right", "left", "left", "left")
    table = tabulate(rows, HEADER, tablefmt="github", colalign=align, disable_numparse=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    errors = "".join(f"\n- {line}" for line in failed)
    versions = f"torch {torch.__version__}, transformers {version('transformers')}"
    return f"""# Architectures of transformers, counted

Made by `python benchmarks/hf_architectures.py` on {machine}, {versions}.

{len(rows)} models of random weights, of the size of their configuration's defaults: a prompt of {PROMPT} tokens where
nothing else is said, or one token more with the cache that a prompt left. *Held against*: the shapes of the products
that torch dispatches in a forward of the same model ("both sizes": at this size, and small on the CPU; "small": its
forward does not run on meta outside multiprof), and a closed form where one is written. MACs of a mixture of experts
are those of the experts that work, parameters those of all. Times are of one analysis each, the first after building
the model, on a machine with other work to do.

{table}
{"Failed:" + errors if failed else ""}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], help="names, or how they begin")
    parser.add_argument("--output", default=str(HERE / "HF.md"), help="- for the terminal")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    rows: list[list[str]] = []
    failed: list[str] = []
    for architecture in ARCHITECTURES:
        if arguments.only and not architecture.name.startswith(tuple(arguments.only)):
            continue
        try:
            rows.append(cells(architecture, examined(architecture, True), examined(architecture, False)))
        except Exception as error:
            failed.append(f"{architecture.name}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
        print(rows[-1] if rows else failed[-1:], file=sys.stderr)
    text: Any = page(rows, failed)
    if arguments.output == "-":
        print(text)
    else:
        Path(arguments.output).write_text(text, encoding="utf-8")
    if failed or any(not row[6].startswith("equal") for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
