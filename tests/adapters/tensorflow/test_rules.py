"""Rules of single operations: what is counted, with the arithmetic written out."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from multiprof import Inputs, TensorSpec
from multiprof.adapters.tensorflow import reader  # noqa: F401  # fills the table
from multiprof.adapters.tensorflow.fold import FOLDERS
from multiprof.adapters.tensorflow.table import RULES, STRUCTURE
from multiprof.ops import OPS

raw = tf.raw_ops


# Operations that came after 2.8: the first of 2.10, 2.12 and 2.15 that has them.
LATER = {
    "ApproxTopK": (2, 10), "UniformDequantize": (2, 10), "XlaOptimizationBarrier": (2, 10),
    "Conv2DBackpropInputV2": (2, 12), "SegmentProdV2": (2, 12), "SegmentSumV2": (2, 12), "UniformQuantize": (2, 12),
    "UniformQuantizedAdd": (2, 12), "UniformQuantizedDot": (2, 12), "UniformRequantize": (2, 12),
    "Conv": (2, 15), "SegmentMaxV2": (2, 15), "SegmentMinV2": (2, 15),
}  # fmt: skip


def test_rules_are_for_operations_there_are():
    names = {*RULES, *STRUCTURE, *FOLDERS}
    unknown = {name for name in names if op_def_registry.get(name) is None}
    version = tuple(int(part) for part in tf.__version__.split(".")[:2])
    assert unknown <= {name for name, since in LATER.items() if version < since}


def _flops(cost, function, *inputs):
    return cost(function, Inputs(*inputs), framework="tensorflow").flops


SIZES = (2, 3, 4)
N = prod(SIZES)


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (tf.nn.relu, N),
        (tf.nn.relu6, 2 * N),
        (tf.nn.leaky_relu, 2 * N),
        (tf.sigmoid, 4 * N),
        (tf.tanh, N),
        (tf.nn.silu, 5 * N),
        (lambda x: tf.clip_by_value(x, 0.0, 1.0), 2 * N),
        (lambda x: x + 1.0, N),
        (lambda x: 1.0 / x, N),
        (lambda x: x**3, 2 * N),  # x·x·x
        (tf.math.rsqrt, N),
        (tf.math.lgamma, N),
        (tf.math.bessel_i0, N),
        (lambda x: tf.math.zeta(x, x), N),
        (lambda x: tf.math.xlogy(x, x), 3 * N),  # the logarithm, the product, 0 where x is
        (lambda x: tf.math.squared_difference(x, 2.0), 2 * N),
        (lambda x: tf.add_n([x, x, x]), 2 * N),
        (lambda x: tf.where(x > 0, x, 2 * x), 3 * N),
        (lambda x: tf.nn.softmax(x), 6 * (3 + 4 + 4 + 3 + 4)),  # n−1 cmps, n adds, n exps, n−1 adds, n divs
        (lambda x: tf.reduce_sum(x, -1), 6 * 3),
        (lambda x: tf.reduce_mean(x, [1, 2]), 2 * (11 + 1)),
        (lambda x: tf.reduce_max(x), N - 1),
        (lambda x: tf.argmax(x, 0), 12),
        (lambda x: tf.cumsum(x, 1), 2 * 4 * 2),
        (lambda x: tf.transpose(x, (2, 0, 1)), 0),
        (lambda x: tf.concat([x, x], 1), 0),
        (lambda x: tf.stack(tf.unstack(x, axis=1), 1), 0),
        (lambda x: tf.split(x, 3, 1), 0),
        (lambda x: x[:, 1:, ::2], 0),
        (lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 2]]), 0),
        (lambda x: tf.tile(x, (1, 2, 3)), 0),
        (lambda x: tf.reverse(x, [1]), 0),
        (lambda x: tf.one_hot(tf.cast(x[0, 0], tf.int32), 5), 0),
        (lambda x: tf.stop_gradient(tf.identity(x)), 0),
        (lambda x: tf.linalg.band_part(x, -1, 0), 0),
        (lambda x: tf.math.l2_normalize(x, -1), None),
        (lambda x: tf.random.normal(tf.shape(x)) * x, N + N),
    ],
)
def test_elementwise_reductions_and_moves(cost, function, flops):
    report = cost(function, SIZES, framework="tensorflow")
    assert report.coverage == 1
    assert all(row.layer.op in OPS for row in report.layers)
    made = tf.nest.flatten(tf.function(function).get_concrete_function(tf.TensorSpec(SIZES)).outputs)
    assert [spec.shape for spec in report.graph.outputs] == [tuple(t.shape) for t in made]
    if flops is not None and "random" not in {row.layer.op for row in report.layers}:
        assert report.flops == flops


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_pools(cost, graph_of, padding):
    x = (1, 9, 9, 5)
    size = 5 if padding == "SAME" else 4
    maximum = cost(lambda x: tf.nn.max_pool2d(x, 3, 2, padding), x, framework="tensorflow")
    assert maximum.flops == size * size * 5 * 8
    mean = cost(lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"), x, framework="tensorflow")
    assert mean.flops == 4 * 4 * 5 * (3 + 1)
    layer = graph_of.one(lambda x: tf.nn.max_pool2d(x, 3, 2, padding), x, "max_pool")
    assert layer.attrs["padding"] == (((1, 1), (1, 1)) if padding == "SAME" else ((0, 0), (0, 0)))
    cube = cost(lambda x: tf.nn.max_pool3d(x, 2, 2, "VALID"), (1, 4, 4, 4, 3), framework="tensorflow")
    assert cube.flops == 8 * 3 * 7


def test_resizing(graph_of, cost):
    for method, each in (("nearest", 0), ("bilinear", 6 + 3)):
        report = cost(lambda x, m=method: tf.image.resize(x, (20, 30), m), (1, 10, 10, 3), framework="tensorflow")
        assert report.flops == 20 * 30 * 3 * each
    layer = graph_of.one(lambda x: tf.image.resize(x, (20, 30)), (1, 10, 10, 3), "resize")
    assert layer.attrs["scale"] == (2.0, 3.0)


def test_crops_are_regions_sampled_once_a_cell(graph_of):
    def function(image, boxes, which):
        return tf.image.crop_and_resize(image, boxes, which, (7, 5))

    given = Inputs((1, 10, 10, 3), (4, 4), TensorSpec((4,), "int32"))
    layer = graph_of.one(function, given, "roi_align")
    assert (layer.attrs["output_size"], layer.attrs["sampling_ratio"]) == ((7, 5), 1)


def test_suppression(graph_of):
    layer = graph_of.one(lambda b, s: tf.image.non_max_suppression(b, s, 5), Inputs((20, 4), (20,)), "nms")
    assert (layer.attrs["boxes"], layer.attrs["max_output"]) == (20, 5)

    def combined(boxes, scores):
        return tf.image.combined_non_max_suppression(boxes, scores, 4, 10)

    layer = graph_of.one(combined, Inputs((2, 30, 1, 4), (2, 30, 6)), "nms")
    assert (layer.attrs["batch"], layer.attrs["boxes"], layer.attrs["classes"]) == (2, 30, 6)
    assert set(layer.outputs) == {"y", "scores", "classes", "valid"}


def test_order_and_index(graph_of):
    layer = graph_of.one(lambda x: tf.math.top_k(x, 3), (2, 8), "topk")
    assert (layer.attrs["k"], layer.attrs["n"], layer.attrs["axis"]) == (3, 8, 1)
    indices = TensorSpec((5, 1), "int32")
    assert graph_of.ops(lambda x, i: tf.gather_nd(x, i), Inputs((9, 4), indices)) == ["index"]
    assert graph_of.ops(lambda u, i: tf.scatter_nd(i, u, (9, 4)), Inputs((5, 4), indices)) == ["fill", "index_reduce"]
    assert graph_of.ops(lambda x, s: tf.math.segment_mean(x, s), Inputs((5, 4), TensorSpec((5,), "int32"))) == [
        "segment_reduce"
    ]


def test_transforms(graph_of, cost):
    layer = graph_of.one(lambda x: tf.signal.rfft(x), (3, 64), "fft")
    assert (layer.attrs["n"], layer.attrs["onesided"], layer.y.shape) == (64, True, (3, 33))
    assert graph_of.ops(lambda x: tf.signal.rfft2d(x), (3, 16, 64)) == ["fft", "fft"]
    assert cost(lambda x: tf.abs(tf.signal.stft(x, 256, 128)), (1, 4000), framework="tensorflow").coverage == 1


def test_linear_algebra(graph_of):
    assert graph_of.ops(lambda a: tf.linalg.cholesky(a), (5, 5)) == ["cholesky"]
    assert graph_of.ops(lambda a, b: tf.linalg.solve(a, b), Inputs((5, 5), (5, 2))) == ["solve"]
    layer = graph_of.one(lambda a, b: tf.linalg.triangular_solve(a, b, lower=False), Inputs((5, 5), (5, 2)), "solve")
    assert (layer.attrs["triangular"], layer.attrs["upper"]) == (True, True)


def test_dilation_by_moving_space_into_the_batch(cost):
    """tf.nn.space_to_batch, a plain convolution, and back: the convolution runs on 4 times 5×5."""

    def function(x):
        x = tf.space_to_batch(x, [2, 2], [[1, 1], [1, 1]])
        x = tf.nn.conv2d(x, tf.zeros((3, 3, 4, 6)), 1, "VALID")
        return tf.batch_to_space(x, [2, 2], [[0, 0], [0, 0]])

    report = cost(function, (1, 8, 8, 4), framework="tensorflow")
    assert report.macs == 4 * 3 * 3 * 6 * 9 * 4
    assert report.graph.outputs[0].shape == (1, 6, 6, 6)


def test_fake_quantisation(graph_of):
    layer = graph_of.one(lambda x: tf.quantization.fake_quant_with_min_max_args(x), (2, 8), "fake_quantize")
    assert layer.attrs["dtype"] == "uint8"


def test_quantised_products(graph_of, cost):
    def function(x):
        def integers(y):
            return tf.quantization.quantize(y, -1.0, 1.0, tf.quint8)

        a, b = integers(x), integers(tf.ones((3, 3, 4, 6)))
        product = raw.QuantizedConv2D(
            input=a.output, filter=b.output, min_input=a.output_min, max_input=a.output_max, min_filter=b.output_min,
            max_filter=b.output_max, strides=[1, 1, 1, 1], padding="SAME",
        )  # fmt: skip
        return tf.quantization.dequantize(product.output, product.min_output, product.max_output)

    report = cost(function, (1, 5, 5, 4), framework="tensorflow")
    assert report.macs == 5 * 5 * 6 * 9 * 4
    conv = graph_of.one(function, (1, 5, 5, 4), "conv")
    assert conv.x.quant is not None
    assert (conv.x.dtype, conv.y.dtype) == ("uint8", "int32")
    assert [row.layer.op for row in report.layers].count("dequantize") == 1


@pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
@pytest.mark.parametrize(("mode", "gates"), [("lstm", 4), ("gru", 3), ("rnn_relu", 1)])
def test_cudnn(cost, mode, gates, direction):
    """Two layers, T = 7, N = 3, C_i = 10, H = 6; the second reads all directions of the first."""
    ways = 2 if direction == "bidirectional" else 1
    state = (2 * ways, 3, 6)

    def function(x):
        zeros = tf.zeros(state)
        size = 2000
        return raw.CudnnRNN(
            input=x, input_h=zeros, input_c=zeros, params=tf.zeros(size), rnn_mode=mode, direction=direction
        ).output  # fmt: skip

    report = cost(function, (7, 3, 10), framework="tensorflow")
    assert report.macs == 7 * 3 * gates * 6 * ways * ((10 + 6) + (ways * 6 + 6))
    assert sum(row.layer.op == mode.partition("_")[0] for row in report.layers) == 2 * ways


def test_block_cells(cost):
    """One step N = 2, C_i = 5, H = 3, and a whole sequence T = 7."""

    def step(x):
        zeros, row = tf.zeros((2, 3)), tf.zeros(3)
        return raw.LSTMBlockCell(
            x=x, cs_prev=zeros, h_prev=zeros, w=tf.zeros((8, 12)), wci=row, wcf=row, wco=row, b=tf.zeros(12)
        ).h  # fmt: skip

    def sequence(x):
        zeros, row = tf.zeros((2, 3)), tf.zeros(3)
        return raw.BlockLSTMV2(
            seq_len_max=tf.constant(7, tf.int64), x=x, cs_prev=zeros, h_prev=zeros, w=tf.zeros((8, 12)), wci=row,
            wcf=row, wco=row, b=tf.zeros(12),
        ).h  # fmt: skip

    def gru(x):
        return raw.GRUBlockCell(
            x=x, h_prev=tf.zeros((2, 3)), w_ru=tf.zeros((8, 6)), w_c=tf.zeros((8, 3)), b_ru=tf.zeros(6), b_c=tf.zeros(3)
        ).h  # fmt: skip

    assert cost(step, (2, 5), framework="tensorflow").macs == 2 * 4 * 3 * (5 + 3)
    assert cost(sequence, (7, 2, 5), framework="tensorflow").macs == 7 * 2 * 4 * 3 * (5 + 3)
    assert cost(gru, (2, 5), framework="tensorflow").macs == 2 * 3 * 3 * (5 + 3)


def test_what_the_optimiser_fuses(cost):
    """A convolution with a bias and an activation in one operation: three layers' worth."""
    from tensorflow.core.framework import graph_pb2

    graph = tf.function(
        lambda x: tf.nn.conv2d(x, np.zeros((3, 3, 4, 6), np.float32), 1, "SAME") + tf.nn.relu(np.zeros(6, np.float32))
    ).get_concrete_function(tf.TensorSpec((1, 5, 5, 4), name="x")).graph.as_graph_def()  # fmt: skip
    conv = next(node for node in graph.node if node.op == "Conv2D")
    relu = next(node for node in graph.node if node.op == "Relu")
    fused = graph_pb2.GraphDef(node=[n for n in graph.node if n.op in ("Placeholder", "Const")])
    node = fused.node.add(name="fused", op="_FusedConv2D", input=[*conv.input, relu.input[0]])
    for key in ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings"):
        node.attr[key].CopyFrom(conv.attr[key])
    node.attr["TArgs"].list.type.append(1)
    node.attr["num_host_args"].i, node.attr["num_args"].i = 0, 1
    node.attr["fused_ops"].list.s.extend([b"BiasAdd", b"Relu"])
    report = cost(fused)
    y = 5 * 5 * 6
    assert report.macs == y * 36
    assert report.flops == 2 * y * 36 + y + y
    assert [row.layer.op for row in report.layers] == ["conv", "relu"]


