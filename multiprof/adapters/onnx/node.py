"""What a rule sees of an ONNX node: its inputs with what is known of them, its outputs inferred, its attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multiprof.adapters._common.writer import GraphWriter
from multiprof.errors import ModelError
from multiprof.ir import Layer, Shape, TensorSpec


@dataclass(slots=True)
class Tensor:
    """A tensor: ``value`` is its contents where they are known and small (shape arithmetic, scalars, small tables).

    ``weight`` says that it is computed from initializers and constants alone. ``shaped`` says that its contents come
    from the shapes of tensors, ``ranked`` that the number of its dimensions is known (else its shape is ``(None,)``).
    ``guessed`` says that nobody knows its element type.
    ``partial`` are contents of which only some elements are known: an array of objects, ``None`` for the others.
    """

    spec: TensorSpec
    value: np.ndarray[Any, Any] | None = None
    weight: bool = False
    shaped: bool = False
    ranked: bool = True
    partial: np.ndarray[Any, Any] | None = None
    guessed: bool = False

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def rank(self) -> int:
        return len(self.spec.shape)


@dataclass(slots=True)
class Node:
    """One node, ready to be translated. A rule writes its layers with `layer`; every output must be written once.

    ``inputs`` are the operands in ONNX's order, ``None`` where an optional one is absent; ``outputs`` likewise, with
    the shapes inferred. ``attrs`` are decoded: int, float, str, lists of those, numpy arrays. ``version`` is
    the opset version of the domain. ``scope`` is the module path as far as the node's name tells it.
    """

    name: str
    op_type: str
    domain: str
    version: int
    scope: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[TensorSpec | None, ...]
    attrs: Mapping[str, Any]
    writer: GraphWriter

    @property
    def where(self) -> str:
        """How error messages name the node."""
        return f"{self.writer.file}: node {self.name!r} ({self.domain + '.' if self.domain else ''}{self.op_type})"

    def input(self, number: int) -> Tensor | None:
        """An operand, or ``None`` when it is absent."""
        return self.inputs[number] if number < len(self.inputs) else None

    def need(self, number: int) -> Tensor:
        """An operand the node cannot do without; raises `ModelError` when it is absent."""
        tensor = self.input(number)
        if tensor is None:
            raise ModelError(f"{self.where} lacks its input number {number}")
        return tensor

    def output(self, number: int = 0) -> TensorSpec | None:
        """An output, or ``None`` when nothing reads it."""
        return self.outputs[number] if number < len(self.outputs) else None

    @property
    def y(self) -> TensorSpec:
        """The first output; raises `ModelError` when the node has none."""
        spec = self.output(0)
        if spec is None:
            raise ModelError(f"{self.where} has no output")
        return spec

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def layer(
        self,
        op: str,
        inputs: Mapping[str, Tensor | TensorSpec | None],
        outputs: Mapping[str, TensorSpec | None] | TensorSpec | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        suffix: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Write a layer called like the node (``name/suffix`` for a piece); absent operands and outputs are left out.

        ``outputs`` is a mapping of roles, or the one tensor of role ``y``; without it ``y`` is the node's first output.
        Text has no size and no arithmetic: a layer that reads or makes any is a foreign one.
        """
        made = self.y if outputs is None else outputs
        roles = {"y": made} if isinstance(made, TensorSpec) else made
        reads = {role: t.spec if isinstance(t, Tensor) else t for role, t in inputs.items() if t is not None}
        makes = {role: spec for role, spec in roles.items() if spec is not None}
        if any(spec.dtype == "string" for spec in (*reads.values(), *makes.values())):
            op = f"onnx.{self.op_type}"
            reads = {f"x{i}": spec for i, spec in enumerate(reads.values())}
            makes = {f"y{i}": spec for i, spec in enumerate(makes.values())}
            aliases = ()
        return self.writer.layer(
            f"{self.name}/{suffix}" if suffix else self.name,
            op,
            reads,
            makes,
            attrs,
            scope=self.scope,
            source=self.op_type if not self.domain else f"{self.domain}.{self.op_type}",
            aliases=aliases,
        )

    def between(self, shape: Sequence[int | None], dtype: str | None = None, hint: str = "") -> TensorSpec:
        """A fresh tensor between the layers of this node, by default of the first output's dtype."""
        return self.writer.between(shape, dtype or self.y.dtype, f"{self.name}/{hint or 'between'}")


# Translates a node: writes its layers. What it cannot translate it leaves to the caller by returning NotImplemented.
Rule = Callable[[Node], Any]
# Shapes and dtypes of the outputs of an operator that the onnx package has no schema for; None where unknown.
Infer = Callable[[Node], Sequence["tuple[Shape, str] | None"]]

__all__ = ["Infer", "Node", "Rule", "Tensor"]
