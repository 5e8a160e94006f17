"""Walks a jaxpr equation by equation and writes the layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from jax.extend.core import Literal

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.jax.table import RULES
from multiprof.adapters.jax.values import Fill, Value, dtype_name, is_array, number, shape_of
from multiprof.errors import ModelError
from multiprof.ir import VIEW, Layer, TensorSpec

# Nested calls, loops and branches; no program written by hand comes near.
MAX_DEPTH = 200

_PLAIN = (bool, int, float, str, type(None))
_VIEW = (("y", "x", VIEW),)


class Walker:
    """One walk: the writer, the names of tensors that are weights, and where in the program it stands.

    A *weight* is computed from parameters and constants alone. ``leaves`` are the foreign names (``jax.<name>``, of a
    primitive or of a jitted function) that some formula claims.
    """

    def __init__(self, writer: GraphWriter, leaves: frozenset[str], root: str = "") -> None:
        self.writer = writer
        self.leaves = leaves
        self.root = root  # the first name of every scope of a Flax module: its own class, which is no part of the path
        self.weights: set[str] = set()
        self.scope = ""
        self.source = ""
        self.constants: dict[int, TensorSpec] = {}  # arrays closed over, by identity
        self.axes: dict[Any, int] = {}  # sizes of the mesh axes that a program around this place runs over
        self._groups: dict[str, int] = {}
        self._depth = 0
        self._jaxpr: Any = None  # the one that is being walked

    # -- tensors -------------------------------------------------------------------------------------------------------

    def new(self, shape: Iterable[int | None], dtype: str, hint: str = "t") -> TensorSpec:
        """A fresh tensor."""
        return self.writer.between(shape, dtype, hint)

    def like(self, variable: Any) -> TensorSpec:
        """A fresh tensor of the shape and type of a variable."""
        aval = variable.aval
        if not is_array(aval):
            return self.new((), "bool", "token")
        return self.new(shape_of(aval), dtype_name(aval.dtype))

    def results(self, eqn: Any) -> list[TensorSpec]:
        return [self.like(variable) for variable in eqn.outvars]

    def tensor(self, value: Value) -> TensorSpec:
        """The value as a tensor; a known number becomes a ``fill`` layer."""
        if isinstance(value, TensorSpec):
            return value
        y = self.new(value.shape, value.dtype, "fill")
        self.emit("fill", {}, {"y": y}, {"value": value.value})
        return y

    def is_weight(self, value: Value) -> bool:
        return isinstance(value, TensorSpec) and value.name in self.weights

    # -- layers --------------------------------------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        inputs: Mapping[str, Value | None],
        outputs: Mapping[str, TensorSpec],
        attrs: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Write a layer in the scope and region that are open."""
        tensors = {role: self.tensor(value) for role, value in inputs.items() if value is not None}
        if tensors and all(spec.name in self.weights for spec in tensors.values()):
            self.weights.update(spec.name for spec in outputs.values())
        attrs = {key: _python(value) for key, value in attrs.items()} if attrs else {}
        short = name or op.removeprefix("jax.")
        return self.writer.layer(
            f"{self.scope}/{short}" if self.scope else short, op, tensors, outputs, attrs, scope=self.scope,
            source=self.source, aliases=aliases,
        )  # fmt: skip

    def unary(
        self, op: str, eqn: Any, x: Value, attrs: Mapping[str, Any] | None = None, role: str = "x"
    ) -> list[Value]:
        """One layer ``op`` of one tensor with one result."""
        y = self.like(eqn.outvars[0])
        self.emit(op, {role: x}, {"y": y}, attrs)
        return [y]

    def view(self, op: str, eqn: Any, x: Value, attrs: Mapping[str, Any] | None = None) -> list[Value]:
        """The same elements under another shape or order: no data of its own, as XLA's bitcasts and broadcasts."""
        y = self.like(eqn.outvars[0])
        self.emit(op, {"x": x}, {"y": y}, attrs, aliases=_VIEW)
        return [y]

    def foreign(self, eqn: Any, values: Sequence[Value], name: str = "") -> list[Value]:
        """An operation without a rule, ``jax.<name>``, with everything that it reads and makes."""
        outputs = self.results(eqn)
        roles = ["y"] if len(outputs) == 1 else [f"y{i}" for i in range(len(outputs))]
        attrs = {key: value for key, value in eqn.params.items() if _is_plain(value)}
        self.emit(
            f"jax.{name or eqn.primitive.name}",
            {f"x{i}": value for i, value in enumerate(values)},
            dict(zip(roles, outputs, strict=True)),
            attrs,
        )
        return list(outputs)

    def group(self, name: str) -> str:
        """A name for a choice between branches that no other choice has."""
        number = self._groups[name] = self._groups.get(name, 0) + 1
        return name if number == 1 else f"{name}_{number - 1}"

    def axis_size(self, names: Any) -> int:
        """How many devices the axes hold together; 0 where that is unknown."""
        axes = names if isinstance(names, (tuple, list, frozenset, set)) else (names,)
        return prod(self.axes.get(name, 0) for name in axes)

    # -- programs ------------------------------------------------------------------------------------------------------

    def constant(self, array: Any, name: str = "") -> Value:
        """An array that the program closes over, under a name of its own or ``const_0``, ``const_1`` …"""
        known = self.constants.get(id(array))
        if known is not None:
            return known
        dtype = dtype_name(array.dtype)
        if not array.shape and isinstance(getattr(array, "val", array), (np.ndarray, np.generic)):
            return Fill(number(array), (), dtype)
        spec = TensorSpec(shape_of(array), dtype, self.writer.taken(name or f"const_{len(self.constants)}"))
        self.writer.declare(spec)
        self.weights.add(spec.name)
        self.constants[id(array)] = spec
        return spec

    def closed(self, closed: Any, arguments: Sequence[Value]) -> list[Value]:
        """Walk a ClosedJaxpr, or a Jaxpr without constants, with these arguments."""
        if hasattr(closed, "consts"):
            return self.walk(closed.jaxpr, [self.constant(c) for c in closed.consts], arguments)
        return self.walk(closed, [], arguments)

    def walk(self, jaxpr: Any, constants: Sequence[Value], arguments: Sequence[Value]) -> list[Value]:
        """Write the layers of a jaxpr; returns what its results stand for."""
        if self._depth >= MAX_DEPTH:
            raise ModelError(f"{self.writer.name}: calls and loops are nested more than {MAX_DEPTH} deep")
        known: dict[Any, Value] = dict(zip(jaxpr.constvars, constants, strict=True))
        known.update(zip(jaxpr.invars, arguments, strict=True))
        outer, program = self.scope, self._jaxpr
        self._depth += 1
        self._jaxpr = jaxpr
        try:
            for eqn in jaxpr.eqns:
                self.scope = self._joined(outer, str(eqn.source_info.name_stack))
                self.source = eqn.primitive.name
                values = [self._read(known, atom) for atom in eqn.invars]
                made = self._equation(eqn, values)
                for variable, value in zip(eqn.outvars, made, strict=True):
                    known[variable] = value
        finally:
            self.scope, self._jaxpr = outer, program
            self._depth -= 1
        return [self._read(known, atom) for atom in jaxpr.outvars]

    def is_read(self, variable: Any) -> bool:
        """Whether anything in the jaxpr that is being walked reads a result of one of its equations."""
        made = self._jaxpr.outvars, *(eqn.invars for eqn in self._jaxpr.eqns)
        return any(atom is variable for atoms in made for atom in atoms)

    def maker(self, variable: Any) -> str:
        """The primitive that makes a variable in the jaxpr that is being walked, or nothing."""
        equations = (eqn for eqn in self._jaxpr.eqns if any(made is variable for made in eqn.outvars))
        return next((eqn.primitive.name for eqn in equations), "")

    def _equation(self, eqn: Any, values: list[Value]) -> Sequence[Value]:
        name = eqn.primitive.name
        rule = RULES.get(name)
        if f"jax.{name}" in self.leaves or rule is None:
            return self.foreign(eqn, values)
        made = rule(self, eqn, values)
        return self.foreign(eqn, values) if made is NotImplemented else made

    def _read(self, known: Mapping[Any, Value], atom: Any) -> Value:
        if isinstance(atom, Literal):
            return Fill(number(atom.val), shape_of(atom.aval), dtype_name(atom.aval.dtype))
        return known[atom]

    def _joined(self, outer: str, stack: str) -> str:
        """The module path: ``Net/block/Dense_0`` is ``block.Dense_0``; marks of transformations, jvp(…), fall away."""
        if not stack:
            return outer
        for mark in ("transpose(", "jvp(", "vmap(", "rematted_computation/", "checkpoint/"):
            stack = stack.replace(mark, "")
        parts = [part for part in stack.replace(")", "").replace(".", "_").split("/") if part]
        if parts and not outer and parts[0] == self.root:
            del parts[0]
        path = ".".join(parts)
        return f"{outer}.{path}" if outer and path else outer or path


def _python(value: Any) -> Any:
    """Numbers of numpy, and JAX's own that know their type, as Python's: JAX has them among its parameters."""
    if isinstance(value, tuple):
        return tuple([_python(item) for item in value])
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return complex(value) if isinstance(value, complex) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


__all__ = ["Walker"]
