"""Runs the nodes of an exported program one after the other, on tensors without values, under a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from multiprof.adapters.torch.files.operators import CHECKS, number_function, overload, with_rule
from multiprof.adapters.torch.files.values import argument, number, tensor_like
from multiprof.adapters.torch.table import RULES
from multiprof.adapters.torch.tracer import Frame, Tracer
from multiprof.errors import ModelError

_RECURRENT = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
_HIGHER = "torch.ops.higher_order."
# What runs its graph once, as it stands.
_AROUND = ("wrap", "wrap_activation_checkpoint", "tag_activation_checkpoint", "invoke_subgraph", "hints_wrapper")


class Interpreter:
    """One graph of a program. ``tracer`` is set while a trace runs; ``classes`` names the class of each module path."""

    def __init__(self, graph: Mapping[str, Any]) -> None:
        self.graph = graph
        self.tracer: Tracer | None = None
        self.classes: dict[str, str] = {}
        self.title = ""
        self._frames: dict[str, Frame] = {}
        self._find_classes(graph)

    def run(self, values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self._graph(self.graph, values))

    # -- nodes -----------------------------------------------------------------------------------------------------

    def _graph(self, graph: Mapping[str, Any], values: dict[str, Any]) -> list[Any]:
        for node in graph["nodes"]:
            target = str(node["target"])
            with self._inside(node.get("metadata") or {}):
                try:
                    result = self._node(target, node, graph, values)
                except (KeyError, IndexError, TypeError, AttributeError) as error:
                    raise ModelError(f"the node {_name(node)} ({target}) makes no sense: {error!r}") from error
            self._store(node["outputs"], result, values)
        return [argument(output, values) for output in graph["outputs"]]

    def _node(self, target: str, node: Mapping[str, Any], graph: Mapping[str, Any], values: dict[str, Any]) -> Any:
        if target.startswith(_HIGHER):
            return self._higher(target.removeprefix(_HIGHER), node, graph, values)
        compute = number_function(target)
        if compute is not None:
            return compute(*(argument(entry["arg"], values) for entry in node["inputs"]))
        operator = overload(target)
        if operator is None:
            return self._foreign(target, node, graph, values)
        if f"{operator.namespace}.{operator._opname}" in CHECKS:
            return None
        args, kwargs = _bind(operator._schema, node["inputs"], values)
        function = with_rule(operator._opname) if operator.namespace == "aten" else None
        keywords = {a.name for a in operator._schema.arguments if a.kwarg_only}
        try:
            return (operator if function is None or kwargs.keys() - keywords else function)(*args, **kwargs)
        except NotImplementedError:  # no meta kernel: the file says what comes out
            return self._foreign(target, node, graph, values)

    def _store(self, outputs: Sequence[Mapping[str, Any]], result: Any, values: dict[str, Any]) -> None:
        if len(outputs) == 1:
            ((kind, entry),) = outputs[0].items()
            if kind in ("as_tensors", "as_optional_tensors") and isinstance(result, (list, tuple)):
                for one, tensor in zip(entry, result, strict=True):
                    named = one if "name" in one else one.get("as_tensor")
                    if named:
                        values[named["name"]] = tensor
                return
            if kind != "as_none":
                single = isinstance(result, (list, tuple)) and len(result) == 1
                values[entry.get("as_name", entry.get("name"))] = result[0] if single else result
            return
        for output, part in zip(outputs, result if isinstance(result, (list, tuple)) else [result], strict=False):
            self._store([output], part, values)

    def _foreign(self, target: str, node: Mapping[str, Any], graph: Mapping[str, Any], values: dict[str, Any]) -> Any:
        """A layer of an operator that is not known here: its results have the shapes that the file gives."""
        tracer = self.tracer
        if tracer is None:
            raise ModelError(f"{target} is not registered with this torch")
        made = [self._result(output, graph) for output in node["outputs"]]
        inputs: dict[str, torch.Tensor | None] = {}
        attrs: dict[str, Any] = {}
        for i, entry in enumerate(node["inputs"]):
            role = str(entry.get("name") or f"arg{i}")
            if "as_graph" in entry["arg"]:
                continue
            value = argument(entry["arg"], values)
            tensors = [value] if isinstance(value, torch.Tensor) else value if isinstance(value, list) else []
            if tensors and all(isinstance(t, torch.Tensor) for t in tensors):
                inputs |= {role if len(tensors) == 1 else f"{role}{j}": t for j, t in enumerate(tensors)}
            elif isinstance(value, (bool, int, float, str, type(None))):
                attrs[role] = value
        tensors = [t for t in made if isinstance(t, torch.Tensor)]
        tracer.source = target.rpartition(".")[2]
        name = ".".join(target.removeprefix("torch.ops.").split(".")[:2])
        if tensors:
            roles = {"y" if len(tensors) == 1 else f"y{i}": t for i, t in enumerate(tensors)}
            with torch._C.DisableTorchFunction():
                tracer.emit(f"torch.{name}", inputs, roles, attrs)
        return made

    def _result(self, output: Mapping[str, Any], graph: Mapping[str, Any]) -> Any:
        ((kind, entry),) = output.items()
        if kind == "as_tensor":
            return tensor_like(graph["tensor_values"][entry["name"]])
        if kind == "as_tensors":
            return [tensor_like(graph["tensor_values"][one["name"]]) for one in entry]
        for table in ("sym_int_values", "sym_float_values", "sym_bool_values"):
            if isinstance(entry, dict) and entry.get("as_name") in graph.get(table, ()):
                return number(graph[table][entry["as_name"]])
        return None

    # -- graphs within graphs --------------------------------------------------------------------------------------

    def _higher(self, name: str, node: Mapping[str, Any], graph: Mapping[str, Any], values: dict[str, Any]) -> Any:
        given = [entry["arg"] for entry in node["inputs"]]
        graphs = [entry["as_graph"]["graph"] for entry in given if entry.get("as_graph")]
        rest = [argument(entry, values) for entry in given if not entry.get("as_graph")]
        if name == "wrap_with_set_grad_enabled":
            return self._call(graphs[0], rest[1:])
        if name == "wrap_with_autocast":
            device, dtype, enabled, cache, *operands = rest
            with torch.autocast(str(device), dtype=dtype, enabled=bool(enabled), cache_enabled=cache):
                return self._call(graphs[0], operands)
        if name in _AROUND:
            wanted = len(graphs[0]["inputs"])
            return self._call(graphs[0], [value for value in rest if not isinstance(value, str)][:wanted])
        if name == "cond" and isinstance(rest[0], (bool, int)):
            return self._call(graphs[0] if rest[0] else graphs[1], rest[1] if isinstance(rest[1], list) else rest[1:])
        operator = getattr(torch.ops.higher_order, name, None) if name.isidentifier() else None
        if operator is not None and operator in RULES:  # loops and choices, whose graphs become functions again
            return operator(*(self._operand(entry, values) for entry in given))
        return self._foreign(f"torch.ops.higher_order.{name}", node, graph, values)

    def _operand(self, entry: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        if not entry.get("as_graph"):
            return argument(entry, values)
        graph = entry["as_graph"]["graph"]
        return lambda *operands: tuple(self._call(graph, operands))

    def _call(self, graph: Mapping[str, Any], operands: Sequence[Any]) -> Any:
        inside: dict[str, Any] = {}
        for entry, value in zip(graph["inputs"], operands, strict=False):
            ((_, named),) = entry.items()
            inside[named.get("name", named.get("as_name"))] = value
        return self._graph(graph, inside)

    # -- module scopes ---------------------------------------------------------------------------------------------

    def _find_classes(self, graph: Mapping[str, Any]) -> None:
        for node in graph["nodes"]:
            for _, path, kind in _stack(node.get("metadata") or {}):
                if path:
                    self.classes.setdefault(path.partition("@")[0], kind.rpartition(".")[2])
                elif not self.title:
                    self.title = kind.rpartition(".")[2]
            for entry in node["inputs"]:
                if "as_graph" in entry["arg"]:
                    self._find_classes(entry["arg"]["as_graph"]["graph"])
        self._parents = {path.rpartition(".")[0] for path in self.classes}

    @contextmanager
    def _inside(self, metadata: Mapping[str, Any]) -> Iterator[None]:
        """Record under the module that ran when the node was exported."""
        stack = _stack(metadata)
        if self.tracer is None or not stack:
            yield
            return
        key, path, kind = stack[-1]
        path = path.partition("@")[0]
        frame = self._frames.get(key)
        if frame is None:
            call = key.partition("@")[2]
            label = f"{path}#{int(call) + 1}" if path and call.isdecimal() else path
            own = kind.startswith("torch.nn.") and kind.rpartition(".")[2] not in _RECURRENT
            frame = self._frames[key] = Frame(None, path, label, own and path not in self._parents)
        self.tracer.frames.append(frame)
        try:
            yield
        finally:
            self.tracer.frames.pop()

    def attach(self, tracer: Tracer) -> Callable[[], None]:
        """Record in ``tracer`` from now on; the function that is returned ends that."""
        self.tracer = tracer
        self._frames.clear()

        def detach() -> None:
            self.tracer = None

        return detach


def _stack(metadata: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The modules that ran, outermost first: a key that tells calls apart, the path, the class."""
    text = metadata.get("nn_module_stack")
    if not isinstance(text, str) or text.startswith("_empty"):
        return []
    entries = [entry.split(",", 2) for entry in text.split(";")]
    return [(key, path, kind) for key, path, kind in (entry for entry in entries if len(entry) == 3)]


def _bind(
    schema: Any, given: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments; by position as long as none is left out, as the operator's rule expects."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    positional = [a.name for a in schema.arguments if not a.kwarg_only]
    for entry in given:
        value = argument(entry["arg"], values)
        name = str(entry["name"])
        if not kwargs and len(args) < len(positional) and positional[len(args)] == name:
            args.append(value)
        else:
            kwargs[name] = value
    return args, kwargs


def _name(node: Mapping[str, Any]) -> str:
    return str(node.get("name") or "?")


__all__ = ["Interpreter"]
