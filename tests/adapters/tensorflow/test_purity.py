"""Reading a model leaves it, and TensorFlow, as they were."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest
import tensorflow as tf

keras = tf.keras  # Keras 2 before TensorFlow 2.16


def _settings():
    """What a user may have set, or may notice."""
    return {
        "eager": tf.executing_eagerly(),
        "functions eager": tf.config.functions_run_eagerly(),
        "threads": (
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
        ),
        "jit": tf.config.optimizer.get_jit(),
        "options": tf.config.optimizer.get_experimental_options(),
        "soft placement": tf.config.get_soft_device_placement(),
        "control flow v2": tf.compat.v1.control_flow_v2_enabled(),
        "resource variables": tf.compat.v1.resource_variables_enabled(),
        "default graph": tf.compat.v1.get_default_graph(),
        "operations": len(tf.compat.v1.get_default_graph().get_operations()),
        "image data format": keras.backend.image_data_format(),
        "floatx": keras.backend.floatx(),
        "logging": (tf.get_logger().level, logging.getLogger().level, tuple(logging.getLogger().handlers)),
    }


@pytest.fixture(scope="module")
def model():
    layers = [keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    layers += [keras.layers.Dropout(0.5), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    return keras.Sequential(layers)


def test_settings_weights_and_random_numbers(model, cost, capfd, tmp_path, export):
    export(model, tmp_path)
    model.compile("adam", "mse")
    weights = [w.copy() for w in model.get_weights()]
    tf.random.set_seed(3)
    expected = tf.random.normal((3,)).numpy()
    tf.random.set_seed(3)
    np.random.seed(5)
    random.seed(7)
    state = np.random.get_state()[1].copy(), random.getstate()
    before = _settings()
    capfd.readouterr()
    for subject in (model, tmp_path):
        assert cost(subject, (2, 6, 6, 3), framework="tensorflow").macs == 2 * (4 * 4 * 4 * 27 + 8)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert _settings() == before
    assert np.array_equal(np.random.get_state()[1], state[0])
    assert random.getstate() == state[1]
    assert np.array_equal(tf.random.normal((3,)).numpy(), expected), "TensorFlow's own generator did not move on"
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))
    assert model.optimizer.iterations.numpy() == 0


def test_a_function_is_not_traced_once_more(cost):
    @tf.function
    def function(x):
        return x * 2.0

    function(tf.zeros(3))
    cost(function, (2, 4))
    assert function.experimental_get_tracing_count() == 1


def test_twice_is_the_same(model, cost):
    first, second = (cost(model, (2, 6, 6, 3), framework="tensorflow") for _ in range(2))
    assert first.graph == second.graph


def test_a_graph_of_the_user_stays_as_it_is(cost):
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, (2, 4), name="x")
        tf.nn.relu(x, name="y")
        before = graph.as_graph_def()
        report = cost(graph)
        assert tf.compat.v1.get_default_graph() is graph
    assert graph.as_graph_def() == before
    assert [row.layer.op for row in report.layers] == ["relu"]


def test_reading_inside_a_graph_of_the_user(cost):
    """A function is read the same while another graph is being built."""

    @tf.function
    def function(x):
        return tf.nn.relu(x)

    graph = tf.Graph()
    with graph.as_default():
        assert cost(function, (2, 4)).flops == 8
    assert not graph.get_operations()
