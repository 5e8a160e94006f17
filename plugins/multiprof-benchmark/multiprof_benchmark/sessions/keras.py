"""A Keras model on its backend, compiled as `predict` compiles it, without the loop over batches around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from multiprof import ModelError
from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.keras_scopes import Scopes
from multiprof_benchmark.sessions.named import by_merged_scopes, by_scope
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import repeated


class KerasSession:
    """A ``.keras`` or ``.h5`` file, or what a callable returns, on the backend that Keras is set to."""

    def __init__(self, subject: Subject, options: Options) -> None:
        self.subject = subject
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
        self.model = loaded(subject, options) if subject.live is None else subject.live
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

            function = self._function()
            return lambda: tf.nest.map_structure(lambda tensor: tensor.numpy(), function(inputs))
        if self.backend == "jax":
            import jax

            program, state = self._program(), self._state()
            return lambda: jax.block_until_ready(program(state, inputs))
        import torch

        def run() -> object:
            with torch.inference_mode():
                return model(inputs, training=False)

        return run

    def _function(self) -> Any:
        """The model as a TensorFlow function, not yet traced."""
        import tensorflow as tf

        return tf.function(lambda x: self.model(x, training=False))

    def _state(self) -> list[list[Any]]:
        model = self.model
        return [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]

    def _program(self) -> Any:
        """The model as XLA compiles it."""
        import jax

        function = jax.jit(lambda kept, x: self.model.stateless_call(*kept, x, training=False)[0])
        return function.lower(self._state(), self.inputs).compile()

    def run(self) -> object:
        return self.call()

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of the layers of Keras, by the backend's own profiler, or by the clock where each is called for itself.

        The model is traced anew with a mark on every layer: names make no difference to what runs.
        """
        times = {"tensorflow": self._by_nodes, "jax": self._by_instructions}.get(self.backend, self._by_the_clock)
        return times(options)

    def _by_nodes(self, options: Options) -> list[Part]:
        import tensorflow as tf

        from multiprof_benchmark.sessions.tensorflow_trace import node_times

        with Scopes(self.model, tf.name_scope).active() as scopes:
            function = self._function().get_concrete_function(self.inputs)
        values = [tensor.numpy() for tensor in tf.nest.flatten(self.inputs)]
        runs = node_times(function, values, self.threads or options.threads, options.rules)
        return by_scope(self.subject.report, [_by_layer(run, scopes) for run in runs])

    def _by_instructions(self, options: Options) -> list[Part]:
        import jax

        from multiprof_benchmark.sessions.xla_trace import Program, instruction_times

        with Scopes(self.model, jax.named_scope).active() as scopes:
            compiled = self._program()
        program, state = Program(compiled.as_text()), self._state()
        runs = instruction_times(
            lambda: jax.block_until_ready(compiled(state, self.inputs)), set(program.steps), options.rules
        )
        made_of = {
            step: tuple(dict.fromkeys(path for name in program.made_of(step) if (path := scopes.path_of(name))))
            for step in dict.fromkeys(step for run in runs for step in run)
        }
        return by_merged_scopes(self.subject.report, runs, made_of)

    def _by_the_clock(self, options: Options) -> list[Part]:
        scopes = Scopes(self.model, clock=True)

        def once() -> dict[str, float]:
            scopes.taken = {}
            self.call()
            return scopes.taken

        with scopes.active():
            return by_scope(self.subject.report, repeated(once, options.rules))

    def facts(self) -> Facts:
        found = {
            "backend": self.backend,
            **environment.versions("keras", "tensorflow", "tensorflow-cpu", "jax", "torch"),
        }
        return Facts("cpu", self.threads, found)


def _by_layer(run: Mapping[str, float], scopes: Scopes) -> dict[str, float]:
    """Seconds by layer from seconds by node; what no layer did keeps its own name."""
    found: dict[str, float] = {}
    for name, spent in run.items():
        path = scopes.path_of(name)
        key = name if path is None else path
        found[key] = found.get(key, 0.0) + spent
    return found


def loaded(subject: Subject, options: Options) -> Any:
    """The model that travelled: a file of Keras's own, or made again by the callable that made it."""
    if subject.form == "python":
        from multiprof.python_target import load_target

        return load_target(subject.model, lambda item: isinstance(item, keras.Model)).model
    own = subject.form == "keras"  # written by this very call, into a folder that only this user can read
    return keras.saving.load_model(subject.model, compile=False, safe_mode=not (own or options.trust))


__all__ = ["KerasSession", "loaded"]
