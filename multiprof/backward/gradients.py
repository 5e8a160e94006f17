"""Which tensors have a gradient: what depends on something trained, and leads to an output of the model.

As autograd: a tensor *requires* a gradient when it depends on a trained weight, or on an input that does, through
operations that can be followed back. Integers, what stands outside the record (``no_grad``), and detached tensors end
that; but a tensor that is written in place outside the record stays what it was in it, and one of which a piece is set
to values still requires a gradient for the rest. Gradients then flow from the outputs back to whatever requires one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

from multiprof.backward.rule import Rule
from multiprof.ir import ALIAS_ROLE, INTEGER_DTYPES, LOOP, PARAMETER, WRITE, Graph, Layer, TensorSpec

NO_GRAD = "no_grad"  # metadata: names of the layers that ran outside autograd's record
OWN_BACKWARD = "own_backward"  # metadata: names of the layers whose backward pass is code of the model's own
REQUIRES_GRAD = "requires_grad"  # metadata: names of the inputs that require a gradient
CHECKPOINTS = "checkpoints"  # metadata: segments, lists of names of layers that are run again in the backward pass
DETACHED = "detached"  # attribute of an identity that no gradient passes


@dataclass(slots=True)
class Gradients:
    """``trained`` are the parameters with a gradient of their own; ``requires`` the tensors that require one; ``needs``
    gives the layers that a gradient reaches (by number) the roles to which it goes on; those of ``passed`` write in
    place what autograd does not see, and a gradient goes past them as it is.
    """

    trained: dict[str, TensorSpec]
    requires: set[str]
    needs: dict[int, frozenset[str]] = field(default_factory=dict)
    passed: set[int] = field(default_factory=set)

    def wanted(self, number: int, layer: Layer) -> frozenset[str]:
        """The roles whose gradient the layer's own formula makes: not those that only share a written storage."""
        if number in self.passed:
            return frozenset()
        return frozenset(role for role in self.needs.get(number, ()) if not role.startswith(ALIAS_ROLE))


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
    own: Collection[str] = frozenset(graph.metadata.get(OWN_BACKWARD, ()))
    ways = [_ways(layer, rules, outside, own) if layer.name not in skip else {} for layer in graph.layers]
    loops = any(region.kind == LOOP for region in graph.regions.values())
    while True:  # what a loop carries from trip to trip is made after it is read
        before = len(requires)
        for layer, way in zip(graph.layers, ways, strict=True):
            for role, spec in layer.outputs.items():
                read = layer.inputs if way is None else way.get(role, ())
                if any(layer.inputs[name].name in requires for name in read) and _real(spec):
                    requires.add(spec.name)
        if not loops or len(requires) == before:
            break
    found = Gradients(trained, requires)
    given = {spec.name for spec in graph.outputs if spec.name in requires}
    while True:
        before = len(given)
        for number in range(len(graph.layers) - 1, -1, -1):
            layer, way = graph.layers[number], ways[number]
            reached = [role for role, spec in layer.outputs.items() if spec.name in given]
            if not reached:
                continue
            roles = layer.inputs if way is None else {read for role in reached for read in way.get(role, ())}
            specs = {role: layer.inputs[role] for role in roles}
            needs = frozenset(role for role, spec in specs.items() if spec.name in requires and _real(spec))
            if needs:
                found.needs[number] = needs
                given.update(layer.inputs[role].name for role in needs)
                if way is not None:
                    found.passed.add(number)
        if not loops or len(given) == before:
            return found


def _ways(
    layer: Layer, rules: Mapping[str, Rule], outside: Collection[str], own: Collection[str]
) -> Mapping[str, tuple[str, ...]] | None:
    """Output role -> the input roles that its gradient goes on to; ``None`` where autograd follows the whole layer.

    What is written outside the record keeps the gradient of what stood there. What is set to values hands zeros back,
    and what it is a piece of all but a piece of its gradient.
    """
    rule = rules.get(layer.op)
    if layer.name in own:
        return None
    if layer.attrs.get(DETACHED):
        return {}
    if layer.name in outside or (rule is not None and rule.stops):
        return {made: (read,) for made, read, kind in layer.aliases if kind == WRITE}
    return None


def _real(spec: TensorSpec) -> bool:
    return spec.dtype not in INTEGER_DTYPES and spec.quant is None and spec.dtype != "string"
