"""The printed mathematics of every built-in formula is what the code computes.

Every op of a formula has sample layers here; every term of its mathematics must occur in the cost of one of them, and
every count of every cost must be what the line says with the formula's own symbols put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from multiprof.cost import PRIMITIVES, Cost, Formula
from multiprof.formulas import multiprof_formulas
from multiprof.ir import Layer, TensorSpec
from multiprof.mathematics import evaluate, meanings, terms
from multiprof.ops import OPS

Shape = tuple[int, ...]
PRICED = [formula for formula in multiprof_formulas() if not formula.free]


def layer(op: str, inputs: Mapping[str, Shape], y: Shape, **attrs: Any) -> Layer:
    specs = {role: TensorSpec(shape) for role, shape in inputs.items()}
    return Layer(f"a {op}", op, specs, {"y": TensorSpec(y)}, attrs)


X = (2, 3, 4, 5)
WINDOW = {"kernel_size": (3, 2), "stride": (1, 1), "groups": 2, "in_channels": 4, "out_channels": 6}
CONV = {"x": (2, 4, 5, 6), "weight": (6, 2, 3, 2)}
DECONV = {"x": (2, 4, 5, 6), "weight": (4, 3, 3, 2)}
STEPS = {"steps": 7, "input_size": 3, "hidden_size": 5}
BIASES: dict[str, Shape] = {"bias_ih": (1,), "bias_hh": (1,)}
HEADS = {"batch": 2, "heads": 4, "kv_heads": 2, "q_len": 3, "kv_len": 5, "qk_dim": 6, "v_dim": 7}
QKV: dict[str, Shape] = {"q": (2, 4, 3, 6), "k": (2, 2, 5, 6), "v": (2, 2, 5, 7)}
AFFINE: dict[str, Shape] = {"x": X, "weight": (3,), "bias": (3,)}
POWERS = (2, 3, -1, 0.5, 1, 7)
REDUCTIONS = ("sum", "mean", "prod", "amax", "amin")
DEFORM: dict[str, Shape] = CONV | {"offset": (2, 12, 3, 5)}
NMS: dict[str, Shape] = {"boxes": (2, 11, 4), "scores": (2, 3, 11)}


def boolean_mask(sample: Layer) -> Layer:
    sample.inputs["mask"] = TensorSpec((3, 5), "bool")
    return sample


def with_results(sample: Layer, **shapes: Shape) -> Layer:
    """The layer with more results."""
    sample.outputs.update({role: TensorSpec(shape) for role, shape in shapes.items()})
    return sample


def with_q(sample: Layer, columns: int) -> Layer:
    """A QR decomposition that makes so many columns of Q."""
    if columns:
        sample.outputs["q"] = TensorSpec((*sample.x.shape[:-1], columns))
    return sample


SAMPLES: dict[str, list[Layer]] = {
    "conv": [
        layer("conv", CONV, (2, 6, 3, 5), **WINDOW),
        layer("conv", CONV | {"bias": (6,)}, (2, 6, 3, 5), **WINDOW),
    ],
    "conv_transpose": [
        layer("conv_transpose", DECONV, (2, 6, 7, 7), **WINDOW),
        layer("conv_transpose", DECONV | {"bias": (6,)}, (2, 6, 7, 7), **WINDOW),
    ],
    "linear": [layer("linear", {"x": (2, 3, 4), "weight": (5, 4), "bias": (5,)}, (2, 3, 5), in_features=4)],
    "matmul": [layer("matmul", {"x0": (2, 3, 4), "x1": (2, 4, 5)}, (2, 3, 5), contracted=4)],
    "einsum": [
        layer("einsum", {"x0": (2, 3, 4), "x1": (2, 4, 5)}, (2, 3, 5), equation="bij,bjk->bik"),
        layer("einsum", {"x0": (3,), "x1": (4,)}, (3, 4), equation="i,j->ij"),
        layer("einsum", {"x0": (3, 4)}, (3,), equation="ij->i"),
    ],
    "lstm": [
        layer("lstm", {"x": (7, 1, 3)}, (7, 1, 5), **STEPS),
        layer("lstm", {"x": (7, 1, 3), "bias_ih": (20,)}, (7, 1, 5), **STEPS),
        layer("lstm", {"x": (7, 1, 3), "peephole": (3, 5)} | BIASES, (7, 1, 2), **STEPS, proj_size=2),
    ],
    "gru": [layer("gru", {"x": (7, 1, 3)} | BIASES, (7, 1, 5), **STEPS)],
    "rnn": [
        layer("rnn", {"x": (7, 1, 3)} | BIASES, (7, 1, 5), **STEPS, nonlinearity="tanh"),
        layer("rnn", {"x": (7, 1, 3)}, (7, 1, 5), **STEPS, nonlinearity="relu"),
    ],
    "attention": [
        layer("attention", QKV, (2, 4, 3, 7), **HEADS, scale=1.0),
        layer("attention", QKV | {"mask": (3, 5)}, (2, 4, 3, 7), **HEADS, scale=0.5, causal=True),
        layer("attention", QKV, (2, 4, 3, 7), **HEADS, softcap=50.0),
        layer("attention", QKV, (2, 4, 3, 7), **HEADS, dropout=0.1),
        boolean_mask(layer("attention", QKV, (2, 4, 3, 7), **HEADS, causal=True, pairs="unmasked")),
    ],
    "batch_norm": [
        layer("batch_norm", AFFINE, X, channels=3),
        layer("batch_norm", AFFINE, X, channels=3, batch_stats=True),
    ],
    "instance_norm": [
        layer("instance_norm", AFFINE, X, channels=3, batch=2),
        layer("instance_norm", AFFINE, X, channels=3, batch=2, running_stats=True),
    ],
    "layer_norm": [
        layer("layer_norm", {"x": X}, X, normalized_size=5),
        layer("layer_norm", AFFINE, X, normalized_size=20),
    ],
    "group_norm": [layer("group_norm", AFFINE, X, batch=2, groups=3, channels=3)],
    "rms_norm": [layer("rms_norm", {"x": X, "weight": (5,)}, X, normalized_size=5)],
    "local_response_norm": [layer("local_response_norm", {"x": X}, X, size=3, channels=3)],
    "max_pool": [layer("max_pool", {"x": X}, (2, 3, 2, 4), kernel_size=(3, 2))],
    "avg_pool": [layer("avg_pool", {"x": X}, (2, 3, 2, 4), kernel_size=(3, 2))],
    "lp_pool": [layer("lp_pool", {"x": X}, (2, 3, 2, 4), kernel_size=(3, 2), p=p) for p in (*POWERS, float("inf"))],
    "adaptive_avg_pool": [layer("adaptive_avg_pool", {"x": X}, (2, 3, 3, 2), input_size=(4, 5), output_size=(3, 2))],
    "adaptive_max_pool": [layer("adaptive_max_pool", {"x": X}, (2, 3, 3, 2), input_size=(4, 5), output_size=(3, 2))],
    "softmax": [layer("softmax", {"x": X}, X, axis=(3,), n=5)],
    "log_softmax": [layer("log_softmax", {"x": X}, X, axis=(3,), n=5)],
    "gelu": [layer("gelu", {"x": X}, X, approximate=form) for form in ("none", "tanh")],
    "glu": [layer("glu", {"x": X}, (2, 3, 4, 2), axis=3)],
    "add": [layer("add", {"x0": X, "x1": X}, X), layer("add", {"x0": X, "x1": X}, X, alpha=2)],
    "sub": [layer("sub", {"x0": X, "x1": X}, X), layer("sub", {"x0": X, "x1": X}, X, alpha=2)],
    "addcmul": [layer("addcmul", {"x0": X, "x1": X, "x2": X}, X, value=value) for value in (1, 2)],
    "addcdiv": [layer("addcdiv", {"x0": X, "x1": X, "x2": X}, X, value=value) for value in (1, 2)],
    "pow": [layer("pow", {"x0": X, "x1": X}, X), *(layer("pow", {"x0": X}, X, exponent=p) for p in POWERS)],
    "clip": [
        layer("clip", {"x": X}, X, min=0, max=6),
        layer("clip", {"x": X}, X, min=0, max=None),
    ],
    "norm": [layer("norm", {"x": X}, (2, 3, 4), axis=(3,), ord=p) for p in (*POWERS, float("inf"))],
    "fold": [layer("fold", {"x": (1, 12, 4)}, (1, 3, 3, 3), kernel_size=(2, 2))],
    "resize": [
        layer("resize", {"x": (1, 2, 5)}, (1, 2, 8), mode="linear"),
        layer("resize", {"x": X}, (2, 3, 7, 9), mode="bilinear"),
        layer("resize", {"x": X}, (2, 3, 7, 9), mode="bicubic"),
        layer("resize", {"x": X}, (2, 3, 3, 2), mode="area"),
        layer("resize", {"x": X}, (2, 3, 3, 2), mode="bilinear", antialias=True),
    ],
    "deform_conv": [
        layer("deform_conv", DEFORM, (2, 6, 3, 5), **WINDOW),
        layer("deform_conv", DEFORM | {"mask": (2, 6, 3, 5), "bias": (6,)}, (2, 6, 3, 5), **WINDOW),
    ],
    "correlation": [
        layer("correlation", {"x0": X, "x1": X}, (2, 9, 4, 5), kernel_size=(3, 3), channels=3, multiply=multiply)
        for multiply in (True, False)
    ],
    "lp_normalize": [layer("lp_normalize", {"x": X}, X, axis=(3,), p=p, eps=1e-9) for p in (*POWERS, float("inf"))],
    "hardmax": [layer("hardmax", {"x": X}, X, axis=3, n=5)],
    "rotary_embedding": [layer("rotary_embedding", {"x": (2, 3, 4, 6)}, (2, 3, 4, 6), rotary_dim=4)],
    **{op: [layer(op, {"x": X}, X)] for op in ("quantize", "dequantize", "requantize", "fake_quantize")},
    "dynamic_quantize": [layer("dynamic_quantize", {"x": X}, X)],
    "segment_reduce": [layer("segment_reduce", {"x": X, "segments": (2,)}, X, reduce=r) for r in REDUCTIONS],
    "scatter_reduce": [layer("scatter_reduce", {"x": X, "indices": X, "src": X}, X, reduce=r) for r in REDUCTIONS],
    "index_reduce": [layer("index_reduce", {"x": X, "x0": (3,), "src": X}, X, axes=(3,), reduce=r) for r in REDUCTIONS],
    "sort": [layer("sort", {"x": X}, X, axis=3, n=5)],
    "topk": [layer("topk", {"x": X}, (2, 3, 4, 2), axis=3, n=5, k=2)],
    "unique": [layer("unique", {"x": X}, (7,)), layer("unique", {"x": X}, X, axis=2)],
    "nonzero": [layer("nonzero", {"x": X}, (4, 7))],
    "bucketize": [layer("bucketize", {"x": X, "boundaries": (9,)}, X)],
    "histogram": [layer("histogram", {"x": X}, (10,))],
    "nms": [layer("nms", NMS, (7, 3), batch=2, classes=3, boxes=11, max_output=most) for most in (4, 100, None, 0)],
    "roi_pool": [layer("roi_pool", {"x": X, "rois": (6, 5)}, (6, 3, 2, 2), output_size=(2, 2))],
    "roi_align": [
        layer("roi_align", {"x": X, "rois": (6, 5)}, (6, 3, 2, 2), output_size=(2, 2), sampling_ratio=ratio, **attrs)
        for ratio, attrs in ((2, {"aligned": True}), (0, {"mode": "max"}))
    ],
    "box_decode": [
        layer("box_decode", {"x0": (1, 9, 4), "x1": (9, 4)}, (1, 9, 4), anchors="corner", clip=True),
        layer("box_decode", {"x0": (1, 9, 4), "x1": (9, 4)}, (1, 9, 4)),
    ],
    "grid_sample": [
        layer("grid_sample", {"x": X, "grid": (2, 6, 7, 2)}, (2, 3, 6, 7), mode=mode, padding_mode=padding)
        for mode in ("nearest", "bilinear", "bicubic")
        for padding in ("zeros", "border", "reflection")
    ],
    "affine_grid": [
        layer("affine_grid", {"theta": (2, 2, 3)}, (2, 6, 7, 2)),
        layer("affine_grid", {"theta": (2, 12)}, (2, 5, 6, 7, 3)),
    ],
    "sparse_matmul": [layer("sparse_matmul", {"x0": (6, 5), "x1": (5, 3)}, (6, 3), nnz=7, columns=3)],
    "special": [layer("special", {"x0": X}, X, function="lgamma")],
    "distance": [layer("distance", {"x0": (6, 4)}, (15,), p=p) for p in (*POWERS, float("inf"))],
    "mode": [layer("mode", {"x": X}, (2, 3, 4), axis=(3,), n=5)],
    "log_det": [layer("log_det", {"x": (2, 5, 5)}, (2,))],
    "householder": [layer("householder", {"x": (2, 6, 4), "tau": (2, 3)}, (2, 6, 4))],
    "lstsq": [
        layer("lstsq", {"a": (2, *size), "b": (2, size[0], 3)}, (2, size[1], 3)) for size in ((6, 4), (5, 5), (1, 1))
    ],
    "matrix_exp": [layer("matrix_exp", {"x": (2, 5, 5)}, (2, 5, 5))],
    "svd": [
        with_results(layer("svd", {"x": (2, 5, 3)}, (2, 3)), **more)
        for more in ({}, {"u": (2, 5, 3), "v": (2, 3, 3)}, {"u": (2, 5, 5), "v": (2, 3, 3)})
    ],
    **{
        op: [with_results(layer(op, {"x": (2, 5, 5)}, (2, 5)), **more) for more in ({}, {"vectors": (2, 5, 5)})]
        for op in ("eigh", "eig")
    },
    "ctc_loss": [
        layer("ctc_loss", {"x": (7, 3, 5), "targets": (3, 4)}, (3,), input_lengths=(7, 6, 5), target_lengths=(4, 0, 1))
    ],
    "fft": [
        layer("fft", {"x": (2, 12, 1)}, (2, 7, 2), axis=1, n=12, onesided=True),
        layer("fft", {"x": (2, 7, 2)}, (2, 12, 1), axis=1, n=12, onesided=True, inverse=True),
        layer("fft", {"x": (2, 15, 2)}, (2, 15, 2), axis=1, n=15, inverse=True),
    ],
    "stft": [layer("stft", {"x": (2, 40), "window": (16,)}, (2, 7, 9, 2), frame_length=16, frame_step=4)],
    **{op: [layer(op, {"x": (2, 5, 5)}, (2, 5, 5))] for op in ("cholesky", "inverse")},
    "det": [layer("det", {"x": (2, 5, 5)}, (2,))],
    "solve": [
        layer("solve", {"a": (2, 5, 5), "b": (2, 5, 3)}, (2, 5, 3), triangular=triangular)
        for triangular in (False, True)
    ]
    + [layer("solve", {"a": (2, 5, 5), "b": (2, 5, 3)}, (2, 5, 3), triangular=True, unit=True)],
    "qr": [
        with_q(layer("qr", {"x": (2, *size)}, (2, *size)), columns)
        for size, columns in (((5, 5), 5), ((6, 4), 4), ((6, 4), 6), ((4, 6), 4), ((1, 3), 1), ((5, 5), 0))
    ],
    "lu": [layer("lu", {"x": (2, *size)}, (2, *size)) for size in ((5, 5), (6, 4), (4, 6))],
}


def samples(op: str) -> list[Layer]:
    """The layers of the table above; ops that need nothing but tensors get theirs from the vocabulary."""
    if op in SAMPLES:
        return SAMPLES[op]
    entry = OPS[op]
    if any(meaning.startswith("required") for meaning in entry.attrs.values()):
        pytest.fail(f"{op} has no sample layer in SAMPLES")
    inputs = {role.rstrip("?"): X for role in entry.inputs}
    if entry.family in ("activation", "elementwise"):
        return [layer(op, inputs, X)]
    if entry.family == "reduction":
        running = op in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
        return [layer(op, inputs, X if running else (2, 3, 4), axis=(3,))]
    pytest.fail(f"{op} has no sample layer in SAMPLES")


def check(formula: Formula, sample: Layer) -> Cost:
    """Compare the cost of a layer with the formula's mathematics, term by term and primitive by primitive."""
    cost = formula.price(sample)
    assert formula.symbols is not None
    symbols = formula.symbols(sample)
    said = dict(terms(formula.mathematics))
    for name, counts in cost.terms.items():
        worked_out = dict.fromkeys(PRIMITIVES, 0)
        for expression, primitive in said[name]:
            worked_out[primitive] += evaluate(expression, symbols)
        assert {primitive: getattr(counts, primitive) for primitive in PRIMITIVES} == worked_out, (sample.op, name)
    return cost