def test_text_and_tables_are_foreign(cost):
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), 0)
    report = cost(lambda x: table.lookup(tf.strings.as_string(x)), (2, 3), framework="tensorflow")
    assert set(report.unsupported()) == {"tensorflow.AsString", "tensorflow.LookupTableFindV2"}
    assert [p.spec.dtype for p in report.graph.parameters.values()] == ["int32"], "the default; a handle is no tensor"
    assert report.to_dict()


def test_asserts_and_prints_are_left_out(cost):
    @tf.function
    def function(x):
        tf.debugging.assert_greater(tf.reduce_sum(x), 0.0)
        tf.print("x", x)
        return tf.nn.relu(x)

    assert [row.layer.op for row in cost(function, (2, 3)).layers] == ["relu"]


def test_known_numbers_are_numpys(graph_of):
    """Contents that follow from shapes are what TensorFlow computes: the shape they end in says so."""

    def function(x):
        n = tf.cast(tf.math.ceil(tf.cast(tf.shape(x)[1], tf.float32) / 2.0), tf.int32)
        m = tf.reduce_prod(tf.shape(x)) // tf.maximum(n, 3) + tf.range(5)[-1] - tf.size(x) % 7
        return tf.zeros(tf.stack([n, m])) + tf.cast(tf.concat([[n], [m]], 0)[0], tf.float32)

    x = np.zeros((3, 7), np.float32)
    assert graph_of(function, (3, 7)).outputs[0].shape == tuple(function(x).shape)
