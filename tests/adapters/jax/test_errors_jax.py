"""A function without inputs on the command line: one clear line and exit code 2; with them, its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]

SCRIPT = """
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

def function():
    return lambda x: x @ jnp.ones((4, 3))
def jitted():
    return jax.jit(function())
def linen():
    return nn.Dense(3, use_bias=False)
def module():
    return nnx.Linear(4, 3, rngs=nnx.Rngs(0))
"""


@pytest.mark.parametrize("name", ["function", "jitted", "linen", "module"])
def test_no_inputs(name: str, cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "net_of_jax.py"
    script.write_text(SCRIPT)
    code, out, err = cli("analyze", f"{script}:{name}")
    assert (code, out) == (2, "")
    assert err == (
        "multiprof: error: a JAX function does not carry its input shapes: "
        "give inputs, e.g. (1, 224, 224, 3) or --input 1x224x224x3\n"
    )
    code, out, _ = cli("analyze", f"{script}:{name}", "--input", "2x4")
    assert code == 0
    assert f"MACs              {2 * 4 * 3}\n" in out
