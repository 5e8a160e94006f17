"""``multiprof adapters``: the frameworks that can be read, and what is missing to read them."""

from __future__ import annotations

import argparse
import sys

from multiprof.adapters import matching
from multiprof.commands.listing import show_table, warn
from multiprof.registry import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace) -> int:
    registry = build(tolerant=True)
    rows = []
    for plugin, adapter in registry.supplied("multiprof_adapters"):
        missing = [name for name in adapter.requires if name not in sys.modules and not matching.is_installed(name)]
        remedy = f"pip install 'multiprof[{adapter.extra}]'" if adapter.extra else "install it"
        classes = dict.fromkeys(name.rpartition(".")[2] for name in adapter.types)  # whole names fill screens
        reads = [*classes, *adapter.suffixes, *(["callables"] if adapter.callables else [])]
        ready = f"no: {', '.join(missing)} is not installed: {remedy}" if missing else "yes"
        rows.append([adapter.framework, ", ".join(reads), plugin.provider, ready])
    show_table(["Framework", "Reads", "Supplied by", "Ready"], rows)
    warn(args, registry)
    return 0
