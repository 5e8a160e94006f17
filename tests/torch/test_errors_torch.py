"""A model without inputs on the command line: one clear line and exit code 2; with them, its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import multiprof

Cli = Callable[..., tuple[int, str, str]]

SCRIPT = """
import torch

def module():
    return torch.nn.Linear(4, 3)
def lazy():
    return torch.nn.LazyLinear(3)
def function():
    return lambda x: x @ torch.ones(4, 3)
"""


@pytest.mark.parametrize("name", ["module", "lazy", "function"])
def test_no_inputs(name: str, cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "net_of_torch.py"
    script.write_text(SCRIPT)
    code, out, err = cli("analyze", f"{script}:{name}")
    assert (code, out) == (2, "")
    assert err == (
        "multiprof: error: a PyTorch model does not carry its input shapes: "
        "give inputs, e.g. (1, 3, 224, 224) or --input 1x3x224x224\n"
    )
    code, out, _ = cli("analyze", f"{script}:{name}", "--input", "2x4")
    assert code == 0
    assert f"MACs              {2 * 4 * 3}\n" in out


def test_a_size_that_is_none() -> None:
    with pytest.raises(multiprof.InputsError) as caught:
        multiprof.analyze(torch.nn.Linear(4, 3), multiprof.TensorSpec((None, 4), "float32"))
    assert str(caught.value) == "input 'input' has the shape (None, 4): give every dimension a size"
