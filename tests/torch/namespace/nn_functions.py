"""A call of every public function of ``torch.nn.functional``."""

from __future__ import annotations

import torch
from recipe import Call, call, ints, signs, t

_MOVES = "moves or drops elements"
_OFF = "absent at inference"

_X1, _X2, _X3 = t(2, 4, 12), t(2, 4, 8, 12), t(2, 4, 6, 8, 12)
_SPATIAL = ((1, _X1), (2, _X2), (3, _X3))
_F = torch.nn.functional
_TENSORWISE = getattr(getattr(_F, "ScalingType", None), "TensorWise", None)
_F8, _ONE = torch.zeros(16, 32).to(torch.float8_e4m3fn), torch.tensor(1.0)


def _pools(name: str, *args: object) -> dict[str, Call]:
    return {f"{name}{d}d": call(x, *args) for d, x in _SPATIAL}


def _unpool(d: int, x: torch.Tensor) -> Call:
    return call(*getattr(_F, f"max_pool{d}d")(x, 2, return_indices=True), 2, free=_MOVES)


FUNCTIONS: dict[str, Call] = {
    **{f"conv{d}d": call(x, t(6, 4, *(3,) * d)) for d, x in _SPATIAL},
    **{f"conv_transpose{d}d": call(x, t(4, 6, *(3,) * d)) for d, x in _SPATIAL},
    "conv_tbc": call(t(12, 2, 4), t(3, 4, 6), t(6)),
    **_pools("avg_pool", 2),
    **_pools("max_pool", 2),
    **_pools("lp_pool", 2, 2),
    **_pools("adaptive_avg_pool", 5),
    **_pools("adaptive_max_pool", 5),
    **{f"max_pool{d}d_with_indices": call(x, 2) for d, x in _SPATIAL},
    **{f"adaptive_max_pool{d}d_with_indices": call(x, 5) for d, x in _SPATIAL},
    **{f"max_unpool{d}d": _unpool(d, x) for d, x in _SPATIAL},
    **{f"fractional_max_pool{d}d": call(x, 2, output_size=4) for d, x in _SPATIAL[1:]},
    **{f"fractional_max_pool{d}d_with_indices": call(x, 2, output_size=4) for d, x in _SPATIAL[1:]},
    "affine_grid": call(t(2, 2, 3), [2, 4, 5, 6]),
    "grid_sample": call(_X2, t(2, 5, 6, 2)),
    "fold": call(t(2, 12, 12), output_size=(4, 5), kernel_size=2),
    "unfold": call(_X2, 2, free=_MOVES),
    "pad": call(_X2, pad=(1, 1), free=_MOVES),
    "pixel_shuffle": call(_X2, 2, free=_MOVES),
    "pixel_unshuffle": call(_X2, 2, free=_MOVES),
    "channel_shuffle": call(_X2, 2, free=_MOVES),
    "native_channel_shuffle": call(_X2, 2, free=_MOVES),
    "interpolate": call(_X2, scale_factor=2, mode="bilinear"),
    "upsample": call(_X2, scale_factor=2, mode="bilinear"),
    "upsample_bilinear": call(_X2, scale_factor=2),
    "upsample_nearest": call(_X2, scale_factor=2, free=_MOVES),
    # activations
    **{
        name: call(_X1)
        for name in (
            "celu",
            "celu_",
            "elu",
            "elu_",
            "gelu",
            "glu",
            "hardshrink",
            "hardsigmoid",
            "hardswish",
            "hardtanh",
            "hardtanh_",
            "leaky_relu",
            "leaky_relu_",
            "logsigmoid",
            "mish",
            "relu",
            "relu6",
            "relu_",
            "rrelu",
            "rrelu_",
            "selu",
            "selu_",
            "sigmoid",
            "silu",
            "softplus",
            "softshrink",
            "softsign",
            "tanh",
            "tanhshrink",
        )
    },
    "threshold": call(_X1, 0.5, 0.0),
    "threshold_": call(_X1, 0.5, 0.0),
    "prelu": call(_X1, t(4)),
    "softmax": call(_X1, 1),
    "softmin": call(_X1, 1),
    "log_softmax": call(_X1, 1),
    "gumbel_softmax": call(_X1),
    **{
        name: call(x, training=False, free=_OFF)
        for name, x in (
            ("dropout", _X1),
            ("dropout1d", _X1),
            ("dropout2d", _X2),
            ("dropout3d", _X3),
            ("alpha_dropout", _X1),
            ("feature_alpha_dropout", _X2),
        )
    },
    # normalisation
    "batch_norm": call(_X2, t(4), t(4)),
    "instance_norm": call(_X2),
    "group_norm": call(_X2, 2),
    "layer_norm": call(_X1, normalized_shape=(12,)),
    "rms_norm": call(_X1, normalized_shape=(12,)),
    "local_response_norm": call(_X2, 2),
    "normalize": call(_X1),
    # contractions
    "linear": call(_X1, t(7, 12)),
    "bilinear": call(t(2, 5), t(2, 6), t(7, 5, 6)),
    "scaled_dot_product_attention": call(t(2, 3, 5, 4), t(2, 3, 6, 4), t(2, 3, 6, 4)),
    "multi_head_attention_forward": call(
        *(t(5, 2, 8) for _ in range(3)), 8, 2, t(24, 8), t(24), None, None, False, 0.0, t(8, 8), t(8)
    ),
    "grouped_mm": call(
        t(8, 16, dtype=torch.bfloat16), t(2, 16, 32, dtype=torch.bfloat16), offs=torch.tensor([3, 8]).int()
    ),
    "scaled_mm": call(_F8, _F8.mT, _ONE, _TENSORWISE, _ONE, _TENSORWISE, output_dtype=torch.float32),
    "scaled_grouped_mm": call(unsupported="float8 with scales of its own on GPUs alone, and no meta kernel"),
    # tables
    "embedding": call(ints(10, 2, 5), t(10, 8), free="rows by index"),
    "embedding_bag": call(ints(10, 2, 5), t(10, 8)),
    "one_hot": call(ints(6, 2, 5), 6),  # torch looks for the largest label
    # distances
    "cosine_similarity": call(t(3, 8), t(3, 8)),
    "pairwise_distance": call(t(3, 8), t(3, 8)),
    "pdist": call(t(5, 8)),
    # losses
    **{
        name: call(t(3, 8), t(3, 8))
        for name in (
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "huber_loss",
            "kl_div",
            "l1_loss",
            "mse_loss",
            "multilabel_soft_margin_loss",
            "poisson_nll_loss",
            "smooth_l1_loss",
        )
    },
    "cross_entropy": call(t(3, 8), ints(8, 3)),
    "linear_cross_entropy": call(t(3, 8), t(5, 8), ints(5, 3)),
    "nll_loss": call(t(3, 8), ints(8, 3)),
    "multi_margin_loss": call(t(3, 8), ints(8, 3)),
    "multilabel_margin_loss": call(t(3, 8), ints(8, 3, 8)),
    "soft_margin_loss": call(t(3, 8), signs(3, 8)),
    "hinge_embedding_loss": call(t(3, 8), signs(3, 8)),
    "margin_ranking_loss": call(t(3), t(3), signs(3)),
    "cosine_embedding_loss": call(t(3, 8), t(3, 8), signs(3)),
    "gaussian_nll_loss": call(t(3, 8), t(3, 8), t(3, 8)),
    "triplet_margin_loss": call(t(3, 8), t(3, 8), t(3, 8)),
    "triplet_margin_with_distance_loss": call(t(3, 8), t(3, 8), t(3, 8)),
    "ctc_loss": call(t(7, 2, 5), ints(4, 2, 3) + 1, torch.tensor([7, 6]), torch.tensor([3, 2])),
}

# Names that stand in the namespace and compute nothing.
NO_OPERATION = {
    "Optional": "a type",
    "assert_int_or_pair": "checks an argument",
    "boolean_dispatch": "makes functions",
    "handle_torch_function": "torch's own overriding",
    "has_torch_function": "torch's own overriding",
    "has_torch_function_unary": "torch's own overriding",
    "has_torch_function_variadic": "torch's own overriding",
}
