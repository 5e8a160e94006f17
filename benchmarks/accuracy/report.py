"""The tables of benchmarks/ACCURACY.md out of the results of all counters."""

from __future__ import annotations

import os
import platform
from collections import Counter
from typing import Any

from accuracy.battery import Case, cases
from accuracy.peers import BY_NAME, PEERS
from accuracy.reasons import CHANGES, REASONS
from accuracy.work import MODES, mode_name

VERDICTS = ("exact", "within 1 %", "wrong", "zero", "error")


def verdict(case: Case, row: dict[str, Any]) -> str:
    """A counter that adds biases to its multiply-adds, as its unit says, is exact with them too."""
    value = row.get("value")
    if value is None:
        return "error"
    if value in (case.macs, case.macs + case.bias):
        return "exact"
    if value == 0:
        return "zero"
    # Norms, activations and the like, which a unit may include, stay within the hundredth in most of the battery.
    return "within 1 %" if abs(value - case.macs) <= 0.01 * case.macs else "wrong"


def shown(case: Case, row: dict[str, Any]) -> str:
    kind = verdict(case, row)
    if kind == "wrong":
        return f"×{row['value'] / case.macs:.3g}"
    return {"exact": "=", "within 1 %": "≈", "zero": "0", "error": "error"}[kind]


def cell(case: Case, rows: dict[str, Any]) -> str:
    """One sign where all modes agree; else what the CPU and meta say, with gradients and without."""
    if not rows:
        return "–"
    signs = [shown(case, rows[mode_name(*mode)]) if mode_name(*mode) in rows else None for mode in MODES]
    by_device = []
    for device, pair in (("CPU", signs[:2]), ("meta", signs[2:])):
        if pair[0] is not None:
            by_device.append((device, pair[0] if pair[0] == pair[1] else f"{pair[0]}, no_grad {pair[1]}"))
    texts = {text for _, text in by_device}
    return by_device[0][1] if len(texts) == 1 else "; ".join(f"{device} {text}" for device, text in by_device)


def changes(results: dict[str, Any]) -> str:
    """What was not as before, and on how many nets."""
    found: Counter[str] = Counter()
    for rows in results.values():
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
            kinds = [verdict(case, row) for row in modes.values()]
            tally.update(kinds)
            whole += bool(kinds) and all(kind == "exact" for kind in kinds)
        counts = [str(tally[kind]) for kind in VERDICTS]
        name = f"{peer.name} {found['version']}"
        rows.append([name, peer.unit, str(whole), *counts, changes(found["results"])])
    header = ["counter", "unit", f"nets exact in every mode, of {len(battery)}", *VERDICTS, "changed (nets)"]
    return table(rows, header, ("left", "left", *["right"] * 6, "left"))


def everything(results: dict[str, Any], battery: list[Case]) -> str:
    names = [peer.name for peer in PEERS if results.get(peer.name, {}).get("results")]
    rows = []
    for group in dict.fromkeys(case.group for case in battery):
        rows.append([f"**{group}**", *[""] * (len(names) + 1)])
        for case in battery:
            if case.group == group:
                cells = [cell(case, results[name]["results"].get(case.name, {})) for name in names]
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

{len(battery)} nets, each on the CPU and on meta, with gradients and under `no_grad`: {modes} figures a counter, each of a
model that is new. What is expected is no counter's figure: `benchmarks/accuracy/` writes out the multiply-adds of
every net as the arithmetic of its definition, and `tests/torch/test_battery.py` holds them against the shapes of the
kernels that torch dispatches. A figure is held against the counter's own unit: halved where a multiply-add counts as
two, exact with the biases or without. *Within 1 %* are those that differ by what their unit includes beside dot
products (norms, activations, softmax), which the battery keeps below that wherever it can: a ≈ is no fault.
*Changed* is what was not as before after the count, in the model or the process, and on how many nets.

{summary(results, battery)}

## Why they differ

{lines}

## What they changed

{changed}

## Every net

`=` exact, `≈` within 1 %, `×1.5` that many times the figure, `0` zero,
    `error` raised or never ended; two entries where the CPU
and meta differ.

{everything(results, battery)}
"""
