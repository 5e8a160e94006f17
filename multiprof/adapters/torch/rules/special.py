"""Functions that libraries evaluate as a whole, element by element: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

# Operators of aten that are one evaluation of a function of one tensor, of two.
_ONE = (
    "digamma", "lgamma", "i0", "special_airy_ai", "special_bessel_j0", "special_bessel_j1", "special_bessel_y0",
    "special_bessel_y1", "special_erfcx", "special_i0e", "special_i1", "special_i1e", "special_log_ndtr",
    "special_modified_bessel_i0", "special_modified_bessel_i1", "special_modified_bessel_k0",
    "special_modified_bessel_k1", "special_ndtri", "special_scaled_modified_bessel_k0",
    "special_scaled_modified_bessel_k1", "special_spherical_bessel_j0",
)  # fmt: skip
_TWO = ("igamma", "igammac", "special_zeta")


def _one(name: str) -> Rule:
    def apply(t: Tracer, self: Tensor) -> Any:
        y = t.new((), self.dtype)
        t.emit("special", {"x0": self}, {"y": y}, {"function": name})
        return y

    return apply


def _operands(a: Any, b: Any) -> dict[str, Tensor]:
    """Roles of what is a tensor; a number is a constant of the function."""
    return {f"x{i}": x for i, x in enumerate(x for x in (a, b) if isinstance(x, Tensor))}


def _two(name: str) -> Rule:
    def apply(t: Tracer, self: Any, other: Any) -> Any:
        tensor = self if isinstance(self, Tensor) else other
        y = t.new((), tensor.dtype)
        t.emit("special", _operands(self, other), {"y": y}, {"function": name})
        return y

    return apply


for _name in _ONE:
    rule(aten=_name)(_one(_name.removeprefix("special_")))
for _name in _TWO:
    rule(aten=_name)(_two(_name.removeprefix("special_")))


@rule(aten="polygamma")
def polygamma(t: Tracer, n: int, self: Tensor) -> Any:
    y = t.new((), self.dtype)
    t.emit("special", {"x0": self}, {"y": y}, {"function": "polygamma", "order": int(n)})
    return y


@rule(aten="mvlgamma")
def multivariate_gamma(t: Tracer, self: Tensor, p: int) -> Any:
    """Σ lgamma(x − i/2) over i below p, and a constant."""
    y = t.new((), self.dtype)
    c = Chain(t, y.dtype)
    total = None
    for i in range(p):
        moved = c.two("sub", self, i / 2) if i else self
        part = c.make("special", {"x0": moved}, self.shape, {"function": "lgamma"})
        total = part if total is None else c.two("add", total, part)
    assert total is not None  # torch refuses p < 1
    c.two("add", total, p * (p - 1) / 4, y)
    return y


def _pair(op: str) -> Rule:
    def apply(t: Tracer, self: Any, other: Any) -> Any:
        """Of two tensors, or of a tensor and a number."""
        tensor = self if isinstance(self, Tensor) else other
        c = Chain(t, tensor.dtype)
        return c.two(op, self, other, t.new((), tensor.dtype))

    return apply


for _name, _op in (
    ("hypot", "hypot"), ("logaddexp", "logaddexp"), ("logaddexp2", "logaddexp"), ("xlogy", "xlogy"),
    ("special_xlog1py", "xlog1py"), ("copysign", "copysign"),
):  # fmt: skip
    rule(aten=_name)(_pair(_op))


@rule(aten="special_entr")
def entropy(t: Tracer, self: Tensor) -> Any:
    """−x·ln x"""
    c = Chain(t, self.dtype)
    return c.one("neg", c.two("xlogy", self, self), t.new((), self.dtype))


@rule(aten="sinc")
def sinc(t: Tracer, self: Tensor) -> Any:
    return Chain(t, self.dtype).one("sinc", self, t.new((), self.dtype))


@rule(aten="logit")
def logit(t: Tracer, self: Tensor, eps: float | None = None) -> Any:
    """With ``eps``, x is limited to [eps, 1 − eps] before."""
    y = t.new((), self.dtype)
    c = Chain(t, self.dtype)
    x = self if eps is None else c.one("clip", self, min=eps, max=1 - eps)
    return c.one("logit", x, y)
