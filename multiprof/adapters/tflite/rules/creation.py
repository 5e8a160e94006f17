"""Tensors out of nothing or of a shape alone, random numbers, spectra."""

from __future__ import annotations

from math import ceil

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.elementwise import joint
from multiprof.ir import Shape


@rule("SHAPE", "RANK")
def shape_of(node: Node) -> None:
    """Known as soon as the sizes are: a constant of the program."""
    node.emit("constant", {}, (node.x(0).rank,) if node.code == "SHAPE" else ())


def _given(node: Node, number: int) -> Shape | None:
    """The shape that stands in an operand; only its rank where the numbers are not known."""
    found = node.values(number)
    if found is not None:
        return tuple(found)
    size = node.shape(number)
    return (None,) * size[0] if len(size) == 1 and size[0] is not None and size[0] <= 64 else None


@rule("FILL")
def fill(node: Node) -> None:
    value = node.values(1)
    shape = _given(node, 0)
    if value is not None:
        node.emit("fill", {}, shape, {"value": value[0] if value else None})
    else:
        node.emit("expand", {"x": node.x(1)}, shape, {"shape": shape})


@rule("ZEROS_LIKE")
def zeros_like(node: Node) -> None:
    node.emit("fill", {}, node.shape(), {"value": 0})


@rule("RANGE")
def range_(node: Node) -> None:
    """Operands: start, limit, step."""
    found = [node.values(i) for i in range(3)]
    numbers = [f[0] for f in found if f]
    size = None
    if len(numbers) == 3 and None not in numbers:
        start, limit, step = numbers
        if not step:
            raise node.fail("its step is 0")
        size = max(0, ceil((limit - start) / step) if isinstance(step, float) else -((start - limit) // step))
    node.emit("arange", {}, (size,))


@rule("STABLEHLO_IOTA")
def iota(node: Node) -> None:
    node.emit("arange", {}, node.declared(0).shape)


@rule("BROADCAST_ARGS")
def broadcast_args(node: Node) -> None:
    """The shape that two shapes broadcast to."""
    sizes = [node.shape(i, 1)[0] for i in (0, 1)]
    size = None if None in sizes else max(s for s in sizes if s is not None)
    node.emit("maximum", {"x0": node.x(0), "x1": node.x(1)}, (size,))


@rule("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL")
def random(node: Node) -> None:
    name = "uniform" if node.code == "RANDOM_UNIFORM" else "normal"
    node.emit("random", {}, _given(node, 0), {"distribution": name})


@rule("MULTINOMIAL")
def multinomial(node: Node) -> None:
    """Operands: logits (batch, classes), how many to draw."""
    count = node.ints(1)
    shape = (node.shape(0, 2)[0], count[0] if count else None)
    node.emit("random", {"x0": node.x(0)}, shape, {"distribution": "multinomial"})


@rule("STABLEHLO_RNG_BIT_GENERATOR")
def random_bits(node: Node) -> None:
    """The state goes in and comes out, before the bits."""
    state, bits = node.result(node.shape(0), 0), node.result(node.declared(1).shape, 1)
    node.layer("random", {"x0": node.x(0)}, {"y": bits}, {"distribution": "bits"})
    node.layer("random", {"x0": node.x(0)}, {"y": state}, {"distribution": "state"}, piece="state")
    node.bind(0, state)
    node.bind(1, bits)


# -- complex numbers -------------------------------------------------------------------------------------------------


@rule("REAL", "IMAG")
def part(node: Node) -> None:
    node.emit("slice", {"x": node.x()}, joint(node, 0), {"index": node.code.lower()})


@rule("RFFT2D")
def rfft2d(node: Node) -> None:
    """Operands: x (…, h, w), sizes of the two transforms, to which x is cut or padded. The last axis comes first."""
    x = node.x(0)
    if x.rank < 2:
        raise node.fail(f"it transforms images, not {x.shape}")
    lengths = node.values(1) or (None, None)
    if len(lengths) != 2:
        raise node.fail(f"its lengths are {lengths}")
    if any(n is not None and (not isinstance(n, int) or n < 1) for n in lengths):
        raise node.fail(f"its lengths are {lengths}")
    height, width = lengths
    half = None if width is None else width // 2 + 1
    y = node.result((*x.shape[:-2], height, half))
    if not y.dtype.startswith("complex") or x.dtype != "float32":
        raise node.fail(f"it makes {y.dtype} of {x.dtype}, not complex64 of float32")
    rows = node.between((*x.shape[:-1], half), y)
    attrs = {"axis": x.rank - 1, "n": width, "inverse": False, "onesided": True}
    node.layer("fft", {"x": x}, {"y": rows}, attrs, piece="rows")
    attrs = {"axis": x.rank - 2, "n": height, "inverse": False, "onesided": False}
    node.layer("fft", {"x": rows}, {"y": y}, attrs, piece="columns")
    node.bind(0, y)


__all__: list[str] = []
