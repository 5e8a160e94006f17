"""gelu as jax.nn spells it out: by tanh, or by the error function, in JAX 0.4.30, or its complement."""

from __future__ import annotations

from math import isclose, pi, sqrt

from multiprof.adapters._common.patterns.net import Net, scalar_of
from multiprof.ir import Layer, TensorSpec


def merge_gelu(net: Net, i: int) -> bool:
    last = net.layers[i]
    assert last is not None
    if last.op == "div":
        return _halved(net, last)
    if "x1" not in last.inputs:
        return False
    a, b = last.inputs["x0"], last.inputs["x1"]
    for approximate, spelled in (("tanh", _by_tanh), ("none", _by_erf)):
        for left, right in ((a, b), (b, a)):
            steps = spelled(net, left, right, last)
            if steps is not None:
                x, gone = steps
                net.replace(last, gone, "gelu", {"x": x}, {"approximate": approximate})
                return True
    return False


def _step(net: Net, spec: TensorSpec, by: Layer, op: str, constant: float | None = None) -> Layer | None:
    """The layer of ``op`` that makes ``spec``, with the constant as an operand where one is asked for."""
    layer = net.made(spec, by, op)
    if layer is None or constant is None:
        return layer
    found = scalar_of(layer)
    # the constants are rounded to the type of x: 8 bits of bfloat16 are the fewest
    return layer if found is not None and isclose(found, constant, rel_tol=2**-7) else None


def _by_tanh(net: Net, x: TensorSpec, other: TensorSpec, by: Layer) -> tuple[TensorSpec, list[Layer]] | None:
    """x·(½·(1 + tanh(√(2/π)·(x + 0.044715·x³))))"""
    gone: list[Layer] = []
    spec = other
    for op, constant in (("mul", 0.5), ("add", 1.0), ("tanh", None), ("mul", sqrt(2 / pi))):
        layer = _step(net, spec, by, op, constant)
        if layer is None:
            return None
        gone.append(layer)
        spec = layer.x
    total = net.made(spec, by, "add")
    if total is None or "x1" not in total.inputs or total.inputs["x0"].name != x.name:
        return None
    scaled = _step(net, total.inputs["x1"], by, "mul", 0.044715)
    cube = None if scaled is None else net.made(scaled.x, by, "pow")
    if scaled is None or cube is None or cube.x.name != x.name or cube.attrs.get("exponent") != 3:
        return None
    return x, [*gone, total, scaled, cube]


def _by_erf(net: Net, half: TensorSpec, other: TensorSpec, by: Layer) -> tuple[TensorSpec, list[Layer]] | None:
    """(½·x)·erfc(−x·√½)"""
    product = _step(net, half, by, "mul", 0.5)
    root = net.made(other, by, "erfc")
    scaled = None if root is None else _step(net, root.x, by, "mul", sqrt(0.5))
    negative = None if scaled is None else net.made(scaled.x, by, "neg")
    if product is None or root is None or scaled is None or negative is None or negative.x.name != product.x.name:
        return None
    return product.x, [product, root, scaled, negative]


def _halved(net: Net, last: Layer) -> bool:
    """x·(erf(x/√2) + 1)/2"""
    product = None if scalar_of(last) != 2 else net.made(last.x, last, "mul")
    if product is None or "x1" not in product.inputs:
        return False
    x, other = product.inputs["x0"], product.inputs["x1"]
    raised = _step(net, other, last, "add", 1.0)
    root = None if raised is None else net.made(raised.x, last, "erf")
    scaled = None if root is None else _step(net, root.x, last, "div", sqrt(2))
    if raised is None or root is None or scaled is None or scaled.x.name != x.name:
        return False
    net.replace(last, [product, raised, root, scaled], "gelu", {"x": x}, {"approximate": "none"})
    return True


__all__ = ["merge_gelu"]
