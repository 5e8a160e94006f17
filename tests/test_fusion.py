"""Which layers run as one, and what then moves: nets worked by hand, a ResNet-50, and laws over both."""

from __future__ import annotations

from multiprof.cost import index_formulas
from multiprof.engine import price
from multiprof.formulas import multiprof_formulas
from multiprof.fusion import Kernel, kernels
from multiprof.ir import Graph, TensorSpec
from multiprof.passes import fold_batch_norm
from multiprof.testing.graphs import GraphBuilder, resnet50

FORMULAS = index_formulas(multiprof_formulas())


def found(graph: Graph) -> list[Kernel]:
    return kernels(graph, price(graph, FORMULAS).layers)


def shown(graph: Graph) -> list[tuple[str, int | None]]:
    return [(" ".join(row.name for row in kernel.rows), kernel.bytes) for kernel in found(graph)]


def linear(net: GraphBuilder, x: TensorSpec, name: str, **more: str) -> TensorSpec:
    """A square linear layer: reads x and the weight, writes a tensor like x."""
    size = x.shape[-1]
    assert size is not None
    weight = net.parameter(f"{name}.w", (size, size))
    return net.layer("linear", {"x": x, "weight": weight}, x.shape, name=name, in_features=size, **more)


def test_a_chain_of_pointwise_layers_joins_its_host():
    net = GraphBuilder()
    y = linear(net, net.input((2, 8)), "fc")
    y = net.layer("mul", {"x0": y}, name="scale", scalar=2.0)
    y = net.layer("relu", {"x": y}, name="act")
    # x 16, the weight 64 and the result 16 elements; what is between stays inside
    assert shown(net.graph(y)) == [("fc scale act", 4 * (16 + 64 + 16))]


def test_what_somebody_else_reads_is_written():
    net = GraphBuilder()
    h = linear(net, net.input((2, 8)), "fc")
    a = net.layer("relu", {"x": h}, name="a")
    b = net.layer("tanh", {"x": h}, name="b")
    assert shown(net.graph(a, b)) == [("fc", 4 * (16 + 64 + 16)), ("a", 4 * 32), ("b", 4 * 32)]
    net = GraphBuilder()
    h = linear(net, net.input((2, 8)), "fc")
    y = net.layer("relu", {"x": h}, name="act")
    assert shown(net.graph(y, h)) == [("fc", 4 * (16 + 64 + 16)), ("act", 4 * 32)]  # the caller wants h as well


def test_a_sum_joins_the_newest_of_its_operands_and_reads_the_other():
    net = GraphBuilder()
    x = net.input((2, 8))
    main, side = linear(net, x, "main"), linear(net, x, "side")
    y = net.layer("add", {"x0": main, "x1": side}, name="sum")
    assert shown(net.graph(y)) == [("main", 4 * (16 + 64 + 16)), ("side sum", 4 * (16 + 64 + 16 + 16))]


def test_an_operand_read_twice_is_read_from_nowhere():
    net = GraphBuilder()
    h = linear(net, net.input((2, 8)), "fc")
    y = net.layer("mul", {"x0": h, "x1": h}, name="square")
    assert shown(net.graph(y)) == [("fc square", 4 * (16 + 64 + 16))]


def test_views_are_no_kernels_and_hide_nothing():
    net = GraphBuilder()
    h = linear(net, net.input((2, 8)), "fc")
    v = net.layer("reshape", {"x": h}, (16,), name="flat", alias="view")
    y = net.layer("relu", {"x": v}, name="act")
    assert shown(net.graph(y)) == [("fc act", 4 * (16 + 64 + 16))]
    z = net.layer("reshape", {"x": h}, (4, 4), name="square", alias="view")
    other = net.layer("tanh", {"x": z}, name="other")  # reads h under another name: nobody joins any more
    assert [name for name, _ in shown(net.graph(y, other))] == ["fc", "act", "other"]


def test_nothing_joins_a_recurrent_layer_nor_crosses_a_region():
    net = GraphBuilder()
    x = net.input((5, 1, 8))
    weights = {f"weight_{r}": net.parameter(r, (32, 8)) for r in ("ih", "hh")}
    h = net.layer("lstm", {"x": x, **weights}, (5, 1, 8), name="lstm", steps=5, input_size=8, hidden_size=8)
    y = net.layer("relu", {"x": h}, name="act")
    assert [name for name, _ in shown(net.graph(y))] == ["lstm", "act"]
    net = GraphBuilder()
    h = linear(net, net.input((2, 8)), "fc")
    y = net.layer("relu", {"x": h}, name="act", region=net.region("loop", "loop", trips=3))
    assert [(name, size) for name, size in shown(net.graph(y))] == [("fc", 4 * 96), ("act", 3 * 4 * 32)]


def test_inside_a_loop_every_trip_counts():
    net = GraphBuilder()
    loop = net.region("loop", "loop", trips=3)
    h = linear(net, net.input((2, 8)), "fc", region=loop)
    y = net.layer("relu", {"x": h}, name="act", region=loop)
    assert shown(net.graph(y)) == [("fc act", 3 * 4 * (16 + 64 + 16))]


def test_an_unknown_size_is_unknown():
    net = GraphBuilder()
    y = net.layer("nonzero", {"x": net.input((2, 8))}, (None, 2), name="where", dtype="int64")
    v = net.layer("reshape", {"x": y}, (None,), name="flat")
    assert shown(net.graph(v)) == [("where", None), ("flat", None)]


def test_unsupported_layers_are_no_kernels():
    net = GraphBuilder()
    h = net.layer("toy.mystery", {"x": net.input((2, 8))}, name="odd")
    y = net.layer("relu", {"x": h}, name="act")
    assert shown(net.graph(y)) == [("act", 4 * 32)]


def test_resnet50():
    """Every convolution with its norm, and where they follow the sum and the activation, is one kernel."""
    graph = fold_batch_norm(resnet50())
    made = found(graph)
    ops = [" ".join(row.op for row in kernel.rows) for kernel in made]
    # the last convolution of a block takes the sum: in the first block of a stage that is the one of the shortcut
    assert ops.count("conv batch_norm relu") == 1 + 2 * 16
    assert ops.count("conv batch_norm add relu") == 16
    assert ops.count("conv batch_norm") == 4
    assert len(ops) == 53 + 3  # max pooling, average pooling, linear
    for kernel in made:
        if kernel.rows[0].op != "conv":
            continue
        first, last = kernel.rows[0].layer, kernel.rows[-1].layer
        skip = [row.layer.y for row in kernel.rows if row.op == "add"]  # the other operand, of the sum's shape
        norm = 4 * first.y.shape[1]
        elements = [first.inputs["x"], first.inputs["weight"], last.y, *skip]
        assert kernel.bytes == 4 * (sum(spec.numel for spec in elements) + norm)


def test_every_layer_with_a_cost_is_in_one_kernel():
    graph = fold_batch_norm(resnet50())
    report = price(graph, FORMULAS)
    made = kernels(graph, report.layers)
    names = [row.name for kernel in made for row in kernel.rows]
    moving = [row.name for row in report.layers if row.flops or row.bytes]
    assert sorted(names) == sorted(moving)
    assert len(set(names)) == len(names)
    assert sum(row.flops or 0 for kernel in made for row in kernel.rows) == report.flops
    assert sum(kernel.bytes or 0 for kernel in made) < (report.traffic_bytes or 0)
