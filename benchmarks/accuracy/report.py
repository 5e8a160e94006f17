"""The tables of benchmarks/ACCURACY.md out of the results of all counters."""

from __future__ import annotations

import os
import platform
from collections import Counter
from functools import cache
from typing import Any

from dispatch_count import dispatched_macs

from accuracy.battery import Case, cases
from accuracy.peers import BY_NAME, PEERS
from accuracy.reasons import CHANGES, REASONS
from accuracy.work import MODES, mode_name

VERDICTS = ("exact", "close", "wrong", "zero", "error")
# What one element of a norm, a gate or a softmax may cost in a unit that counts them (a softmax: 5).
DEAREST = 5


@cache
def elements(name: str) -> int:
    """Numbers that kernels other than products write in one forward of a case: what units with extras may add."""
    case = next(case for case in cases() if case.name == name)
    module, args, kwargs = case.on("cpu" if case.cpu_only else "meta")  # on meta recurrent layers fall into their gates
    return dispatched_macs(module.eval(), *args, **kwargs).elements


def verdict(case: Case, row: dict[str, Any], extras: bool = False) -> str:
    """A counter that adds biases to its multiply-adds, as its unit says, is exact with them too.

    ``close``: within a hundredth, or, where the unit has extras, more by no more than those can be.
    """
    value = row.get("value")
    if value is None:
        return "error"
    if value in (case.macs, case.macs + case.bias):
        return "exact"
    if value == 0:
        return "zero"
    if abs(value - case.macs) <= 0.01 * case.macs:
        return "close"
    return "close" if extras and 0 < value - case.macs <= DEAREST * elements(case.name) else "wrong"


def shown(case: Case, row: dict[str, Any], extras: bool) -> str:
    kind = verdict(case, row, extras)
    if kind == "wrong":
        return f"×{row['value'] / case.macs:.3g}"
    return {"exact": "=", "close": "≈", "zero": "0", "error": "error"}[kind]


def cell(case: Case, rows: dict[str, Any], extras: bool = False) -> str:
    """One sign where all modes agree; else what the CPU and meta say, with gradients and without."""
    if not rows:
        return "–"
    signs = [shown(case, rows[mode_name(*mode)], extras) if mode_name(*mode) in rows else None for mode in MODES]
    by_device = []
    for device, pair in (("CPU", signs[:2]), ("meta", signs[2:])):
        if pair[0] is not None:
            by_device.append((device, pair[0] if pair[0] == pair[1] else f"{pair[0]}, no_grad {pair[1]}"))
    texts = {text for _, text in by_device}
    return by_device[0][1] if len(texts) == 1 else "; ".join(f"{device} {text}" for device, text in by_device)


def changes(results: dict[str, Any]) -> str:
    """What was not as before, and on how many nets."""
    found: Counter[str] = Counter()
    for name, rows in results.items():
        if name.startswith("lazy"):  # whoever runs a lazy module initialises it
            continue
        found.update({what for row in rows.values() for what in row["changed"]})
    return ", ".join(f"{what} ({n})" for what, n in found.most_common()) or "nothing"


def table(rows: list[list[str]], header: list[str], align: tuple[str, ...]) -> str:
    from tabulate import tabulate

    return tabulate(rows, header, tablefmt="github", colalign=align, disable_numparse=True)


def summary(results: dict[str, Any], battery: list[Case]) -> str:
    rows = []
    for peer in PEERS:
        if peer.name not in results:
            continue
        found = results[peer.name]
        if found.get("failed"):
            rows.append([peer.name, peer.unit, found["failed"], *[""] * 6])
            continue
        tally: Counter[str] = Counter()
        whole = 0
        for case in battery:
            modes = found["results"].get(case.name, {})
            kinds = [verdict(case, row, peer.extras) for row in modes.values()]
            tally.update(kinds)
            whole += bool(kinds) and all(kind == "exact" for kind in kinds)
        counts = [str(tally[kind]) for kind in VERDICTS]
        name = f"{peer.name} {found['version']}"
        rows.append([name, peer.unit, str(whole), *counts, changes(found["results"])])
    close = "within 1 %, or its unit's extras"
    kinds = [close if kind == "close" else kind for kind in VERDICTS]
    header = ["counter", "unit", f"nets exact in every mode, of {len(battery)}", *kinds, "changed (nets)"]
    return table(rows, header, ("left", "left", *["right"] * 6, "left"))


def everything(results: dict[str, Any], battery: list[Case]) -> str:
    names = [peer.name for peer in PEERS if results.get(peer.name, {}).get("results")]
    rows = []
    for group in dict.fromkeys(case.group for case in battery):
        rows.append([f"**{group}**", *[""] * (len(names) + 1)])
        for case in battery:
            if case.group == group:
                cells = [
                    cell(case, results[name]["results"].get(case.name, {}), BY_NAME[name].extras) for name in names
                ]
                rows.append([case.name + (f" ({case.note})" if case.note else ""), f"{case.macs:,}", *cells])
    return table(rows, ["net", "MACs", *names], ("left", "right", *["left"] * len(names)))


def page(results: dict[str, Any]) -> str:
    battery = [case for case in cases() if any(case.name in found.get("results", {}) for found in results.values())]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    torch = next((found["torch"] for found in results.values() if "torch" in found), "")
    lines = "\n".join(f"- **{', '.join(who)}**: {why}" for who, why in REASONS if set(who) <= set(BY_NAME))
    changed = "\n".join(f"- **{', '.join(who)}**: {what}" for who, what in CHANGES)
    modes = sum(2 if case.cpu_only else 4 for case in battery)
    return f"""# How right multiprof is on PyTorch models, beside the other counters

Made by `python benchmarks/accuracy_torch.py --peers DIRECTORY` on {machine}, torch {torch}.

{len(battery)} nets, each on the CPU and on meta, with gradients and under `no_grad`: {modes} figures a counter, each
of a model that is new. What is expected is no counter's figure: `benchmarks/accuracy/` writes out the multiply-adds
of every net as the arithmetic of its definition, and `tests/torch/test_battery.py` holds them against the shapes of
the kernels that torch dispatches. A figure is held against the counter's own unit: halved where a multiply-add counts
as two, exact with the biases or without. Where a unit includes norms, activations, softmax or pooling, a figure above
the products is right as long as those can explain it: by at most {DEAREST} for every number that the other kernels
write. *Changed* is what was not as before after the count, in the model or the process, and on how many nets; that a
lazy module is initialised by every counter that runs it (all but multiprof) is not listed.

{summary(results, battery)}

## Why they differ

{lines}

## What they changed

{changed}

## Every net

`=` exact, `≈` within 1 % or its unit's extras, `×1.5` that many times the figure, `0` zero, `error` raised or never
ended; two entries where the CPU and meta differ.

{everything(results, battery)}
"""
