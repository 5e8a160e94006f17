"""Models through real converters to TensorFlow Lite: the file computes what the framework computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from flat_files import run_as_given, types_of_operators
from multiprof_benchmark.convert import converted
from multiprof_benchmark.converters import named
from multiprof_benchmark.converters import tensorflow as by_tensorflow
from multiprof_benchmark.converters import torch as by_torch
from multiprof_benchmark.subject import CONVERTED, Job, Options, Subject
from torch import nn

import multiprof
from multiprof import ModelError

pytestmark = [
    # the converters' own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Last(nn.Module):
    """An LSTM, and a dense layer on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10),
    )  # fmt: skip


def keras_images() -> keras.Model:
    x = image = keras.Input(batch_shape=(1, 16, 16, 3), name="image")
    for layer in (
        keras.layers.Conv2D(8, 3, padding="same"), keras.layers.BatchNormalization(), keras.layers.ReLU(),
        keras.layers.Conv2DTranspose(4, 4, 2, "same"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5),
    ):  # fmt: skip
        x = layer(x)
    return keras.Model(image, x)


def keras_steps() -> keras.Model:
    steps = keras.Input(batch_shape=(1, 6, 8), name="steps")
    return keras.Model(steps, keras.layers.Dense(3)(keras.layers.LSTM(16)(steps)))


class Affine(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 8), tf.float32)])
    def __call__(self, x):
        return tf.nn.relu(x @ self.weight)


def job(folder: Path, model: Any, inputs: Any, framework: str, form: str, place: Path, precision: str) -> Job:
    """A job on a model that lies in a file."""
    report = multiprof.analyze(model, inputs)
    report.save(folder / "report.json")
    subject = Subject(folder / "report.json", framework, form, str(place))
    made = Job("tflite", CONVERTED, subject, Options(precision=precision))
    made.write(folder)
    return made


def of_torch(folder: Path, model: nn.Module, shape: tuple[int, ...], precision: str) -> Job:
    torch.save(model.eval(), folder / "model.pt")
    return job(folder, model, shape, "torch", "torch", folder / "model.pt", precision)


def of_keras(folder: Path, model: keras.Model, precision: str) -> Job:
    model.save(folder / "model.keras")
    return job(folder, model, None, "keras", "keras", folder / "model.keras", precision)


def close(found: np.ndarray, wanted: np.ndarray, precision: str) -> None:
    """Within rounding; 16-bit weights have 11 bits."""
    assert found.shape == wanted.shape
    assert np.ptp(wanted) > 0.01
    assert np.abs(found - wanted).max() <= {"fp32": 1e-5, "fp16": 2e-3}[precision] * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("model", "shape"), [(images, (1, 3, 16, 16)), (Last, (1, 6, 8))])
def test_pytorch(tmp_path: Path, model: Callable[[], nn.Module], shape: tuple[int, ...], precision: str) -> None:
    torch.manual_seed(0)
    net = model().eval()
    data = by_torch.convert(of_torch(tmp_path, net, shape, precision), named(precision))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    close(run_as_given(data, x), wanted, precision)


def test_pytorch_on_integers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = by_torch.convert(of_torch(tmp_path, images().eval(), (1, 3, 16, 16), "int8"), "int8")
    assert types_of_operators(data)["int8"] >= {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}
    assert not types_of_operators(data).get("float32")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("model", "shape"), [(keras_images, (1, 16, 16, 3)), (keras_steps, (1, 6, 8))])
def test_keras(tmp_path: Path, model: Callable[[], keras.Model], shape: tuple[int, ...], precision: str) -> None:
    keras.utils.set_random_seed(0)
    net = model()
    data = by_tensorflow.convert(of_keras(tmp_path, net, precision), named(precision))
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    close(run_as_given(data, x), np.asarray(net(x, training=False)), precision)


def test_keras_on_integers(tmp_path: Path) -> None:
    data = by_tensorflow.convert(of_keras(tmp_path, keras_images(), "int8"), "int8")
    assert types_of_operators(data)["int8"] >= {"CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}
    assert not types_of_operators(data).get("float32")


@pytest.mark.parametrize("frozen", [False, True])
def test_files_of_tensorflow(tmp_path: Path, frozen: bool) -> None:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = Affine()
    place = tmp_path / "saved"
    if frozen:
        graph = convert_variables_to_constants_v2(model.__call__.get_concrete_function()).graph
        place = tmp_path / "frozen.pb"
        place.write_bytes(graph.as_graph_def().SerializeToString())
    else:
        tf.saved_model.save(model, str(place), signatures=model.__call__)
    made = job(tmp_path, place, None, "tensorflow", "file", place, "fp32")
    x = np.random.default_rng(1).normal(size=(1, 8)).astype(np.float32)
    close(run_as_given(by_tensorflow.convert(made, "float32"), x), model(x).numpy(), "fp32")


def test_a_converter_that_crashes_is_one_line(tmp_path: Path) -> None:
    of_keras(tmp_path, keras_steps(), "int8")
    with pytest.raises(ModelError, match=r"^the converter was killed by SIGSEGV: it cannot calibrate recurrent layers"):
        converted(tmp_path)


def test_a_live_module_takes_the_route(tmp_path: Path) -> None:
    report = multiprof.benchmark(images().eval(), (1, 3, 16, 16), on="tflite", route="converted", quick=True)
    whole = report.measurements[0]
    assert (whole.runner, whole.route) == ("tflite", "converted")
    assert whole.times
