"""Whole networks: live, as SavedModels and as frozen graphs."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
import tensorflow as tf

keras = tf.keras  # Keras 2 before TensorFlow 2.16

# Published sizes; the multiply-adds are COUNTING.md's, from the shapes of the layers.
NETWORKS = {"ResNet50": 3_857_973_248, "MobileNetV2": 300_774_272}


def _buffers(report) -> int:
    return sum(p.spec.numel for p in report.graph.parameters.values() if p.kind == "buffer")


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_frozen_and_live_are_equal(name, files, cost):
    model, saved, frozen = files(name)
    reports = [
        cost(saved, (1, 224, 224, 3)),
        cost(frozen, (1, 224, 224, 3)),
        cost(model, (1, 224, 224, 3), framework="tensorflow"),
    ]
    for report in reports:
        assert report.macs == NETWORKS[name]
        assert report.params + _buffers(report) == model.count_params()
        assert report.coverage == 1
        assert report.flops == reports[0].flops
    trainable = sum(prod(v.shape) for v in model.trainable_variables)
    assert reports[0].trainable_params == reports[2].trainable_params == trainable
    assert reports[1].trainable_params is None, "a frozen graph does not say what was trained"
    assert _buffers(reports[0]) == model.count_params() - trainable, "moving means and variances"
    assert reports[0].graph.metadata["signature"] == "serving_default"


def test_a_saved_network_at_another_batch_size(files, cost):
    _, saved, frozen = files("MobileNetV2")
    assert cost(saved, (4, 224, 224, 3)).macs == 4 * NETWORKS["MobileNetV2"]
    assert cost(frozen, (4, 224, 224, 3)).macs == 4 * NETWORKS["MobileNetV2"]


def test_norms_fold_into_the_layer_before(files, cost):
    """MobileNetV2 has 52 convolutions, each with a norm behind it, and a dense layer with a bias."""
    report = cost(files("MobileNetV2")[1], (1, 224, 224, 3))
    folded = [row for row in report.layers if row.state == "folded"]
    assert len(folded) == 52
    convs = [row for row in report.layers if row.layer.op == "conv"]
    assert len(convs) == 52
    (dense,) = [row for row in report.layers if row.layer.op == "linear"]
    assert set(dense.layer.inputs) == {"x", "weight", "bias"}


def test_flops_of_resnet_are_the_layers(files, cost):
    """2 a multiply-add, a bias addition an output of every convolution (Keras's have biases, norms fold into them),
    a comparison a ReLU, 8 a maximum of 3×3, an addition where branches meet, the average pool, bias and softmax.
    """
    model, saved, _ = files("ResNet50")
    expected = 2 * NETWORKS["ResNet50"]
    for layer in model.layers:
        y = prod(layer.output.shape[1:]) if not isinstance(layer.output, list) else 0
        kind = type(layer).__name__
        if kind in ("Conv2D", "Activation", "Add"):
            expected += y
        elif kind == "MaxPooling2D":
            expected += 8 * y
        elif kind == "GlobalAveragePooling2D":
            expected += y * (7 * 7 - 1 + 1)
        elif kind == "Dense":
            expected += y + (999 + 1000 + 1000 + 999 + 1000)
    assert cost(saved, (1, 224, 224, 3)).flops == expected


def test_no_values_of_weights_are_needed(files, cost):
    """The folder of the variables may be gone."""
    saved = files("MobileNetV2")[1]
    away = saved / "elsewhere"
    (saved / "variables").rename(away)
    try:
        assert cost(saved, (1, 224, 224, 3)).macs == NETWORKS["MobileNetV2"]
    finally:
        away.rename(saved / "variables")


def test_recurrent_layers_are_exact(tmp_path: Path, cost, export):
    """The loops run over all steps; the products of their bodies are of the recurrent family."""
    steps, features, hidden = 50, 128, 256
    inputs = keras.Input((steps, features))
    x = keras.layers.LSTM(hidden, return_sequences=True)(inputs)
    x = keras.layers.Bidirectional(keras.layers.GRU(64))(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    export(model, tmp_path / "saved")
    lstm = steps * 4 * hidden * (features + hidden)
    gru = 2 * steps * 3 * 64 * (hidden + 64)
    report = cost(tmp_path / "saved", (1, steps, features))
    assert report.macs == lstm + gru + 2 * 64 * 10
    assert report.params == model.count_params()
    loops = [r for r in report.graph.regions.values() if r.kind == "loop"]
    assert [r.trips for r in loops] == [50, 50, 50]
    assert all(r.stateful for r in loops)
    assert cost(tmp_path / "saved", (3, steps, features)).macs == 3 * report.macs
    assert cost(model, (1, steps, features), framework="tensorflow").macs == report.macs


def test_an_lstm_of_unknown_length_takes_it_from_the_input(tmp_path: Path, cost, export):
    model = keras.Sequential([keras.Input((None, 8)), keras.layers.LSTM(16)])
    export(model, tmp_path / "saved")
    assert cost(tmp_path / "saved", (2, 7, 8)).macs == 2 * 7 * 4 * 16 * (8 + 16)
    assert cost(tmp_path / "saved", (2, 11, 8)).macs == 2 * 11 * 4 * 16 * (8 + 16)


def test_frozen_lstm(tmp_path: Path, cost):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = keras.Sequential([keras.Input((5, 8)), keras.layers.LSTM(16)])
    concrete = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, 5, 8)))
    for lower in (True, False):  # control flow as Switch and Merge, or as While
        frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=lower)
        ops = {node.op for node in frozen.graph.as_graph_def().node}
        assert ("Enter" in ops) == lower
        path = tmp_path / f"{lower}.pb"
        path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
        report = cost(path)
        assert report.macs == 5 * 4 * 16 * (8 + 16)
        assert report.params == model.count_params()
        assert [r.trips for r in report.graph.regions.values()] == [5]
        assert all(r.stateful for r in report.graph.regions.values())
