"""Small ONNX models, written with onnx's own helpers, and what ONNX Runtime makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from multiprof import structure
from multiprof.adapters.onnx import read
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Models:
    """Makes models, writes them to a folder, reads them with the adapter and runs them with ONNX Runtime."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def info(self, name: str, shape: Sequence[int | str | None] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, dtype, shape)

    def tensor(self, name: str, values: Any) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values), name)

    def weight(self, name: str, shape: Sequence[int]) -> onnx.TensorProto:
        values = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32) * 0.1
        return numpy_helper.from_array(values, name)

    def graph(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto | str],
        stored: Sequence[onnx.TensorProto] = (),
        name: str = "g",
    ) -> onnx.GraphProto:
        """A graph; an output given by name alone is a float tensor of unknown shape."""
        infos = [self.info(item, None) if isinstance(item, str) else item for item in outputs]
        return helper.make_graph(list(nodes), name, list(inputs), infos, list(stored))

    def model(self, *args: Any, opset: int = 17, domains: Sequence[str] = (), **rest: Any) -> onnx.ModelProto:
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        functions = rest.pop("functions", ())
        graph = args[0] if isinstance(args[0], onnx.GraphProto) else self.graph(*args, **rest)
        return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=10)

    def save(self, model: onnx.ModelProto | bytes, name: str = "model.onnx") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path

    def read(
        self, model: onnx.ModelProto | bytes | Path, *, leaves: Sequence[str] = (), dims: Any = None, trips: Any = None,
        **shapes: Any,
    ) -> Graph:  # fmt: skip
        """The Graph of a model, checked as the engine checks it."""
        path = model if isinstance(model, Path) else self.save(model)
        options = ReadOptions(dims=dims or {}, trips=trips or {})
        graph = read(path, Inputs(**shapes), leaves=frozenset(leaves), trace=_no_trace, options=options)
        structure.check(graph)
        return graph

    def run(self, model: onnx.ModelProto, feeds: dict[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
        """Outputs by name as ONNX Runtime computes them; ``names`` may be tensors between the nodes."""
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        if names is not None:
            del copy.graph.output[:]
            copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
        wanted = [output.name for output in session.get_outputs()]
        return dict(zip(wanted, session.run(wanted, feeds), strict=True))


def _no_trace(framework: str, function: Callable[..., Any], inputs: Inputs) -> Graph:
    raise AssertionError("a file holds no code of another framework")


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)
