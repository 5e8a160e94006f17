"""One operator as a model: read by multiprof, and executed by ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import multiprof
from multiprof import Layer, Report

MICROSOFT = "com.microsoft"
KNOWN = onnx.defs.onnx_opset_version()
NEWEST = 28  # the newest opset that a test here asks for


class One:
    """A model of one node. ``inputs`` are arrays by name, `None` for an absent operand.

    Those named in ``weights`` stand in the file, the others are inputs of the graph. ``outputs`` are names, the empty
    one for a result nobody asks for.
    """

    def __init__(
        self,
        folder: Path,
        op_type: str,
        inputs: Mapping[str, np.ndarray | None],
        outputs: Sequence[str] = ("y",),
        weights: Sequence[str] = (),
        domain: str = "",
        version: int = min(22, KNOWN),
        **attrs: Any,
    ) -> None:
        names = [name if array is not None else "" for name, array in inputs.items()]
        if not domain and KNOWN < version <= NEWEST:  # with the oldest onnx, 1.16, alone
            pytest.skip(f"{op_type} is asked for at opset {version}, and onnx {onnx.__version__} knows {KNOWN}")
        node = helper.make_node(op_type, names, list(outputs), name="op", domain=domain, **attrs)
        given = {name: array for name, array in inputs.items() if array is not None and name not in weights}
        stored = [
            numpy_helper.from_array(array, name)
            for name, array in inputs.items()
            if array is not None and name in weights
        ]
        graph = helper.make_graph(
            [node],
            "one",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in given.items()
            ],
            [helper.make_value_info(name, onnx.TypeProto()) for name in outputs if name],
            stored,
        )
        imports = [helper.make_opsetid("", version), helper.make_opsetid(MICROSOFT, 1)]
        self.model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        self.given = given
        self.outputs = [name for name in outputs if name]
        self.path = folder / f"one_{len(list(folder.iterdir()))}.onnx"
        self.path.write_bytes(self.model.SerializeToString())

    @property
    def report(self) -> Report:
        return multiprof.analyze(self.path)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.report.graph.layers

    @property
    def layer(self) -> Layer:
        (only,) = self.layers
        return only

    @property
    def ops(self) -> list[str]:
        return [layer.op for layer in self.layers]

    def shapes(self) -> dict[str, tuple[tuple[int | None, ...], str]]:
        """Shape and dtype of every output, as read."""
        made = {spec.name: spec for layer in self.layers for spec in layer.outputs.values()}
        return {name: (made[name].shape, made[name].dtype) for name in self.outputs}

    def executed(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of every output, as ONNX Runtime makes it."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(self.outputs, self.given)
        return {name: (array.shape, array.dtype.name) for name, array in zip(self.outputs, results, strict=True)}


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., One]:
    """`One` in a folder of its own: ``one("Conv", {"x": array, "w": array}, weights=["w"], strides=[2, 2])``."""
    return lambda op_type, inputs, outputs=("y",), weights=(), **options: One(
        tmp_path, op_type, inputs, outputs, weights, **options
    )


@pytest.fixture
def floats() -> Callable[..., np.ndarray]:
    """Random float32 of a shape, the same ones every time."""
    generator = np.random.default_rng(0)
    return lambda *shape: generator.random(shape, dtype=np.float32)


@pytest.fixture(scope="session")
def backend_cases() -> dict[str, onnx.ModelProto]:
    """ONNX's own test models of single operators by name: every operator, with real combinations of attributes."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return {case.name: case.model for case in collect_testcases(None) if case.model is not None}


__all__ = ["MICROSOFT", "One", "TensorProto"]
