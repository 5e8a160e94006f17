"""Architectures of transformers, small: what is counted is what runs, and every parameter is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import multiprof

# The list, the oracle and the comparison are those of the benchmark, which counts all of them at full size.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from hf_architectures import ARCHITECTURES, examined

BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}
SAMPLE = (
    "BERT", "DeBERTa v2", "GPT-2, prompt", "GPT-2, one token more", "Llama 7B, no cache", "Gemma 2", "Mixtral 8×7B",
    "DeepSeek-V3", "Switch", "Mamba 2", "T5", "T5, one token more", "Swin v2", "Whisper", "EnCodec", "CLIP", "DiT-XL/2",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_the_macs_are_those_of_the_kernels_that_torch_dispatches(name: str) -> None:
    row = examined(BY_NAME[name], small=True)
    assert not row.problems  # parameters, dispatched products, and the closed form where there is one
    assert row.dispatched is not None
    assert row.report.coverage == 1.0, row.report.unsupported()


def test_the_figures_of_the_papers() -> None:
    """Published sizes: Llama 7B (Touvron 2023), Mixtral 8×7B (Jiang 2024), DiT-XL/2 (Peebles and Xie 2022)."""
    names = ("Llama 7B, prompt", "Mixtral 8×7B", "DiT-XL/2")
    reports = {name: examined(BY_NAME[name], small=False).report for name in names}
    assert reports["Llama 7B, prompt"].params == 6_738_415_616
    assert reports["Mixtral 8×7B"].params == 46_702_792_704
    assert round(reports["DiT-XL/2"].macs / 1e9, 1) == 118.6


def test_a_cache_is_an_input() -> None:
    """Keys and values of earlier tokens come with the call: neither weights nor tensors from nowhere."""
    llama = BY_NAME["Llama 7B, one token more"]
    for device in ("cpu", "meta"):
        model = llama.build(True, device)
        arguments = llama.arguments(model, True, device)
        report = multiprof.analyze(model, multiprof.Inputs(**arguments))
        assert report.coverage == 1.0
        cache = [f"past_key_values.layers.{i}.{kind}" for i in (0, 1) for kind in ("keys", "values")]
        assert [spec.name for spec in report.graph.inputs] == ["input_ids", *cache]
        # 2 key heads of 8 numbers, for each of the 24 tokens before.
        assert {spec.shape for spec in report.graph.inputs[1:]} == {(1, 2, 24, 8)}
        assert report.by_family()["attention"].macs == 2 * (24 + 1) * 32 * 2
        # The forward has grown no cache of the caller's.
        assert arguments["past_key_values"].get_seq_length() == 24


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_size_divided_by_torch_is_a_constant(device: str) -> None:
    """As Longformer cuts its sequences: two numbers of Python, and a tensor that is used as a size."""

    class Cut(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pieces = x.view(int(torch.div(24, 8, rounding_mode="trunc")), -1, 4)
            return pieces @ pieces.transpose(1, 2)

    report = multiprof.analyze(Cut(), torch.ones(3, 8, device=device))
    assert report.coverage == 1.0
    assert report.macs == 3 * 2 * 4 * 2
