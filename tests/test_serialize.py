"""Reports as JSON: the keys promised, values that JSON lacks, and a digest of the structure alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from multiprof.cost import elementwise
from multiprof.engine import price
from multiprof.errors import ReportError
from multiprof.ir import Graph, Quant, Region, TensorSpec
from multiprof.measurement import Measurement
from multiprof.report import Report
from multiprof.serialize import digest, dump, plain, write
from multiprof.testing.graphs import GraphBuilder, resnet50


def net() -> GraphBuilder:
    net = GraphBuilder("net")
    x = net.input((2, 3), "pixels")
    net.region("loop", "loop", trips=4)
    y = net.layer(
        "mul", {"x0": x, "x1": net.parameter("w", (3,))}, name="scale", scope="a.b", region="loop", size=(1, 2)
    )
    net.layer("toy.odd", {"x": y}, name="odd")
    return net


def report() -> Report:
    made = price(
        net().graph(format="toy"),
        {"mul": elementwise("mul", muls=1).supplied_by("me")},
        tool={"name": "multiprof", "version": "9"},
        environment={"python": "3"},
        model={"file_bytes": 5},
        warnings=("careful",),
    )
    return replace(made, measurements=(Measurement((0.5, 0.25), "toy", subject=("scale",), kind="group"),))


def test_the_keys_of_a_report() -> None:
    data = dump(report())
    assert list(data) == [
        "schema_version", "tool", "environment", "model", "inputs", "convention", "totals", "coverage", "unsupported",
        "graph", "measurements", "predictions", "training", "warnings",
    ]  # fmt: skip
    assert data["schema_version"] == 1
    assert data["model"] == {
        "name": "net", "framework": "hand", "format": "toy", "file_bytes": 5, "digest": digest(report().graph),
    }  # fmt: skip
    assert data["inputs"] == [{"name": "pixels", "shape": [2, 3], "dtype": "float32"}]
    assert data["convention"] == "default"
    assert data["warnings"] == ["careful"]
    assert data["unsupported"] == {"toy.odd": {"layers": ["odd"], "reasons": ["no formula"]}}
    # one layer of 4 trips, one of one without a cost
    assert data["coverage"] == {
        "coverage": 1 - 1 / 5, "layers": 2, "unsupported_layers": 1, "unsupported_weight_bytes": 0,
        "unsupported_output_bytes": 24,
    }  # fmt: skip
    totals = data["totals"]
    assert (totals["params"], totals["macs"], totals["flops"]) == (3, 0, 24)
    assert totals["primitives"] == {"muls": 24}
    # scale is alive with its input, then with odd's output: 24 + 24 bytes, as is reached first at scale
    assert (totals["weight_bytes"], totals["activation_bytes"], totals["peak_bytes"]) == (12, 48, 48)
    assert totals["peak_layer"] == "scale"
    assert totals["peak_tensors"][0] == {"name": "pixels", "bytes": 24, "shape": [2, 3]}


def test_the_keys_of_a_layer() -> None:
    (scale, odd) = dump(report())["graph"]["layers"]
    assert scale == {
        "name": "scale",
        "op": "mul",
        "source": "hand.mul",
        "scope": "a.b",
        "region": "loop",
        "inputs": {
            "x0": {"name": "pixels", "shape": [2, 3], "dtype": "float32"},
            "x1": {"name": "w", "shape": [3], "dtype": "float32"},
        },
        "outputs": {"y": {"name": "scale:y", "shape": [2, 3], "dtype": "float32"}},
        "attrs": {"size": [1, 2]},
        "aliases": [],
        "state": "priced",
        "reason": "",
        "trips": 4,
        "provider": "me",
        "terms": {"elementwise": {"muls": 24}},
        "dot_dtypes": None,
        "unfolded": None,
        "macs": 0,
        "flops": 24,
        "bytes": {"read": 4 * (24 + 12), "written": 4 * 24},
    }
    assert (odd["state"], odd["terms"], odd["macs"], odd["flops"]) == ("unsupported", None, None, None)


def test_a_report_is_json_as_it_stands() -> None:
    for made in (report(), price(resnet50(), {})):
        data = dump(made)
        assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ((1, (2, None)), [1, [2, None]]),
        ([1, 2], {"$list": [1, 2]}),
        ({"a": True}, {"a": True}),
        ({1: "a"}, {"$mapping": [[1, "a"]]}),
        ({"$list": 3}, {"$mapping": [["$list", 3]]}),
        (math.inf, {"$float": "inf"}),
        (-math.inf, {"$float": "-inf"}),
        (math.nan, {"$float": "nan"}),
        (1 + 2j, {"$complex": [1.0, 2.0]}),
        (10**100, 10**100),
    ],
)
def test_values_that_json_lacks(value: object, written: object) -> None:
    assert plain(value, "here") == written


def test_a_value_without_a_form_names_its_place() -> None:
    odd = net()
    odd.layers[0].attrs["device"] = {"kind": {1, 2}}
    with pytest.raises(ReportError, match=r"layer scale, device, kind holds \{1, 2\}, and a set has no JSON form"):
        dump(price(odd.graph(), {}))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"report\.json: cannot be written: No such file or directory"):
        write({}, tmp_path / "missing" / "report.json")


# The digest.


def changed(change: Callable[[GraphBuilder], None]) -> Graph:
    made = net()
    change(made)
    return made.graph()


def _op(net: GraphBuilder) -> None:
    net.layers[1].op = "toy.other"


def _attribute(net: GraphBuilder) -> None:
    net.layers[0].attrs["size"] = (1, 3)


def _shape(net: GraphBuilder) -> None:
    net.layers[1].outputs["y"] = TensorSpec((2, 4), "float32", "odd:y")


def _dtype(net: GraphBuilder) -> None:
    net.layers[1].outputs["y"] = TensorSpec((2, 3), "float16", "odd:y")


def _quant(net: GraphBuilder) -> None:
    net.layers[1].outputs["y"] = TensorSpec((2, 3), "float32", "odd:y", Quant((0.5,), (0,)))


def _link(net: GraphBuilder) -> None:
    net.layers[1].inputs["x"] = net.inputs[0]


def _role(net: GraphBuilder) -> None:
    net.layers[1].inputs = {"q": net.layers[1].inputs["x"]}


def _alias(net: GraphBuilder) -> None:
    net.layers[1].aliases = (("y", "x", "view"),)


def _trips(net: GraphBuilder) -> None:
    net.regions["loop"] = Region("loop", kind="loop", trips=5)


def _region(net: GraphBuilder) -> None:
    net.layers[1].region = "loop"


def _parameter(net: GraphBuilder) -> None:
    net.parameter("more", (1,))


@pytest.mark.parametrize(
    "change", [_op, _attribute, _shape, _dtype, _quant, _link, _role, _alias, _trips, _region, _parameter]
)
def test_the_digest_changes_with_the_structure(change: Callable[[GraphBuilder], None]) -> None:
    assert digest(changed(change)) != digest(net().graph())


def test_the_digest_changes_with_the_outputs() -> None:
    made = net()
    assert digest(made.graph(made.layers[0].y)) != digest(made.graph(made.layers[1].y))


def test_the_digest_is_the_same_under_other_names_and_for_another_file() -> None:
    other = GraphBuilder("another")
    x = other.input((2, 3), "image")
    other.region("while", "loop", trips=4)
    y = other.layer(
        "mul", {"x0": x, "x1": other.parameter("v", (3,), trainable=False)}, name="m", region="while", size=(1, 2)
    )
    other.layer("toy.odd", {"x": y}, name="n", scope="somewhere")
    graph = other.graph(format="onnx", path="/models/other.onnx", warnings=["hm"])
    assert digest(graph) == digest(net().graph())
    assert len(digest(graph)) == 64


def test_the_digest_of_a_report_is_that_of_its_graph() -> None:
    assert report().digest == digest(net().graph())
