"""Real files out of packages: what the adapters count is what ONNX Runtime and the LiteRT interpreter execute."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import multiprof
from multiprof import InputsError, Report, TensorSpec


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
    assert macs_by_node(report, executed.macs) == executed.macs
    check(report, executed, file)


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("320n.onnx", {"batch": 1, "height": 320, "width": 320}),
        ("decoder.onnx", {"batch": 2, "tgt_len": 5, "src_len": 12}),
        ("ch_PP-OCRv4_det_infer.onnx", {f"p2o.DynamicDimension.{i}": size for i, size in enumerate((1, 320, 256))}),
        ("slovorez-test.onnx", {"unk__190": 1, "unk__191": 20}),
    ],
)
def test_free_axes_by_name(name: str, dims: dict[str, int]) -> None:
    file = next(file for file in real_files.ONNX if file.location.name == name)
    by_name, by_shape = (
        multiprof.analyze(file.location, dims=dims),
        multiprof.analyze(file.location, given(file.inputs)),
    )
    assert by_name.graph == by_shape.graph
    with pytest.raises(InputsError, match=next(iter(dims))):
        multiprof.analyze(file.location)


@pytest.mark.parametrize("file", real_files.TFLITE, ids=str)
def test_tflite(file: Any, oracle_tflite: ModuleType) -> None:
    executed = oracle_tflite.count(file.location, file.inputs)
    report = multiprof.analyze(file.location, given(file.inputs) or None)
    assert [row.macs for row in report.layers if row.counted and row.macs] == list(executed.macs.values())
    check(report, executed, file)


def check(report: Report, executed: Any, file: Any) -> None:
    """Sums, what the file stores, and what has no cost."""
    assert report.macs == executed.macs.total()
    stored, declared = executed.stored, Counter((p.kind, p.spec.shape) for p in report.graph.parameters.values())
    for kind in ("parameter", "buffer"):
        assert of_kind(kind, declared) == of_kind(kind, stored)
    # there may be more constants than are stored: what is computed from shapes alone
    assert elements(of_kind("constant", declared)) >= elements(of_kind("constant", stored))
    assert report.params == sum(size * number for size, number in elements(of_kind("parameter", stored)).items())
    assert set(report.unsupported()) == set(file.unsupported)
    assert (report.coverage == 1) == (not file.unsupported)


def of_kind(kind: str, tensors: Mapping[tuple[str, tuple[int, ...]], int]) -> Counter[tuple[int, ...]]:
    """How many tensors of that kind there are, by shape."""
    return Counter({shape: number for (found, shape), number in tensors.items() if found == kind})


def elements(shapes: Mapping[tuple[int, ...], int]) -> Counter[int]:
    """The same by the number of elements."""
    found: Counter[int] = Counter()
    for shape, number in shapes.items():
        found[prod(shape)] += number
    return found


def macs_by_node(report: Report, nodes: Collection[str]) -> Counter[str]:
    """Multiply-adds by the node that a layer stands for, or is a piece of; by its output where the node has no name."""
    found: Counter[str] = Counter()
    for row in report.layers:
        if row.counted and row.macs:
            names = (row.name, row.name.rpartition("/")[0], row.layer.y.name)
            # inside a branch its path stands before the name
            fits = [node for node in nodes for name in names if f"/{name}".endswith(f"/{node.lstrip('/')}")]
            found[max(fits, key=len, default=row.name)] += row.macs
    return found
