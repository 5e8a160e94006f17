"""What the tests here share: the oracles, the table of real files, and the fields a report is compared by."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import multiprof


def load(name: str) -> ModuleType:
    """The module of that name beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle_onnx() -> ModuleType:
    return load("oracle_onnx")


@pytest.fixture(scope="session")
def oracle_tflite() -> ModuleType:
    return load("oracle_tflite")


def macs_by_tensor(report: multiprof.Report) -> Counter[str]:
    """Multiply-adds of the layers that count and have any, by the name of what they make."""
    found: Counter[str] = Counter()
    for row in report.layers:
        if row.counted and row.macs:
            found[row.layer.y.name] += row.macs
    return found


def elements(report: multiprof.Report, kind: str) -> int:
    """Elements of all declared tensors of a kind."""
    return sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == kind)
