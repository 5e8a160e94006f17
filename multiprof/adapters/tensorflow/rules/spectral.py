"""Spectra and linear algebra."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule

_RANKS = {"FFT": 1, "FFT2D": 2, "FFT3D": 3, "BatchFFT": 1, "BatchFFT2D": 2, "BatchFFT3D": 3}


@rule(*_RANKS, *(name.replace("FFT", "IFFT") for name in _RANKS))
def fft(node: Node) -> None:
    """One transform along each of the last axes."""
    x = node.x()
    inverse = "IFFT" in node.op
    count = _RANKS[node.op.replace("IFFT", "FFT")]
    for i in range(count):
        y = node.y() if i == count - 1 else node.between(x.shape)
        axis = x.rank - 1 - i
        attrs = {"axis": axis, "n": x.shape[axis], "inverse": inverse}
        node.layer("fft", {"x": x}, y, attrs, piece="" if count == 1 else f"axis_{axis}")
        x = y


@rule("RFFT", "RFFT2D", "RFFT3D")
def rfft(node: Node) -> Any:
    """The last axis of a real signal, of which half of the spectrum is kept, then the axes before it."""
    return _real(node, False)


@rule("IRFFT", "IRFFT2D", "IRFFT3D")
def irfft(node: Node) -> Any:
    """The axes before the last, then the last: half of a spectrum, into a real signal."""
    return _real(node, True)


def _real(node: Node, inverse: bool) -> Any:
    x, y = node.x(0), node.y()
    count = int(node.op[-2]) if node.op.endswith("D") else 1
    lengths = node.ints(1)
    if lengths is None or len(lengths) != count:
        return NotImplemented
    last = x.rank - 1
    axes = [last, *range(last - 1, last - count, -1)]
    if inverse:
        axes = axes[1:] + axes[:1]
    made = x
    if not inverse and None not in x.shape and any(x.shape[a] != n for a, n in zip(sorted(axes), lengths, strict=True)):
        shape = [*x.shape[: x.rank - count], *lengths]
        made = node.between(shape, x.dtype)
        node.layer("pad", {"x": x}, made, {"mode": "constant", "value": 0}, piece="pad")
    for i, axis in enumerate(axes):
        n = lengths[axis - (x.rank - count)]
        one_sided = axis == last
        shape = list(made.shape)
        shape[axis] = y.shape[axis]
        target = y if i == count - 1 else node.between(shape, "complex64")
        attrs = {"axis": axis, "n": n, "inverse": inverse, "onesided": one_sided}
        node.layer("fft", {"x": made}, target, attrs, piece="" if count == 1 else f"axis_{axis}")
        made = target
    return None


@rule("Cholesky", "BatchCholesky")
def cholesky(node: Node) -> None:
    node.unary("cholesky", {"upper": False})


@rule("MatrixInverse", "BatchMatrixInverse")
def inverse(node: Node) -> None:
    node.unary("inverse")


@rule("MatrixDeterminant", "BatchMatrixDeterminant")
def determinant(node: Node) -> None:
    node.unary("det")


@rule("MatrixSolve", "BatchMatrixSolve")
def solve(node: Node) -> None:
    attrs = {"triangular": False, "transposed": bool(node.attr("adjoint", False))}
    node.layer("solve", {"a": node.x(0), "b": node.x(1)}, None, attrs)


@rule("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def triangular_solve(node: Node) -> None:
    attrs = {
        "triangular": True,
        "upper": not node.attr("lower", True),
        "transposed": bool(node.attr("adjoint", False)),
    }
    node.layer("solve", {"a": node.x(0), "b": node.x(1)}, None, attrs)
