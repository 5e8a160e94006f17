"""What rules write with: the tensors of a node as specs, and layers named after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.mxnet.call import Call
from multiprof.ir import VIEW, WRITE, Shape, TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.mxnet.inference import Inference

Aliases = tuple[tuple[str, str, str], ...]
# Where MXNet moves nothing (FInplaceIdentity); where one half of an operator writes over what the other half made.
SAME_MEMORY: Aliases = (("y", "x", VIEW),)
OVER: Aliases = (("y", "x", WRITE),)
OVER_FIRST: Aliases = (("y", "x0", WRITE),)

MAX_LAYERS = 200_000

# An unknown rank: one dimension that nobody knows, so that whatever needs the size says so.
UNKNOWN: Shape = (None,)


class Writing:
    """One symbol being written as layers; ``specs`` has the tensor of every entry of the inference."""

    def __init__(self, writer: GraphWriter, inference: Inference, prefix: str = "") -> None:
        self.writer = writer
        self.inference = inference
        self.prefix = prefix
        self.weights: set[str] = set()  # tensors computed from parameters alone
        self.specs: list[TensorSpec] = []
        shapes = inference.shapes
        for entry, name in enumerate(inference.names):
            shape = shapes[entry]
            spec = TensorSpec(UNKNOWN if shape is None else shape, inference.dtypes[entry] or "float32")
            spec.name = writer.taken(prefix + name)
            self.specs.append(spec)

    def x(self, call: Call, i: int = 0) -> TensorSpec:
        return self.specs[call.ins[i]]

    def y(self, call: Call, i: int = 0) -> TensorSpec:
        return self.specs[call.outs[i]]

    def named(self, call: Call, roles: Mapping[str, str]) -> dict[str, TensorSpec]:
        """The operands of a layer by role; ``roles`` maps MXNet's arguments to them."""
        return {role: self.specs[call.ins[at]] for arg, role in roles.items() if (at := call.index(arg)) is not None}

    def operands(self, call: Call) -> dict[str, TensorSpec]:
        """All arguments as x0, x1 …"""
        return {f"x{i}": self.specs[entry] for i, entry in enumerate(call.ins)}

    def results(self, call: Call) -> dict[str, TensorSpec]:
        """All results as y0, y1 …, a single one as y."""
        specs = [self.specs[entry] for entry in call.outs]
        return {"y": specs[0]} if len(specs) == 1 else {f"y{i}": spec for i, spec in enumerate(specs)}

    def layer(
        self,
        call: Call,
        op: str,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec] | None = None,
        attrs: Mapping[str, Any] | None = None,
        piece: str = "",
        aliases: Aliases = (),
    ) -> None:
        """Write a layer of the node; ``piece`` names it where the node becomes several."""
        if len(self.writer.layers) >= MAX_LAYERS:
            raise call.error(f"more than {MAX_LAYERS} layers so far: no network is that large")
        made = {"y": self.y(call)} if outputs is None else outputs
        name = self.prefix + (f"{call.name}/{piece}" if piece else call.name)
        scope = self.prefix + call.name.removesuffix("_fwd")
        self.writer.layer(name, op, inputs, made, attrs, scope=scope, source=call.raw, aliases=aliases)
        if inputs and all(spec.name in self.weights for spec in inputs.values()):
            self.weights.update(spec.name for spec in made.values())

    def unary(self, call: Call, op: str, attrs: Mapping[str, Any] | None = None, aliases: Aliases = ()) -> None:
        """One layer from the first argument to the first result."""
        self.layer(call, op, {"x": self.x(call)}, None, attrs, aliases=aliases)

    def between(self, call: Call, shape: Iterable[int | None], dtype: str = "") -> TensorSpec:
        """A tensor between the layers that one node becomes; of the first result's type unless said."""
        return self.writer.between(shape, dtype or self.y(call).dtype, self.prefix + call.name)

    def is_weight(self, spec: TensorSpec) -> bool:
        return spec.name in self.weights

    def foreign(self, call: Call) -> None:
        """An operator nobody here knows: all its operands, results and attributes."""
        op = f"mxnet.{call.raw}"
        if call.op == "Custom":
            op = f"mxnet.Custom.{call.attrs.text('op_type', '')}"
        outputs = {f"y{i}": self.specs[entry] for i, entry in enumerate(call.outs)}
        self.layer(call, op, self.operands(call), outputs, call.attrs.plain())


__all__ = ["OVER", "OVER_FIRST", "SAME_MEMORY", "Aliases", "Writing"]
