"""Covariance and correlation: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _covariance(t: Tracer, x: Tensor, y: Tensor | None) -> Tensor:
    """(x − mean)·(x − mean)ᵀ/(n − correction), of rows of observations; one row is a matrix of one."""
    c = Chain(t, x.dtype)
    rows, n = (1, x.shape[0]) if x.dim() == 1 else x.shape
    mean = c.make("mean", {"x": x}, (rows, 1), {"axis": (x.dim() - 1,), "keepdim": True})
    centred = c.make("sub", {"x0": x, "x1": mean}, (rows, n))
    turned = c.make("transpose", {"x": centred}, (n, rows), {"perm": (1, 0)})
    product = c.make("matmul", {"x0": centred, "x1": turned}, (rows, rows), {"contracted": n})
    return c.make("div", {"x0": product}, (rows, rows), {"scalar": n - 1}, y)


@rule(aten="cov")
def cov(
    t: Tracer, self: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Any:
    if fweights is not None or aweights is not None:
        return NotImplemented
    return _covariance(t, self, t.new((), self.dtype))


@rule(aten="corrcoef")
def corrcoef(t: Tracer, self: Tensor) -> Any:
    """The covariance divided by the standard deviations of both sides, and limited to [−1, 1]."""
    y = t.new((), self.dtype)
    covariance = _covariance(t, self, None)
    rows = covariance.shape[0]
    c = Chain(t, self.dtype)
    variances = c.make("slice", {"x": covariance}, (rows,), {"index": "the diagonal"})
    deviations = c.one("sqrt", variances)
    left = c.make("div", {"x0": covariance, "x1": deviations}, covariance.shape)
    right = c.make("div", {"x0": left, "x1": deviations}, covariance.shape)
    c.one("clip", right, y, min=-1, max=1)
    return y
