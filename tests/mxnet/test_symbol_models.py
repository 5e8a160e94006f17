"""The classic symbol models: every internal's shape is MXNet's, and so are the macs counted from MXNet's shapes."""

from __future__ import annotations

import importlib.util
import json
from math import prod
from pathlib import Path
from typing import Any

import pytest

import multiprof

_SPEC = importlib.util.spec_from_file_location("mxnet_symbols", Path(__file__).parent / "symbols.py")
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

CONVOLUTIONAL = {
    "lenet": ("lenet", ()),
    "alexnet": ("alexnet", ()),
    "vgg16": ("vgg16", ()),
    "squeezenet": ("squeezenet", ()),
    "inception-bn": ("inception_bn", ()),
    "inception-v3": ("inception_v3", ()),
    "resnet-50-v1": ("resnet", (1,)),
    "resnet-50-v2": ("resnet", (2,)),
    "resnext-50": ("resnet", (1, 32)),
    "resnext-101": ("resnet", (1, 32, (3, 4, 23, 3))),
    "fcn-8s": ("fcn", (8,)),
    "fcn-16s": ("fcn", (16,)),
    "fcn-32s": ("fcn", (32,)),
    "ssd": ("ssd", ()),
    "ssd-training": ("ssd", (True,)),
    "dcgan": ("dcgan", ()),
    "c3d": ("c3d", ()),
    "wavenet": ("wavenet", ()),
}


@pytest.fixture
def symbols(checker: Any) -> Any:
    return _MODULE.Symbols(checker.mx)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_shapes_and_macs(checker: Any, symbols: Any, name: str) -> None:
    builder, arguments = CONVOLUTIONAL[name]
    sym, shapes = getattr(symbols, builder)(*arguments)
    path = checker.check(sym, shapes, name)
    report = multiprof.analyze(path, shapes)
    assert report.macs == checker.macs(sym, shapes)
    inferred = checker.theirs(sym, shapes)
    data = {*shapes, *(name for name in sym.list_arguments() if name.endswith("label"))}
    assert report.params == sum(prod(inferred[name]) for name in sym.list_arguments() if name not in data)
    assert report.buffers == sum(prod(inferred[name]) for name in sym.list_auxiliary_states())


def test_fcn_by_hand(checker: Any, symbols: Any) -> None:
    """FCN-32s at 384×384: the data grows to 582 by its padding, and five poolings, each rounded up, leave 19; a
    window of 7 leaves 13. Deconvolution by 32 costs 21·21·64·64·13·13 multiply-adds."""
    sym, shapes = symbols.fcn(32)
    report = multiprof.analyze(checker.save(sym), shapes)
    layers = {row.layer.name: row for row in report.layers}
    assert layers["bigscore"].layer.x.shape == (1, 21, 13, 13)
    assert layers["bigscore"].layer.y.shape == (1, 21, 448, 448)
    assert layers["upscore"].layer.y.shape == (1, 21, 384, 384)
    assert layers["bigscore"].macs == 21 * 21 * 64 * 64 * 13 * 13
    assert layers["softmax"].layer.attrs == {"axis": (1,), "n": 21}


def test_resnext_groups_by_hand(checker: Any, symbols: Any) -> None:
    """The first 3×3 convolution of stage 1: 128 channels at 56×56 in 32 groups of 4."""
    sym, shapes = symbols.resnet(1, 32)
    report = multiprof.analyze(checker.save(sym), shapes)
    row = next(row for row in report.layers if row.layer.name == "stage1_unit1_b_conv")
    assert row.macs == 56 * 56 * 128 * 9 * 4
    assert row.layer.attrs["groups"] == 32


# A layer of 200 units, with 200 inputs: each step costs 4·200·(200 + 200) multiply-adds; two layers, 32·35 steps, and
# the output layer 32·35 times 200·10000.
LANGUAGE_MODEL = 2 * 32 * 35 * 4 * 200 * 400 + 32 * 35 * 200 * 10000


