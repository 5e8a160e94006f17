"""Real files out of packages: what the adapters count is what ONNX Runtime and the LiteRT interpreter execute."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np
import pytest
from conftest import elements, load, macs_by_tensor

import multiprof
from multiprof import TensorSpec

real_files = load("real_files")


def given(inputs: Mapping[str, tuple[int, ...] | int | list[int]]) -> dict[str, TensorSpec]:
    """Inputs by name as multiprof takes them: shapes alone, the values are none of its business."""
    shapes = {name: value if isinstance(value, tuple) else np.shape(value) for name, value in inputs.items()}
    return {name: TensorSpec(shape, "") for name, shape in shapes.items()}


def test_the_files_come_from_many_packages() -> None:
    files = (*real_files.ONNX, *real_files.TFLITE)
    assert len({file.package for file in files}) >= 15
    assert len({file.location.read_bytes() for file in files}) == len(files)  # none of them twice


@pytest.mark.parametrize("file", real_files.ONNX, ids=str)
def test_onnx(file: real_files.RealFile, oracle_onnx: ModuleType) -> None:
    values = {name: value if isinstance(value, tuple) else np.array(value) for name, value in file.inputs.items()}
    executed = oracle_onnx.count(file.location, values)
    report = multiprof.analyze(file.location, given(file.inputs))
    check(report, executed, file)


@pytest.mark.parametrize("file", real_files.TFLITE, ids=str)
def test_tflite(file: real_files.RealFile, oracle_tflite: ModuleType) -> None:
    executed = oracle_tflite.count(file.location, file.inputs)
    report = multiprof.analyze(file.location, given(file.inputs) or None)
    check(report, executed, file)


def check(report: multiprof.Report, executed: ModuleType, file: real_files.RealFile) -> None:
    assert macs_by_tensor(report) == executed.macs
    assert report.macs == executed.total
    assert elements(report, "parameter") == report.params == executed.parameters
    assert elements(report, "buffer") == executed.buffers
    assert elements(report, "constant") == executed.constants
    assert set(report.unsupported()) == set(file.unsupported)
    assert (report.coverage == 1) == (not file.unsupported)
