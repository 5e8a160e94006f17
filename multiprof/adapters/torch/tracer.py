"""What is recorded while a PyTorch model runs on shapes: layers under module scopes, and what shares memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.traced import (
    META,
    Frame,
    RefusedError,
    TracedTensors,
    ValueNeededError,
    WrappedError,
)
from multiprof.ir import ALIAS_ROLE, LOOP, VIEW, WRITE, Layer, Region, TensorSpec

# References to a traced tensor that are ours: the list that keeps it alive, the family list, the loop variable and
# getrefcount's own argument. More means that the model still holds it.
_OUR_REFERENCES = 4

_CONTRACTIONS = frozenset(("conv", "conv_transpose", "linear", "matmul"))


class Tracer(TracedTensors):
    """Emits layers, and knows which tensor is a view or a write of another."""

    @contextmanager
    def region(self, id: str, kind: str, trips: int | None = 1, group: str = "") -> Iterator[None]:
        """What is recorded inside stands in a new region, itself inside the one that is open. Loops carry state."""
        outer = self.inside
        id = self.unique(id)
        self.regions[id] = Region(id, outer, kind, trips, group, kind == LOOP)
        self.inside = id
        try:
            yield
        except BaseException:
            del self.regions[id]
            raise
        finally:
            self.inside = outer

    # -- layers ----------------------------------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        inputs: Mapping[str, torch.Tensor | None],
        outputs: Mapping[str, torch.Tensor],
        attrs: dict[str, Any] | None = None,
        hint: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Record a layer; ``inputs`` that are ``None`` are absent. The layer is named after the running module.

        ``hint`` names the layers of a module that makes several (``l0``, ``in_proj``).
        """
        specs = self.specs
        declared, prepared = self.declared, self.prepared
        ins: dict[str, TensorSpec] = {}
        weights = True
        for role, tensor in inputs.items():
            if tensor is not None:
                key = id(tensor)
                known = specs.get(key)
                ins[role] = known if known is not None else self._adopt(tensor)
                if weights and key not in declared and key not in prepared:
                    weights = False
        frame = self.frames[-1]
        label = frame.label
        if op in _CONTRACTIONS:
            left, right, *_ = ins.values()
            if left.dtype != right.dtype and left.quant is None and right.quant is None:
                raise RefusedError(
                    f"expected both operands of {op} to have one dtype, but got {left.dtype} and {right.dtype}"
                )
        if label and frame.leaf and not frame.used and not hint:
            wanted = label
        else:
            short = hint or op.rpartition(".")[2]
            wanted = f"{label}/{short}" if label else short
        frame.used = True
        name = self.unique(wanted)
        if self.train and not torch.is_grad_enabled():
            self.outside.append(name)
        outs: dict[str, TensorSpec] = {}
        alive = self.alive
        for role, tensor in outputs.items():
            spec = TensorSpec(
                tuple(tensor.shape), NAMES[tensor.dtype], name if role == "y" else self.unique(f"{name}:{role}")
            )
            outs[role] = spec
            key = id(tensor)
            if key not in specs:  # once, or a write would make the tensor look as if the model still held it
                alive.append(tensor)
            specs[key] = spec
            if self.quantised:
                self._stay_quantised(inputs, tensor, spec)
            if weights and ins:
                prepared.add(key)
            elif key in prepared:  # written in place by something that depends on the inputs
                prepared.discard(key)
        attrs = attrs if attrs is not None else {}
        layer = Layer(name, op, ins, outs, attrs, frame.scope, self.source, self.inside, aliases)
        self.layers.append(layer)
        return layer

    def view(self, op: str, x: torch.Tensor, y: torch.Tensor, attrs: dict[str, Any] | None = None) -> torch.Tensor:
        """Record that ``y`` is a view of ``x``; a view of a parameter stays that parameter and is no layer."""
        if y is x:
            return y
        spec = self.spec(x)
        key = id(y)
        if id(x) in self.declared and spec.name in self.parameters:
            self.specs[key] = TensorSpec(tuple(y.shape), NAMES[y.dtype], spec.name)
            self.declared.add(key)
            self.alive.append(y)
            self.relate(x, y)
            return y
        self.emit(op, {"x": x}, {"y": y}, attrs, "", (("y", "x", VIEW),))
        self.relate(x, y)
        return y

    def same(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Record that ``y`` is another tensor object over exactly the elements of ``x``: it keeps the name."""
        if y is not x:
            self.specs[id(y)] = self.spec(x)
            if id(x) in self.quantised:
                self.quantised[id(y)] = self.quantised[id(x)]
            for known in (self.declared, self.prepared):
                if id(x) in known:
                    known.add(id(y))
            self.alive.append(y)
            self.relate(x, y)
        return y

    def views(self, op: str, x: torch.Tensor, pieces: Iterable[torch.Tensor], attrs: dict[str, Any]) -> None:
        """Record several views of ``x`` made by one call (split, unbind)."""
        pieces = list(pieces)
        spec = self.spec(x)
        if id(x) in self.declared and spec.name in self.parameters:
            for y in pieces:
                self.view(op, x, y)
            return
        outputs = {f"y{i}": y for i, y in enumerate(pieces)}
        self.emit(op, {"x": x}, outputs, attrs, "", tuple((role, "x", VIEW) for role in outputs))
        for y in pieces:
            self.relate(x, y)

    def rebase(self, x: torch.Tensor, onto: torch.Tensor) -> None:
        """Record that ``x`` now stands on the storage of ``onto`` instead of its own."""
        left = self.base.get(id(x), id(x))
        if left in self.families:
            self.families[left] = [tensor for tensor in self.families[left] if tensor is not x]
        self.relate(onto, x)

    def relate(self, x: torch.Tensor, y: torch.Tensor) -> None:
        root = self.base.get(id(x), id(x))
        self.base[id(y)] = root
        family = self.families.get(root)
        if family is None:
            self.families[root] = [x, y]
        else:
            family.append(y)

    def write(
        self,
        op: str,
        x: torch.Tensor,
        inputs: Mapping[str, torch.Tensor | None],
        attrs: dict[str, Any] | None = None,
        role: str = "x",
    ) -> torch.Tensor:
        """Record an operation that writes its result into ``x``, which stands in ``inputs`` under ``role``.

        The tensor, its base and every view of it that the model still holds get new names.
        """
        old = self.spec(x)
        root = self.base.get(id(x), id(x))
        others: list[torch.Tensor] = []
        family = self.families.get(root)
        if family is not None:
            live = [t for t in family if t is x or id(t) == root or sys.getrefcount(t) > _OUR_REFERENCES]
            others = [t for t in live if t is not x]
            self.families[root] = live  # a view that the model let go cannot come back
        ins: dict[str, torch.Tensor | None] = dict(inputs)
        ins.setdefault(role, x)
        outs: dict[str, torch.Tensor] = {"y": x}
        aliases = [("y", role, WRITE)]
        for i, tensor in enumerate(others):
            alias = f"{ALIAS_ROLE}{i}"
            ins[alias] = tensor
            outs[alias] = tensor
            aliases.append((alias, alias, WRITE))
        self.emit(op, ins, outs, attrs, "", tuple(aliases))
        written = (x, *others)
        if not self.twice:
            self.stale.update(map(id, written))
        if id(x) in self.declared:
            # From here on the tensors are computed ones; their declared values are no longer what they hold.
            self.declared.difference_update(map(id, written))
            if self.real and old.name in self.parameters:
                self.note(f"{old.name}: the model writes to it while it runs; it was put back")
        return x

    def overwritten(self, x: torch.Tensor, twin: torch.Tensor) -> None:
        """Record that ``x`` now holds what an operation wrote to its stand-in ``twin``."""
        self.specs[id(x)] = self.specs[id(twin)]
        self.declared.discard(id(x))
        (self.prepared.add if id(twin) in self.prepared else self.prepared.discard)(id(x))
        if not self.twice:
            self.stale.add(id(x))

    def rollback(self, mark: int) -> None:
        """Forget the layers recorded since ``mark``, and their names: their rule gave up halfway."""
        frame = self.frames[-1]
        for layer in self.layers[mark:]:
            self.taken.pop(layer.name, None)
            if layer.name == frame.label:
                frame.used = False
        del self.layers[mark:]


__all__ = ["META", "Frame", "RefusedError", "Tracer", "ValueNeededError", "WrappedError"]