@pytest.mark.filterwarnings("ignore:NTC layout detected")  # MXNet's advice on speed
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unrolled"])
def test_language_model(checker: Any, symbols: Any, fused: bool) -> None:
    sym, shapes = symbols.language_model(fused)
    path = checker.check(sym, shapes)
    report = multiprof.analyze(path, {"data": shapes["data"]})  # the label is not needed
    assert report.macs == LANGUAGE_MODEL
    # table, two layers with two biases each, output layer
    assert report.params == 10000 * 200 + 2 * (4 * 200 * 400 + 2 * 800) + 200 * 10000 + 10000
    recurrent = [row.layer for row in report.layers if row.layer.op == "lstm"]
    assert len(recurrent) == (2 if fused else 0)
    assert any("labels" in warning for warning in report.warnings)


def test_labels_are_optional(checker: Any, symbols: Any) -> None:
    sym, shapes = symbols.lenet()
    path = checker.save(sym)
    without = multiprof.analyze(path, shapes)
    given = multiprof.analyze(path, {**shapes, "softmax_label": (64,)})
    assert without.macs == given.macs
    assert [spec.name for spec in without.graph.inputs] == ["data"]
    assert [spec.name for spec in given.graph.inputs] == ["data", "softmax_label"]


def test_files_of_2015(checker: Any, symbols: Any) -> None:
    """The same network in the shape of 2015's files: ``param``, pairs, ``backward_source_id``, no statistics."""
    sym, shapes = symbols.inception_bn()
    modern = checker.save(sym)
    graph = json.loads(modern.read_text())
    states = {f"{name}" for name in sym.list_auxiliary_states()}
    place: dict[int, int] = {}
    nodes = []
    for i, node in enumerate(graph["nodes"]):
        if node["name"] in states:
            continue
        place[i] = len(nodes)
        inputs = [[place[a], b] for a, b, *_ in node["inputs"] if a in place]
        variable = node["op"] == "null"
        nodes.append(
            {
                "op": node["op"],
                "param": {} if variable else node.get("attrs", {}),
                "name": node["name"],
                "inputs": inputs,
                "backward_source_id": -1,
                **({"attr": {"weight_lr_mult": "1.0"}} if node["op"] == "Convolution" else {}),
            }
        )
    arguments = [i for i, node in enumerate(nodes) if node["op"] == "null"]
    heads = [[place[a], b] for a, b, *_ in graph["heads"]]
    old = modern.parent / "old-symbol.json"
    old.write_text(json.dumps({"nodes": nodes, "arg_nodes": arguments, "heads": heads}))
    before, after = multiprof.analyze(modern, shapes), multiprof.analyze(old, shapes)
    assert (before.macs, before.flops, before.params, before.buffers) == (
        after.macs, after.flops, after.params, after.buffers,
    )  # fmt: skip
    assert before.buffers > 0
    # MXNet's own loader reads the file alike
    loaded = checker.mx.sym.load(str(old))
    assert sorted(loaded.list_auxiliary_states()) == sorted(states)
    checker.check(loaded, shapes, "again")


def test_parameters_saved_beside(checker: Any, symbols: Any) -> None:
    """Written by MXNet's own checkpoint; shapes that contradict the symbol are refused."""
    mx = checker.mx
    sym, shapes = symbols.lenet()
    inferred = checker.theirs(sym, shapes)
    values = {name: mx.nd.zeros(inferred[name], dtype="float16") for name in sym.list_arguments()
              if name not in ("data", "softmax_label")}  # fmt: skip
    prefix = str(checker.folder / "model")
    mx.model.save_checkpoint(prefix, 7, sym, values, {})
    report = multiprof.analyze(f"{prefix}-symbol.json", shapes)
    assert report.params == sum(prod(value.shape) for value in values.values())
    assert report.weight_bytes == 2 * report.params
    values["f1_weight"] = mx.nd.zeros((500, 801))
    mx.model.save_checkpoint(prefix, 8, sym, values, {})
    with pytest.raises(multiprof.ModelError, match=r"'f1_weight' has the shape 500×801; 500×800 is needed"):
        multiprof.analyze(f"{prefix}-symbol.json", shapes)
