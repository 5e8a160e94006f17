"""The backend's Graph as Keras's: variables by their paths, scopes by layers, one layer for each recurrent call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from multiprof.adapters.keras import quantised
from multiprof.adapters.keras.biases import merged
from multiprof.adapters.keras.calls import Call, Calls
from multiprof.adapters.keras.recurrent import Recurrent
from multiprof.adapters.keras.standin import canonical
from multiprof.errors import ModelError
from multiprof.ir import BUFFER, CONSTANT, PARAMETER, Graph, Layer, Parameter, TensorSpec

_SCOPE = re.compile(r"kscope(\d+)")
_VARIABLE = re.compile(r"(?:^|/)kvar(\d+)$")


@dataclass(slots=True)
class Variable:
    """A variable of Keras: what `Graph.parameters` says of it; ``value`` is Keras's own object."""

    value: Any
    path: str
    kind: str
    trainable: bool | None
    four_bits: tuple[int, ...] | None = None  # the shape of a weight that is stored two to a byte


def variables_of(model: Any) -> list[Variable]:
    """Every variable under a model, once, under unique names.

    What a layer made as trainable is a parameter, frozen or not; its other weights (moving statistics) are buffers, as
    `count_params` counts both; states of random generators and of metrics are no weights: constants.
    """
    weights = {id(v) for v in model.weights}
    learned = {id(v) for layer in model._flatten_layers() for v in layer._trainable_variables}
    own = {
        id(v): layer
        for layer in model._flatten_layers()
        for v in (*layer._trainable_variables, *layer._non_trainable_variables)
    }
    found: list[Variable] = []
    names: dict[str, int] = {}
    seen: set[int] = set()
    for layer in model._flatten_layers():
        states = keras.tree.flatten(getattr(layer, "states", None)) if isinstance(layer, keras.layers.RNN) else ()
        for v in (*layer.variables, *(s for s in states if isinstance(s, keras.Variable))):
            if id(v) in seen:
                continue
            seen.add(id(v))
            number = names[v.path] = names.get(v.path, 0) + 1
            path = v.path if number == 1 else f"{v.path}_{number - 1}"
            kind = CONSTANT if id(v) not in weights else PARAMETER if id(v) in learned else BUFFER
            owner = own.get(id(v))
            kind = quantised.kind(owner, v) or kind
            trainable = bool(v.trainable) if kind == PARAMETER else None
            found.append(Variable(v, path, kind, trainable, quantised.logical_shape(owner, v)))
    return found


def rewritten(graph: Graph, variables: Sequence[Variable], calls: Calls, names: Sequence[str]) -> Graph:
    """``graph`` in Keras's terms; ``names`` are those of the inputs, empty to leave them."""
    renamed: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    for name, known in graph.parameters.items():
        match = _VARIABLE.search(name)
        if match is None:  # what the code itself holds: learned weights are variables, statistics of a module are not
            known.kind, known.trainable = BUFFER if known.kind == BUFFER else CONSTANT, None
            parameters[name] = known
            continue
        variable = variables[int(match[1])]
        renamed[name] = variable.path
        known.spec.name = known.source = variable.path
        known.kind, known.trainable, known.tied = variable.kind, variable.trainable, ()
        if variable.four_bits is not None:
            known.spec = TensorSpec(variable.four_bits, "int4", variable.path)
        parameters[variable.path] = known
    if len(names) == len(graph.inputs):
        renamed |= {spec.name: name for spec, name in zip(graph.inputs, names, strict=True)}
    _rename(graph, graph.layers, renamed)
    graph.layers = tuple(canonical(graph, calls.functions))
    layers = merged(_Folding(graph, variables, calls).layers(), parameters, graph.outputs)
    read = {spec.name for layer in layers for spec in layer.inputs.values()} | {s.name for s in graph.outputs}
    parameters = {n: p for n, p in parameters.items() if p.kind != CONSTANT or n in read}
    _name(layers)
    _rename(graph, layers, _after_layers(layers, {*parameters, *(spec.name for spec in graph.inputs)}))
    return Graph(
        graph.name, "keras", graph.inputs, graph.outputs, tuple(layers), parameters, graph.regions, graph.metadata
    )


def _rename(graph: Graph, layers: Sequence[Layer], renamed: Mapping[str, str]) -> None:
    """Give tensors new names, each once: layers may share what describes a tensor."""
    specs = {id(spec): spec for spec in (*graph.inputs, *graph.outputs)}
    for layer in layers:
        specs.update((id(spec), spec) for spec in (*layer.inputs.values(), *layer.outputs.values()))
    for spec in specs.values():
        spec.name = renamed.get(spec.name, spec.name)


def _after_layers(layers: Sequence[Layer], taken: set[str]) -> dict[str, str]:
    """New names for what layers make: that of the layer, with the role where it is not its main result."""
    renamed: dict[str, str] = {}
    for layer in layers:
        for role, spec in layer.outputs.items():
            name = layer.name if role == "y" else f"{layer.name}:{role}"
            while name in taken:
                name += "'"
            taken.add(name)
            renamed[spec.name] = name
    return renamed


