"""The networks of raw TensorFlow as frozen graphs: variables are constants, loops frames of Enter and Exit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow_networks import CANNOT
from tensorflow_networks import NETWORKS as LIVE


def frozen(name: str) -> Callable[[], tuple[Path, None]]:
    def build() -> tuple[Path, None]:
        net, _ = LIVE[name]()
        path = Path(tempfile.mkdtemp()) / f"{name}.pb"
        constant = convert_variables_to_constants_v2(net.function.get_concrete_function())
        path.write_bytes(constant.graph.as_graph_def().SerializeToString())
        return path, None

    return build


NETWORKS = {name: frozen(name) for name in LIVE}

__all__ = ["CANNOT", "NETWORKS"]
