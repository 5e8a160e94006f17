"""Analysing through the keras adapter on whichever backend the environment sets, every layer checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

import multiprof
from multiprof.ops import OPS
from multiprof.report import Report

Analyze = Callable[..., Report]


def check_vocabulary(report: Report) -> None:
    """Roles of every canonical layer are those of the vocabulary, the required ones and attributes present."""
    for layer in report.graph.layers:
        op = OPS.get(layer.op)
        if op is None:
            assert layer.op.startswith(f"{keras.backend.backend()}."), layer
            continue
        for given, known in ((layer.inputs, op.inputs), (layer.outputs, op.outputs)):
            for role in given:
                if role.startswith("alias"):
                    continue
                variadic = re.sub(r"\d+$", "*", role)
                assert role in known or f"{role}?" in known or variadic in known, f"{layer.op} has no role {role}"
            for role in known:
                assert role.endswith(("?", "*")) or role in given, f"{layer.op} without {role}"
        for name, meaning in op.attrs.items():
            assert not meaning.startswith("required") or name in layer.attrs, f"{layer.op} without {name}"


@pytest.fixture
def analyze(tmp_path: Path) -> Analyze:
    def call(model: Any, inputs: Any = None, **options: Any) -> Report:
        report = multiprof.analyze(model, inputs, **options)
        assert report.graph.framework == "keras"
        check_vocabulary(report)
        assert not any("kscope" in layer.scope + layer.name for layer in report.graph.layers)
        report.save(tmp_path / "report.json")
        assert multiprof.load(tmp_path / "report.json") == report
        return report

    return call


@pytest.fixture
def ops_of() -> Callable[[Report], dict[str, list[Any]]]:
    """The layers of a report by their op."""

    def group(report: Report) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for layer in report.graph.layers:
            found.setdefault(layer.op, []).append(layer)
        return found

    return group


@pytest.fixture
def seed() -> Callable[[int], None]:
    """Seeds every generator of random numbers, Keras's own too, which `set_random_seed` does itself since 3.11."""

    def to(number: int) -> None:
        keras.utils.set_random_seed(number)
        keras.src.backend.common.global_state.set_global_attribute("global_seed_generator", None)

    return to


@pytest.fixture
def kept() -> Callable[[Report], int]:
    """Elements of all parameters and buffers: what Keras's count_params counts."""
    return lambda r: sum(p.spec.numel for p in r.graph.parameters.values() if p.kind != "constant")
