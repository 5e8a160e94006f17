"""MXNet imported on a numpy of today, and what the tests compare: our inference with MXNet's own ``infer_shape``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

from multiprof.adapters.mxnet import symbol
from multiprof.adapters.mxnet.compat import import_mxnet
from multiprof.adapters.mxnet.inference import Inference

mxnet = import_mxnet()

Shape = tuple[int, ...]


class Checker:
    """Both inferences on one symbol."""

    mx = mxnet

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, sym: Any, name: str = "net") -> Path:
        path = self.folder / f"{name}-symbol.json"
        sym.save(str(path), remove_amp_cast=False)  # as it stands
        return path

    def ours(self, path: Path, shapes: Mapping[str, Shape]) -> dict[str, Shape | None]:
        inference = Inference(symbol.load(path), path.name)
        inference.run(dict(shapes))
        return dict(zip(inference.names, inference.shapes, strict=True))

    def theirs(self, sym: Any, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """The shape of every internal tensor, arguments and statistics included."""
        internals = sym.get_internals()
        wanted = {name: shape for name, shape in shapes.items() if name in sym.list_inputs()}
        arguments, made, states = internals.infer_shape(**wanted)
        assert made is not None, "MXNet itself does not infer everything"
        found = dict(zip(internals.list_outputs(), made, strict=True))
        found.update(zip(internals.list_arguments(), arguments, strict=True))
        found.update(zip(internals.list_auxiliary_states(), states, strict=True))
        return {name: tuple(shape) for name, shape in found.items()}

    def macs(self, sym: Any, shapes: Mapping[str, Shape]) -> int:
        """Multiply-adds from MXNet's own shapes. A filter is all of the weight but its first dimension: a convolution
        or fully connected layer meets it once for each element of the result, a deconvolution for each of the data."""
        nodes = json.loads(sym.tojson())["nodes"]
        internals = sym.get_internals()
        _, made, _ = internals.infer_shape(**{k: v for k, v in shapes.items() if k in sym.list_inputs()})
        waiting: dict[str, list[Shape]] = {}  # a block that is called twice gives two nodes of one name
        for name, shape in zip(internals.list_outputs(), made, strict=True):
            waiting.setdefault(name, []).append(tuple(shape))
        first: list[Shape] = []
        for node in nodes:
            names = (f"{node['name']}_output", f"{node['name']}_output0", node["name"])
            found = next((waiting[name] for name in names if waiting.get(name)), [()])
            first.append(found.pop(0))
        total = 0
        for i, node in enumerate(nodes):
            if node["op"] in ("Convolution", "FullyConnected", "Deconvolution"):
                data, weight = (first[pair[0]] for pair in node["inputs"][:2])
                total += prod(data if node["op"] == "Deconvolution" else first[i]) * prod(weight[1:])
        return total

    def check(self, sym: Any, shapes: Mapping[str, Shape], name: str = "net") -> Path:
        """Every internal's shape is what MXNet infers; the symbol file is returned."""
        path = self.save(sym, name)
        expected = self.theirs(sym, shapes)
        found = _by_mxnet_names(sym, self.ours(path, shapes))
        differ = {key: (found.get(key), shape) for key, shape in expected.items() if found.get(key) != shape}
        assert not differ, f"{len(differ)} of {len(expected)} differ (ours, MXNet's): {dict(list(differ.items())[:5])}"
        return path


def _by_mxnet_names(sym: Any, found: dict[str, Any]) -> dict[str, Any]:
    """MXNet calls several results by names of the operator (``_mean``, ``_loc_target``); ours are numbered."""
    names = sym.get_internals().list_outputs()
    numbered: dict[str, int] = {}
    result = dict(found)
    nodes = {name.rpartition("_output")[0] for name in found if name.endswith("_output0")}
    for name in names:
        if name in found:
            continue
        if name.endswith("_output0") and name[:-1] in found:  # results that nobody may read are not counted here
            result[name] = found[name[:-1]]
            continue
        node = max((n for n in nodes if name.startswith(f"{n}_")), key=len, default=None)
        if node is not None:
            number = numbered.get(node, 0)
            numbered[node] = number + 1
            result[name] = found.get(f"{node}_output{number}")
    return result


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    return Checker(tmp_path)
