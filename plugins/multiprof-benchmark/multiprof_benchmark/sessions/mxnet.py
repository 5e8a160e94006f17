"""An MXNet symbol, bound once, as its engine runs it: hybridized Gluon blocks come here as their export."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from multiprof import ModelError, Report
from multiprof.adapters.mxnet.compat import import_mxnet
from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.join import Join
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.mxnet_trace import BACKEND, joined, merges, one_at_a_time, openmp_threads, traced
from multiprof_benchmark.subject import Options, Subject

mx: Any = import_mxnet()


class MXNetSession:
    """A ``-symbol.json`` with random weights: their values make no difference to the time."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if options.precision not in ("", "fp32", "float32"):
            raise ModelError("mxnet: a symbol runs in the types of its variables: leave --precision out")
        self.threads = options.threads
        symbol = mx.sym.load_json(Path(subject.model).read_text(encoding="utf-8"))
        feed = arrays(subject.report)
        shapes, _, states = symbol.infer_shape(**{name: value.shape for name, value in feed.items()})
        if shapes is None:
            raise ModelError("mxnet cannot infer the shapes of this symbol's arguments")
        source = mx.nd.random
        arguments = {
            name: mx.nd.array(feed[name], dtype=feed[name].dtype) if name in feed else 0.05 * source.normal(shape=shape)
            for name, shape in zip(symbol.list_arguments(), shapes, strict=True)
        }
        auxiliary = {
            name: mx.nd.ones(shape) if name.endswith("var") else mx.nd.zeros(shape)
            for name, shape in zip(symbol.list_auxiliary_states(), states, strict=True)
        }
        self.subject = subject
        self.symbol, self.arguments, self.auxiliary = symbol, arguments, auxiliary
        self.executor = self._bound(symbol)

    def _bound(self, symbol: Any) -> Any:
        return symbol.bind(mx.cpu(), self.arguments, aux_states=self.auxiliary, grad_req="null")

    def run(self) -> object:
        return _run(self.executor)

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Times of the engine's operations by MXNet's profiler, joined to layers by the nodes that each was made of.

        The engine takes many operations at once, which the profiler then shows as one: it is told not to.
        """
        merged = self.symbol.get_backend_symbol(BACKEND) if merges() else self.symbol
        nodes = _nodes(merged)
        with one_at_a_time():
            executor = self._bound(merged)
            runs = traced(lambda: _run(executor), [op for op, _ in nodes], options.rules)
        rows = [_own(self.subject.report, names) for _, names in nodes]
        join = Join(self.subject.report)
        members = join.members({row: True for row in rows if row})
        return joined(runs, [tuple(members[row]) if row else () for row in rows], [op for op, _ in nodes])

    def facts(self) -> Facts:
        found = {"mxnet": mx.__version__, **environment.versions("numpy")}
        return Facts("cpu", openmp_threads() or self.threads, found)


def _run(executor: Any) -> Any:
    outputs = executor.forward(is_train=False)
    for output in outputs:
        output.wait_to_read()
    return outputs


def _nodes(symbol: Any) -> list[tuple[str, list[str]]]:
    """The operations of a symbol in the order they run: what they are called, and the names of the nodes in each."""
    found = []
    for node in json.loads(symbol.tojson())["nodes"]:
        if node["op"] == "null":
            continue
        inner = [part["name"] for graph in node.get("subgraphs", ()) for part in graph["nodes"] if part["op"] != "null"]
        found.append((node["op"], inner or [node["name"]]))
    return found


def _own(report: Report, names: list[str]) -> str:
    """The last layer that one of the nodes is, by its name; empty where none is."""
    known = {row.name for row in report.layers}
    return next((name for name in reversed(names) if name in known), "")


__all__ = ["MXNetSession"]
