"""Groups add up to the whole, and every weight stands where it is first used."""

from __future__ import annotations

from multiprof.cost import Cost, Counts
from multiprof.ir import BUFFER, Graph, TensorSpec
from multiprof.layer_report import LayerReport, Total
from multiprof.testing.graphs import GraphBuilder
from multiprof.totals import dtype, family, first_use, group, modules


def rows(graph: Graph, **states: str) -> list[LayerReport]:
    """Every layer priced at 1 mac unless its state is given."""
    cost = Cost({"dot": Counts(macs=1)})
    return [LayerReport(layer, states.get(layer.name, "priced"), "", cost) for layer in graph.layers]


def tied() -> GraphBuilder:
    """Two layers share w (6); v (4) is prepared by turn and used by b; u (5) is only prepared; s is a buffer (7)."""
    net = GraphBuilder()
    x = net.input((1, 2))
    w, v, u = net.parameter("w", (6,)), net.parameter("v", (4,)), net.parameter("u", (5,))
    net.parameter("unused", (9,))
    s = net.parameter("s", (7,), BUFFER)
    turned = net.layer("transpose", {"x": v}, (4,), name="turn", scope="enc.0")
    net.layer("transpose", {"x": u}, (5,), name="idle", scope="enc.0")
    a = net.layer("linear", {"x": x, "weight": w, "bias": w}, (1, 2), name="a", scope="enc.0.a")
    b = net.layer("linear", {"x": a, "weight": turned, "bias": w}, (1, 2), name="b", scope="enc.1")
    net.layer("add", {"x0": b, "x1": s}, name="c", scope="dec")
    net.layer("relu", {"x": b}, name="d")
    return net


STATES = {"turn": "prepared", "idle": "prepared"}


def test_weights_stand_where_they_are_first_used() -> None:
    graph = tied().graph()
    first = first_use(rows(graph, **STATES), graph.parameters)
    assert {layer: [p.name for p in found] for layer, found in first.items()} == {"a": ["w"], "b": ["v"], "idle": ["u"]}


def test_without_preparation_a_weight_is_used_by_the_layer_that_reads_it() -> None:
    graph = tied().graph()
    first = first_use(rows(graph), graph.parameters)
    assert {layer: [p.name for p in found] for layer, found in first.items()} == {
        "turn": ["v"], "idle": ["u"], "a": ["w"],
    }  # fmt: skip


def test_groups_add_up_in_the_order_of_appearance() -> None:
    found = group(rows(tied().graph(), **STATES), lambda row: row.op, {"a": 6, "b": 4})
    assert list(found) == ["transpose", "linear", "add", "relu"]
    assert found["linear"] == Total(layers=2, params=10, macs=2, flops=4)
    assert found["transpose"] == Total(layers=2)  # prepared: not in the totals


def test_modules_hold_all_that_is_under_them() -> None:
    found = modules(rows(tied().graph(), **STATES), {"a": 6, "b": 4})
    assert {path: (total.layers, total.macs, total.params) for path, total in found.items()} == {
        "": (6, 4, 10),
        "enc": (4, 2, 10),
        "enc.0": (3, 1, 6),
        "enc.0.a": (1, 1, 6),
        "enc.1": (1, 1, 4),
        "dec": (1, 1, 0),
    }
    assert list(found)[:4] == ["", "enc", "enc.0", "enc.0.a"]


def test_types_of_dot_products_or_of_outputs() -> None:
    (row, *_) = rows(tied().graph())
    assert dtype(row) == "float32"
    row.cost = Cost({}, ("float16", "int4", "float32"))
    assert dtype(row) == "float16×int4"
    row.cost = Cost({}, ("int8", "int8", "int32"))
    assert dtype(row) == "int8"
    row.cost = None
    row.layer.outputs = {"y": TensorSpec((1,), "bool")}
    assert dtype(row) == "bool"
    row.layer.outputs = {}
    assert dtype(row) == ""


def test_contractions_in_a_loop_that_carries_state_are_recurrent() -> None:
    net = GraphBuilder()
    x = net.input((1, 2))
    carries = net.region("carries", "loop", trips=3, stateful=True)
    inside = net.region("inside", "branch", parent=carries)
    plain = net.region("plain", "loop", trips=3)
    for name, region in (("a", None), ("b", carries), ("c", inside), ("d", plain)):
        net.layer("linear", {"x": x, "weight": net.parameter(f"w{name}", (2, 2))}, name=name, region=region)
    net.layer("relu", {"x": x}, name="e", region=carries)
    graph = net.graph()
    found = {row.name: family(graph, row) for row in rows(graph)}
    assert found == {"a": "linear", "b": "recurrent", "c": "recurrent", "d": "linear", "e": "activation"}
