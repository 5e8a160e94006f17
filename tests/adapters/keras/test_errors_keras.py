"""What cannot be read, in one clear line: what is wrong, where, what to do; on the command line, exit code 2."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
from keras import layers

import multiprof
from multiprof import InputsError, ModelError

Cli = Callable[..., tuple[int, str, str]]
Refusal = Callable[..., tuple[type, str]]
Told = Callable[..., str]


def saved(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras would rather have .keras files
        model.save(path)
    return path


class Net(keras.Model):
    def __init__(self, width: int = 3, times: int = 1) -> None:
        super().__init__()
        self.times = times
        self.inner = layers.Dense(width)

    def call(self, x: Any) -> Any:
        return self.inner(x)


@pytest.mark.parametrize("model", [keras.Sequential([layers.Dense(3)], name="net"), Net(3), layers.Dense(3)])
def test_nothing_says_what_goes_in(model: Any, refusal: Refusal) -> None:
    kind, message = refusal(model)
    assert kind is InputsError
    assert message == (
        f"nothing says what goes into the {type(model).__name__} {model.name!r}: "
        "give inputs, e.g. (1, 224, 224, 3) or --input 1x224x224x3"
    )


def test_an_unbuilt_model_on_the_command_line(cli: Cli, told: Told, tmp_path: Path) -> None:
    script = tmp_path / "net_of_keras.py"
    script.write_text(
        "import keras\n"
        "def sequential():\n    return keras.Sequential([keras.layers.Dense(3)], name='net')\n"
        "class Own(keras.Model):\n"
        "    def __init__(self, width=3):\n        super().__init__()\n        self.inner = keras.layers.Dense(width)\n"
        "    def call(self, x):\n        return self.inner(x)\n"
        "def own():\n    return Own(3)\n"
        "class Around(keras.Model):\n"
        "    def __init__(self, inner):\n        super().__init__()\n        self.inner = inner\n"
        "    def call(self, x):\n        return self.inner(x)\n"
        "def around():\n    return Around(keras.layers.Dense(3))\n"
    )
    assert told(f"{script}:sequential").startswith("nothing says what goes into the Sequential 'net': give inputs")
    message = told(f"{script}:around", "--input", "2x4")
    assert message.startswith("'around' has no weights yet and cannot be copied to")
    for name in ("sequential", "own"):
        code, out, _ = cli("analyze", f"{script}:{name}", "--input", "2x4")
        assert code == 0
        assert f"MACs              {2 * 4 * 3}\n" in out


def test_a_model_of_ones_own_without_weights_is_made_again() -> None:
    model = Net(3)
    report = multiprof.analyze(model, (2, 4))
    assert (report.macs, report.params) == (2 * 4 * 3, 4 * 3 + 3)
    assert [layer.scope for layer in report.graph.layers] == [model.inner.name]
    assert not model.built
    assert not model.inner.built
    following = layers.Dense(3).name
    assert int(following.rpartition("_")[2]) == 1 + int((model.inner.name + "_0").split("_")[1])


def test_one_that_was_changed_since_it_was_made_cannot_be_made_again(refusal: Refusal) -> None:
    changed = Net(3)
    changed.inner = layers.Dense(5)
    for model in (changed, Net(5), Net(3, times=2)):
        kind, message = refusal(model, (2, 4))
        assert kind is ModelError
        assert "cannot be copied" in message


def test_a_subclass_that_is_not_built(refusal: Refusal) -> None:
    kind, message = refusal(Net(7), (2, 4))
    assert kind is ModelError
    assert "no weights yet" in message
    assert message.endswith("build it first, or call it once")
    assert multiprof.analyze(called(Net(3)), (2, 4)).macs == 2 * 4 * 3


def called(model: Any) -> Any:
    model(keras.ops.ones((1, 4)))
    return model


def test_sizes_that_are_none(cli: Cli, refusal: Refusal, told: Told, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 4), name="words"), layers.Dense(3)], name="net")
    expected = (
        "the model 'net' has free axes: input 'words' batch×?×4: batch (axis 0), words[1] (axis 1); "
        "give --input words:1x128x4 or --dim batch=1 --dim words[1]=128"
    )
    assert refusal(model) == (InputsError, expected)
    assert refusal(model, dims={"batch": 2})[1].startswith("the model 'net' has free axes: input 'words'")
    path = str(saved(model, tmp_path / "net.keras"))
    assert told(path) == expected
    for given in (("--input", "words:2x5x4"), ("--dim", "batch=2", "--dim", "words[1]=5")):
        code, out, _ = cli("analyze", path, *given)
        assert code == 0
        assert f"MACs              {2 * 5 * 4 * 3}\n" in out


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_in_a_file(suffix: str, cli: Cli, told: Told, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((5,), batch_size=2), layers.Dense(3), layers.Lambda(lambda x: x * 2, output_shape=(3,))]
    )
    path = str(saved(model, tmp_path / f"net{suffix}"))
    assert told(path) == (
        f"{path} holds Python code (a Lambda layer), which would run here: "
        "give trust=True (--trust on the command line) if you trust the file"
    )
    code, out, _ = cli("analyze", path, "--trust")
    assert code == 0
    assert f"MACs              {2 * 5 * 3}\n" in out


def test_weights_alone_are_no_model(refusal: Refusal, told: Told, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    weights, other = tmp_path / "net.weights.h5", tmp_path / "other.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's __array__ knows no copy=, which numpy 2 wants
        model.save_weights(weights)
    with h5py.File(other, "w") as file:
        file["data"] = [1, 2, 3]
    for path in (weights, other):
        kind, message = refusal(path)
        assert issubclass(kind, ModelError)
        assert message == told(str(path))
        assert message.startswith(f"{path} cannot be loaded: it holds weights or other data, and no model: give a file")


def test_what_is_no_archive(refusal: Refusal, tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    path.write_text("hello")
    assert refusal(path)[1].startswith(f"{path} cannot be loaded: it is no .keras file, which is a zip archive")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_class_that_is_not_registered(suffix: str, told: Told, tmp_path: Path) -> None:
    class Twice(layers.Layer):
        def call(self, x: Any) -> Any:
            return x + x

    model = keras.Sequential([keras.Input((5,), batch_size=2), layers.Dense(3), Twice()])
    path = str(saved(model, tmp_path / f"net{suffix}"))
    message = told(path)
    assert message.startswith(
        f"{path} cannot be loaded: it holds 'Twice', which is not known here: import what registers"
    )
    assert "@keras.saving.register_keras_serializable()" in message
    with keras.saving.custom_object_scope({"Twice": Twice}):
        assert multiprof.analyze(path).macs == 2 * 5 * 3


def test_a_model_that_raises_names_the_cause_and_never_our_scopes(refusal: Refusal) -> None:
    class Broken(layers.Layer):
        def call(self, x: Any) -> Any:
            raise RuntimeError("no luck today")

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    inner = keras.Sequential([keras.Input((3,)), Broken(name="broken")], name="inner")
    message = refusal(keras.Sequential([keras.Input((3,)), inner], name="net"), (2, 3))[1]
    assert "RuntimeError" in message and "no luck today" in message
    assert "kscope" not in message and "Exception encountered" not in message
    assert "\x1b" not in message and "\\x1b" not in message


def test_a_backend_that_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(b"")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'jax':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import os\nos.environ['KERAS_BACKEND'] = 'jax'\n"
        f"sys.path.insert(0, {str(Path(multiprof.__file__).parents[1])!r})\n"
        "from multiprof.cli import main\nsys.exit(main(['analyze', 'net.keras']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == (
        "multiprof: error: Keras cannot be imported: No module named 'jax'; install the backend it is set to "
        "(tensorflow, jax or torch), or set KERAS_BACKEND to one that is installed"
    )
