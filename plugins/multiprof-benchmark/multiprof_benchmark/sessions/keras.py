"""A Keras model on its backend, compiled as `predict` compiles it, without the loop over batches around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras

from multiprof import ModelError
from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.subject import Options, Subject


class KerasSession:
    """A ``.keras`` or ``.h5`` file, or what a callable returns, on the backend that Keras is set to."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self.backend = keras.backend.backend()
        self.threads: int | None = options.threads
        if self.backend == "tensorflow":
            from multiprof_benchmark.sessions.tensorflow_device import set_threads

            self.threads = set_threads(options.threads)
        elif self.backend == "torch":
            import torch

            torch.set_num_threads(options.threads)
        if options.precision not in ("", "fp32", "float32"):
            raise ModelError("keras: a model runs in the precision of its layers' dtype policies: leave it out")
        self.model = loaded(subject, options)
        tensors = {name: self._tensor(value) for name, value in arrays(subject.report).items()}
        self.inputs: Any = list(tensors.values())
        structure = getattr(self.model, "input", None) if isinstance(self.model, keras.Model) else None
        if isinstance(structure, dict) and set(structure) == set(tensors):
            self.inputs = {name: tensors[name] for name in structure}
        elif len(self.inputs) == 1:
            self.inputs = self.inputs[0]
        self.call = self._compiled()

    def _tensor(self, value: Any) -> Any:
        return keras.ops.convert_to_tensor(value)

    def _compiled(self) -> Callable[[], object]:
        model, inputs = self.model, self.inputs
        if self.backend == "tensorflow":
            import tensorflow as tf

            function = tf.function(lambda x: model(x, training=False))
            return lambda: _host(function(inputs))
        if self.backend == "jax":
            import jax

            state = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
            compiled = jax.jit(lambda kept, x: model.stateless_call(*kept, x, training=False)[0])
            return lambda: jax.block_until_ready(compiled(state, inputs))
        import torch

        def run() -> object:
            with torch.inference_mode():
                return model(inputs, training=False)

        return run

    def run(self) -> object:
        return self.call()

    def per_layer(self, options: Options) -> Iterable[Part]:
        return []

    def facts(self) -> Facts:
        found = {
            "backend": self.backend,
            **environment.versions("keras", "tensorflow", "tensorflow-cpu", "jax", "torch"),
        }
        return Facts("cpu", self.threads, found)


def _host(outputs: Any) -> Any:
    """The outputs as arrays, which takes the end of the work."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)


def loaded(subject: Subject, options: Options) -> Any:
    """The model that travelled: a file of Keras's own, or made again by the callable that made it."""
    if subject.form == "python":
        from multiprof.python_target import load_target

        return load_target(subject.model, lambda item: isinstance(item, keras.Model)).model
    own = subject.form == "keras"  # written by this very call, into a folder that only this user can read
    return keras.saving.load_model(subject.model, compile=False, safe_mode=not (own or options.trust))


__all__ = ["KerasSession", "loaded"]
