"""Analysing models of Keras 2: of tf_keras where that is installed, else of the Keras that TensorFlow brings."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its own notes on the processor

import tensorflow as tf

import multiprof
from multiprof.ops import OPS
from multiprof.report import Report

Analyze = Callable[..., Report]


def pytest_configure() -> None:
    assert version_of_keras_2().startswith("2."), "neither TensorFlow before 2.16 nor tf_keras is installed"


def version_of_keras_2() -> str:
    """What is installed: from 2.13 to 2.15 tensorflow.keras has no __version__."""
    return importlib.metadata.version("keras" if importlib.util.find_spec("tf_keras") is None else "tf_keras")


def keras_2() -> Any:
    if importlib.util.find_spec("tf_keras") is None:
        return tf.keras
    import tf_keras

    return tf_keras


@pytest.fixture(scope="session")
def keras() -> Any:
    return keras_2()


@pytest.fixture(scope="session")
def version() -> str:
    return version_of_keras_2()


def check_vocabulary(report: Report) -> None:
    """Roles of every canonical layer are those of the vocabulary, the required ones and attributes present."""
    for layer in report.graph.layers:
        op = OPS.get(layer.op)
        if op is None:
            assert layer.op.startswith("tensorflow."), layer
            continue
        for given, known in ((layer.inputs, op.inputs), (layer.outputs, op.outputs)):
            for role in given:
                variadic = re.sub(r"\d+$", "*", role)
                assert role in known or f"{role}?" in known or variadic in known, f"{layer.op} has no role {role}"
            for role in known:
                assert role.endswith(("?", "*")) or role in given, f"{layer.op} without {role}"
        for name, meaning in op.attrs.items():
            assert not meaning.startswith("required") or name in layer.attrs, f"{layer.op} without {name}"


@pytest.fixture
def analyze(tmp_path: Path, version: str) -> Analyze:
    def call(model: Any, inputs: Any = None, **options: Any) -> Report:
        report = multiprof.analyze(model, inputs, **options)
        assert report.graph.framework == "keras"
        assert report.graph.metadata["framework_version"].startswith(f"{version} on tensorflow ")
        check_vocabulary(report)
        assert not any("kscope" in layer.scope + layer.name for layer in report.graph.layers)
        report.save(tmp_path / "report.json")
        assert multiprof.load(tmp_path / "report.json") == report
        return report

    return call


@pytest.fixture
def kept() -> Callable[[Report], int]:
    """Elements of all parameters and buffers: what Keras's count_params counts."""
    return lambda r: sum(p.spec.numel for p in r.graph.parameters.values() if p.kind != "constant")


@pytest.fixture
def ops_of() -> Callable[[Report], dict[str, list[Any]]]:
    """The layers of a report by their op."""

    def group(report: Report) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for layer in report.graph.layers:
            found.setdefault(layer.op, []).append(layer)
        return found

    return group
