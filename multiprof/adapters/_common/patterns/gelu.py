"""gelu as programs spell it out: ½·x·(1 + erf(x/√2)), ½·x·erfc(−x/√2), or with tanh in the place of erf.

The half may stand at x, at the other factor or at their product; JAX and TensorFlow differ there, and so do their
versions.
"""

from __future__ import annotations

from math import isclose, pi, sqrt

from multiprof.adapters._common.patterns.net import Net, scalar_of
from multiprof.ir import Layer, TensorSpec


def merge_gelu(net: Net, i: int) -> bool:
    """Try it at a product, and at a division by 2."""
    last = net.layers[i]
    assert last is not None
    product, gone = (last, []) if "x1" in last.inputs else _halved(net, last)
    if product is None or product.op != "mul" or "x1" not in product.inputs:
        return False
    for a, b in (("x0", "x1"), ("x1", "x0")):
        found = _product(net, product.inputs[a], product.inputs[b], last, bool(gone))
        if found is not None:
            x, approximate, steps = found
            net.replace(last, [*gone, *steps], "gelu", {"x": x}, {"approximate": approximate})
            return True
    return False


def _halved(net: Net, last: Layer) -> tuple[Layer | None, list[Layer]]:
    """What is halved at the end."""
    product = net.made(last.x, last, "mul") if _is_scaling(last, 0.5) else None
    return product, [] if product is None else [product]


def _product(
    net: Net, x: TensorSpec, gate: TensorSpec, last: Layer, half: bool
) -> tuple[TensorSpec, str, list[Layer]] | None:
    """``x·gate``, with half of either unless the product is halved: x, how the gate is made, the layers between."""
    if half:
        found = _gate(net, gate, x, last)
        return None if found is None else (x, *found)
    for spec in (x, gate):
        layer = _scaled(net, spec, last, 0.5)
        if layer is not None:
            whole = layer.x
            found = _gate(net, gate, whole, last) if spec is x else _gate(net, whole, x, last)
            if found is not None:
                return (whole if spec is x else x), found[0], [layer, *found[1]]
    return None


def _gate(net: Net, spec: TensorSpec, x: TensorSpec, by: Layer) -> tuple[str, list[Layer]] | None:
    """1 + erf(x/√2), erfc(−x/√2), or 1 + tanh(√(2/π)·(x + 0.044715·x³))."""
    complement = net.made(spec, by, "erfc")
    if complement is not None:
        steps = _negative(net, complement.x, x, by)
        return None if steps is None else ("none", [complement, *steps])
    raised = net.made(spec, by, "add")
    if raised is None or not _is(scalar_of(raised), 1.0):
        return None
    curve = net.made(raised.x, by, "erf", "tanh")
    if curve is None:
        return None
    scaled = _scaled(net, curve.x, by, sqrt(0.5) if curve.op == "erf" else sqrt(2 / pi))
    if scaled is None:
        return None
    gone = [raised, curve, scaled]
    if curve.op == "erf":
        return ("none", gone) if scaled.x.name == x.name else None
    steps = _cubic(net, scaled.x, x, by)
    return None if steps is None else ("tanh", [*gone, *steps])


def _negative(net: Net, spec: TensorSpec, x: TensorSpec, by: Layer) -> list[Layer] | None:
    """−x/√2, whichever is done first."""
    gone: list[Layer] = []
    for _ in range(2):
        layer = net.made(spec, by, "neg") or _scaled(net, spec, by, sqrt(0.5)) or _scaled(net, spec, by, -sqrt(0.5))
        if layer is None:
            return None
        gone.append(layer)
        spec = layer.x
        signs = sum(step.op == "neg" or _is_scaling(step, -sqrt(0.5)) for step in gone)
        if spec.name == x.name and signs == 1 and any(step.op != "neg" for step in gone):
            return gone
    return None


def _cubic(net: Net, spec: TensorSpec, x: TensorSpec, by: Layer) -> list[Layer] | None:
    """x + 0.044715·x³"""
    total = net.made(spec, by, "add")
    if total is None or "x1" not in total.inputs:
        return None
    for a, b in (("x0", "x1"), ("x1", "x0")):
        scaled = _scaled(net, total.inputs[b], by, 0.044715)
        cube = None if scaled is None else net.made(scaled.x, by, "pow")
        if scaled is not None and cube is not None and total.inputs[a].name == cube.inputs["x0"].name == x.name:
            return [total, scaled, cube] if cube.attrs.get("exponent") == 3 else None
    return None


def _scaled(net: Net, spec: TensorSpec, by: Layer, factor: float) -> Layer | None:
    """The layer that makes ``spec`` by a multiplication with ``factor``, or a division by its reciprocal."""
    layer = net.made(spec, by, "mul", "div")
    return layer if layer is not None and _is_scaling(layer, factor) else None


def _is_scaling(layer: Layer, factor: float) -> bool:
    scalar = scalar_of(layer)
    return (layer.op == "mul" and _is(scalar, factor)) or (layer.op == "div" and _is(scalar, 1 / factor))


def _is(scalar: object, constant: float) -> bool:
    # the constants are rounded to the type of x: 8 bits of bfloat16 are the fewest
    return isinstance(scalar, (int, float)) and isclose(scalar, constant, rel_tol=2**-7)


__all__ = ["merge_gelu"]
