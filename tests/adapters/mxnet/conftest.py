"""Symbol files and parameter files written by hand, in the shapes MXNet gives them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

# TypeFlag of mshadow/base.h and the bytes of an element
TYPES = {"float32": (0, 4), "float64": (1, 8), "float16": (2, 2), "uint8": (3, 1), "int32": (4, 4), "int8": (5, 1)}


class Net:
    """A symbol file, node by node: ``net.data``, ``net.op("FullyConnected", "fc", [x], num_hidden=10)``.

    Weights and the like are variables named after the operator, as MXNet's own frontend makes them.
    """

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []

    def var(self, name: str, **attrs: Any) -> list[int]:
        self.nodes.append({"op": "null", "name": name, "inputs": [], "attrs": {k: str(v) for k, v in attrs.items()}})
        return [len(self.nodes) - 1, 0, 0]

    def op(self, op: str, name: str, inputs: list[list[int]], *variables: str, **attrs: Any) -> list[int]:
        made = [self.var(f"{name}_{variable}") for variable in variables]
        texts = {key: str(value) for key, value in attrs.items()}
        self.nodes.append({"op": op, "name": name, "attrs": texts, "inputs": [*inputs, *made]})
        return [len(self.nodes) - 1, 0, 0]

    def graph(self, *heads: list[int]) -> dict[str, Any]:
        return {
            "nodes": self.nodes,
            "arg_nodes": [i for i, node in enumerate(self.nodes) if node["op"] == "null"],
            "node_row_ptr": list(range(len(self.nodes) + 1)),
            "heads": list(heads) or [[len(self.nodes) - 1, 0, 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }


class Files:
    Net = Net

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def symbol(self, graph: Any, name: str = "net-symbol.json") -> Path:
        """Write a graph, or what is to be taken for one."""
        path = self.folder / name
        path.write_text(graph if isinstance(graph, str) else json.dumps(graph))
        return path

    def params(
        self, arrays: Mapping[str, tuple[tuple[int, ...], str]], name: str = "net-0000.params", version: int = 2
    ) -> Path:
        """The format of NDArray::Save: names to (shape, type); version 0 is that of before 2017, without a magic."""
        out = [struct.pack("<QQQ", 0x112, 0, len(arrays))]
        for shape, dtype in arrays.values():
            flag, width = TYPES[dtype]
            if version == 0:
                out.append(struct.pack(f"<I{len(shape)}I", len(shape), *shape))
            elif version == 1:
                out.append(struct.pack(f"<Ii{len(shape)}q", 0xF993FAC8, len(shape), *shape))
            else:
                out.append(struct.pack(f"<Iii{len(shape)}q", 0xF993FAC9 + version - 2, 0, len(shape), *shape))
            out.append(struct.pack("<iii", 1, 0, flag) + bytes(prod(shape) * width))
        out.append(struct.pack("<Q", len(arrays)))
        out += [struct.pack("<Q", len(key)) + key.encode() for key in arrays]
        path = self.folder / name
        path.write_bytes(b"".join(out))
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
