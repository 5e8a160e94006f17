"""Autocast: the dtype in which an operation runs inside ``torch.autocast``, on tensors that have only shapes.

torch's own casts stand in front of the kernels of one kind of device, and tensors on meta pass them by. So the mode
casts, by the lists of torch's documentation ("Autocast Op Reference"): some operations run in the lower precision, some
in float32, the rest in the widest dtype among their arguments, which is what promotion does anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

is_enabled: Callable[[], bool] = torch._C._is_any_autocast_enabled

_PRODUCTS = frozenset(
    (
        "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
        "convolution", "_convolution", "addmm", "addbmm", "baddbmm", "bmm", "mm", "matmul", "__matmul__", "__rmatmul__",
        "linear", "prelu", "einsum", "chain_matmul", "multi_dot", "linalg_multi_dot", "tensordot",
        "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention", "lstm",
    )
)  # fmt: skip
# Losses, which no device computes in the lower precision.
_LOSSES = frozenset(
    (
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "nll_loss", "nll_loss2d", "poisson_nll_loss", "kl_div",
        "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss", "multi_margin_loss",
        "triplet_margin_loss", "multilabel_margin_loss", "binary_cross_entropy_with_logits",
    )
)  # fmt: skip
_LOWER = {
    "cpu": _PRODUCTS | {"linalg_vecdot", "vecdot"},
    "cuda": _PRODUCTS
    | {"mv", "addmv", "addr", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"},
}
_SINGLE = {
    "cpu": _LOSSES
    | {
        "avg_pool3d", "adaptive_avg_pool3d", "max_pool3d", "max_unpool2d", "max_unpool3d", "grid_sampler",
        "grid_sample", "polar", "prod", "quantile", "nanquantile", "stft", "cdist", "trace", "cholesky",
        "cholesky_inverse", "cholesky_solve", "inverse", "pinverse", "lu_solve", "ctc_loss", "binary_cross_entropy",
        "cross_entropy", "cross_entropy_loss", "view_as_complex",
    },
    "cuda": _LOSSES
    | {
        "__pow__", "__rpow__", "__rdiv__", "__rtruediv__", "acos", "asin", "cosh", "cosine_similarity", "cdist",
        "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1", "group_norm", "layer_norm", "log", "log10", "log1p",
        "log2", "log_softmax", "norm", "pdist", "pow", "prod", "reciprocal", "renorm", "rsqrt", "sinh", "softmax",
        "softmin", "softplus", "sum", "tan", "interpolate", "cross_entropy", "logsumexp",
    },
}  # fmt: skip
_WIDE = (torch.float16, torch.bfloat16, torch.float32)  # float64 stays as it is


def cast_for(devices: tuple[str, ...], function: Any) -> torch.dtype | None:
    """The dtype that the arguments of ``function`` are cast to; ``None`` where they stay as they are.

    ``devices`` are the kinds that the model's tensors may stand on: one, or several for a model on meta.
    """
    name = getattr(function, "__name__", "").partition(".")[0]
    for device in devices:
        if torch.is_autocast_enabled(device):
            if name in _LOWER.get(device, _PRODUCTS):
                return torch.get_autocast_dtype(device)
            if name in _SINGLE.get(device, _LOSSES):
                return torch.float32
    return None


def needs_cast(value: torch.Tensor, dtype: torch.dtype) -> bool:
    return value.dtype is not dtype and value.dtype in _WIDE


__all__ = ["cast_for", "is_enabled", "needs_cast"]
