"""Symbol files of every age read alike, and what is none refused by name and place."""

from __future__ import annotations

import json
from typing import Any

import pytest

import multiprof
from multiprof.adapters.mxnet import symbol
from multiprof.errors import InputsError, ModelError


def classifier(files: Any) -> dict[str, Any]:
    """A convolution of 3 → 8 channels, a norm, an activation, pooling, ten classes."""
    net = files.Net()
    x = net.op("Convolution", "conv", [net.var("data")], "weight", "bias", kernel=(3, 3), pad=(1, 1), num_filter=8)
    x = net.op("BatchNorm", "bn", [x], "gamma", "beta", "moving_mean", "moving_var", fix_gamma=False)
    x = net.op("Activation", "relu", [x], act_type="relu")
    x = net.op("Pooling", "pool", [x], kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = net.op("FullyConnected", "fc", [net.op("Flatten", "flat", [x])], "weight", "bias", num_hidden=10)
    return net.graph(net.op("SoftmaxOutput", "softmax", [x], "label"))


# 16×16 images: |y|·K·C_i of the convolution, then 8·8·8 features times 10 classes
MACS = 8 * 16 * 16 * 9 * 3 + 8 * 8 * 8 * 10
PARAMETERS = (8 * 3 * 9 + 8) + 2 * 8 + (8 * 8 * 8 * 10 + 10)


def check(report: Any) -> None:
    assert (report.macs, report.params, report.buffers) == (MACS, PARAMETERS, 2 * 8)
    ops = [row.layer.op for row in report.layers if row.layer.op != "reshape"]
    assert ops == ["conv", "batch_norm", "relu", "max_pool", "linear", "softmax"]
    assert not report.unsupported()


def test_a_modern_file(files: Any) -> None:
    report = multiprof.analyze(files.symbol(classifier(files)), (1, 3, 16, 16), strict=True)
    check(report)
    assert [spec.name for spec in report.graph.inputs] == ["data"]
    assert report.graph.parameters["conv_weight"].spec.shape == (8, 3, 3, 3)
    assert report.graph.parameters["bn_moving_mean"].kind == "buffer"


@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
def test_attributes_of_three_ages(files: Any, key: str) -> None:
    graph = classifier(files)
    for node in graph["nodes"]:
        node[key] = node.pop("attrs")
    del graph["attrs"]
    check(multiprof.analyze(files.symbol(graph), (1, 3, 16, 16)))


def test_a_file_of_2015(files: Any) -> None:
    """``param`` beside ``attr``, entries of two numbers, ``backward_source_id``, no statistics and no label."""
    graph = classifier(files)
    gone = [i for i, node in enumerate(graph["nodes"]) if "moving" in node["name"] or node["name"] == "softmax_label"]
    place, kept = {}, []
    for i, node in enumerate(graph["nodes"]):
        if i in gone:
            continue
        place[i] = len(kept)
        inputs = [[place[a], b] for a, b, _ in node["inputs"] if a in place]
        user = {"weight_lr_mult": "2"} if node["op"] == "Convolution" else {}
        row = {"op": node["op"], "param": node["attrs"], "name": node["name"], "inputs": inputs, "attr": user}
        kept.append({**row, "backward_source_id": -1})
    old = {"nodes": kept, "arg_nodes": [0], "heads": [[len(kept) - 1, 0]]}
    check(multiprof.analyze(files.symbol(old), (1, 3, 16, 16)))


def test_values_written_otherwise(files: Any) -> None:
    """Python 2's long integers, brackets, a single number, None, true in lower case."""
    net = files.Net()
    conv = {"kernel": "(3L, 3L)", "stride": "[1, 1]", "pad": "(1,1)", "layout": "None", "no_bias": "true"}
    x = net.op("Convolution", "conv", [net.var("data")], "weight", num_filter="8", num_group=1, **conv)
    one = net.op("Pooling", "pool", [x], kernel="(2, 2)", stride="(2,2)", pooling_convention="full")
    report = multiprof.analyze(files.symbol(net.graph(one)), (1, 3, 5, 5))
    assert report.macs == 8 * 25 * 9 * 3
    assert report.graph.outputs[0].shape == (1, 8, 3, 3)


def test_nodes_in_any_order(files: Any) -> None:
    """MXNet's loader takes nodes before their inputs, and leaves out what no head needs."""
    graph = classifier(files)
    count = len(graph["nodes"])
    graph["nodes"] = [
        {**node, "inputs": [[count - 1 - a, b] for a, b, _ in node["inputs"]]} for node in reversed(graph["nodes"])
    ]
    graph["heads"] = [[0, 0]]
    graph["nodes"].append({"op": "NoSuchOperator", "name": "unused", "inputs": []})
    check(multiprof.analyze(files.symbol(graph), (1, 3, 16, 16)))


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named(files: Any) -> None:
    path = files.symbol(classifier(files))
    with pytest.raises(InputsError, match="'data'"):
        multiprof.analyze(path)
    with pytest.raises(InputsError, match="no input 'image'"):
        multiprof.analyze(path, {"image": (1, 3, 16, 16)})
    net = files.Net()
    net.op("elemwise_mul", "sum", [net.op("relu", "r", [net.var("left")]), net.op("exp", "e", [net.var("right")])])
    assert multiprof.analyze(files.symbol(net.graph()), {"right": (2, 3)}).graph.inputs[0].shape == (2, 3)
    with pytest.raises(InputsError, match=r"'left', 'right'.*--input left:"):
        multiprof.analyze(files.symbol(net.graph()))


def test_declared_shapes(files: Any) -> None:
    """``__shape__`` in which 0 is unknown: a free axis."""
    net = files.Net()
    x = net.var("data", __shape__="(0, 3, 16, 16)", __dtype__="2")
    net.op("Convolution", "conv", [x], "weight", "bias", kernel=(3, 3), num_filter=4)
    path = files.symbol(net.graph())
    report = multiprof.analyze(path, dims={"data[0]": 2})
    assert report.macs == 2 * 4 * 14 * 14 * 27
    assert {spec.dtype for spec in report.graph.outputs} == {"float16"}
    assert multiprof.analyze(path, (1, 3, 8, 8)).macs == 4 * 6 * 6 * 27
    with pytest.raises(InputsError, match="data"):
        multiprof.analyze(path)


def test_a_declared_shape_with_a_negative_size(files: Any) -> None:
    graph = {
        "nodes": [{"op": "null", "name": "data", "attrs": {"__shape__": "(1, 3, -5, 8)"}, "inputs": []}],
        "heads": [[0, 0, 0]],
    }
    with pytest.raises(ModelError, match=r"node data .*__shape__ is '\(1, 3, -5, 8\)', not sizes"):
        multiprof.analyze(files.symbol(graph))


def test_variables_without_a_role(files: Any) -> None:
    """A scale that a product reads is an input, unless its attributes say that it is learned."""
    for attrs, learned in (({}, False), ({"__init__": "ones", "__shape__": "(4,)"}, True)):
        net = files.Net()
        net.op("broadcast_mul", "product", [net.var("data"), net.var("scale", **attrs)])
        given = {"data": (2, 4)} | ({} if learned else {"scale": (4,)})
        report = multiprof.analyze(files.symbol(net.graph()), given)
        assert (report.params, len(report.graph.inputs)) == ((4, 1) if learned else (0, 2))


# -- what is no symbol file --------------------------------------------------------------------------------------------


def node(**more: Any) -> dict[str, Any]:
    return {"op": "null", "name": "x", "inputs": []} | more


def graph_of(*nodes: Any, heads: Any = ((0, 0),)) -> dict[str, Any]:
    return {"nodes": list(nodes), "heads": [list(head) if isinstance(head, tuple) else head for head in heads]}


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": ('{"nodes": [{"op": ', "not JSON"),
    "another JSON": ({"layers": []}, "no MXNet symbol file"),
    "a list": ([1, 2], "no MXNet symbol file"),
    "nodes no list": ({"nodes": {}, "heads": []}, "no MXNet symbol file"),
    "no heads": (graph_of(node(), heads=()), "no heads"),
    "node no object": (graph_of(3), "node 0"),
    "op no text": (graph_of(node(op=3)), "node 0"),
    "attribute no text": (graph_of(node(attrs={"a": 3})), "node 0.*texts"),
    "inputs no list": (graph_of(node(inputs=3)), "node 0.*inputs"),
    "entry no pair": (graph_of(node(), node(name="y", op="relu", inputs=[[0]])), "input 0.*pair"),
    "entry outside": (graph_of(node(op="relu", inputs=[[7, 0]])), "output 0 of node 7"),
    "entry negative": (graph_of(node(op="relu", inputs=[[-1, 0]])), "node -1"),
    "output outside": (graph_of(node(), node(name="y", op="relu", inputs=[[0, 1]]), heads=((1, 0),)), "output 1 of x"),
    "head outside": (graph_of(node(), heads=((4, 0),)), "head 0"),
    "cycle": (graph_of(node(op="relu", inputs=[[0, 0]])), "depends on itself"),
    "long cycle": (
        graph_of(node(op="relu", inputs=[[1, 0]]), node(name="y", op="relu", inputs=[[0, 0]])),
        "depends on itself",
    ),
    "two of one name": (
        graph_of(node(), node(), node(name="y", op="_plus", inputs=[[0, 0], [1, 0]]), heads=((2, 0),)),
        "name",
    ),
    "huge number": ('{"nodes": [{"op": "null", "name": "x", "inputs": [[' + "9" * 100_000 + ", 0]]}]}", "too large"),
    "not a number": ('{"nodes": [], "heads": [NaN]}', "head 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_symbol_file(files: Any, name: str) -> None:
    graph, words = BAD[name]
    path = files.symbol(graph)
    with pytest.raises(ModelError, match=f"(?s)net-symbol.json.*{words}"):
        multiprof.analyze(path, (1, 3), framework="mxnet")


ATTRIBUTES = {
    "no kernel": {"kernel": None},
    "kernel no tuple": {"kernel": "(3, three)"},
    "kernel of zero": {"kernel": "(0, 3)"},
    "kernel of rank 4": {"kernel": "(1, 1, 1, 1)"},
    "kernel too large": {"kernel": "(300, 3)"},
    "negative": {"num_filter": "-8"},
    "no number": {"num_filter": "eight"},
    "beyond 64 bits": {"num_filter": "9" * 30},
    "stride of zero": {"stride": "(0, 1)"},
    "stride of another rank": {"stride": "(1,)"},
    "negative padding": {"pad": "(-1, 0)"},
    "groups": {"num_group": "2"},
    "truth": {"no_bias": "perhaps"},
    "layout": {"layout": "NHWCX"},
    "megabytes": {"kernel": "(" + "3," * 1_000_000 + ")"},
    "code": {"kernel": "__import__('os').system('false')"},
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_bad_attributes_name_node_and_key(files: Any, name: str) -> None:
    graph = classifier(files)
    conv = next(node for node in graph["nodes"] if node["op"] == "Convolution")
    for key, value in ATTRIBUTES[name].items():
        conv["attrs"].pop(key, None)
        if value is not None:
            conv["attrs"][key] = value
    with pytest.raises(ModelError, match=r"node conv \(Convolution\)") as caught:
        multiprof.analyze(files.symbol(graph), (1, 3, 16, 16))
    assert len(str(caught.value)) < 500


def test_shapes_that_contradict(files: Any) -> None:
    net = files.Net()
    net.op("elemwise_add", "sum", [net.var("a"), net.var("b")])
    with pytest.raises(ModelError, match=r"node sum \(elemwise_add\).*'a' \(2, 3\), 'b' \(2, 4\)"):
        multiprof.analyze(files.symbol(net.graph()), {"a": (2, 3), "b": (2, 4)})


# -- operators nobody knows --------------------------------------------------------------------------------------------


def test_foreign_operators(files: Any) -> None:
    net = files.Net()
    x = net.op("FullyConnected", "fc", [net.var("data")], "weight", "bias", num_hidden=4)
    x = net.op("Custom", "mine", [x], op_type="my_op", factor="(1, 2)", info="x" * 5000)
    x = net.op("FullyConnected", "last", [x], "weight", "bias", num_hidden=2)
    x = net.op("_contrib_hawkesll", "other", [x])
    path = files.symbol(net.graph(x))
    with pytest.raises(InputsError, match="last_weight"):
        multiprof.analyze(path, (1, 3))  # how wide the unknown operator's result is nobody can know
    report = multiprof.analyze(path, {"data": (1, 3), "last_weight": (2, 4)})
    layers = {row.layer.name: row.layer for row in report.layers}
    assert layers["mine"].op == "mxnet.Custom.my_op"
    assert layers["mine"].attrs["factor"] == (1, 2)
    assert len(layers["mine"].attrs["info"]) < 1100
    assert layers["other"].op == "mxnet._contrib_hawkesll"
    unsupported = {row.layer.op for row in report.layers if row.state == "unsupported"}
    assert unsupported == {"mxnet.Custom.my_op", "linear", "mxnet._contrib_hawkesll"}  # the batch is lost in between


# -- hostile files -----------------------------------------------------------------------------------------------------


def test_truncated_everywhere(files: Any) -> None:
    text = json.dumps(classifier(files))
    for percent in range(100):
        path = files.symbol(text[: len(text) * percent // 100])
        with pytest.raises(ModelError, match=r"net-symbol\.json"):
            multiprof.analyze(path, (1, 3, 16, 16), framework="mxnet")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"nodes":' * 50_000, '{"nodes": [' + "[" * 10_000 + "]" * 10_000 + "]}"]
)
def test_deep_nesting(files: Any, text: str) -> None:
    with pytest.raises(ModelError, match=r"net-symbol\.json"):
        multiprof.analyze(files.symbol(text), (1,), framework="mxnet")


def test_subgraphs_in_subgraphs(files: Any) -> None:
    graph: dict[str, Any] = graph_of(node())
    for _ in range(40):
        graph = graph_of(node(op="_foreach", subgraphs=[graph]))
    with pytest.raises(ModelError, match="nested"):
        multiprof.analyze(files.symbol(graph), (1,))


def test_a_long_chain(files: Any) -> None:
    """10,000 operators one after the other are no recursion."""
    net = files.Net()
    x = net.var("data")
    for i in range(10_000):
        x = net.op("relu", f"r{i}", [x])
    report = multiprof.analyze(files.symbol(net.graph()), (2, 3))
    assert report.flops == 10_000 * 6


def test_too_many_nodes(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol, "MAX_NODES", 5)
    with pytest.raises(ModelError, match="more than 5 nodes"):
        multiprof.analyze(files.symbol(classifier(files)), (1, 3, 16, 16))
    monkeypatch.setattr(symbol, "MAX_NODES", 1000)
    monkeypatch.setattr(symbol, "MAX_INPUTS", 5)
    with pytest.raises(ModelError, match="more than 5 inputs"):
        multiprof.analyze(files.symbol(classifier(files)), (1, 3, 16, 16))
    monkeypatch.setattr(symbol, "MAX_BYTES", 100)
    with pytest.raises(ModelError, match="bytes"):
        multiprof.analyze(files.symbol(classifier(files)), (1, 3, 16, 16))


def test_absurd_sizes(files: Any) -> None:
    """10^18 elements are counted, a billion results are refused."""
    net = files.Net()
    net.op("relu", "r", [net.var("data")])
    assert multiprof.analyze(files.symbol(net.graph()), (10**9, 10**9)).flops == 10**18
    net = files.Net()
    net.op("SliceChannel", "split", [net.var("data")], num_outputs=10**9)
    with pytest.raises(ModelError, match="1000000000 results"):
        multiprof.analyze(files.symbol(net.graph()), (1, 10**9))
    net = files.Net()
    data = net.var("data")
    heads = [net.op("SliceChannel", f"split{i}", [data], num_outputs=9999, axis=0) for i in range(100)]
    with pytest.raises(ModelError, match=r"node split40 .*400000 tensors"):
        multiprof.analyze(files.symbol(net.graph(*heads)), (9999, 3))
