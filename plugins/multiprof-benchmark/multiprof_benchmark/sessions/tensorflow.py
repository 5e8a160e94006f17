"""A SavedModel or a frozen graph as a TensorFlow graph; never eagerly, which is an order of magnitude slower."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf

from multiprof import ModelError
from multiprof_benchmark import environment
from multiprof_benchmark.carry import called
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions import tensorflow_device
from multiprof_benchmark.sessions.named import by_path
from multiprof_benchmark.sessions.tensorflow_trace import node_times
from multiprof_benchmark.subject import Options, Subject

nest: Any = tf.nest


class TensorFlowSession:
    """Loaded as TensorFlow loads it, variables included; called by the signature that was analysed."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if options.precision not in ("", "fp32", "float32"):
            raise ModelError("tensorflow: a graph runs in the types it was saved with: leave --precision out")
        self.subject = subject
        self.threads = tensorflow_device.set_threads(options.threads)
        path = Path(subject.model)
        feed = arrays(subject.report)
        if subject.live is not None:
            values = list(feed.values())
            tensors = [tf.constant(value) for value in values]
            args, keywords = called(subject.arguments, tensors)
            self.function = tf.function(subject.live).get_concrete_function(*args, **keywords)
            self.call = lambda: self.function(*tensors)
        elif path.is_file() and path.name != "saved_model.pb":
            self.function, values = _frozen(path, feed, [spec.name for spec in subject.report.graph.outputs])
            given = [tf.constant(value) for value in values]
            self.call = lambda: self.function(*given)
        else:
            self.kept = tf.saved_model.load(str(path.parent if path.is_file() else path))
            self.function, named = _signature(self.kept, subject, feed)
            wanted = {name: tf.constant(value) for name, value in named.items()}
            self.call = lambda: self.function(**wanted)
            values = [named[key] for key in _keys(self.function, list(named))]
        self.values = values

    def run(self) -> object:
        outputs = self.call()  # type: ignore[no-untyped-call]
        return [made.numpy() for made in nest.flatten(outputs)]  # which takes the end of the work

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of nodes by TensorFlow's own statistics, joined to layers by their names."""
        return by_path(self.subject.report, node_times(self.function, self.values, self.threads, options.rules))

    def facts(self) -> Facts:
        return Facts("cpu", self.threads, environment.versions("tensorflow", "tensorflow-cpu", "keras"))


def _signature(loaded: Any, subject: Subject, feed: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The function of the signature that was analysed, and its arguments."""
    key = str(subject.report.graph.metadata.get("signature") or "serving_default")
    if key not in loaded.signatures:
        raise ModelError(f"the model has no signature {key!r} to call; it has {', '.join(loaded.signatures) or 'none'}")
    function = loaded.signatures[key]
    wanted = list(function.structured_input_signature[1])
    if set(wanted) - set(feed) and len(wanted) != len(feed):
        raise ModelError(f"the signature takes {', '.join(wanted)}; the graph has {', '.join(feed)}")
    values = feed if set(wanted) <= set(feed) else dict(zip(wanted, feed.values(), strict=True))
    return function, {name: values[name] for name in wanted}


def _keys(function: Any, names: list[str]) -> list[str]:
    """The names of a signature's arguments in the order of its function's inputs."""
    own = function.inputs[: len(function.inputs) - len(function.graph.captures)]
    found = [tensor.name.partition(":")[0].rpartition("/")[2] for tensor in own]
    if set(found) == set(names):
        return found
    return list(getattr(function, "_arg_keywords", None) or names)  # a graph of TensorFlow 1 has names of its own


def _frozen(path: Path, feed: dict[str, Any], outputs: list[str]) -> tuple[Any, list[Any]]:
    """The function of a frozen graph, and its arguments."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())

    def imported() -> None:
        tf.graph_util.import_graph_def(graph_def, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    graph = wrapped.graph
    inputs = [graph.get_tensor_by_name(_tensor(name)) for name in feed]
    wanted = [graph.get_tensor_by_name(_tensor(name)) for name in outputs]
    return wrapped.prune(inputs, wanted), list(feed.values())


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


__all__ = ["TensorFlowSession"]
