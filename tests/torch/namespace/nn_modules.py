"""A call of every class of ``torch.nn``."""

from __future__ import annotations

import torch
from recipe import Call, ints, module, signs, t
from torch import nn

_DEPRECATED_BASE = "a base class without a forward of its own"
_MOVES = "moves or drops elements"
_VIEW = "a view"
_OFF = "absent at inference"

_X1, _X2, _X3 = t(2, 4, 12), t(2, 4, 8, 12), t(2, 4, 6, 8, 12)
_SEQUENCE = t(5, 2, 8)


def _on(name: str, *init: object, **options: object) -> dict[str, Call]:
    """The recipes of a class that exists for signals, images and volumes."""
    return {f"{name}{d}d": module(*init, on=x, **options) for d, x in ((1, _X1), (2, _X2), (3, _X3))}


def _pads(name: str, *value: float) -> dict[str, Call]:
    return {f"{name}{d}d": module(1, *value, on=x, free=_MOVES) for d, x in ((1, _X1), (2, _X2), (3, _X3))}


def _unpool(d: int, x: torch.Tensor) -> Call:
    pool = getattr(nn, f"MaxPool{d}d")(2, return_indices=True)
    return module(2, on=pool(x), free=_MOVES)


MODULES: dict[str, Call] = {
    **_on("Conv", 4, 6, 3),
    **_on("ConvTranspose", 4, 6, 3),
    **_on("LazyConv", 6, 3),
    **_on("LazyConvTranspose", 6, 3),
    **_on("BatchNorm", 4),
    **_on("LazyBatchNorm"),
    **_on("InstanceNorm", 4),
    **_on("LazyInstanceNorm"),
    **_on("MaxPool", 2),
    **_on("AvgPool", 2),
    **_on("LPPool", 2, 2),
    **_on("AdaptiveAvgPool", 5),
    **_on("AdaptiveMaxPool", 5),
    **_on("Dropout", free=_OFF),
    **_pads("CircularPad"),
    **_pads("ConstantPad", 0.5),
    **_pads("ReflectionPad"),
    **_pads("ReplicationPad"),
    **_pads("ZeroPad"),
    "MaxUnpool1d": _unpool(1, _X1),
    "MaxUnpool2d": _unpool(2, _X2),
    "MaxUnpool3d": _unpool(3, _X3),
    "FractionalMaxPool2d": module(2, output_ratio=0.5, on=_X2),
    "FractionalMaxPool3d": module(2, output_ratio=0.5, on=_X3),
    "SyncBatchNorm": module(4, on=_X2),
    "GroupNorm": module(2, 4, on=_X2),
    "LayerNorm": module(12, on=_X1),
    "RMSNorm": module(12, on=_X1),
    "LocalResponseNorm": module(2, on=_X2),
    "CrossMapLRN2d": module(2, on=_X2),
    "Linear": module(12, 7, on=_X1),
    "LazyLinear": module(7, on=_X1),
    "Bilinear": module(5, 6, 7, on=(t(2, 5), t(2, 6))),
    "Identity": module(on=_X1, free="nothing is done"),
    "Flatten": module(on=_X2, free=_VIEW),
    "Unflatten": module(1, (2, 2), on=_X2, free=_VIEW),
    "Fold": module((4, 5), 2, on=t(2, 12, 12)),
    "Unfold": module(2, on=_X2, free=_MOVES),
    "PixelShuffle": module(2, on=_X2, free=_MOVES),
    "PixelUnshuffle": module(2, on=_X2, free=_MOVES),
    "ChannelShuffle": module(2, on=_X2, free=_MOVES),
    "Upsample": module(scale_factor=2, mode="bilinear", on=_X2),
    "UpsamplingBilinear2d": module(scale_factor=2, on=_X2),
    "UpsamplingNearest2d": module(scale_factor=2, on=_X2, free=_MOVES),
    "AlphaDropout": module(on=_X1, free=_OFF),
    "Dropout": module(on=_X1, free=_OFF),
    "FeatureAlphaDropout": module(on=_X1, free=_OFF),
    # activations
    **{
        name: module(on=_X1)
        for name in (
            "CELU",
            "ELU",
            "GELU",
            "GLU",
            "Hardshrink",
            "Hardsigmoid",
            "Hardswish",
            "Hardtanh",
            "LeakyReLU",
            "LogSigmoid",
            "Mish",
            "PReLU",
            "RReLU",
            "ReLU",
            "ReLU6",
            "SELU",
            "SiLU",
            "Sigmoid",
            "Softplus",
            "Softshrink",
            "Softsign",
            "Tanh",
            "Tanhshrink",
        )
    },
    "Threshold": module(0.5, 0.0, on=_X1),
    "Softmax": module(1, on=_X1),
    "LogSoftmax": module(1, on=_X1),
    "Softmin": module(1, on=_X1),
    "Softmax2d": module(on=_X2),
    "AdaptiveLogSoftmaxWithLoss": module(8, 20, [4, 10], on=(t(6, 8), ints(20, 6))),
    # tables
    "Embedding": module(10, 8, on=ints(10, 2, 5), free="rows by index"),
    "EmbeddingBag": module(10, 8, on=ints(10, 2, 5)),
    # recurrence and attention
    "RNN": module(8, 6, on=_SEQUENCE),
    "LSTM": module(8, 6, on=_SEQUENCE),
    "GRU": module(8, 6, on=_SEQUENCE),
    "RNNCell": module(8, 6, on=t(2, 8)),
    "LSTMCell": module(8, 6, on=t(2, 8)),
    "GRUCell": module(8, 6, on=t(2, 8)),
    "MultiheadAttention": module(8, 2, on=(_SEQUENCE, _SEQUENCE, _SEQUENCE)),
    "Transformer": module(8, 2, 1, 1, 16, on=(_SEQUENCE, t(3, 2, 8))),
    "TransformerEncoderLayer": module(8, 2, 16, on=_SEQUENCE),
    "TransformerDecoderLayer": module(8, 2, 16, on=(_SEQUENCE, t(3, 2, 8))),
    "TransformerEncoder": module(nn.TransformerEncoderLayer(8, 2, 16), 1, on=_SEQUENCE),
    "TransformerDecoder": module(nn.TransformerDecoderLayer(8, 2, 16), 1, on=(_SEQUENCE, t(3, 2, 8))),
    # distances and losses
    "CosineSimilarity": module(on=(t(3, 8), t(3, 8))),
    "PairwiseDistance": module(on=(t(3, 8), t(3, 8))),
    **{
        name: module(on=(t(3, 8), t(3, 8)))
        for name in (
            "BCELoss",
            "BCEWithLogitsLoss",
            "HuberLoss",
            "KLDivLoss",
            "L1Loss",
            "MSELoss",
            "MultiLabelSoftMarginLoss",
            "PoissonNLLLoss",
            "SmoothL1Loss",
        )
    },
    "CrossEntropyLoss": module(on=(t(3, 8), ints(8, 3))),
    "LinearCrossEntropyLoss": module(8, 5, on=(t(3, 8), ints(5, 3))),
    "NLLLoss": module(on=(t(3, 8), ints(8, 3))),
    "NLLLoss2d": module(on=(t(2, 8, 3, 4), ints(8, 2, 3, 4))),
    "MultiMarginLoss": module(on=(t(3, 8), ints(8, 3))),
    "MultiLabelMarginLoss": module(on=(t(3, 8), ints(8, 3, 8))),
    "SoftMarginLoss": module(on=(t(3, 8), signs(3, 8))),
    "HingeEmbeddingLoss": module(on=(t(3, 8), signs(3, 8))),
    "MarginRankingLoss": module(on=(t(3), t(3), signs(3))),
    "CosineEmbeddingLoss": module(on=(t(3, 8), t(3, 8), signs(3))),
    "GaussianNLLLoss": module(on=(t(3, 8), t(3, 8), t(3, 8))),
    "TripletMarginLoss": module(on=(t(3, 8), t(3, 8), t(3, 8))),
    "TripletMarginWithDistanceLoss": module(on=(t(3, 8), t(3, 8), t(3, 8))),
    "CTCLoss": module(on=(t(7, 2, 5), ints(4, 2, 3) + 1, torch.tensor([7, 6]), torch.tensor([3, 2]))),
    # containers
    "Sequential": module(nn.Linear(12, 7), on=_X1),
    "DataParallel": module(nn.Linear(12, 7), on=_X1),
}

# Classes that cannot be called: they have no forward.
NO_FORWARD = {
    "Container": "deprecated, a module without a forward",
    "Module": "the base class of all",
    "ModuleDict": "holds modules",
    "ModuleList": "holds modules",
    "ParameterDict": "holds parameters",
    "ParameterList": "holds parameters",
    "RNNBase": _DEPRECATED_BASE,
    "RNNCellBase": _DEPRECATED_BASE,
}
