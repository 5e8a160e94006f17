"""Rotary position embedding: pairs of channels turned by an angle, whose cosine and sine are tables."""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UnknownDimensionError
from multiprof.ir import Layer


def _turned(layer: Layer) -> int:
    """R: elements of the channels that are rotated."""
    width = layer.x.shape[-1]
    if width is None:
        raise UnknownDimensionError(f"layer {layer.name}: the last dimension of {layer.x.shape} is data-dependent")
    head = width // (layer.attrs.get("heads") or 1)
    turned = layer.attrs.get("rotary_dim") or head
    return layer.x.numel // head * min(turned, head) if head else 0


def _symbols(layer: Layer) -> Mapping[str, int]:
    """R: elements of the channels that are rotated"""
    return {"R": _turned(layer)}


@formula("rotary_embedding", symbols=_symbols, source="Su et al. 2021, RoFormer, equation (34)")
def rotary_embedding(layer: Layer) -> Cost:
    """rotate: 2·R muls, R adds

    A pair (a, b) becomes (a·cos − b·sin, b·cos + a·sin): 4 muls and 2 adds. The other channels are copied.
    """
    turned = _turned(layer)
    return Cost({"rotate": Counts(muls=2 * turned, adds=turned)})


FORMULAS = (rotary_embedding,)
