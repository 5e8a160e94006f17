"""Reads a JAX callable into a Graph: traced to a jaxpr on shapes alone, nothing is computed and nothing compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.jax import rules as _rules  # noqa: F401  # importing the rules fills the table
from multiprof.adapters.jax.callables import program_of
from multiprof.adapters.jax.closure import closed_over
from multiprof.adapters.jax.failure import failed
from multiprof.adapters.jax.jaxprs import jaxpr_program
from multiprof.adapters.jax.patterns import simplify
from multiprof.adapters.jax.program import INPUT, Leaf, Program, Struct
from multiprof.adapters.jax.values import Value, dtype_name, is_array, shape_of
from multiprof.adapters.jax.walker import Walker
from multiprof.errors import MultiprofError
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import BUFFER, Graph, TensorSpec

RUNG = "traced to a jaxpr on shapes alone"


def read(model: Any, inputs: Inputs | None, *, leaves: frozenset[str], trace: Any, options: ReadOptions) -> Graph:
    """Trace ``model`` on ``inputs`` and return its Graph; `multiprof.adapters.jax.program` says what is a parameter.

    ``leaves`` are the foreign names some formula claims: ``jax.<primitive>``, or ``jax.<name>`` of a jitted function.
    What nobody reads is not there, as XLA leaves it out. Raises `InputsError` when the model cannot run on the inputs
    and `ModelError` when it raises for another reason.
    """
    made = model if isinstance(model, ClosedJaxpr) else getattr(model, "jaxpr", model)
    program: Program | None = None
    try:
        if isinstance(made, ClosedJaxpr):
            closed, program = jaxpr_program(made, inputs)
        else:
            program = program_of(model, inputs)
            closed = jax.make_jaxpr(lambda arrays: _arrays(program.function(arrays)))(program.structs())
    except MultiprofError:
        raise
    except Exception as error:
        raise failed(error, program) from error
    return _graph(program, closed, leaves)


def _arrays(result: Any) -> list[Any]:
    """The arrays and numbers among what a model returns."""
    return [leaf for leaf in jax.tree_util.tree_leaves(result) if is_array(leaf) or isinstance(leaf, (int, float))]


def _graph(program: Program, closed: ClosedJaxpr, leaves: frozenset[str]) -> Graph:
    writer = GraphWriter(program.name, "jax")
    writer.warnings += program.notes
    walker = Walker(writer, leaves, program.root)
    for leaf in program.leaves:
        writer.taken(leaf.name)
    jaxpr, _ = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    names = closed_over(program.closure)
    constants = [_constant(walker, array, names) for array in closed.consts]
    arguments, inputs = _declare(walker, program.leaves, program.structs())
    results = walker.walk(jaxpr, constants, arguments)
    walker.scope, walker.source = "", "return"
    outputs = [walker.tensor(value) for value in results]
    writer.layers = simplify(writer, outputs)
    graph = writer.graph(inputs, outputs, rung=RUNG, framework_version=jax.__version__, modules=dict(program.modules))
    for leaf in program.leaves:  # buffers stay buffers, whatever role they play; integers may turn out to be weights
        if leaf.kind == BUFFER and leaf.name in graph.parameters:
            graph.parameters[leaf.name].kind = leaf.kind
    return graph


def _declare(w: Walker, leaves: Sequence[Leaf], structs: Sequence[Struct]) -> tuple[list[Value], list[TensorSpec]]:
    """What each argument stands for, and which of them are inputs; one array under two names is one parameter."""
    values: list[Value] = []
    inputs: list[TensorSpec] = []
    known: dict[int, TensorSpec] = {}
    for leaf, struct in zip(leaves, structs, strict=True):
        spec = TensorSpec(shape_of(struct), dtype_name(struct.dtype), leaf.name)
        if leaf.kind == INPUT:
            inputs.append(spec)
        elif leaf.identity and leaf.identity in known:
            spec = known[leaf.identity]
            w.writer.parameters[spec.name].tied += (leaf.name,)
        else:
            w.writer.declare(spec, leaf.kind, source=leaf.source, trainable=leaf.trainable)
            w.weights.add(spec.name)
            known[leaf.identity] = spec
        values.append(spec)
    return values, inputs


def _constant(w: Walker, array: Any, names: dict[int, str]) -> Value:
    """A closed-over array, under the name it has in the function where that is found."""
    return w.constant(array, names.get(id(array)) or names.get(address(array), ""))


def address(array: Any) -> int:
    """Where the values of a numpy array stand in memory, as a number that is no identity; 0 for other arrays."""
    interface = getattr(getattr(array, "val", array), "__array_interface__", None)
    return -int(interface["data"][0]) if interface and not isinstance(array, jax.Array) else 0


__all__ = ["read"]
