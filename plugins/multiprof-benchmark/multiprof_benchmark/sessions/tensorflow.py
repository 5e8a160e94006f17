"""A SavedModel or a frozen graph as a TensorFlow graph; never eagerly, which is an order of magnitude slower."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from multiprof import ModelError
from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions import tensorflow_device
from multiprof_benchmark.subject import Options, Subject


class TensorFlowSession:
    """Loaded as TensorFlow loads it, variables included; called by the signature that was analysed."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if options.precision not in ("", "fp32", "float32"):
            raise ModelError("tensorflow: a graph runs in the types it was saved with: leave --precision out")
        self.threads = tensorflow_device.set_threads(options.threads)
        path = Path(subject.model)
        feed = arrays(subject.report)
        if path.is_file() and path.name != "saved_model.pb":
            self.call = _frozen(path, feed, [spec.name for spec in subject.report.graph.outputs])
        else:
            self.kept = tf.saved_model.load(str(path.parent if path.is_file() else path))
            self.call = _signature(self.kept, subject, feed)

    def run(self) -> object:
        return self.call()

    def per_layer(self, options: Options) -> Iterable[Part]:
        return []

    def facts(self) -> Facts:
        return Facts("cpu", self.threads, environment.versions("tensorflow", "tensorflow-cpu", "keras"))


def _signature(loaded: Any, subject: Subject, feed: dict[str, Any]) -> Callable[[], object]:
    key = str(subject.report.graph.metadata.get("signature") or "serving_default")
    if key not in loaded.signatures:
        raise ModelError(f"the model has no signature {key!r} to call; it has {', '.join(loaded.signatures) or 'none'}")
    function = loaded.signatures[key]
    wanted = list(function.structured_input_signature[1])
    if set(wanted) - set(feed) and len(wanted) != len(feed):
        raise ModelError(f"the signature takes {', '.join(wanted)}; the graph has {', '.join(feed)}")
    values = feed if set(wanted) <= set(feed) else dict(zip(wanted, feed.values(), strict=True))
    tensors = {name: tf.constant(values[name]) for name in wanted}
    return lambda: {name: made.numpy() for name, made in function(**tensors).items()}


def _frozen(path: Path, feed: dict[str, Any], outputs: list[str]) -> Callable[[], object]:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())

    def imported() -> None:
        tf.graph_util.import_graph_def(graph_def, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    graph = wrapped.graph
    inputs = [graph.get_tensor_by_name(_tensor(name)) for name in feed]
    wanted = [graph.get_tensor_by_name(_tensor(name)) for name in outputs]
    function = wrapped.prune(inputs, wanted)
    tensors = [tf.constant(value) for value in feed.values()]
    return lambda: [made.numpy() for made in function(*tensors)]


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


__all__ = ["TensorFlowSession"]
