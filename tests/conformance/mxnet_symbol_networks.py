"""The conformance networks as Gluon exports them, a ``-symbol.json`` and a ``.params`` each, read without MXNet.

A process of its own exports them all, so that none of MXNet is loaded where they are read.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

CANNOT: dict[str, str] = {}
NAMES = (
    "lenet", "resnet_stack", "mobilenetv2_block", "inception", "generator", "grouped_deconvolution", "fcn_head",
    "bilstm", "gru", "transformer_encoder", "mlp_mixer", "conv3d", "speech",
)  # fmt: skip


def export(folder: Path) -> None:
    """Run every network once on zeros, which decides its shapes, and write it; a symbol has no shapes of its inputs."""
    from mxnet_networks import NETWORKS as BLOCKS
    from mxnet_networks import mx

    inputs = {}
    for name in NAMES:
        net, inputs[name] = BLOCKS[name]()
        net.initialize()
        net.hybridize()
        net(*map(mx.nd.zeros, inputs[name]))
        net.export(str(folder / name))
    (folder / "inputs.json").write_text(json.dumps(inputs))


@cache
def exported() -> Path:
    folder = Path(tempfile.mkdtemp())
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return folder


def network(name: str) -> tuple[Path, Any]:
    inputs = json.loads((exported() / "inputs.json").read_text())[name]
    assert "mxnet" not in sys.modules
    return exported() / f"{name}-symbol.json", [tuple(shape) for shape in inputs]


NETWORKS: dict[str, Callable[[], tuple[Any, Any]]] = {name: partial(network, name) for name in NAMES}

if __name__ == "__main__":
    export(Path(sys.argv[1]))
