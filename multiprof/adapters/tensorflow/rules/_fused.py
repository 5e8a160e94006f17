"""What TensorFlow's optimiser fuses behind a convolution or a product: bias, norm, activation, addition."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.ir import TensorSpec

ACTIVATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Elu": "elu", "LeakyRelu": "leaky_relu", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "GeluApproximate": "gelu", "GeluExact": "gelu",
}  # fmt: skip


class Fused:
    """``fused_ops`` of a node, whose operands begin at ``first``; the host makes ``target``, `finish` the rest."""

    def __init__(self, node: Node, first: int) -> None:
        self.node = node
        self.names: list[str] = list(node.attr("fused_ops") or [])
        self.place = first
        self.bias: TensorSpec | None = None
        self.understood = all(name in ("BiasAdd", "FusedBatchNorm", "Add", *ACTIVATIONS) for name in self.names)
        if self.names[:1] == ["BiasAdd"]:
            self.names.pop(0)
            self.bias = self._next()
        y = node.y()
        self.target = node.between(y.shape) if self.names else y

    def _next(self) -> TensorSpec:
        self.place += 1
        return self.node.x(self.place - 1)

    def finish(self) -> None:
        node, x = self.node, self.target
        for number, name in enumerate(self.names):
            y = node.y() if number == len(self.names) - 1 else node.between(x.shape)
            if name == "Add":
                node.layer("add", {"x0": x, "x1": self._next()}, y, piece="add")
            elif name == "FusedBatchNorm":
                operands = {role: self._next() for role in ("weight", "bias", "mean", "var")}
                attrs = {
                    "eps": node.attr("epsilon", 1e-4),
                    "channels": operands["weight"].shape[0],
                    "batch_stats": False,
                }
                node.layer("batch_norm", {"x": x, **operands}, y, attrs, piece="batch_norm")
            else:
                op = ACTIVATIONS[name]
                more: dict[str, Any] = {}
                if op == "gelu":
                    more["approximate"] = "tanh" if name.endswith("Approximate") else "none"
                if op == "leaky_relu":
                    more["negative_slope"] = node.attr("leakyrelu_alpha", 0.2)
                node.layer(op, {"x": x}, y, more, piece=op)
            x = y


__all__ = ["ACTIVATIONS", "Fused"]
