"""Backward pass of attention, and of the table of an embedding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multiprof.backward.rule import Extra, Needs, Rule
from multiprof.cost import Cost, Counts
from multiprof.formulas.attention import attention
from multiprof.ir import Layer


def _symbols(layer: Layer) -> Mapping[str, int]:
    symbols = attention.symbols
    assert symbols is not None  # the formula has them
    return symbols(layer)


def fused(layer: Layer) -> bool:
    """Whether a fused kernel runs, which keeps no scores: not where the weights are a result too, or are dropped."""
    return "weights" not in layer.outputs and not layer.attrs.get("dropout")


def _price(layer: Layer, needs: Needs) -> Cost:
    """recompute: N·h·P·D_k macs; scores_grad: N·h·P·D_v macs; q_grad, k_grad: N·h·P·D_k macs; v_grad: N·h·P·D_v macs

    A fused kernel computes the scores and their exponentials again; then dV = Pᵀ·dY, dP = dY·Vᵀ,
    dS = P·(dP − Σ dY·Y), dQ = dS·K and dK = dSᵀ·Q. Heads of keys and values that several query heads share sum their
    gradients.
    """
    n, heads, pairs, rows, d_k, d_v, added, selected, capped, dropped = _symbols(layer).values()
    n *= heads
    scores, rows = n * pairs, n * rows
    terms = {}
    if fused(layer):
        masked = Counts(adds=scores * added, cmps=scores * selected)
        terms["recompute"] = Counts(scores * d_k, scores, muls=scores, adds=scores, exps=scores) + masked
    if "v" in needs:
        terms["v_grad"] = Counts(scores * d_v, layer.inputs["v"].numel)
    if needs & {"q", "k", "mask"}:
        # Σ dY·Y a row, then a difference and a product a score, and the scale; the cap's 1 − tanh²
        softmax = Counts(muls=2 * scores + rows * d_v + capped * 2 * scores, adds=scores + rows * max(d_v - 1, 0))
        masked = Counts(adds=capped * scores, muls=dropped * scores)
        terms["scores_grad"] = Counts(scores * d_v, scores) + softmax + masked
    if "q" in needs:
        terms["q_grad"] = Counts(scores * d_k, layer.inputs["q"].numel)
    if "k" in needs:
        terms["k_grad"] = Counts(scores * d_k, layer.inputs["k"].numel)
    if "mask" in needs:
        terms["mask_grad"] = Counts(adds=max(scores - layer.inputs["mask"].numel, 0))
    return Cost(terms)


def _keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    if fused(layer):
        return [role for role in ("q", "k", "v", "mask") if role in layer.inputs] + ["y"]
    if "weights" not in layer.outputs:
        return ("v",)
    return ("k", "v") if layer.attrs.get("dropout") else ("weights", "k", "v")


def _extra(layer: Layer, needs: Needs) -> Extra:
    """The logarithm of each row's sum, in 32 bits or more; with dropout scaled copies of q and k, and the
    probabilities, the mask and their product; where the weights are a result too, q alone is scaled.
    """
    symbols = _symbols(layer)
    if layer.attrs.get("dropout"):
        q = layer.inputs["q"]
        scaled = q.nbytes if "weights" in layer.outputs else q.nbytes + layer.inputs["k"].nbytes
        scores = symbols["N"] * symbols["h"] * layer.attrs["q_len"] * layer.attrs["kv_len"]
        return (
            ("scaled", scaled),
            ("probabilities", 3 * scores * (q.nbytes // q.numel if q.numel else 0)),
        )
    if not fused(layer):
        return (("scaled", layer.inputs["q"].nbytes),)
    width = 8 if layer.y.dtype == "float64" else 4
    return (("logsumexp", symbols["N"] * symbols["h"] * layer.attrs["q_len"] * width),)


def _rows(layer: Layer, needs: Needs) -> Cost:
    """weight_grad: |y| adds

    Each row of the gradient is added to the row of the table that it came from; all others are 0.
    """
    return Cost({"weight_grad": Counts(adds=layer.y.numel)})


def _indices(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x",)


RULES = {
    "attention": Rule(_price, _keeps, _extra, source="Dao et al. 2022, FlashAttention, algorithm 4"),
    "embedding": Rule(_rows, _indices, source="embedding_dense_backward of PyTorch: a dense gradient"),
}
