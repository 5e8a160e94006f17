"""Which tensors have a gradient: what depends on something trained, and leads to an output of the model.

As autograd: a tensor *requires* a gradient when it depends on a trained weight, or on an input that does, through
operations that can be followed back. Integers, what stands outside the record (``no_grad``), and detached tensors end
that. Gradients then flow from the outputs back to whatever requires one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

from multiprof.backward.rule import Rule
from multiprof.ir import ALIAS_ROLE, INTEGER_DTYPES, LOOP, PARAMETER, Graph, Layer, TensorSpec

NO_GRAD = "no_grad"  # metadata: names of the layers that ran outside autograd's record
REQUIRES_GRAD = "requires_grad"  # metadata: names of the inputs that require a gradient
CHECKPOINTS = "checkpoints"  # metadata: segments, lists of names of layers that are run again in the backward pass
DETACHED = "detached"  # attribute of an identity that no gradient passes


@dataclass(slots=True)
class Gradients:
    """``trained`` are the parameters with a gradient of their own; ``requires`` the tensors that require one; ``needs``
    gives the layers that a gradient reaches (by number) the roles to which it goes on.
    """

    trained: dict[str, TensorSpec]
    requires: set[str]
    needs: dict[int, frozenset[str]] = field(default_factory=dict)


def trained_parameters(graph: Graph) -> dict[str, TensorSpec]:
    """The learned weights that training changes; one of which nobody says whether it is trained counts as trained."""
    return {
        name: p.spec
        for name, p in graph.parameters.items()
        if p.kind == PARAMETER and p.trainable is not False and _real(p.spec)
    }


def gradients(graph: Graph, rules: Mapping[str, Rule], skip: Set[str] = frozenset()) -> Gradients:
    """Who needs a gradient in a training step; ``skip`` names the layers that do not run."""
    trained = trained_parameters(graph)
    wanted = graph.metadata.get(REQUIRES_GRAD, ())
    requires = {*trained, *(spec.name for spec in graph.inputs if spec.name in wanted and _real(spec))}
    outside: Collection[str] = frozenset(graph.metadata.get(NO_GRAD, ()))
    follow = [
        layer.name not in outside and layer.name not in skip and _followed(layer, rules) for layer in graph.layers
    ]
    loops = any(region.kind == LOOP for region in graph.regions.values())
    while True:  # what a loop carries from trip to trip is made after it is read
        before = len(requires)
        for layer, open_ in zip(graph.layers, follow, strict=True):
            if open_ and any(spec.name in requires for spec in layer.inputs.values()):
                requires.update(spec.name for spec in layer.outputs.values() if _real(spec))
        if not loops or len(requires) == before:
            break
    found = Gradients(trained, requires)
    given = {spec.name for spec in graph.outputs if spec.name in requires}
    while True:
        before = len(given)
        for number in range(len(graph.layers) - 1, -1, -1):
            layer = graph.layers[number]
            if follow[number] and any(spec.name in given for spec in layer.outputs.values()):
                needs = frozenset(role for role, spec in layer.inputs.items() if spec.name in requires and _real(spec))
                if needs:
                    found.needs[number] = needs
                    given.update(layer.inputs[role].name for role in needs)
        if not loops or len(given) == before:
            return found


def wanted(layer: Layer, needs: frozenset[str]) -> frozenset[str]:
    """The roles whose gradient the layer's own formula makes: not those that only share storage with a written one."""
    return frozenset(role for role in needs if not role.startswith(ALIAS_ROLE))


def _followed(layer: Layer, rules: Mapping[str, Rule]) -> bool:
    rule = rules.get(layer.op)
    return not (rule is not None and rule.stops) and not layer.attrs.get(DETACHED)


def _real(spec: TensorSpec) -> bool:
    return spec.dtype not in INTEGER_DTYPES and spec.quant is None and spec.dtype != "string"
