"""Live models: functions are traced with shapes alone, and nothing of them runs."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.client.session import BaseSession
from tensorflow.python.eager import context
from tensorflow.types.experimental import ConcreteFunction, GenericFunction

from multiprof.adapters._common.binding import as_spec
from multiprof.adapters.tensorflow.dtypes import dtype_name
from multiprof.adapters.tensorflow.files import choose_signature, of_graph_def
from multiprof.adapters.tensorflow.program import Feed, Program, Variable
from multiprof.errors import InputsError, ModelError, MultiprofError, UsageError
from multiprof.inputs import Inputs, ReadOptions, is_shape
from multiprof.ir import TensorSpec

# The classes below have moved between modules from one version to the next; under these names each has them.
AutoTrackable = tf.__internal__.tracking.AutoTrackable
TFSpec = tf.TensorSpec


def read_live(model: Any, inputs: Inputs | None, options: ReadOptions) -> tuple[Program, Inputs | None]:
    """The program of a live model, and what of the caller's inputs is still to be bound to its own."""
    if isinstance(model, graph_pb2.GraphDef):
        return of_graph_def(model, "graph", options), inputs
    if isinstance(model, BaseSession):
        model = model.graph
    if isinstance(model, tf.Graph):
        return _of_graph(model, options), inputs
    signatures = getattr(model, "signatures", None)
    if options.signature is not None or (not callable(model) and signatures):
        if not signatures:
            raise UsageError(f"this {type(model).__name__} has no signatures to choose from")
        key = choose_signature(signatures, f"this {type(model).__name__}", options.signature)
        program = of_concrete(signatures[key], name_of(model), named=True)
        program.metadata["signature"] = key
        return program, inputs
    if isinstance(model, ConcreteFunction):
        return of_concrete(model, name_of(model), named=True), inputs
    return _of_callable(model, inputs)


def name_of(model: Any) -> str:
    """What a report calls the model."""
    name = getattr(model, "__name__", "") or getattr(model, "name", "")
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    return name if isinstance(name, str) and name else type(model).__name__


def _of_graph(graph: Any, options: ReadOptions) -> Program:
    program = of_graph_def(graph.as_graph_def(), "graph", options)
    trainable = {v.op.name for v in graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES)}
    known = {v.op.name: v for v in graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES)}
    program.variables = {
        name: Variable(name, _shape(v.shape), dtype_name(v.dtype), name in trainable) for name, v in known.items()
    }
    return program


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())


def _of_callable(model: Any, inputs: Inputs | None) -> tuple[Program, Inputs | None]:
    """A tf.function, a module or a plain callable: traced for the caller's shapes."""
    target = model
    if isinstance(model, AutoTrackable) and not callable(model):
        raise ModelError(f"{name_of(model)} has no __call__: give one of its functions")
    if isinstance(model, tf.Module):
        method = model.__call__  # it may be a tf.function
        target = method if isinstance(method, GenericFunction) else model
    if isinstance(target, GenericFunction):
        function, signature = target, target.input_signature
    else:
        function, signature = None, None
    if inputs is None:
        if signature is not None:
            return _traced(model, function or target, signature, {}), None
        concrete = function._list_all_concrete_functions() if function is not None else []
        if len(concrete) == 1:
            return of_concrete(concrete[0], name_of(model), module=model, named=True), None
        many = f"it was traced for {len(concrete)} sets of shapes" if concrete else "nothing says what goes in"
        raise InputsError(f"{name_of(model)} needs inputs: {many}; give a shape such as 1x224x224x3{_choice(model)}")
    if signature is not None:
        args = list(signature)
        program = _traced(model, function, args, {})
        return program, inputs
    args = [_argument(value, f"input {i}") for i, value in enumerate(inputs.args)]
    kwargs = {name: _argument(value, name) for name, value in inputs.kwargs.items()}
    return _traced(model, target, args, kwargs), None


def _traced(model: Any, target: Any, args: Any, kwargs: Any) -> Program:
    """Trace a fresh function, so that the model's own is not traced once more, in a graph of its own.

    Python's own ``if`` and ``for`` over tensors are translated (AutoGraph) only where the code needs it: translating
    is slow, and a library's own code is not meant for it.
    """
    if isinstance(target, GenericFunction):
        target, translations = target.python_function, [bool(getattr(target, "_autograph", True))]
    else:
        translations = [False, True]
    for translate in translations:
        fresh = tf.function(target, autograph=translate)
        try:
            with context.eager_mode():
                concrete = fresh.get_concrete_function(*args, **kwargs)
        except MultiprofError:
            raise
        except tf.errors.OperatorNotAllowedInGraphError as error:
            if translate or len(translations) == 1:
                raise ModelError(f"{name_of(model)} cannot be traced: {_line(error)}") from error
        except (TypeError, ValueError, AttributeError, tf.errors.OpError) as error:
            refused = _refused(target, args, kwargs)
            if refused:
                raise InputsError(f"{name_of(model)} does not take the inputs given: {refused}") from error
            raise ModelError(f"{name_of(model)} cannot be traced: {_line(error)}{_choice(model)}") from error
        else:
            return of_concrete(concrete, name_of(model), module=model)
    raise AssertionError("the last translation either succeeds or raises")


