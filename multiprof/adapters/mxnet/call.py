"""A node during inference: its attributes, and the shapes of its arguments and results, which rules read and narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiprof.adapters.mxnet.attributes import Attributes
from multiprof.errors import ModelError
from multiprof.ir import Shape

if TYPE_CHECKING:
    from multiprof.adapters.mxnet.inference import Inference
    from multiprof.adapters.mxnet.table import Args, Rule

MAX_RANK = 32


class Body:
    """A subgraph of a node: ``links`` are pairs (place of an argument of the node, name of the variable it becomes)."""

    __slots__ = ("inference", "links")

    def __init__(self, inference: Inference, links: list[tuple[int, str]]) -> None:
        self.inference = inference
        self.links = links


# A shape of which not even the rank is known is None; an unknown dimension within a shape is None too.
Known = Shape | None


class Call:
    """A node that computes. ``ins`` and ``outs`` are places in the inference's lists of shapes and types."""

    __slots__ = (
        "args", "attrs", "bodies", "inference", "ins", "memo", "name", "op", "outs", "raw", "rule", "where",
    )  # fmt: skip

    def __init__(
        self, name: str, op: str, raw: str, attrs: Attributes, rule: Rule | None, inference: Inference
    ) -> None:
        self.name = name
        self.op = op  # MXNet's present name
        self.raw = raw  # the name in the file
        self.attrs = attrs
        self.rule = rule  # None: a foreign operator
        self.inference = inference
        self.where = attrs.where
        self.args: Args = ()
        self.ins: list[int] = []
        self.outs: range = range(0)
        self.bodies: list[Body] = []  # the subgraphs, being inferred themselves
        self.memo: Any = None  # what a rule keeps between its calls

    def shape(self, i: int = 0) -> Known:
        """The shape of argument ``i`` as far as it is known."""
        try:
            return self.inference.shapes[self.ins[i]]
        except IndexError:
            raise ModelError(f"{self.where}: {len(self.ins)} inputs, at least {i + 1} expected") from None

    def result(self, i: int = 0) -> Known:
        """The shape of result ``i`` as far as it is known."""
        return self.inference.shapes[self.outs[i]]

    def expect(self, i: int, shape: Known) -> None:
        """Argument ``i`` has this shape; raises `ModelError` where it has another."""
        if shape is not None and i < len(self.ins):
            self.inference.narrow(self.ins[i], shape, self, f"input {i}")

    def give(self, shape: Known, i: int = 0) -> None:
        """Result ``i`` has this shape."""
        if shape is not None and i < len(self.outs):
            self.inference.narrow(self.outs[i], shape, self, "the result")

    def rank(self, i: int, *ranks: int) -> Known:
        """The shape of argument ``i``, which must have one of these ranks."""
        shape = self.shape(i)
        if shape is not None and len(shape) not in ranks:
            wanted = " or ".join(map(str, ranks))
            raise ModelError(f"{self.where}: input {i} has the shape {shape}, of rank {len(shape)}, not {wanted}")
        return shape

    def axis(self, axis: int, rank: int) -> int:
        """``axis`` counted from the front; raises `ModelError` when there is none of that number."""
        if not -rank <= axis < rank:
            raise ModelError(f"{self.where}: axis {axis} of a tensor of rank {rank}")
        return axis % rank

    def error(self, text: str) -> ModelError:
        return ModelError(f"{self.where}: {text}")

    def index(self, arg: str) -> int | None:
        """The place of an argument by name, where the node has it."""
        return self.args.index(arg) if arg in self.args[: len(self.ins)] else None


def unify(a: Known, b: Known) -> Known:
    """What two partial shapes of one tensor say together; raises `ValueError` where they exclude each other."""
    if a is None or a == b:
        return b
    if b is None:
        return a
    if len(a) != len(b):
        raise ValueError
    dims = []
    for x, y in zip(a, b, strict=True):
        if x is not None and y is not None and x != y:
            raise ValueError
        dims.append(y if x is None else x)
    return tuple(dims)


__all__ = ["MAX_RANK", "Call", "Known", "unify"]
