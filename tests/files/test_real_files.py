"""Real files out of packages: what the adapters count is what ONNX Runtime and the LiteRT interpreter execute."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import multiprof
from multiprof import Report, TensorSpec


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


real_files = _load("real_files")


def given(inputs: Mapping[str, tuple[int, ...] | int | list[int]]) -> dict[str, TensorSpec]:
    """Inputs by name as multiprof takes them: shapes alone, the values are none of its business."""
    shapes = {name: value if isinstance(value, tuple) else np.shape(value) for name, value in inputs.items()}
    return {name: TensorSpec(shape, "") for name, shape in shapes.items()}


def test_the_files_come_from_many_packages() -> None:
    files = (*real_files.ONNX, *real_files.TFLITE)
    assert len({file.package for file in files}) >= 15
    digests = {hashlib.sha256(file.location.read_bytes()).digest() for file in files}
    assert len(digests) == len(files)  # none of them twice


@pytest.mark.parametrize("file", real_files.ONNX, ids=str)
def test_onnx(file: Any, oracle_onnx: ModuleType) -> None:
    values = {name: value if isinstance(value, tuple) else np.array(value) for name, value in file.inputs.items()}
    executed = oracle_onnx.count(file.location, values)
    report = multiprof.analyze(file.location, given(file.inputs))
    check(report, executed, file)


@pytest.mark.parametrize("file", real_files.TFLITE, ids=str)
def test_tflite(file: Any, oracle_tflite: ModuleType) -> None:
    executed = oracle_tflite.count(file.location, file.inputs)
    report = multiprof.analyze(file.location, given(file.inputs) or None)
    check(report, executed, file)


def check(report: Report, executed: Any, file: Any) -> None:
    assert macs_by_tensor(report) == executed.macs
    assert report.macs == executed.total
    assert elements(report, "parameter") == report.params == executed.parameters
    assert elements(report, "buffer") == executed.buffers
    assert elements(report, "constant") == executed.constants
    assert set(report.unsupported()) == set(file.unsupported)
    assert (report.coverage == 1) == (not file.unsupported)


def macs_by_tensor(report: Report) -> Counter[str]:
    """Multiply-adds of the layers that count and have any, by the name of what they make."""
    found: Counter[str] = Counter()
    for row in report.layers:
        if row.counted and row.macs:
            found[row.layer.y.name] += row.macs
    return found


def elements(report: Report, kind: str) -> int:
    """Elements of all declared tensors of a kind."""
    return sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == kind)
