"""What the tests share: reading a model with the adapter, and files that TensorFlow writes, made once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its own notes on the processor

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import multiprof
from multiprof import structure
from multiprof.adapters.tensorflow import read
from multiprof.inputs import ReadOptions, as_inputs
from multiprof.ir import Graph, Layer

keras = tf.keras  # Keras 2 before TensorFlow 2.16


class Read:
    """A Graph as the adapter writes it, its structure checked."""

    def __call__(self, model: Any, inputs: Any = None, leaves: tuple[str, ...] = (), **options: Any) -> Graph:
        graph = read(model, as_inputs(inputs), leaves=frozenset(leaves), trace=None, options=ReadOptions(**options))  # type: ignore[arg-type]  # nothing of another framework is in these models
        structure.check(graph)
        return graph

    def ops(self, model: Any, inputs: Any = None, **options: Any) -> list[str]:
        return [layer.op for layer in self(model, inputs, **options).layers]

    def one(self, model: Any, inputs: Any, op: str) -> Layer:
        """The only layer of that op."""
        (found,) = [layer for layer in self(model, inputs).layers if layer.op == op]
        return found


@pytest.fixture(scope="session")
def graph_of() -> Read:
    return Read()


@pytest.fixture(scope="session")
def cost() -> Callable[..., multiprof.Report]:
    return multiprof.analyze


@pytest.fixture(scope="session")
def export() -> Callable[[Any, Path], None]:
    """Writes a model of Keras as a SavedModel with its call as the only signature."""

    def write(model: Any, folder: Path) -> None:
        if keras.__version__.startswith("2."):  # its models have no export before 2.13, and one without verbose then
            tf.saved_model.save(model, str(folder))
        else:
            model.export(folder, verbose=False)

    return write


@pytest.fixture(scope="session")
def files(
    tmp_path_factory: pytest.TempPathFactory, export: Callable[[Any, Path], None]
) -> Callable[[str], tuple[Any, Path, Path]]:
    """A network of keras.applications, without weights: the model, its SavedModel and its frozen graph."""
    made: dict[str, tuple[Any, Path, Path]] = {}

    def build(name: str) -> tuple[Any, Path, Path]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            model = getattr(keras.applications, name)(weights=None)
            export(model, folder / "saved")
            function = tf.function(lambda x: model(x, training=False))
            concrete = function.get_concrete_function(tf.TensorSpec((None, *model.input_shape[1:])))
            frozen = convert_variables_to_constants_v2(concrete)
            (folder / "frozen.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
            made[name] = model, folder / "saved", folder / "frozen.pb"
        return made[name]

    return build
