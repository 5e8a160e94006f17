"""Every rule of a graph is checked, and the message names the culprit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from multiprof.errors import ModelError
from multiprof.ir import Graph, Layer, Parameter, Region, TensorSpec
from multiprof.structure import check, enclosing
from multiprof.testing.graphs import GraphBuilder, resnet50


def chain() -> GraphBuilder:
    net = GraphBuilder("chain")
    x = net.input((4,))
    y = net.layer("relu", {"x": x}, name="first")
    net.layer("mul", {"x0": y, "x1": net.parameter("w", (4,))}, name="second")
    return net


def test_sound_graphs_pass() -> None:
    check(chain().graph())
    check(resnet50())
    check(Graph("empty", "hand", (), (), ()))


def _from_nowhere(net: GraphBuilder) -> None:
    net.layer("relu", {"x": TensorSpec((4,), name="ghost")}, name="third")


def _too_early(net: GraphBuilder) -> None:
    net.layers.reverse()


def _twice_the_layer(net: GraphBuilder) -> None:
    net.layers.append(replace(net.layers[0], outputs={"y": TensorSpec((4,), name="other")}))


def _twice_the_tensor(net: GraphBuilder) -> None:
    net.layers.append(replace(net.layers[0], name="third"))


def _writes_a_parameter_name(net: GraphBuilder) -> None:
    net.layers.append(Layer("third", "fill", {}, {"y": TensorSpec((4,), name="w")}))


def _no_such_region(net: GraphBuilder) -> None:
    net.layers[0].region = "loop"


def _region_in_itself(net: GraphBuilder) -> None:
    net.regions = {"a": Region("a", "b"), "b": Region("b", "a")}


def _parent_missing(net: GraphBuilder) -> None:
    net.regions = {"a": Region("a", "b")}


def _region_key(net: GraphBuilder) -> None:
    net.regions = {"a": Region("b")}


def _parameter_key(net: GraphBuilder) -> None:
    net.parameters["v"] = Parameter(TensorSpec((4,), name="u"))


def _alias_role(net: GraphBuilder) -> None:
    net.layers[0].aliases = (("y", "z", "view"),)


def _alias_kind(net: GraphBuilder) -> None:
    net.layers[0].aliases = (("y", "x", "reads"),)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_from_nowhere, "layer third reads 'ghost' as x, which comes from nowhere: .* no layer makes it"),
        (_too_early, "layer second reads 'first:y' as x0, which comes from nowhere: layer first makes it later"),
        (_twice_the_layer, "two layers have the name 'first'"),
        (_twice_the_tensor, "layer third makes tensor 'first:y', which there is already"),
        (_writes_a_parameter_name, "layer third makes tensor 'w', which there is already"),
        (_no_such_region, "layer first is in region 'loop', which is not declared"),
        (_region_in_itself, "region 'a' contains itself"),
        (_parent_missing, "region 'b' is not declared"),
        (_region_key, "the region 'b' stands under the key 'a'"),
        (_parameter_key, "the parameter 'u' stands under the key 'v'"),
        (_alias_role, r"layer first has the alias \('y', 'z', 'view'\)"),
        (_alias_kind, r"layer first has the alias \('y', 'x', 'reads'\)"),
    ],
)
def test_broken_graphs(break_it: Callable[[GraphBuilder], None], message: str) -> None:
    net = chain()
    break_it(net)
    with pytest.raises(ModelError, match=f"^chain: .*{message}"):
        check(net.graph())


def test_an_output_from_nowhere() -> None:
    with pytest.raises(ModelError, match="the output 'ghost' comes from nowhere"):
        check(chain().graph(TensorSpec((4,), name="ghost")))


def test_only_a_loop_reads_what_is_made_later() -> None:
    net = GraphBuilder()
    net.region("outer", "loop", trips=3)
    net.region("inner", "call", parent="outer")
    later = TensorSpec((4,), name="later:y")
    net.layer("relu", {"x": later}, name="reader", region="inner")
    net.layer("fill", {}, (4,), name="later", region="outer")
    check(net.graph())
    net.layers[1].region = None
    with pytest.raises(ModelError, match="layer later makes it later"):
        check(net.graph())


def test_enclosing_regions_innermost_first() -> None:
    net = GraphBuilder()
    for id, parent in (("a", None), ("b", "a"), ("c", "b")):
        net.region(id, "call", parent=parent)
    assert [region.id for region in enclosing(net.graph(), "c")] == ["c", "b", "a"]
    assert enclosing(net.graph(), None) == []
