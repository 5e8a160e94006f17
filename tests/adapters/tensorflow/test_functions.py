"""Live functions and modules: contractions, embeddings, norms, names, variables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from multiprof import Inputs, TensorSpec
from multiprof.errors import InputsError, ModelError, UsageError

WEIGHT = tf.Variable(tf.zeros((3, 3, 4, 16)), name="weight")
BIAS = tf.Variable(tf.zeros(16), name="bias")
SQUARE = tf.Variable(tf.zeros((8, 8)), name="square")


@tf.function
def grouped(x):
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, WEIGHT, 1, "SAME"), BIAS))


def test_grouped_convolution_inside_a_function(cost):
    """16 channels meet filters of 4: 4 groups. TensorFlow's own profiler counts nothing here."""
    report = cost(grouped, (1, 8, 8, 16))
    y = 8 * 8 * 16
    assert report.macs == y * 9 * 16 // 4
    assert report.flops == 2 * report.macs + y + y  # bias, relu
    assert [row.layer.op for row in report.layers] == ["conv", "relu"]
    conv = report.layers[0].layer
    assert conv.attrs["groups"] == 4
    assert conv.attrs["padding"] == ((1, 1), (1, 1))
    assert report.params == report.trainable_params == 3 * 3 * 4 * 16 + 16


def test_nested_functions_are_read_in_their_place(cost):
    @tf.function
    def outer(x):
        with tf.name_scope("block"):
            return grouped(x) + grouped(x)

    report = cost(outer, (1, 8, 8, 16))
    assert report.macs == 2 * 8 * 8 * 16 * 9 * 4
    assert report.params == 592, "the weights are shared"
    assert {row.layer.scope for row in report.layers} == {"block"}


def _profiled(function, *specs):
    """Floating-point operations by TensorFlow's own profiler, from registered formulas: 2 for a multiply-add."""
    concrete = tf.function(function).get_concrete_function(*specs)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    metadata = tf.compat.v1.RunMetadata()
    return tf.compat.v1.profiler.profile(concrete.graph, run_meta=metadata, options=options).total_float_ops


@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [2, 1], [0, 3], [0, 0]]])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_convolution_against_tensorflows_profiler(graph_of, cost, padding, stride, dilation):
    """Where it is right: one group, no loop. What the layer's attributes say gives the size that TensorFlow infers."""

    def function(x):
        return tf.nn.conv2d(x, tf.zeros((3, 5, 6, 7)), stride, padding, dilations=dilation)

    spec = tf.TensorSpec((2, 13, 17, 6))
    assert 2 * cost(function, spec, framework="tensorflow").macs == _profiled(function, spec)
    layer = graph_of.one(function, spec, "conv")
    sizes = zip(
        layer.x.shape[1:3], layer.y.shape[1:3], *(layer.attrs[k] for k in ("kernel_size", "padding")), strict=True
    )
    for before, after, kernel, pads in sizes:
        assert (before + sum(pads) - dilation * (kernel - 1) - 1) // stride + 1 == after


def test_matmul_against_tensorflows_profiler(cost):
    def function(a, b):
        return tf.matmul(a, b, transpose_b=True) @ tf.ones((5, 3))

    specs = tf.TensorSpec((4, 6)), tf.TensorSpec((5, 6))
    assert 2 * cost(function, list(specs), framework="tensorflow").macs == _profiled(function, *specs)


def test_channels_first_and_depthwise(graph_of):
    def function(x):
        x = tf.nn.conv2d(x, tf.zeros((3, 3, 4, 8)), 2, "SAME", data_format="NCHW")
        return tf.nn.depthwise_conv2d(x, tf.zeros((3, 3, 8, 2)), [1, 1, 1, 1], "VALID", data_format="NCHW")

    first, second = graph_of(function, (1, 4, 10, 10)).layers
    assert first.attrs["data_format"] == second.attrs["data_format"] == "NCHW"
    assert first.attrs["padding"] == ((0, 1), (0, 1))  # 5 windows of 3 at a stride of 2 reach over 11
    assert (second.attrs["groups"], second.attrs["out_channels"]) == (8, 16)
    assert second.y.shape == (1, 16, 3, 3)


