"""Backward pass of what moves elements about: gradients go back the way the elements came.

What was copied several times sums its gradients; what was cut out leaves zeros around.
"""

from __future__ import annotations

from collections.abc import Iterable

from multiprof.backward.rule import Needs, Rule, lacks, moved, spread_back, stops, term
from multiprof.backward.window import positions
from multiprof.complex_numbers import COMPLEX
from multiprof.cost import Cost, Counts
from multiprof.formulas.rotary import rotary_embedding
from multiprof.formulas.spectral import fft
from multiprof.ir import Layer


def _summed(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| − |x| adds

    Copies of one element sum their gradients.
    """
    return Cost({"input_grad": Counts(adds=spread_back(layer, "x"))})


def _pad(layer: Layer, needs: Needs) -> Cost:
    if layer.attrs.get("mode", "constant") == "constant":
        return Cost()
    return _summed(layer, needs)


def _pad_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    """Kernels that mirror or repeat the edge keep what they read, for its shape alone; circles are made of copies."""
    return ("x",) if layer.attrs.get("mode") in ("reflect", "replicate") else ()


def _by_index(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| adds

    Indices may repeat, so each element of the gradient is added to the place it came from.
    """
    return Cost({"input_grad": Counts(adds=layer.y.numel)})


def _indices(layer: Layer, needs: Needs) -> Iterable[str]:
    return [role for role, spec in layer.inputs.items() if role not in ("x", "src") and spec.is_integer]


def _windows(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| adds

    What lies in several windows sums its gradients.
    """
    return Cost({"input_grad": Counts(adds=layer.y.numel)})


def _written(layer: Layer, needs: Needs) -> Cost:
    """Nothing: 0 where x was overwritten, and what was written there; a single value spread sums: |y| − |src| adds"""
    return Cost()


def _combined(layer: Layer, needs: Needs) -> Cost:
    """sums: x has g itself, src a gather of it; a mean divides"""
    if layer.attrs.get("reduce") == "mean":
        return Cost({term(role): Counts(divs=layer.inputs[role].numel) for role in needs if role in layer.inputs})
    return Cost()


def _rotate(layer: Layer, needs: Needs) -> Cost:
    """input_grad: 2·R muls, R adds

    The rotation back.
    """
    return Cost({"input_grad": rotary_embedding.price(layer).counts}) if "x" in needs else Cost()


def _tables(layer: Layer, needs: Needs) -> Iterable[str]:
    return [role for role in ("cos", "sin") if role in layer.inputs]


def _transform(layer: Layer, needs: Needs) -> Cost:
    """input_grad: what the transform takes

    A transform is linear, and its transpose the transform the other way.
    """
    return Cost({"input_grad": fft.price(layer).counts})


def _transform_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    """Of real numbers PyTorch keeps what it read, for its shape alone."""
    return () if layer.x.dtype in COMPLEX else ("x",)


def _through(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| cmps

    Straight through (Bengio et al. 2013), 0 where x was outside the range.
    """
    return Cost({"input_grad": Counts(cmps=layer.y.numel)}) if "x" in needs else Cost()


_BACK = "the gradient goes back the way the elements came"
_NOT_YET = "its backward pass has no formula yet"
_CREATED = "made out of nothing that is trained"
RULES = {
    **{op: moved(_BACK, passes=("x",)) for op in ("reshape", "transpose", "identity", "dropout", "copy")},
    **{op: moved("zeros around the gradient") for op in ("slice", "triangle")},
    "split": moved("the gradients of the pieces side by side"),
    "concat": Rule(free="views of the gradient", passes=frozenset(("x*",))),
    "stack": Rule(free="views of the gradient", passes=frozenset(("x*",))),
    **{op: moved(_BACK) for op in ("flip", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")},
    "expand": Rule(_summed, source="sum_to of PyTorch"),
    "repeat": Rule(_summed, source="repeat_backward of PyTorch"),
    "pad": Rule(_pad, _pad_keeps, source="a slice; of copies a sum"),
    "unfold": Rule(_windows, source="col2im"),
    "gather": Rule(_by_index, _indices, source="scatter_add_"),
    "index": Rule(_by_index, _indices, source="index_put_ with accumulate"),
    "scatter": Rule(_written, _indices, free="zeros where it was overwritten, and a gather"),
    "index_put": Rule(_written, _indices, free="zeros where it was overwritten, and a gather"),
    "max_unpool": moved("a gather", "indices"),
    "scatter_reduce": Rule(_combined, _indices, source="g, and a gather of it"),
    "index_reduce": Rule(_combined, _indices, source="g, and a gather of it"),
    "segment_reduce": lacks(_NOT_YET),
    "rotary_embedding": Rule(_rotate, _tables, source="the rotation by −θ"),
    "fft": Rule(_transform, _transform_keeps, source="fft_r2c_backward and fft_c2r_backward of PyTorch"),
    "stft": lacks(_NOT_YET),
    "fake_quantize": Rule(
        _through, lambda layer, needs: (), lambda layer, needs: (("mask", layer.x.numel),), source="Jacob et al. 2018"
    ),
    "dequantize": stops("the stored integers are not trained"),
    **{op: stops("integers: no gradient goes through") for op in ("quantize", "requantize", "dynamic_quantize")},
    **{op: stops(_CREATED) for op in ("fill", "arange", "constant", "random", "eye", "prior_box", "one_hot")},
    **{
        op: stops("positions and counts are integers")
        for op in ("nonzero", "bucketize", "histogram", "unique", "nms", "hardmax")
    },
    **{
        op: Rule(keeps=lambda layer, needs: ("indices",), extra=positions, free="a scatter by the positions")
        for op in ("sort", "topk", "mode")
    },
    **{
        op: lacks(_NOT_YET)
        for op in (
            *("deform_conv", "correlation", "sparse_matmul", "lp_normalize", "special", "sinc", "angle", "xlogy"),
            *("xlog1py", "polar", "copysign", "roi_pool", "roi_align", "box_decode", "grid_sample", "affine_grid"),
            *("svd", "eigh", "eig", "lstsq", "householder", "matrix_exp", "cholesky", "det", "log_det", "inverse"),
            *("lu", "qr", "solve", "ctc_loss", "distance"),
        )
    },
}
