"""Analysing through the jax adapter, with every layer checked against the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

import multiprof
from multiprof.ops import OPS
from multiprof.report import Report

Analyze = Callable[..., Report]


def check_vocabulary(report: Report) -> None:
    """Roles and attributes of every canonical layer are those of the vocabulary, the required ones present."""
    for layer in report.graph.layers:
        op = OPS.get(layer.op)
        if op is None:
            assert layer.op.startswith("jax."), layer
            continue
        for given, known in ((layer.inputs, op.inputs), (layer.outputs, op.outputs)):
            for role in given:
                variadic = re.sub(r"\d+$", "*", role)
                assert role in known or f"{role}?" in known or variadic in known, f"{layer.op} has no role {role}"
            for role in known:
                assert role.endswith(("?", "*")) or role in given, f"{layer.op} without {role}"
        for name in layer.attrs:
            assert name in op.attrs, f"{layer.op} has no attribute {name!r}"
        for name, meaning in op.attrs.items():
            assert not meaning.startswith("required") or name in layer.attrs, f"{layer.op} without {name}"


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    def call(model: Any, inputs: Any = None, **options: Any) -> Report:
        report = multiprof.analyze(model, inputs, framework="jax", **options)
        check_vocabulary(report)
        report.save(tmp_path / "report.json")
        assert multiprof.load(tmp_path / "report.json") == report
        return report

    return call


@pytest.fixture
def struct() -> Callable[..., jax.ShapeDtypeStruct]:
    def make(*shape: int, dtype: Any = "float32") -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    return make
