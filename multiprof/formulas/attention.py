"""Scaled dot-product attention, whole, as fused kernels compute it."""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def _symbols(layer: Layer) -> Mapping[str, int]:
    """N: batch; h: query heads; P: pairs of query and key that a head scores; R: queries of a head that see a key;
    D_k: size of a query and of a key; D_v: size of a value; A: masks added to the scores; M: masks that select scores;
    C: soft caps of the scores, 0 or 1; Z: dropouts of the probabilities, 0 or 1
    """
    attrs = layer.attrs
    q_len, kv_len = size(layer, "q_len"), size(layer, "kv_len")
    mask = layer.inputs.get("mask")
    selected = int(mask is not None and mask.is_integer)
    added = int(mask is not None) - selected
    pairs, rows = q_len * kv_len, q_len if kv_len else 0
    if attrs.get("causal"):
        if attrs.get("pairs", "full") == "unmasked":
            pairs, rows = unmasked_pairs(q_len, kv_len, attrs.get("causal_alignment", "top_left"))
        else:
            selected += 1
    return {
        "N": size(layer, "batch"),
        "h": size(layer, "heads"),
        "P": pairs,
        "R": rows,
        "D_k": size(layer, "qk_dim"),
        "D_v": size(layer, "v_dim"),
        "A": added,
        "M": selected,
        "C": int(bool(attrs.get("softcap"))),
        "Z": int(bool(attrs.get("dropout"))),
    }


def unmasked_pairs(q_len: int, kv_len: int, alignment: str) -> tuple[int, int]:
    """How many (query, key) pairs a causal mask lets through, and how many queries see any key.

    ``top_left``: query i sees keys 0 … i. ``bottom_right``: the last query sees the last key, so query i sees keys
    0 … i + L_k − L_q. Both are L(L + 1)/2 pairs when L_q = L_k = L.
    """
    if not q_len or not kv_len:
        return 0, 0
    square = min(q_len, kv_len)
    triangle = square * (square + 1) // 2
    if alignment == "bottom_right":
        # fewer queries than keys: each sees the surplus keys too; more: the surplus queries come first and see nothing
        return triangle + square * max(kv_len - q_len, 0), square
    # more queries than keys: the surplus queries come last and see every key
    return triangle + max(q_len - kv_len, 0) * kv_len, q_len


@formula("attention", symbols=_symbols, source="A. Vaswani et al.: Attention is all you need, 2017")
def attention(layer: Layer) -> Cost:
    """dot: N·h·P·(D_k + D_v) macs, N·h·(P + R·D_v) dots; scale: N·h·P muls; cap: N·h·P·C divs, N·h·P·C exps, N·h·P·C muls; mask: N·h·P·A adds, N·h·P·M cmps; softmax: N·h·(P − R) cmps, N·h·(2·P − R) adds, N·h·P exps, N·h·P divs; dropout: N·h·P·Z divs, N·h·P·Z muls

    softmax(scale·q·kᵀ + mask)·v for each of the h query heads. P and R are L_q·L_k and L_q, also under a causal mask
    (the masked scores are computed, then replaced, a selection each) unless ``pairs`` is ``unmasked``, where only the
    pairs that the mask lets through are computed and nothing is selected. The macs depend on h·D, not on the number of
    heads; sharing key and value heads among query heads (grouped queries) moves fewer bytes and multiplies as much.
    The scale is a multiplication of each score, none if it is 1. Float masks are added; boolean, integer and causal
    ones select. A soft cap c makes c·tanh(score/c) of each score. Dropout divides a random mask by the share that is
    kept, and multiplies the probabilities by it. Traffic is that of a fused kernel: q, k, v, mask and y, never the
    scores.
    """  # noqa: E501  (the mathematics is one line)
    n, heads, pairs, rows, d_k, d_v, added, selected, capped, dropped = _symbols(layer).values()
    n *= heads
    scores = n * pairs
    rows *= n
    terms = {"dot": Counts(scores * (d_k + d_v), scores + rows * d_v)}
    if layer.attrs.get("scale") != 1.0:
        terms["scale"] = Counts(muls=scores)
    if capped:
        terms["cap"] = Counts(divs=scores, exps=scores, muls=scores)
    if added or selected:
        terms["mask"] = Counts(adds=scores * added, cmps=scores * selected)
    terms["softmax"] = Counts(cmps=scores - rows, adds=2 * scores - rows, exps=scores, divs=scores)
    if dropped:
        terms["dropout"] = Counts(divs=scores, muls=scores)
    return Cost(terms)


FORMULAS = (attention,)
