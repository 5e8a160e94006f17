"""A node about to be read, and tensors whose layers are written late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto

from multiprof.adapters.onnx.frame import Frame
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.types import Value
from multiprof.ir import CONSTANT, TensorSpec


@dataclass(slots=True)
class Call:
    """A node about to be read: its message, its unique name, the values it reads and its attributes."""

    proto: NodeProto
    op_type: str
    outputs: tuple[str, ...]
    name: str
    where: str
    domain: str
    frame: Frame
    inputs: tuple[Value | None, ...]
    attrs: Mapping[str, Any]
    version: int

    @property
    def source(self) -> str:
        return f"{self.domain}.{self.op_type}" if self.domain else self.op_type

    @property
    def foreign_name(self) -> str:
        return f"onnx.{self.source}"

    def tensor(self, number: int) -> Tensor | None:
        """An operand that is a tensor, or ``None``."""
        value = self.inputs[number] if number < len(self.inputs) else None
        return value if isinstance(value, Tensor) else None


@dataclass(slots=True)
class Deferred:
    """A tensor whose layer, or declaration, is written once something reads it: only then its role is known."""

    spec: TensorSpec
    kind: str | None = CONSTANT
    source: str = ""
    write: Callable[[], None] | None = None  # writes the layer; None for a constant, which is declared
    region: str | None = None
    nbytes: int = 0  # of texts, which have no width
    learned: bool = False  # a weight where it stands in the role of one


__all__ = ["Call", "Deferred"]
