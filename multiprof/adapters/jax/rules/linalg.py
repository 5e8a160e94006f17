"""Fourier transforms and linear algebra."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Value
from multiprof.adapters.jax.walker import Walker


@rule("fft")
def fft(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """One transform along each axis, the last one first, as the definition of more dimensions has it.

    Of a real transform only the one along the last axis is real: first of all, or last of all where it is the inverse.
    """
    x = w.tensor(values[0])
    y = w.like(eqn.outvars[0])
    lengths = tuple(int(n) for n in eqn.params["fft_lengths"])
    kind = str(getattr(eqn.params["fft_type"], "name", eqn.params["fft_type"])).upper()
    inverse = kind in ("IFFT", "IRFFT")
    axes = [x.rank - len(lengths) + i for i in range(len(lengths))]
    order = list(zip(axes, lengths, strict=True))
    if not kind.endswith("IRFFT"):
        order.reverse()
    shape = list(x.shape)
    wide = "complex128" if "128" in x.dtype + y.dtype or "float64" in x.dtype + y.dtype else "complex64"
    for number, (axis, n) in enumerate(order):
        last = number == len(order) - 1
        if last:
            out = y
        else:
            if kind == "RFFT" and number == 0:
                shape[axis] = n // 2 + 1
            out = w.new(shape, wide)
        onesided = "RFFT" in kind and axis == axes[-1]
        w.emit("fft", {"x": x}, {"y": out}, {"axis": axis, "n": n, "inverse": inverse, "onesided": onesided})
        x = out
    return [y]


@rule("cholesky")
def cholesky(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("cholesky", eqn, values[0])


@rule("lu")
def lu(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Both factors in one matrix, which rows changed places, and the order that they are in then."""
    roles = ("y", "pivots", "permutation")
    outputs = dict(zip(roles, w.results(eqn), strict=True))
    w.emit("lu", {"x": values[0]}, outputs)
    return list(outputs.values())


@rule("qr")
def qr(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Without Q where nobody reads it: XLA leaves out what forms it of the reflections."""
    if eqn.params.get("pivoting"):
        return NotImplemented
    q, r = w.results(eqn)
    outputs = {"y": r, "q": q} if w.is_read(eqn.outvars[0]) else {"y": r}
    w.emit("qr", {"x": values[0]}, outputs)
    return [q, r]


@rule("svd")
def svd(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """The values, then the vectors where they are asked for."""
    results = w.results(eqn)
    w.emit("svd", {"x": values[0]}, dict(zip(("y", "u", "v"), results, strict=False)))
    return results


@rule("eigh")
def eigh(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """The vectors come first, and are made whether or not they are read."""
    vectors, y = w.results(eqn)
    w.emit("eigh", {"x": values[0]}, {"y": y, "vectors": vectors})
    return [vectors, y]


@rule("eig")
def eig(w: Walker, eqn: Any, values: list[Value]) -> Any:
    if eqn.params.get("compute_left_eigenvectors"):
        return NotImplemented
    results = w.results(eqn)
    w.emit("eig", {"x": values[0]}, dict(zip(("y", "vectors"), results, strict=False)))
    return results


@rule("householder_product")
def householder(w: Walker, eqn: Any, values: list[Value]) -> Any:
    y = w.like(eqn.outvars[0])
    w.emit("householder", {"x": values[0], "tau": values[1]}, {"y": y})
    return [y]


@rule("triangular_solve")
def triangular_solve(w: Walker, eqn: Any, values: list[Value]) -> Any:
    y = w.like(eqn.outvars[0])
    p = eqn.params
    attrs = {
        "triangular": True,
        "upper": not p["lower"],
        "transposed": bool(p["transpose_a"]),
        "left": bool(p["left_side"]),
        "unit": bool(p["unit_diagonal"]),
    }
    w.emit("solve", {"a": values[0], "b": values[1]}, {"y": y}, attrs)
    return [y]
