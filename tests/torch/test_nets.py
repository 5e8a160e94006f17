"""Whole networks, exact against the sums of their definitions, on the CPU and on meta."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers

import multiprof
from multiprof import TensorSpec

IMAGE = (1, 3, 224, 224)


def count(build: Any, inputs: Any, device: str, grad: bool = False) -> multiprof.Report:
    with torch.device(device):
        model = build()
    model.eval()
    with torch.set_grad_enabled(grad):
        report = multiprof.analyze(model, inputs)
    assert report.coverage == 1.0, report.unsupported()
    assert not report.warnings
    return report


def resnet50() -> Any:
    path = Path(__file__).parents[2] / "examples" / "resnet50.py"
    spec = importlib.util.spec_from_file_location("resnet50", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.resnet50()


def test_resnet50(device: str, grad: bool) -> None:
    report = count(resnet50, IMAGE, device, grad)
    macs = 112 * 112 * 64 * 3 * 49
    weights = 64 * 3 * 49
    norms = 64
    channels, size = 64, 56
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(depth):
            before = size
            if block == 0 and width > 64:
                size //= 2
            shapes = [(channels, width, 1, before), (width, width, 9, size), (width, 4 * width, 1, size)]
            if block == 0:
                shapes.append((channels, 4 * width, 1, size))
            macs += sum(n * n * c_out * c_in * kernel for c_in, c_out, kernel, n in shapes)
            weights += sum(c_out * c_in * kernel for c_in, c_out, kernel, _ in shapes)
            norms += sum(c_out for _, c_out, _, _ in shapes)
            channels = 4 * width
    macs += 2048 * 1000
    assert report.macs == macs == 4_089_184_256
    assert report.params == weights + 2 * norms + 2048 * 1000 + 1000 == 25_557_032
    assert report.flops == 8_206_317_544
    assert report.peak_bytes == 9_633_792


def test_alexnet(nets: ModuleType, device: str) -> None:
    report = count(nets.AlexNet, IMAGE, device)
    convolutions = (
        (55, 96, 3, 121), (27, 192, 96, 25), (13, 384, 192, 9), (13, 256, 384, 9), (13, 256, 256, 9),
    )  # fmt: skip
    linears = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    assert report.macs == sum(n * n * o * i * k for n, o, i, k in convolutions) + linears == 861_301_280
    weights = sum(o * i * k for _, o, i, k in convolutions) + linears
    assert report.params == weights + 4096 + 4096 + 1000 == 61_264_904


def vit_macs(depth: int) -> int:
    tokens, width, hidden = 197, 768, 3072
    block = tokens * width * (3 * width + width + 2 * hidden) + 2 * tokens * tokens * width
    return 196 * width * 3 * 256 + depth * block + width * 1000


def vit_params(depth: int) -> int:
    width, hidden = 768, 3072
    block = 4 * width * width + 4 * width + 2 * width * hidden + hidden + width + 4 * width
    return 3 * 256 * width + width + width + 197 * width + depth * block + 2 * width + 1000 * width + 1000


@pytest.mark.parametrize("kind", ["fused", "plain", "encoder"])
def test_vit(nets: ModuleType, kind: str, device: str, grad: bool) -> None:
    depth = 12 if device == "meta" else 2
    report = count(lambda: nets.ViT(kind, depth), IMAGE, device, grad)
    assert report.macs == vit_macs(depth)
    assert report.params == vit_params(depth)
    if depth == 12:
        assert report.macs == 17_563_828_224
        assert report.params == 86_567_656


def test_densenet121(nets: ModuleType, device: str) -> None:
    report = count(nets.DenseNet121, IMAGE, device)
    macs, params = 112 * 112 * 64 * 3 * 49, 64 * 3 * 49 + 2 * 64
    channels, size = 64, 56
    for i, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            weights = channels * 128 + 128 * 32 * 9
            macs += size * size * weights
            params += weights + 2 * channels + 2 * 128
            channels += 32
        params += 2 * channels
        if i < 3:
            macs += size * size * channels * channels // 2
            params += channels * channels // 2
            channels, size = channels // 2, size // 2
    assert report.macs == macs + 1024 * 1000
    assert report.params == params + 1024 * 1000 + 1000 == 7_978_856


@pytest.mark.parametrize(("stride", "expected"), [(1, 968_196_096), (2, 473_260_032)])
def test_the_block_of_mobilenet_v2(nets: ModuleType, device: str, stride: int, expected: int) -> None:
    report = count(lambda: nets.inverted_residual(64, 384, 128, stride), (1, 64, 112, 112), device)
    out = (112 // stride) ** 2
    assert report.macs == 112 * 112 * 64 * 384 + out * 9 * 384 + out * 384 * 128 == expected


def test_swin_t(nets: ModuleType, device: str) -> None:
    report = count(nets.SwinT, IMAGE, device)
    width, tokens = 96, 56 * 56
    macs = tokens * width * 3 * 16
    params = width * 3 * 16 + width + 2 * width
    for i, (depth, heads) in enumerate(zip((2, 2, 6, 2), (3, 6, 12, 24), strict=True)):
        # Every token meets the 49 of its window.
        macs += depth * (tokens * 12 * width * width + 2 * tokens * 49 * width)
        params += depth * (12 * width * width + 9 * width + 4 * width + 13 * 13 * heads)
        if i < 3:
            tokens //= 4
            macs += tokens * 4 * width * 2 * width
            params += 4 * width * 2 * width + 2 * 4 * width
            width *= 2
    assert report.macs == macs + 768 * 1000
    assert report.params == params + 2 * 768 + 768 * 1000 + 1000 == 28_288_354


# -- language models -----------------------------------------------------------------------------------------------


def gpt2(depth: int) -> Any:
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=depth))


@pytest.mark.parametrize("tokens", [16, 1024])
def test_gpt2(device: str, tokens: int) -> None:
    depth = 12 if device == "meta" else 1
    report = count(lambda: gpt2(depth), {"input_ids": TensorSpec((1, tokens), "int64")}, device)
    width, vocabulary = 768, 50257
    block = tokens * width * (3 * width + width + 8 * width) + 2 * tokens * tokens * width
    assert report.macs == depth * block + tokens * width * vocabulary
    weights = 12 * width * width + 9 * width + 4 * width
    # The head is the table of the embedding: once.
    assert report.params == vocabulary * width + 1024 * width + depth * weights + 2 * width
    if depth == 12:
        assert report.params == 124_439_808


def llama(width: int, hidden: int, depth: int, heads: int, kv_heads: int, vocabulary: int, **options: Any) -> Any:
    config = transformers.LlamaConfig(
        hidden_size=width, intermediate_size=hidden, num_hidden_layers=depth, num_attention_heads=heads,
        num_key_value_heads=kv_heads, vocab_size=vocabulary, **options,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


SMALL, SEVEN_BILLION = (64, 160, 2, 8, 2, 100), (4096, 11008, 32, 32, 32, 32000)


@pytest.mark.parametrize(("sizes", "tokens"), [(SMALL, 12), (SEVEN_BILLION, 128)], ids=["small", "7B"])
@pytest.mark.parametrize("options", [{}, {"use_cache": False}, {"attn_implementation": "eager"}], ids=str)
def test_llama(device: str, sizes: tuple[int, ...], tokens: int, options: dict[str, Any]) -> None:
    if sizes is SEVEN_BILLION:
        device = "meta"  # 27 GB of weights
    report = count(lambda: llama(*sizes, **options), {"input_ids": TensorSpec((1, tokens), "int64")}, device)
    width, hidden, depth, heads, kv_heads, vocabulary = sizes
    kv_width = width // heads * kv_heads
    weights = 2 * width * width + 2 * width * kv_width + 3 * width * hidden
    # Queries attend to all tokens, whether or not keys are shared among heads.
    block = tokens * weights + 2 * tokens * tokens * width
    # Rotating queries and keys is elementwise: no dot products.
    assert report.macs == depth * block + tokens * width * vocabulary
    assert report.params == 2 * vocabulary * width + depth * (weights + 2 * width) + width
    if sizes is SEVEN_BILLION:
        assert report.params == 6_738_415_616


def test_a_tied_llama_counts_its_head_once() -> None:
    inputs = {"input_ids": TensorSpec((1, 12), "int64")}
    free = count(lambda: llama(*SMALL, tie_word_embeddings=False), inputs, "meta")
    tied = count(lambda: llama(*SMALL, tie_word_embeddings=True), inputs, "meta")
    assert free.params - tied.params == 100 * 64
    assert free.macs == tied.macs
