"""Every framework in one process, imported in any order: each model goes to its adapter, each number is exact."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import multiprof

SCRIPT = Path(__file__).with_name("networks.py")
NAMES = (
    "torch", "jax", "flax", "tensorflow", "keras", "mxnet", "onnx", "onnxruntime", "ai_edge_litert.interpreter",
)  # fmt: skip


def shuffled(seed: int) -> tuple[str, ...]:
    names = list(NAMES)
    random.Random(seed).shuffle(names)
    return tuple(names)


# An order and its reverse hold every pair both ways. (flax imports jax itself, and keras TensorFlow.)
ORDERS = [order for seed in (4, 9) for order in (shuffled(seed), shuffled(seed)[::-1])]

# A batch of 2, 3 channels of 6×6; 3×3 to 4 channels of 4×4, then 64 to 5.
PIXELS, FLAT, ROWS = 2 * 4 * 4 * 4, 4 * 4 * 4, 2 * 5
MACS = PIXELS * 3 * 3 * 3 + ROWS * FLAT
# two for each of them, the additions of both biases, a comparison for each element of the ReLU
FLOPS = 2 * MACS + PIXELS + ROWS + PIXELS
PARAMS = (3 * 3 * 3 * 4 + 4) + (FLAT * 5 + 5)
ADAPTERS = {"flax": "jax", "onnxruntime": "onnx", "ai_edge_litert.interpreter": "tflite"}
SUBJECTS = {
    "torch": ("module", "function", "method", "helpers"),
    "jax": ("function", "jitted", "closure", "array"),
    "flax": ("linen", "nnx"),
    "tensorflow": ("module", "tf.function", "concrete function", "function", "tensor", "SavedModel"),
    "keras": ("live", ".keras", ".h5"),
    "mxnet": ("block", "symbol", "symbol file"),
    "onnx": ("file",),
    "onnxruntime": ("file",),
    "ai_edge_litert.interpreter": ("file",),
}


def run(*arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "KERAS_"))}
    environment |= {"PYTHONPATH": str(Path(multiprof.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    run(str(SCRIPT), "write", str(path))
    return path


def test_the_orders_hold_every_pair_both_ways() -> None:
    pairs = {(a, b) for order in ORDERS for i, a in enumerate(order) for b in order[i + 1 :]}
    assert pairs == set(permutations(NAMES, 2))
    assert set(SUBJECTS) == set(NAMES)


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_every_model_in_every_order(order: tuple[str, ...], folder: Path) -> None:
    """As soon as its framework is imported, and again when all are; nothing in the process is other than before."""
    found: dict[str, Any] = json.loads(run("-W", "error", str(SCRIPT), "analyze", str(folder), *order))
    expected = {
        f"{name}: {subject}": {
            "framework": ADAPTERS.get(name, name), "macs": MACS, "flops": FLOPS, "params": PARAMS,
            "unsupported": [], "changed": {},
        }
        for name in NAMES
        for subject in SUBJECTS[name]
    }  # fmt: skip
    assert found["models"] == {name: [numbers, numbers] for name, numbers in expected.items()}
    question, *answers = found["undecided"]
    assert question.startswith("UsageError: the function square could be read by jax or tensorflow or torch, and nei")
    assert "\n" not in question and "framework='jax'" in question
    assert answers == [str(3 * 3 * 3)] * 3


@pytest.mark.parametrize("first", ["torch", "mxnet"])
def test_torch_has_the_threads_that_it_has_alone(first: str) -> None:
    """Whether MXNet, whose import sets those of the whole process, comes before or after."""
    imports = ["import torch", "from multiprof.adapters.mxnet.compat import import_mxnet; import_mxnet()"]
    code = "; ".join(
        [*(imports if first == "torch" else imports[::-1]), "import torch; print(torch.get_num_threads())"]
    )
    assert run("-W", "error", "-c", code) == run("-c", "import torch; print(torch.get_num_threads())")