@pytest.mark.parametrize("formula", PRICED, ids=lambda formula: formula.ops[0])
def test_mathematics_is_what_the_code_computes(formula: Formula) -> None:
    assert formula.symbols is not None, "a built-in formula that prices anything can be explained"
    written = [name for name, _ in terms(formula.mathematics)]
    assert len(set(written)) == len(written)
    seen = {name for op in formula.ops for sample in samples(op) for name in check(formula, sample).terms}
    assert seen == set(written), "a term without a sample layer, or one that is not written"


@pytest.mark.parametrize("formula", PRICED, ids=lambda formula: formula.ops[0])
def test_the_symbols_of_every_formula_are_explained(formula: Formula) -> None:
    assert formula.symbols is not None
    given = {symbol for op in formula.ops for sample in samples(op) for symbol in formula.symbols(sample)}
    assert set(meanings(formula.symbols.__doc__ or "")) == given


def test_every_op_of_the_vocabulary_has_one_formula() -> None:
    ops = [op for formula in multiprof_formulas() for op in formula.ops]
    assert sorted(ops) == sorted(OPS)


def test_every_free_op_gives_a_reason() -> None:
    for formula in multiprof_formulas():
        if formula.free:
            assert formula.mathematics == f"free: {formula.free}"
            assert terms(formula.mathematics) == []