def _refused(function: Any, args: Any, kwargs: Any) -> str | None:
    """Why a function does not take these arguments, in Python's words; TensorFlow has its own in each version."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a builtin
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return None


def _choice(model: Any) -> str:
    """What else could be read of an object that was loaded from a SavedModel."""
    names = sorted(getattr(model, "signatures", None) or ())
    return f"; or choose a signature of {', '.join(names)} with signature={names[0]!r}" if names else ""


def _line(error: BaseException) -> str:
    """The last line of a message that says what went wrong, not where."""
    text = str(error).split(" for '{{node")[0]
    if isinstance(error, tf.errors.OperatorNotAllowedInGraphError):  # says first what, then much on what to do
        text = text[text.find("Using a symbolic") :].partition(". ")[0].partition("\n")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        if not line.startswith(("Call arguments", "Arguments received", "•", "File ")):
            return line[-300:]
    return type(error).__name__


def _argument(value: Any, name: str) -> Any:
    """What the caller gave, as a TensorSpec of TensorFlow; other Python values stay what they are."""
    if isinstance(value, TFSpec):
        return value
    if isinstance(value, dict):
        return {key: _argument(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_shape(value):
        items = [_argument(item, f"{name}[{i}]") for i, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, (tf.SparseTensor, tf.RaggedTensor, tf.IndexedSlices)):
        raise InputsError(
            f"the input {name!r} is a {type(value).__name__}, of several tensors: only dense ones can be given; "
            "analyse a function that takes its parts and puts them together"
        )
    if isinstance(value, TensorSpec) or is_shape(value) or (hasattr(value, "shape") and hasattr(value, "dtype")):
        spec = as_spec(value, name)
        return TFSpec(spec.shape, tf.as_dtype(spec.dtype or "float32"))
    return value


def of_concrete(concrete: Any, name: str, *, module: Any = None, named: bool = False) -> Program:
    """A concrete function: its graph, its inputs, and what it captures."""
    graph = concrete.graph
    captured = list(concrete.captured_inputs)
    placeholders = list(concrete.inputs)
    own = placeholders[: len(placeholders) - len(captured)]
    feeds = [
        Feed(tensor.op.name, f"{tensor.op.name}:0", dtype_name(tensor.dtype), _shape(tensor.shape)) for tensor in own
    ]
    results = [tensor for tensor in concrete.outputs if isinstance(tensor, tf.Tensor)]
    if not results:
        raise ModelError(f"{name} returns no tensor")
    fetches = {f"output_{i}": tensor.name for i, tensor in enumerate(results)}
    variables = {id(v.handle): v for v in graph.variables if hasattr(v, "handle")}
    extra = list(getattr(module, "variables", ()) or ()) if module is not None else []
    variables.update({id(v.handle): v for v in map(_plain, extra) if hasattr(v, "handle")})
    program = Program(name, graph.as_graph_def(), feeds, fetches)
    known: dict[int, Variable] = {}
    for external, internal in zip(captured, placeholders[len(own) :], strict=True):
        if id(external) in variables:
            if id(external) not in known:
                known[id(external)] = _variable(variables[id(external)])
            program.captured[internal.op.name] = known[id(external)]
        elif external.dtype in (tf.resource, tf.variant):
            program.captured[internal.op.name] = TensorSpec((), external.dtype.name, internal.op.name)
        else:
            shape = tuple(external.shape.as_list())
            program.captured[internal.op.name] = TensorSpec(shape, dtype_name(external.dtype), internal.op.name)
    mine = {id(v.handle) for v in map(_plain, extra) if hasattr(v, "handle")}
    program.declared = [_variable(v) for key, v in variables.items() if key in mine and key not in known]
    program.stateful = bool(known or program.declared)
    return program


def _plain(variable: Any) -> Any:
    """The variable of TensorFlow inside one of Keras."""
    return getattr(variable, "value", variable) if not isinstance(variable, tf.Variable) else variable


def _variable(variable: Any) -> Variable:
    name = str(variable.name).partition(":")[0]
    return Variable(name, _shape(variable.shape), dtype_name(variable.dtype), bool(variable.trainable), variable.name)


__all__ = ["of_concrete", "read_live"]
