"""The graph builder makes what it is asked for, and its ResNet-50 is the published one."""

from __future__ import annotations

import pytest

from multiprof.ir import Graph, Layer, Parameter, Region, TensorSpec
from multiprof.structure import check
from multiprof.testing.graphs import GraphBuilder, resnet50


def test_a_graph_by_hand() -> None:
    net = GraphBuilder("net", dtype="float16")
    x = net.input((1, 300))
    w = net.parameter("fc.weight", (100, 300), tied=("head",))
    net.region("loop", "loop", trips=2)
    y = net.layer("linear", {"x": x, "weight": w}, (1, 100), name="fc", scope="a", region="loop", in_features=300)
    z = net.layer("relu", {"x": y}, alias="write")
    spec = TensorSpec((1, 100), "float16", "fc:y")
    assert net.graph(z, batch=True) == Graph(
        "net",
        "hand",
        (TensorSpec((1, 300), "float16", "x"),),
        (TensorSpec((1, 100), "float16", "relu1:y"),),
        (
            Layer("fc", "linear", {"x": x, "weight": w}, {"y": spec}, {"in_features": 300}, "a", "hand.linear", "loop"),
            Layer("relu1", "relu", {"x": spec}, {"y": z}, {}, "", "hand.relu", None, (("y", "x", "write"),)),
        ),
        {
            "fc.weight": Parameter(
                TensorSpec((100, 300), "float16", "fc.weight"), "parameter", True, "fc.weight", ("head",)
            )
        },
        {"loop": Region("loop", None, "loop", 2)},
        {"batch": True},
    )


def test_several_outputs_and_none_to_copy_the_shape_from() -> None:
    net = GraphBuilder()
    first = net.layer("split", {"x": net.input((4,))}, outputs={"y0": (1,), "y1": (3,)}, dtype="int8")
    assert (first.name, first.shape, first.dtype) == ("split0:y0", (1,), "int8")
    assert net.layers[0].outputs["y1"].shape == (3,)
    assert net.layer("fill", {}).shape == ()


@pytest.mark.parametrize("stride_in_first", [False, True])
def test_resnet50_hangs_together(stride_in_first: bool) -> None:
    graph = resnet50(2, stride_in_first=stride_in_first)
    check(graph)
    assert graph.outputs[0].shape == (2, 1000)
    assert graph.layers[-3].op == "adaptive_avg_pool"
    assert graph.layers[-3].x.shape == (2, 2048, 7, 7)
    # weights of convolutions and classifier, two vectors a norm, and the classifier's bias
    assert sum(p.spec.numel for p in graph.parameters.values() if p.kind == "parameter") == 25_557_032
