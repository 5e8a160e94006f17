"""What stands before a network out of classical machine learning; and comparisons of the older opsets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

import multiprof
from multiprof import Report

HEADER = '<ir_version: 8, opset_import: ["" : {}, "ai.onnx.ml" : 1]>'


def report(body: str, folder: Path, opset: int = 17) -> Report:
    file = folder / "model.onnx"
    model = onnx.parser.parse_model(HEADER.format(opset) + body)
    onnx.save(model, file)
    found = multiprof.analyze(file)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    x = {i.name: np.ones(i.shape, np.float32) for i in session.get_inputs()}
    for name, value in zip((o.name for o in session.get_outputs()), session.run(None, x), strict=True):
        made = next(s for row in found.layers for s in row.layer.outputs.values() if s.name == name)
        assert (made.shape, made.dtype) == (value.shape, str(value.dtype))
    return found


@pytest.mark.parametrize(
    ("attributes", "ops", "adds", "muls"),
    [
        ("offset = [1.0, 2.0, 3.0], scale = [0.5, 0.5, 0.5]", ["sub", "mul"], 6, 6),
        ("offset = [1.0]", ["sub"], 6, 0),
        ("scale = [0.5, 0.25, 2.0]", ["mul"], 0, 6),
    ],
)
def test_scaler(attributes: str, ops: list[str], adds: int, muls: int, tmp_path: Path) -> None:
    try:
        found = report(
            f"net (float[2, 3] x) => (float[2, 3] y) {{ y = ai.onnx.ml.Scaler <{attributes}> (x) }}", tmp_path
        )
    except ort.capi.onnxruntime_pybind11_state.Fail:  # ONNX Runtime wants both; the standard does not say so
        found = multiprof.analyze(tmp_path / "model.onnx")
    assert [row.op for row in found.layers] == ops
    assert (found.counts.adds, found.counts.muls, found.coverage) == (adds, muls, 1)


def test_what_follows_a_scaler_is_counted(tmp_path: Path) -> None:
    body = """net (float[2, 3] x, float[3, 4] w) => (float[2, 4] y) {
        scaled = ai.onnx.ml.Scaler <offset = [1.0], scale = [2.0]> (x)
        y = MatMul(scaled, w)
    }"""
    assert report(body, tmp_path).macs == 2 * 4 * 3


def test_trees_are_foreign(tmp_path: Path) -> None:
    nodes = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], "trees", domain="ai.onnx.ml")
    info = [helper.make_tensor_value_info(name, 1, [2, 3]) for name in ("x", "y")]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    model: Any = helper.make_model(helper.make_graph([nodes], "g", info[:1], info[1:]), opset_imports=imports)
    onnx.save(model, tmp_path / "model.onnx")
    assert list(multiprof.analyze(tmp_path / "model.onnx").unsupported()) == ["onnx.ai.onnx.ml.TreeEnsembleRegressor"]


@pytest.mark.parametrize("opset", [12, 13, 15, 16, 17])
@pytest.mark.parametrize("op", ["GreaterOrEqual", "LessOrEqual"])
@pytest.mark.parametrize("shape", ["", "[3]", "[2, 1]"])
def test_comparisons_of_every_opset(op: str, opset: int, shape: str, tmp_path: Path) -> None:
    found = report(f"net (float[2, 3] a, float{shape} b) => (bool[2, 3] y) {{ y = {op}(a, b) }}", tmp_path, opset)
    assert found.counts.cmps == 6
    assert found.coverage == 1