def test_convolution_in_three_and_in_one_dimension(cost):
    def three(x):
        return tf.nn.conv3d(x, tf.zeros((2, 3, 3, 4, 5)), [1, 1, 2, 2, 1], "VALID")

    def one(x):
        return tf.nn.conv1d(x, tf.zeros((5, 6, 7)), 1, "SAME")

    assert cost(three, (1, 4, 7, 7, 4), framework="tensorflow").macs == (3 * 3 * 3 * 5) * (2 * 9 * 4)
    assert cost(one, (2, 20, 6), framework="tensorflow").macs == (2 * 20 * 7) * 5 * 6


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_deconvolution(cost, graph_of, rank):
    """Every input element meets K·C_o filter elements: |x|·K·C_o, k4 s2, 8 channels to 4."""
    call = (tf.nn.conv1d_transpose, tf.nn.conv2d_transpose, tf.nn.conv3d_transpose)[rank - 1]

    def function(x):
        return call(x, tf.zeros((4,) * rank + (4, 8)), (1, *(16,) * rank, 4), 2, "SAME")

    assert cost(function, (1, *(8,) * rank, 8), framework="tensorflow").macs == (8**rank * 8) * 4**rank * 4
    if rank > 1:
        layer = graph_of.one(function, (1, *(8,) * rank, 8), "conv_transpose")
        assert layer.attrs["padding"] == ((1, 1),) * rank
        assert layer.attrs["output_padding"] == (0,) * rank
        assert layer.attrs["groups"] == 1


def test_depthwise_deconvolution(graph_of, cost):
    """The gradient of a depthwise convolution: groups of one channel, |x|·K."""

    def function(x):
        return tf.nn.depthwise_conv2d_backprop_input((1, 8, 8, 6), tf.zeros((3, 3, 6, 1)), x, [1, 1, 1, 1], "SAME")

    assert cost(function, (1, 8, 8, 6), framework="tensorflow").macs == 8 * 8 * 6 * 9
    assert graph_of.one(function, (1, 8, 8, 6), "conv_transpose").attrs["groups"] == 6


def test_linear_with_a_weight_and_matmul_without(graph_of):
    def function(x):
        return tf.matmul(tf.matmul(x, SQUARE), x, transpose_b=True)

    linear, matmul = graph_of(function, (2, 5, 8)).layers
    assert (linear.op, linear.attrs["in_features"], linear.attrs["out_features"]) == ("linear", 8, 8)
    assert (matmul.op, matmul.attrs["contracted"], matmul.y.shape) == ("matmul", 8, (2, 5, 5))


def test_a_bias_stays_an_addition_where_someone_else_reads_the_product(graph_of):
    def function(x):
        product = tf.matmul(x, SQUARE)
        return tf.nn.bias_add(product, SQUARE[0]), tf.nn.relu(product)

    assert sorted(graph_of.ops(function, (2, 8))) == ["add", "linear", "relu", "slice"]


def test_the_bias_of_a_channel_added_as_keras_does(graph_of):
    """The bias as (1, 1, 1, C) added: the convolution's own, so that a norm behind folds. A product's stays apart."""

    def function(x):
        return tf.nn.conv2d(x, WEIGHT, 1, "SAME") + tf.reshape(BIAS, (1, 1, 1, 16))

    (conv,) = graph_of(function, (1, 8, 8, 16)).layers
    assert conv.inputs["bias"].name == "bias"
    across = tf.Variable(tf.zeros((8, 1, 1)))  # one number a row: no bias of channels
    assert graph_of.ops(lambda x: tf.nn.conv2d(x, WEIGHT, 1, "SAME") + across, (1, 8, 8, 16)) == ["conv", "add"]
    assert graph_of.ops(lambda x: x @ SQUARE + SQUARE[0], (2, 8)) == ["linear", "slice", "add"]


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        ("bqhd,bkhd->bhqk", [(2, 6, 3, 4), (2, 7, 3, 4)], 2 * 3 * 6 * 7 * 4),
        ("i,j->ij", [(4,), (5,)], 0),
        ("...i,ij->...j", [(3, 2, 4), (4, 6)], 3 * 2 * 4 * 6),
    ],
)
def test_einsum(cost, equation, shapes, macs):
    report = cost(lambda a, b: tf.einsum(equation, a, b), list(shapes), framework="tensorflow")
    assert report.macs == macs


