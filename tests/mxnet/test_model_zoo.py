"""All of Gluon's vision models, exported: every internal's shape, the macs, and the report without MXNet."""

from __future__ import annotations

import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest

import multiprof

MODELS = (
    "alexnet", "densenet121", "densenet161", "densenet169", "densenet201", "inceptionv3", "mobilenet0.25",
    "mobilenet0.5", "mobilenet0.75", "mobilenet1.0", "mobilenetv2_0.25", "mobilenetv2_0.5", "mobilenetv2_0.75",
    "mobilenetv2_1.0", "resnet101_v1", "resnet101_v2", "resnet152_v1", "resnet152_v2", "resnet18_v1", "resnet18_v2",
    "resnet34_v1", "resnet34_v2", "resnet50_v1", "resnet50_v2", "squeezenet1.0", "squeezenet1.1", "vgg11", "vgg11_bn",
    "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
)  # fmt: skip


def export(checker: Any, name: str) -> tuple[Any, Path, tuple[int, ...]]:
    """The model's symbol, traced without running it."""
    mx = checker.mx
    net = mx.gluon.model_zoo.vision.get_model(name)
    sym = net(mx.sym.var("data"))
    size = 299 if name == "inceptionv3" else 224
    return sym, checker.save(sym, name), (1, 3, size, size)


@pytest.mark.parametrize("name", MODELS)
def test_every_internal_has_mxnets_shape_and_the_macs_follow(checker: Any, name: str) -> None:
    sym, path, shape = export(checker, name)
    checker.check(sym, {"data": shape}, name)
    inferred = checker.theirs(sym, {"data": shape})
    report = multiprof.analyze(path, shape, strict=True)
    assert report.macs == checker.macs(sym, {"data": shape})
    assert report.params == sum(prod(inferred[name]) for name in sym.list_arguments() if name != "data")
    assert report.buffers == sum(prod(inferred[name]) for name in sym.list_auxiliary_states())


@pytest.mark.parametrize("name", MODELS)
def test_the_live_model_is_the_graph_of_its_symbol(checker: Any, name: str) -> None:
    """Before it has run, and its parameters have shapes; then these are Gluon's own, inferred by MXNet."""
    mx = checker.mx
    sym, path, shape = export(checker, name)
    net = mx.gluon.model_zoo.vision.get_model(name, prefix=sym.get_internals()[1].name.partition("_")[0] + "_")
    live = multiprof.analyze(net, shape, strict=True)
    file = multiprof.analyze(path, shape, strict=True)
    assert live.graph.layers == file.graph.layers
    assert [row.cost for row in live.layers] == [row.cost for row in file.layers]
    assert {k: (p.spec, p.kind) for k, p in live.graph.parameters.items()} == {
        k: (p.spec, p.kind) for k, p in file.graph.parameters.items()
    }
    assert live.macs == checker.macs(sym, {"data": shape})
    net.infer_shape(mx.nd.zeros(shape))
    parameters = net.collect_params()
    statistics = {key for key in parameters if key.endswith(("running_mean", "running_var"))}
    assert {key: p.spec.shape for key, p in live.graph.parameters.items()} == {
        k: p.shape for k, p in parameters.items()
    }
    assert live.buffers == sum(prod(parameters[key].shape) for key in statistics)
    assert live.params == sum(prod(p.shape) for key, p in parameters.items() if key not in statistics)
    assert live.trainable_params == sum(prod(p.shape) for p in parameters.values() if p.grad_req != "null")


def test_the_zoo_is_complete(checker: Any) -> None:
    """A model that MXNet has and this list has not would go untested."""
    import inspect

    source = inspect.getsource(checker.mx.gluon.model_zoo.vision.get_model)
    assert all(f"'{name}'" in source for name in MODELS)
    assert source.count("':") == len(MODELS)


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mxnet", "numpy"):
            raise ImportError(name)
sys.meta_path.insert(0, Block())
import multiprof
multiprof.analyze(sys.argv[1], (1, 3, 224, 224)).save(sys.argv[2])
assert "mxnet" not in sys.modules and "numpy" not in sys.modules
"""


@pytest.mark.parametrize("name", ["resnet50_v1", "mobilenetv2_1.0", "densenet121"])
def test_the_report_is_the_same_without_mxnet(checker: Any, name: str, tmp_path: Path) -> None:
    """Read here, beside a loaded MXNet and with the parameters it saved, and in a process that can import neither
    MXNet nor numpy."""
    mx = checker.mx
    net = mx.gluon.model_zoo.vision.get_model(name)
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros((1, 3, 224, 224)))
    net.export(str(tmp_path / "net"))
    path, saved = tmp_path / "net-symbol.json", tmp_path / "report.json"
    here = multiprof.analyze(path, (1, 3, 224, 224))
    subprocess.run([sys.executable, "-c", BLOCKED, str(path), str(saved)], check=True)
    there = multiprof.load(saved)
    assert (there.macs, there.flops, there.params, there.buffers) == (here.macs, here.flops, here.params, here.buffers)
    assert there.graph.layers == here.graph.layers
    assert there.graph.parameters == here.graph.parameters
    trained = {name: value for name, value in net.collect_params().items() if not name.endswith(("mean", "var"))}
    assert here.params == sum(prod(value.shape) for value in trained.values())
    assert here.graph.parameters.keys() == net.collect_params().keys()
