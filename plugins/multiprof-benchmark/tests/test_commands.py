"""The command line of `multiprof bench`: what its options mean, and its exit codes."""

from __future__ import annotations

import pytest
from multiprof_benchmark.commands import _bytes

from multiprof import UsageError
from multiprof.cli import main

NETS = """
import torch

def without_inputs():
    weight = torch.ones(8, 8)
    return lambda: torch.relu(weight @ weight)

class Grows(torch.nn.Module):
    def forward(self, x):
        if not torch.overrides._get_current_function_mode_stack():
            self.kept = torch.ones(600_000_000)
        return x + 1
"""


@pytest.fixture
def nets(tmp_path) -> str:
    (tmp_path / "nets.py").write_text(NETS)
    return str(tmp_path / "nets.py")


def test_a_model_without_inputs(nets, capsys):
    assert main(["bench", f"{nets}:without_inputs", "--no-inputs", "--quick"]) == 0
    said = capsys.readouterr().out
    assert "matmul" in said
    assert "relu" in said
    assert main(["bench", f"{nets}:without_inputs", "--no-inputs", "--input", "1x8"]) == 2
    assert "--no-inputs and --input: give one of them" in capsys.readouterr().err


def test_too_much_memory_is_one_line(nets, capsys):
    assert main(["bench", f"{nets}:Grows", "--input", "1x8", "--quick", "--memory", "1G"]) == 2
    last = capsys.readouterr().err.strip().split("\n")[-1]
    assert last.endswith("cpu (native), 1 thread: needs more memory than the 1.0 GiB it may have, and was stopped")


def test_no_route_is_one_line(nets, capsys):
    assert main(["bench", f"{nets}:without_inputs", "--no-inputs", "--on", "onnxruntime", "-q"]) == 2
    assert capsys.readouterr().err == "multiprof: error: onnxruntime: no route from torch; see multiprof runners\n"


def test_an_unknown_device_is_said_before_anything_is_measured(nets, capsys):
    assert main(["bench", f"{nets}:without_inputs", "--no-inputs", "--device", "!"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("multiprof: error: unknown device '!'; multiprof devices lists those that are known")


def test_sizes():
    assert [_bytes("--memory", text) for text in ("", "7", "2k", "4G")] == [None, 7, 2048, 4 * 2**30]
    for wrong in ("4Q", "G", "0", "-1", "1.5G"):
        with pytest.raises(UsageError, match="give a number of bytes, or one with K, M, G or T, such as 4G"):
            _bytes("--memory", wrong)
