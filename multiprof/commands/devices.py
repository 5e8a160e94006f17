"""``multiprof devices``: the machines that ``--device`` predicts for, with their peak rates."""

from __future__ import annotations

import argparse

from multiprof.commands.listing import show_table, warn
from multiprof.registry import build

SHOWN = ("float32", "float16", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    registry = build(tolerant=True)
    rows = []
    for plugin, device in registry.supplied("multiprof_devices"):
        rates = [_rate(device.rates.get(dtype)) for dtype in SHOWN]
        rows.append(
            [device.name, device.title, *rates, f"{device.bandwidth / 1e9:,.4g}", plugin.provider, device.source]
        )
    titles = ["Device", "What it is", *(f"{dtype}, Gop/s" for dtype in SHOWN), "GB/s", "Supplied by", "Source"]
    show_table(titles, rows)
    warn(args, registry)
    return 0


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate / 1e9:,.0f}" if rate >= 1e11 else f"{rate / 1e9:,.4g}"