def _name(layers: Sequence[Layer]) -> None:
    """Each layer after its module and its op."""
    used: dict[str, int] = {}
    for layer in layers:
        op = layer.op.rpartition(".")[2]
        base = f"{layer.scope}/{op}" if layer.scope else op
        name, number = base, used.get(base, 0)
        while name in used:
            number += 1
            name = f"{base}_{number}"
        used[base] = number
        used[name] = used.get(name, 0)
        layer.name = name


@dataclass(slots=True)
class _Group:
    """The layers of one stand-in; ``place`` is that of the first that makes a result."""

    call: Call
    layers: list[tuple[Layer, str]] = field(default_factory=list)
    place: int = -1


class _Folding:
    """Scopes by their numbers, and the stand-ins replaced."""

    def __init__(self, graph: Graph, variables: Sequence[Variable], calls: Calls) -> None:
        self.graph = graph
        self.calls = calls
        self.by_variable = {id(v.value): v for v in variables}

    def layers(self) -> list[Layer]:
        groups: dict[int, _Group] = {}
        kept: list[Layer | _Group] = []
        for layer in self.graph.layers:
            numbers = [int(n) for n in _SCOPE.findall(layer.scope)]
            call = self.calls.known[numbers[-1]] if numbers else None
            layer.scope = call.path if call else ""
            if call is None or call.recurrent is None:
                kept.append(layer)
                continue
            number = next(n for n in numbers if self.calls.known[n].recurrent is call.recurrent)
            group = groups.setdefault(number, _Group(self.calls.known[number]))
            group.layers.append((layer, call.part))
            if group.place < 0 and call.part.startswith("out "):
                group.place = len(kept)
                kept.append(group)
        read = {spec.name for item in kept if isinstance(item, Layer) for spec in item.inputs.values()}
        read |= {spec.name for group in groups.values() for spec in _taken(group).values()}
        read |= {spec.name for spec in self.graph.outputs}
        layers = [item if isinstance(item, Layer) else self._one(item, read) for item in kept]
        return _without_leftovers(layers, self.graph) if groups else layers

    def _one(self, group: _Group, read: set[str]) -> Layer:
        """The canonical layer of a stand-in."""
        found = group.call.recurrent
        assert found is not None  # only stand-ins are grouped
        inputs = _taken(group)
        mask = inputs.pop("mask", None)
        if "x" not in inputs:
            raise ModelError(f"{group.call.path}: its input was lost while the model was traced")
        inputs |= self._weights(found)
        outputs: dict[str, TensorSpec] = {}
        for layer, part in group.layers:
            if part.startswith("out "):
                role = part.removeprefix("out ")
                for spec in layer.outputs.values():
                    if spec.shape == found.results[role] and (spec.name in read or role not in outputs):
                        outputs[role] = spec
        if "y" not in outputs:  # only the last state is used; the sequence is computed all the same
            hidden = outputs["hn"] if "hn" in outputs else next(iter(outputs.values()))
            outputs["y"] = TensorSpec(found.results["y"], hidden.dtype, f"{hidden.name}/y")
        for role in ("hn", "cn"):
            if role in outputs and outputs[role].name not in read:
                del outputs[role]
        if mask is not None:
            note = f"{group.call.path}: every step is counted, masked ones too"
            self.graph.metadata.setdefault("warnings", []).append(note)
        region = group.layers[-1][0].region
        return Layer("", found.op, inputs, outputs, found.attrs, group.call.path, found.op, region)

    def _weights(self, found: Recurrent) -> dict[str, TensorSpec]:
        weights: dict[str, TensorSpec] = {}
        for role, value in found.weights.items():
            variable, row = value if isinstance(value, tuple) else (value, None)
            known = self.by_variable[id(variable)]
            shape = tuple(variable.shape) if row is None else tuple(variable.shape[1:])
            dtype = getattr(variable.dtype, "name", variable.dtype)  # of TensorFlow in Keras 2, a text in Keras 3
            weights[role] = TensorSpec(shape, str(dtype), known.path)
        return weights


def _without_leftovers(layers: Sequence[Layer], graph: Graph) -> list[Layer]:
    """Without what was made only for a loop that is no more: states of zeros, and the first step."""
    read = {spec.name for spec in graph.outputs}
    kept = []
    for layer in reversed(layers):
        if layer.op in ("fill", "slice") and not any(spec.name in read for spec in layer.outputs.values()):
            continue
        read.update(spec.name for spec in layer.inputs.values())
        kept.append(layer)
    return kept[::-1]


def _taken(group: _Group) -> dict[str, TensorSpec]:
    """What a stand-in reads from outside, by role: in the scope of an operand, the first tensor not made inside."""
    made = {spec.name for layer, _ in group.layers for spec in layer.outputs.values()}
    found: dict[str, TensorSpec] = {}
    for layer, part in group.layers:
        if part.startswith("in "):
            for spec in layer.inputs.values():
                if spec.name not in made:
                    found.setdefault(part.removeprefix("in "), spec)
    return found


__all__ = ["Variable", "rewritten", "variables_of"]
