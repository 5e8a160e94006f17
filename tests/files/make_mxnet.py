"""Builds networks in MXNet, exports them as symbol JSON, and says what they cost by the shapes MXNet infers.

    python make_mxnet.py FOLDER

Run in a process of its own: mxnet changes thread counts, and numpy for as long as it is imported. ``facts.json`` holds
for every network its macs, its learned values, and the values of its norms' statistics.
"""

from __future__ import annotations

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

from multiprof.adapters.mxnet.compat import import_mxnet

mx = import_mxnet()
STEPS, FEATURES, HIDDEN = 50, 128, 256
Inputs = dict[str, tuple[int, ...]]


def resnet50() -> tuple[Any, Inputs]:
    return mx.gluon.model_zoo.vision.resnet50_v1(), {"data": (1, 3, 224, 224)}


def lstm() -> tuple[Any, Inputs]:
    net = mx.gluon.rnn.LSTM(HIDDEN, num_layers=2, bidirectional=True, layout="TNC", input_size=FEATURES)
    # the symbol takes the states it starts from, which the live layer makes itself; one for each of four directions
    return net, {"data0": (STEPS, 1, FEATURES), "data1": (4, 1, HIDDEN), "data2": (4, 1, HIDDEN)}


def deconvolution() -> tuple[Any, Inputs]:
    """8×8 to 16×16, then to 32×32 in two groups."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2DTranspose(4, 4, strides=2, padding=1, in_channels=8))
    net.add(mx.gluon.nn.Conv2DTranspose(2, 4, strides=2, padding=1, in_channels=4, groups=2))
    return net, {"data": (1, 8, 8, 8)}


def exported(net: Any, inputs: Inputs, file: Path) -> dict[str, int]:
    """Write ``file``-symbol.json; count by the shapes that `infer_shape` finds for every tensor in it."""
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros(next(iter(inputs.values()))))
    net.export(str(file))
    symbol = mx.sym.load(f"{file}-symbol.json")
    arguments, _, auxiliary = symbol.infer_shape(**inputs)
    weights = dict(zip(symbol.list_arguments(), arguments, strict=True))
    statistics = dict(zip(symbol.list_auxiliary_states(), auxiliary, strict=True))
    internals = symbol.get_internals()
    _, outputs, _ = internals.infer_shape(**inputs)
    shapes = weights | statistics | dict(zip(internals.list_outputs(), outputs, strict=True))
    macs = 0
    nodes = json.loads(symbol.tojson())["nodes"]
    for node in nodes:
        names = [nodes[source]["name"] for source, *_ in node["inputs"]]
        if node["op"] in ("Convolution", "FullyConnected"):  # weights (C_o, C_i/G, k, …)
            macs += prod(shapes[f"{node['name']}_output"]) * prod(shapes[names[1]][1:])
        elif node["op"] == "Deconvolution":  # weights (C_i, C_o/G, k, …); x is the input, or some layer's output
            x = shapes.get(names[0]) or shapes[f"{names[0]}_output"]
            macs += prod(x) * prod(shapes[names[1]][1:])
        elif node["op"] == "RNN":  # weights (4·H, C_i) and (4·H, H) for every layer and direction
            kernels = [prod(s) for name, s in weights.items() if name.endswith("_weight")]
            macs += STEPS * sum(kernels)
    return {
        "macs": macs,
        "values": sum(prod(s) for name, s in weights.items() if name in net.collect_params()),
        "statistics": sum(map(prod, statistics.values())),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    found = {}
    for build in (resnet50, lstm, deconvolution):
        found[build.__name__] = exported(*build(), folder / build.__name__)
    (folder / "facts.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
