"""How long each node of a TensorFlow function takes: the function's own graph in a Session that keeps statistics.

The Session runs the graph as it is, its variables made anew beside it: freezing them into it takes minutes and
gigabytes for a large network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from multiprof import ModelError
from multiprof_benchmark.timing import Rules, repeated

v1 = tf.compat.v1
NANO = 1e-9
# Functions are written into the graph that calls them, and name their nodes after the call.
_CALL = re.compile(r"^(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_BODY = re.compile(r"^.*/(?:body|cond|then|else|branch\d*)/_\d+/")

Run = dict[str, float]  # seconds by the name of the node, all its executions in one run


def node_times(function: Any, values: Sequence[Any], threads: int, rules: Rules) -> list[Run]:
    """The seconds of every node in each run of a concrete function on arrays."""
    kept = [(variable, variable.numpy()) for variable in function.variables]
    captures = list(function.graph.captures)
    constants = [None if outer.dtype == tf.resource else outer.numpy() for outer, _ in captures]
    graph = tf.Graph()
    with graph.as_default():
        session = v1.Session(graph=graph, config=_settings(threads))
        inside: dict[str, Any] = {}
        made: dict[int, Any] = {}
        for (outer, inner), constant in zip(captures, constants, strict=True):
            if constant is not None:
                inside[inner.name] = tf.constant(constant)
                continue
            found = [pair for pair in kept if pair[0].handle is outer]
            if not found:
                raise ModelError(f"the function holds {inner.name}, which is no variable")
            variable, value = found[0]
            if id(variable) not in made:
                filled = v1.placeholder(value.dtype, value.shape)
                made[id(variable)] = new = v1.Variable(filled, use_resource=True, trainable=False)
                session.run(new.initializer, {filled: value})
            inside[inner.name] = made[id(variable)].handle
        outputs = tf.import_graph_def(
            function.graph.as_graph_def(), inside, [tensor.name for tensor in function.outputs], name=""
        )
        inputs = [graph.get_tensor_by_name(tensor.name) for tensor in function.inputs[: len(values)]]
        call = session.make_callable(outputs, inputs, accept_options=True)
        options = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)

        def once() -> Run:
            metadata = v1.RunMetadata()
            call(*values, options=options, run_metadata=metadata)
            return _run(metadata)

        with session:
            return repeated(once, rules)


def _settings(threads: int) -> Any:
    return v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)


def _run(metadata: Any) -> Run:
    found: Run = {}
    for device in metadata.step_stats.dev_stats:
        for node in device.node_stats:
            name = plain(node.node_name)
            spent = (node.op_end_rel_nanos - node.op_start_rel_nanos) * NANO
            found[name] = found.get(name, 0.0) + max(spent, 0.0)
    return found


def plain(name: str) -> str:
    """A node's name as it is in the function that holds it, without those of the calls and loops around."""
    return _CALL.sub("", _BODY.sub("", name))


__all__ = ["Run", "node_times", "plain"]
