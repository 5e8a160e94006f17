"""Contractions: with a weight (linear), of two activations (matmul), and one step of an Einstein sum."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod

from multiprof.cost import Cost, Counts, Traffic, formula, moved_bytes
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas._primitives import primitives
from multiprof.formulas._sizes import size
from multiprof.ir import Layer, TensorSpec


def _linear_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; I: contracted size, the input features"""
    return {"|y|": layer.outputs["y"].numel, "I": size(layer, "in_features")}


@formula("linear", symbols=_linear_symbols)
def linear(layer: Layer) -> Cost:
    """dot: |y|·I macs, |y| dots; bias: |y| adds

    Every output element is a dot product over the I input features; x may have any number of leading dimensions.
    """
    y = layer.outputs["y"].numel
    terms = {"dot": Counts(y * size(layer, "in_features"), y)}
    if "bias" in layer.inputs:
        terms["bias"] = Counts(adds=y)
    return Cost(terms)


def _matmul_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; I: contracted size"""
    return {"|y|": layer.outputs["y"].numel, "I": size(layer, "contracted")}


@formula("matmul", symbols=_matmul_symbols)
def matmul(layer: Layer) -> Cost:
    """dot: |y|·I macs, |y| dots

    Every output element is a dot product over the contracted size I; leading dimensions are in |y|, broadcast or not.
    """
    y = layer.outputs["y"].numel
    return Cost({"dot": Counts(y * size(layer, "contracted"), y)})


def _sparse_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; Z: stored elements of the sparse operand; c: columns of the dense operand"""
    return {"|y|": layer.outputs["y"].numel, "Z": size(layer, "nnz"), "c": size(layer, "columns")}


def _reads_what_is_stored(layer: Layer) -> Traffic:
    """The dense operand; of the sparse one the stored elements and their positions."""
    role = layer.attrs.get("sparse", "x0")
    read, written = moved_bytes(layer)
    spec = layer.inputs[role]
    stored = TensorSpec((size(layer, "nnz"),), spec.dtype).nbytes + (layer.attrs.get("index_bytes") or 0)
    return read - spec.nbytes + stored, written


@formula("sparse_matmul", symbols=_sparse_symbols, traffic=_reads_what_is_stored)
def sparse_matmul(layer: Layer) -> Cost:
    """dot: Z·c macs, |y| dots

    Every stored element meets each column of the dense operand once; what is not stored takes no part.
    """
    s = _sparse_symbols(layer)
    return Cost({"dot": Counts(s["Z"] * s["c"], s["|y|"])})


def _einsum_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; I: product of the sizes of all indices"""
    shapes = [spec.shape for role, spec in layer.inputs.items() if role.startswith("x")]
    equation = _equation(layer)
    names, out = _parse(equation)
    if [len(letters) for letters in names] != [len(shape) for shape in shapes]:
        raise PluginError(f"layer {layer.name}: the equation {equation} does not fit operands of the shapes {shapes}")
    sizes: dict[str, int] = {}
    for letters, shape in zip(names, shapes, strict=True):
        for letter, n in zip(letters, shape, strict=True):
            if n is None:
                raise UnknownDimensionError(f"layer {layer.name}: the size of index {letter} is data-dependent")
            if n != 1 or letter not in sizes:  # a size of 1 broadcasts
                sizes[letter] = n
    return {"|y|": prod(sizes[letter] for letter in out), "I": prod(sizes.values())}


@formula("einsum", symbols=_einsum_symbols, source="the notation of numpy.einsum")
def einsum(layer: Layer) -> Cost:
    """dot: I macs, |y| dots; product: |y| muls; sum: I − |y| adds

    Two operands with a summed index: a dot product for each output element, over all summed indices. Two operands
    without one: a multiplication for each output element. One operand: the sum of what is left after diagonals are
    taken; a mere diagonal or transposition is nothing. An index summed in one operand alone is part of the dot
    product; a runtime that sums it beforehand is described by a step of its own. More than two operands are no step:
    adapters split them into the pairwise path the runtime takes. Products and sums of integers count as ints.
    """
    equation = _equation(layer)
    operands = len(_parse(equation)[0])
    if operands > 2:
        raise PluginError(
            f"layer {layer.name}: an einsum layer is a step of at most two operands, and {equation} has {operands}; "
            "the adapter must split it into the path the runtime takes"
        )
    sizes = _einsum_symbols(layer)
    y, elements = sizes["|y|"], sizes["I"]
    if operands == 1:
        # max: the sum over an index of size 0 is 0 without any addition
        return Cost({"sum": primitives(layer, adds=max(elements - y, 0))})
    if _sums(equation):
        return Cost({"dot": Counts(elements, y)})
    return Cost({"product": primitives(layer, muls=y)})


def _equation(layer: Layer) -> str:
    equation: str | None = layer.attrs.get("equation")
    if equation is None:
        raise PluginError(f"layer {layer.name}: the op einsum requires the attribute equation, which is not there")
    return equation


@lru_cache(maxsize=1024)
def _parse(equation: str) -> tuple[tuple[str, ...], str]:
    """The index letters of each operand and of the output."""
    left, arrow, out = equation.partition("->")
    names = tuple(left.split(","))
    if not arrow or not all(letter.isalpha() for letter in left.replace(",", "") + out) or not set(out) <= set(left):
        raise PluginError(f"{equation!r} is no explicit einsum equation such as bij,bjk->bik")
    return names, out


@lru_cache(maxsize=1024)
def _sums(equation: str) -> bool:
    names, out = _parse(equation)
    return not set("".join(names)) <= set(out)


FORMULAS = (linear, matmul, sparse_matmul, einsum)
