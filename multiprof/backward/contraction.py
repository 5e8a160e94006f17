"""Backward pass of convolutions and matrix products: each gradient is a contraction of as many macs as the forward.

A product of an element of x with an element of w that goes into y meets the gradient of y once for the gradient of x
and once for that of w. So each of the two takes the macs of the forward pass, whatever stride, dilation and groups are.
Source: Rumelhart, Hinton and Williams 1986; Dumoulin and Visin 2016, section 4, for convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from multiprof.backward.rule import Needs, Rule, term
from multiprof.cost import Cost, Counts
from multiprof.formulas.conv import conv, conv_transpose
from multiprof.formulas.linear import einsum, linear, matmul
from multiprof.ir import Layer


def _weighted(layer: Layer, needs: Needs, macs: int) -> Cost:
    """Terms of a layer y = x ∗ weight + bias: x and weight each the macs of the forward, the bias |y| − |b| adds."""
    terms = {}
    if "x" in needs:
        terms["input_grad"] = Counts(macs, layer.x.numel)
    if "weight" in needs:
        terms["weight_grad"] = Counts(macs, layer.inputs["weight"].numel)
    if "bias" in needs:
        terms["bias_grad"] = Counts(adds=layer.y.numel - layer.inputs["bias"].numel)
    return Cost(terms)


def conv_backward(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y|·K·C_i/G macs, |x| dots; weight_grad: |y|·K·C_i/G macs, |w| dots; bias_grad: |y| − |b| adds"""
    return _weighted(layer, needs, conv.price(layer).macs)


def conv_transpose_backward(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |x|·K·C_o/G macs, |x| dots; weight_grad: |x|·K·C_o/G macs, |w| dots; bias_grad: |y| − |b| adds

    Cropping counts as if computed, as in the forward pass.
    """
    return _weighted(layer, needs, conv_transpose.price(layer).macs)


def linear_backward(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y|·I macs, |x| dots; weight_grad: |y|·I macs, |w| dots; bias_grad: |y| − |b| adds"""
    return _weighted(layer, needs, linear.price(layer).macs)


def matmul_backward(layer: Layer, needs: Needs) -> Cost:
    """x0_grad: |y|·I macs, |x0| dots; x1_grad: |y|·I macs, |x1| dots

    An operand that is broadcast over a batch has a gradient for each sample, and their sum: |y|/m − |x| adds more,
    where each of its elements went into m of y; a matrix (two dimensions) meets the whole batch in one product.
    """
    macs = matmul.price(layer).macs
    terms = {}
    y = layer.y
    for role in ("x0", "x1"):
        if role in needs:
            spec = layer.inputs[role]
            adds = 0
            if spec.rank > 2 and y.rank == spec.rank:
                batch = prod(n or 0 for n in y.shape[:-2])
                own = prod(n or 0 for n in spec.shape[:-2])
                adds = (batch - own) * (spec.numel // own) if own else 0
            terms[term(role)] = Counts(macs, spec.numel, adds=adds)
    return Cost(terms)


def einsum_backward(layer: Layer, needs: Needs) -> Cost:
    """x0_grad: I macs, |x0| dots; x1_grad: I macs, |x1| dots; and without a summed index: |y| muls each, and sums"""
    forward = einsum.price(layer)
    terms = {}
    if sum(role.startswith("x") for role in layer.inputs) < 2:
        return Cost()  # the gradient of a sum is spread
    for role in needs:
        spec = layer.inputs[role]
        if forward.macs:
            terms[term(role)] = Counts(forward.macs, spec.numel)
        else:
            y = layer.y.numel
            terms[term(role)] = Counts(muls=y, adds=max(y - spec.numel, 0))
    return Cost(terms)


def _both(layer: Layer, needs: Needs) -> Iterable[str]:
    """One function makes all gradients of a convolution, and keeps what it may need."""
    return ("x", "weight")


def keeps_partner(first: str, second: str) -> Callable[[Layer, Needs], Iterable[str]]:
    """The gradient of one factor needs the other."""

    def keeps(layer: Layer, needs: Needs) -> Iterable[str]:
        if first in needs and second in layer.inputs:
            yield second
        if second in needs:
            yield first

    return keeps


_FORWARD = "as many macs as the forward pass, for each gradient"
RULES = {
    "conv": Rule(conv_backward, _both, source=_FORWARD),
    "conv_transpose": Rule(conv_transpose_backward, _both, source=_FORWARD),
    "linear": Rule(linear_backward, keeps_partner("x", "weight"), source=_FORWARD),
    "matmul": Rule(matmul_backward, keeps_partner("x0", "x1"), source=_FORWARD),
    "einsum": Rule(einsum_backward, keeps_partner("x0", "x1"), source=_FORWARD),
}
