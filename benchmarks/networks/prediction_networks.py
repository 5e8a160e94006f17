"""Networks whose time is predicted: those that were looked at while the prediction was made, and those chosen later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from multiprof import TensorSpec
from networks.bert import bert_small
from networks.gru import gru
from networks.torch_networks import INPUTS, NETWORKS

Network = Callable[[], tuple[Any, Any]]


def _shared(name: str) -> tuple[Any, Any]:
    return NETWORKS[name](), INPUTS[name]


LOOKED_AT: dict[str, Network] = {
    name: partial(_shared, name)
    for name in ("mobilenetv2", "resnet50", "vgg16", "lstm", "generator", "vit", "mlp_mixer")
}
CHOSEN_AFTER: dict[str, Network] = {
    **{name: partial(_shared, name) for name in ("efficientnet_b0", "densenet121", "inception_v3", "unet")},
    "bert_small": lambda: (bert_small(), TensorSpec((1, 128), "int64")),
    "gru": lambda: (gru(), (1, 50, 128)),
}
# measured in 8-bit integers as well
INTEGERS = ("mobilenetv2", "resnet50")

__all__ = ["CHOSEN_AFTER", "INTEGERS", "LOOKED_AT", "Network"]
