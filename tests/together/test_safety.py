"""An analysis leaves the model, every framework's settings and random numbers alone, whether it succeeds or raises."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import keras
import models
import numpy as np
import process_settings as settings
import pytest
import tensorflow as tf
import torch

import multiprof

mx = models.mx


def seeded() -> None:
    keras.utils.set_random_seed(5)  # Python's, numpy's, TensorFlow's and Keras's own
    torch.manual_seed(5)
    mx.random.seed(5)


def numbers() -> list[Any]:
    """The next number of every generator that a process has."""
    return [
        random.random(), float(np.random.rand()), float(torch.rand(())), float(tf.random.normal(())),
        float(keras.random.normal(())), mx.nd.random.uniform().asscalar().item(),
        mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=1).name, keras.layers.Dense(1).name,
    ]  # fmt: skip


@pytest.fixture
def unusual() -> Iterator[None]:
    """Settings that nobody has by default: what is put back to a default shows."""
    v1 = tf.compat.v1
    before = torch.get_num_threads(), np.geterr(), np.get_printoptions()
    torch.set_num_threads(3)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    tf.config.set_soft_device_placement(False)
    v1.logging.set_verbosity(v1.logging.FATAL)
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.disable_traceback_filtering()
    keras.config.disable_interactive_logging()
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    np.seterr(all="raise")
    np.set_printoptions(precision=3)
    yield
    torch.set_num_threads(before[0])
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    tf.config.set_soft_device_placement(True)
    v1.logging.set_verbosity(v1.logging.WARN)
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.config.enable_traceback_filtering()
    keras.config.enable_interactive_logging()
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_default_matmul_precision", None)
    np.seterr(**before[1])
    np.set_printoptions(**before[2])


def check(case: models.Case, capfd: pytest.CaptureFixture[str]) -> None:
    state, before = case.state(), settings.fingerprint()
    capfd.readouterr()
    if case.fails:
        with pytest.raises(multiprof.MultiprofError) as caught:
            multiprof.analyze(case.model, case.inputs)
        assert case.fails in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        assert multiprof.analyze(case.model, case.inputs).flops > 0
    assert capfd.readouterr() == ("", "")
    assert settings.changed(before, settings.fingerprint()) == {}
    after = case.state()
    if isinstance(state, dict):
        assert settings.changed(state, after) == settings.changed(after, state) == {}
    assert after == state


@pytest.mark.parametrize("name", models.CASES)
def test_everything_is_as_it_was(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = models.CASES[name](tmp_path)
    seeded()
    expected = [numbers()[:6], numbers()[:6]]
    seeded()
    first = numbers()
    check(case, capfd)
    second = numbers()
    assert [first[:6], second[:6]] == expected
    assert second[6:] == [numbered(name) for name in first[6:]]


def numbered(name: str) -> str:
    """The name that follows: dense after dense_3 is dense_4."""
    text = name.rstrip("0123456789")
    return f"{text}{int(name[len(text) :]) + 1}" if text != name else f"{name}_1"


@pytest.mark.parametrize("name", models.CASES)
def test_unusual_settings_stay(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], request: Any) -> None:
    case = models.CASES[name](tmp_path)
    request.getfixturevalue("unusual")
    check(case, capfd)


def test_reading_a_file_leaves_tensorflow_to_be_configured(tmp_path: Path) -> None:
    """Threads and visible devices can be set until TensorFlow starts, which a file does not make it do."""
    path = models.tensorflow_file(tmp_path).model
    code = (
        f"import multiprof; assert multiprof.analyze({str(path)!r}).flops; import tensorflow as tf; "
        "tf.config.threading.set_intra_op_parallelism_threads(3); tf.config.set_visible_devices([], 'CPU'); "
        "print(tf.config.threading.get_intra_op_parallelism_threads())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(multiprof.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "3\n", done.stderr
