"""Linear layers, matrix products and contractions: every output is a dot product of the contracted size."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn, randn

from accuracy.battery import Call, case, weight


@case("linear", 4 * 300 * 100, 4 * 100)
def linear() -> Any:
    return nn.Linear(300, 100), randn(4, 300)


@case("linear over 3 dimensions", 2 * 50 * 128 * 64, 2 * 50 * 64)
def linear_3d() -> Any:
    return nn.Linear(128, 64), randn(2, 50, 128)


@case("linear on a vector", 300 * 100, 100)
def linear_vector() -> Any:
    return nn.Linear(300, 100), randn(300)


@case("bilinear", 8 * 16 * 20 * 12 + 8 * 16 * 12, note="per output x·W of 20·12 terms, then the product with y of 12")
def bilinear() -> Any:
    return nn.Bilinear(20, 12, 16, bias=False), (randn(8, 20), randn(8, 12))


@case("one linear, called twice", 2 * 8 * 64 * 64, 2 * 8 * 64)
def shared() -> Any:
    return Call(lambda m, x: m.parts[0](m.parts[0](x)), nn.Linear(64, 64)), randn(8, 64)


@case("tied: a table and its head", 2 * 16 * 64 * 100)
def tied() -> Any:
    table, head = nn.Embedding(100, 64), nn.Linear(64, 100, bias=False)
    head.weight = table.weight
    return Call(lambda m, x: m.parts[1](m.parts[0](x)), table, head), torch.zeros(2, 16, dtype=torch.int64)


@case("F.linear with a parameter", 8 * 64 * 32)
def functional_linear() -> Any:
    return Call(lambda m, x: F.linear(x, m.w), w=weight(32, 64)), randn(8, 64)


@case("x @ parameter", 8 * 64 * 32)
def at_parameter() -> Any:
    return Call(lambda m, x: x @ m.w, w=weight(64, 32)), randn(8, 64)


@case("F.conv2d with a parameter", 32 * 16 * 16 * 16 * 9)
def functional_conv() -> Any:
    return Call(lambda m, x: F.conv2d(x, m.w, padding=1), w=weight(32, 16, 3, 3)), randn(1, 16, 16, 16)


@case("F.conv_transpose2d, stride 2", 8 * 64 * 16 * 4)
def functional_transposed() -> Any:
    return Call(lambda m, x: F.conv_transpose2d(x, m.w, stride=2, padding=1), w=weight(8, 4, 4, 4)), randn(1, 8, 8, 8)


@case("torch.matmul of two inputs", 2 * 4 * 32 * 48 * 16)
def matmul() -> Any:
    return Call(lambda m, a, b: torch.matmul(a, b)), (randn(2, 4, 32, 48), randn(48, 16))


@case("a.bmm(b)", 6 * 32 * 48 * 16)
def bmm() -> Any:
    return Call(lambda m, a, b: a.bmm(b)), (randn(6, 32, 48), randn(6, 48, 16))


@case("matrix times vector", 32 * 48)
def mv() -> Any:
    return Call(lambda m, a, b: a @ b), (randn(32, 48), randn(48))


@case("torch.addmm, torch.baddbmm", 32 * 48 * 16 + 4 * 8 * 8 * 16, 32 * 16 + 4 * 8 * 16)
def added() -> Any:
    def function(m: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
        return torch.addmm(m.w, a, b), torch.baddbmm(m.v, c, d)

    return Call(function, w=weight(32, 16), v=weight(4, 8, 16)), (
        randn(32, 48), randn(48, 16), randn(4, 8, 8), randn(4, 8, 16),
    )  # fmt: skip


@case("einsum bhid,bhjd->bhij", 2 * 4 * 16 * 24 * 8)
def einsum() -> Any:
    function = Call(lambda m, q, k: torch.einsum("bhid,bhjd->bhij", q, k))
    return function, (randn(2, 4, 16, 8), randn(2, 4, 24, 8))


@case("einsum of three, pairwise from the left", 8 * 16 * 24 + 8 * 24 * 12, note="(ij,jk)->ik, then (ik,kl)->il")
def einsum_three() -> Any:
    function = Call(lambda m, a, b, c: torch.einsum("ij,jk,kl->il", a, b, c))
    return function, (randn(8, 16), randn(16, 24), randn(24, 12))


@case("torch.tensordot", 6 * 20 * 7 * 5)
def tensordot() -> Any:
    function = Call(lambda m, a, b: torch.tensordot(a, b, dims=2))
    return function, (randn(6, 7, 5), randn(7, 5, 20))


@case("embedding, mean, linear", 4 * 64 * 10, 4 * 10)
def embedding() -> Any:
    parts = nn.Embedding(1000, 64), nn.Linear(64, 10)
    return Call(lambda m, x: m.parts[1](m.parts[0](x).mean(1)), *parts), torch.zeros(4, 2, dtype=torch.int64)


@case("linear between norms", 8 * 512 * 512, note="norms cost 8·512 elements times a few")
def norms() -> Any:
    return nn.Sequential(nn.LayerNorm(512), nn.Linear(512, 512, bias=False), nn.GroupNorm(8, 512)), randn(8, 512)


@case("mixed: half precision", 8 * 64 * 32)
def half() -> Any:
    return nn.Linear(64, 32, bias=False).to(torch.bfloat16), randn(8, 64, dtype=torch.bfloat16)


@case("complex numbers", 4 * 8 * 64 * 32, note="of real numbers: four for a complex one")
def complex_numbers() -> Any:
    return nn.Linear(64, 32, bias=False, dtype=torch.complex64), randn(8, 64, dtype=torch.complex64)