def test_einsum_with_a_weight_is_linear(cost):
    report = cost(lambda x: tf.einsum("bti,ij->btj", x, SQUARE), (2, 3, 8), framework="tensorflow")
    assert [row.layer.op for row in report.layers if row.macs] == ["linear"]
    assert report.macs == 2 * 3 * 8 * 8


def test_embedding(graph_of):
    table = tf.Variable(tf.zeros((1000, 32)))
    layer = graph_of.one(lambda i: tf.nn.embedding_lookup(table, i), TensorSpec((2, 7), "int32"), "embedding")
    assert layer.y.shape == (2, 7, 32)
    assert graph_of.ops(lambda i: tf.gather(tf.cast(i, tf.float32), [0, 1]), TensorSpec((2, 7), "int32")) == [
        "cast",
        "gather",
    ]


def test_batch_norm_in_one_operation_and_spelled_out(graph_of):
    mean, variance = tf.Variable(tf.zeros(4), trainable=False), tf.Variable(tf.ones(4), trainable=False)
    scale, offset = tf.Variable(tf.ones(4)), tf.Variable(tf.zeros(4))

    def fused(x):
        return tf.compat.v1.nn.fused_batch_norm(x, scale, offset, mean, variance, 0.01, is_training=False)[0]

    def spelled(x):
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.01)

    def bare(x):
        return tf.nn.batch_normalization(x, mean, variance, None, None, 0.01)

    for function, roles in ((fused, 5), (spelled, 5), (bare, 3)):
        graph = graph_of(function, (2, 5, 5, 4))
        (layer,) = graph.layers
        assert layer.op == "batch_norm"
        assert len(layer.inputs) == roles
        assert layer.attrs["eps"] == pytest.approx(0.01)
        kinds = {role: graph.parameters[spec.name].kind for role, spec in layer.inputs.items() if role != "x"}
        assert kinds.pop("mean") == kinds.pop("var") == "buffer"
        assert set(kinds.values()) <= {"parameter"}


def test_what_looks_like_a_norm_and_is_none(graph_of):
    """The mean is scaled by something else."""
    a, b, c = (tf.Variable(tf.ones(4)) for _ in range(3))

    def function(x):
        return x * tf.math.rsqrt(a + 0.01) + (b - c * tf.math.rsqrt(b + 0.01))

    assert "batch_norm" not in graph_of.ops(function, (2, 4))


def test_shape_arithmetic_is_no_layer(graph_of):
    def function(x):
        shape = tf.shape(x)
        return tf.reshape(x, [shape[0] * shape[1], -1])

    (layer,) = graph_of(function, (2, 3, 4)).layers
    assert (layer.op, layer.y.shape) == ("reshape", (6, 4))


def test_a_module_and_its_unused_variables(graph_of):
    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.zeros((300, 100)), name="weight")
            self.unused = tf.Variable(tf.zeros(7), trainable=False, name="unused")
            self.twin = self.weight

        def __call__(self, x):
            return x @ self.weight

    graph = graph_of(Net(), (4, 300))
    assert {name: (p.spec.numel, p.kind, p.trainable) for name, p in graph.parameters.items()} == {
        "weight": (30_000, "parameter", True),
        "unused": (7, "buffer", False),
    }
    assert graph.name == "net"


