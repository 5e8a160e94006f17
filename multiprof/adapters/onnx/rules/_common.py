"""What rules share: attributes with their types checked, contents of small operands, rules of one layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, cast

from multiprof.adapters._common.shapes import broadcast, normal_axis
from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec

# The result shares the memory of the operand.
VIEW = (("y", "x", "view"),)

Operand = Tensor | TensorSpec


# -- attributes --------------------------------------------------------------------------------------------------------


def int_attr(node: Node, name: str, default: int) -> int:
    """An integer attribute; raises `ModelError` where it is something else."""
    return int(_attr(node, name, default, int, "integer"))


def float_attr(node: Node, name: str, default: float) -> float:
    """A number; raises `ModelError` where the attribute is something else."""
    return float(_attr(node, name, default, (int, float), "number"))


def str_attr(node: Node, name: str, default: str) -> str:
    """A string; raises `ModelError` where the attribute is something else."""
    return str(_attr(node, name, default, str, "string"))


def _attr(node: Node, name: str, default: Any, types: type | tuple[type, ...], noun: str) -> Any:
    value = node.attr(name)
    if value is None:
        return default
    if not isinstance(value, types):
        raise ModelError(f"{node.where}: the attribute {name} is {value!r}, no {noun}")
    return value


def given_ints(node: Node, name: str, count: int | None = None) -> tuple[int, ...] | None:
    """A list of integers, ``None`` where it is not given; raises `ModelError` unless there are ``count`` of them."""
    value = node.attr(name)
    if value is None:
        return None
    if isinstance(value, int):
        value = (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, int) for v in value):
        raise ModelError(f"{node.where}: the attribute {name} is {value!r}, no list of integers")
    if count is not None and len(value) != count:
        raise ModelError(f"{node.where}: the attribute {name} has {len(value)} numbers, not {count}: {value!r}")
    return tuple(int(v) for v in value)


def ints_attr(node: Node, name: str, default: Sequence[int]) -> tuple[int, ...]:
    """A list of as many integers as ``default`` has, which stands for an omitted (or empty) one."""
    if node.attr(name) == []:
        return tuple(default)
    value = given_ints(node, name, len(default))
    return tuple(default) if value is None else value


# -- contents ----------------------------------------------------------------------------------------------------------


def ints(tensor: Tensor | None) -> tuple[int, ...] | None:
    """The contents of a tensor of integers in a row, ``None`` where nobody knows them."""
    if tensor is None or tensor.value is None or tensor.value.dtype.kind not in "iub":
        return None
    return tuple(int(v) for v in tensor.value.ravel().tolist())


def number(tensor: Tensor | None) -> int | float | bool | None:
    """The one element of a tensor, where it has one and it is known."""
    if tensor is None or tensor.value is None or tensor.value.size != 1:
        return None
    value = tensor.value.ravel()[0]
    if value.dtype.kind in "iufb":
        return cast("int | float | bool", value.item())
    return float(value) if value.dtype.kind == "V" else None  # bfloat16 and its like


def axis_of(node: Node, axis: int, rank: int) -> int:
    return normal_axis(axis, rank, where=node.where)


def axes(node: Node, rank: int, place: int = 1) -> tuple[int, ...] | None:
    """Axes given as an attribute (old opsets) or as an input (new ones), non-negative.

    An empty tuple where none are given, ``None`` where they are the contents of a tensor that nobody knows.
    """
    if "axes" in node.attrs:
        found = given_ints(node, "axes")
    elif node.input(place) is not None:
        found = ints(node.input(place))
    else:
        return ()
    return None if found is None else tuple(axis_of(node, a, rank) for a in found)


def size(shape: Shape, axes: Sequence[int]) -> int | None:
    """The product of some dimensions, ``None`` where one is unknown."""
    found = [shape[a] for a in axes]
    return None if None in found else prod(cast("list[int]", found))


def divided(whole: int | None, parts: int) -> int | None:
    return None if whole is None or not parts else whole // parts


def warn(node: Node, text: str) -> None:
    node.writer.warnings.append(f"{node.where}: {text}")


# -- rules of one layer ------------------------------------------------------------------------------------------------


def unary(op: str, attrs: Callable[[Node], Mapping[str, Any]] | None = None, view: bool = False) -> Rule:
    """One operand, one result."""

    def rule(node: Node) -> None:
        node.layer(op, {"x": node.need(0)}, None, attrs(node) if attrs else None, aliases=VIEW if view else ())

    return rule


def binary(op: str) -> Rule:
    """Two operands that broadcast."""

    def rule(node: Node) -> None:
        node.layer(op, {"x0": node.need(0), "x1": node.need(1)})

    return rule


def numbers(**defaults: float) -> Callable[[Node], Mapping[str, Any]]:
    """Attributes that are numbers, under their own names."""
    return lambda node: {name: float_attr(node, name, value) for name, value in defaults.items()}


def chain(node: Node, op: str, operands: Sequence[Operand], y: TensorSpec, suffix: str) -> None:
    """``op`` on any number of operands, two at a time from the left; a single one is copied."""
    if not operands:
        raise ModelError(f"{node.where} has no operands")
    if len(operands) == 1:
        node.layer("identity", {"x": operands[0]}, y, suffix=suffix)
        return
    made: Operand = operands[0]
    last = len(operands) - 1
    for i, operand in enumerate(operands[1:], 1):
        target = y if i == last else node.between(broadcast(made.shape, operand.shape, where=node.where), y.dtype)
        name = suffix if last == 1 else f"{suffix}/{i}".strip("/")
        node.layer(op, {"x0": made, "x1": operand}, target, suffix=name)
        made = target


def present(node: Node, first: int = 0) -> list[Tensor]:
    """The operands from number ``first`` on that are there."""
    return [tensor for tensor in node.inputs[first:] if tensor is not None]


def copies(node: Node, x: Operand, *outputs: int) -> None:
    """Outputs that are the operand itself."""
    for i in outputs:
        spec = node.output(i)
        if spec is not None:
            node.layer("identity", {"x": x}, spec, suffix=f"copy_{i}", aliases=VIEW)


def set_aside(node: Node, *tensors: Tensor | None) -> None:
    """What is declared of these tensors is a constant, however many elements it has: scales, zero points, zeros."""
    for tensor in tensors:
        if tensor is not None:
            node.writer.set_aside(tensor.spec.name)


# Shapes and dtypes of a node's outputs, None where nothing is known.
Found = list["tuple[Shape, str] | None"]


def like_first(node: Node) -> Found:
    """Shape and dtype of the first operand."""
    x = node.need(0)
    return [(x.shape, x.dtype)]


def ranked(table: Mapping[tuple[str, str], Infer]) -> dict[tuple[str, str], Infer]:
    """Inference that says nothing where the number of dimensions of an operand is unknown."""

    def guarded(infer: Infer) -> Infer:
        def rule(node: Node) -> Sequence[tuple[Shape, str] | None]:
            if any(tensor is not None and not tensor.ranked for tensor in node.inputs):
                return []
            return infer(node)

        return rule

    return {key: guarded(infer) for key, infer in table.items()}
