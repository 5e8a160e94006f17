"""Every network of keras.applications, built without weights: what multiprof counts beside Keras's own counts.

    KERAS_BACKEND=tensorflow python benchmarks/keras_applications.py [NAME …]

Needs keras and a backend beside multiprof. ``kept`` are parameters and buffers, which Keras counts together; the macs
beside ours are worked out from the shapes of layers and kernels alone. The last line says how many networks agree.
"""

from __future__ import annotations

import sys
import time
from math import prod
from typing import Any

import keras
from keras import layers

import multiprof

COLUMNS = "{:<20} {:>12} {:>12} {:>12} {:>12} {:>16} {:>16} {:>8} {:>8}  {}"
# What their own size is, where a network leaves it free.
SIDES = {"MobileNetV3Large": 224, "MobileNetV3Small": 224}


def macs_of(model: Any) -> int:
    """Multiply-adds for one image, from the shapes of layers and kernels."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, layers.DepthwiseConv2D):
            total += prod(layer.output.shape[1:]) * prod(layer.kernel_size)
        elif isinstance(layer, layers.SeparableConv2D):
            _, height, width, channels = layer.output.shape
            inner = layer.depth_multiplier * layer.input.shape[-1]
            total += height * width * inner * (prod(layer.kernel_size) + channels)
        elif isinstance(layer, layers.Conv2D):
            total += prod(layer.output.shape[1:]) * prod(layer.kernel.shape[:3])
        elif isinstance(layer, layers.Dense):
            total += prod(layer.output.shape[1:]) * layer.kernel.shape[0]
    return total


def main(names: list[str]) -> int:
    wanted = names or sorted(name for name in dir(keras.applications) if callable(getattr(keras.applications, name)))
    titles = (
        "network",
        "parameters",
        "trainable",
        "kept",
        "count_params",
        "macs",
        "from shapes",
        "build, s",
        "ours, s",
    )
    print(COLUMNS.format(*titles, ""), flush=True)  # a script
    agree = 0
    for name in wanted:
        keras.backend.clear_session()
        side = SIDES.get(name)
        start = time.perf_counter()
        build = getattr(keras.applications, name)
        model = build(weights=None, **({} if side is None else {"input_shape": (side, side, 3)}))
        built = time.perf_counter()
        report = multiprof.analyze(model, dims={"batch": 1}, strict=True)
        taken = time.perf_counter() - built
        kept = report.params + report.buffers
        shapes = macs_of(model)
        trainable = sum(prod(weight.shape) for weight in model.trainable_weights)
        same = kept == model.count_params() and report.trainable_params == trainable and report.macs == shapes
        agree += same
        figures = (report.params, trainable, kept, model.count_params(), report.macs, shapes)
        row = COLUMNS.format(
            name, *(f"{n:,}" for n in figures), f"{built - start:.1f}", f"{taken:.2f}", "" if same else "DIFFERS"
        )
        print(row, flush=True)
    print(f"{agree} of {len(wanted)} agree on keras {keras.__version__}, {keras.backend.backend()}")
    return 0 if agree == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