def test_variables_that_are_written(graph_of):
    counter = tf.Variable(tf.zeros(8), trainable=False)

    @tf.function
    def function(x):
        counter.assign_add(x[0])
        return x + counter

    layers = {layer.op: layer for layer in graph_of(function, (2, 8)).layers if layer.op == "add"}
    graph = graph_of(function, (2, 8))
    written, read = [layer for layer in graph.layers if layer.op == "add"]
    assert written.outputs["y"].name in {spec.name for spec in read.inputs.values()}
    assert layers
    assert np.array_equal(counter.numpy(), np.zeros(8)), "reading a model runs nothing"


def test_signatures_with_free_axes(cost):
    @tf.function(input_signature=[tf.TensorSpec((None, 8), name="rows")])
    def function(x):
        return x @ SQUARE

    assert cost(function, (3, 8)).macs == 3 * 64
    assert cost(function, dims={"rows[0]": 5}).macs == 5 * 64
    assert cost(function.get_concrete_function(), {"rows": (2, 8)}).macs == 2 * 64
    with pytest.raises(InputsError, match=r"free axes: input 'rows' \?×8"):
        cost(function)


def test_arguments_of_every_kind(cost):
    def function(pair, *, mask, double=False):
        y = (pair["a"] + pair["b"]) @ SQUARE * tf.cast(mask, tf.float32)
        return y * 2 if double else y

    given = Inputs({"a": (2, 8), "b": np.zeros((2, 8), np.float32)}, mask=TensorSpec((2, 1), "bool"), double=True)
    report = cost(function, given, framework="tensorflow")
    assert report.macs == 2 * 64
    assert sum(row.layer.op == "mul" for row in report.layers) == 2


def test_saved_and_loaded_again(tmp_path, cost):
    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable(tf.zeros((8, 4)), name="weight")

        @tf.function(input_signature=[tf.TensorSpec((None, 8))])
        def __call__(self, x):
            return x @ self.weight

        @tf.function(input_signature=[tf.TensorSpec((None, 4))])
        def back(self, x):
            return tf.matmul(x, self.weight, transpose_b=True) * 2.0

    net = Net()
    tf.saved_model.save(net, str(tmp_path), signatures={"there": net.__call__, "back": net.back})
    for model in (tmp_path, tf.saved_model.load(str(tmp_path))):
        assert cost(model, (3, 8), signature="there").macs == 3 * 32
        back = cost(model, (3, 4), signature="back")
        assert (back.macs, back.flops, back.params) == (3 * 32, 2 * 96 + 3 * 8, 32)
        with pytest.raises(UsageError, match="back, there"):
            cost(model, (3, 8), signature="nothing")
    with pytest.raises(UsageError, match="back, there: say which"):
        cost(tmp_path, (3, 8))


def test_errors_of_one_line(cost):
    with pytest.raises(InputsError, match="needs inputs"):
        cost(tf.function(lambda x: x))
    with pytest.raises(ModelError, match=r"Depth of input \(15\) is not a multiple") as error:
        cost(grouped, (1, 8, 8, 15))
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="__call__"):
        cost(tf.Module(), (1,))


def test_a_formula_for_an_operation_of_ones_own(graph_of):
    """What a formula claims stays whole, whatever rule there is."""
    (layer,) = graph_of(lambda x: tf.nn.softmax(x), (2, 8), leaves=("tensorflow.Softmax",)).layers
    assert layer.op == "tensorflow.Softmax"

    @tf.function(experimental_implements="acme.attention")
    def attention(x, weight):
        return tf.nn.softmax(x @ weight) @ weight

    def function(x):
        return tf.nn.relu(attention(x, SQUARE.read_value()))

    layers = graph_of(function, (2, 8), leaves=("tensorflow.acme.attention",)).layers
    assert [layer.op for layer in layers] == ["tensorflow.acme.attention", "relu"]
    assert [spec.shape for spec in layers[0].inputs.values()] == [(2, 8), (8, 8)]
    assert graph_of.ops(function, (2, 8)) == ["linear", "softmax", "linear", "relu"]
