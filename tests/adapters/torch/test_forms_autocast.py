"""Inside autocast, layers have the dtypes in which torch executes them; torch's own run is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import multiprof

X = torch.ones(2, 4, 8)
W = torch.ones(4, 8)

CALLS: dict[str, Callable[[Tensor], Any]] = {
    "linear": lambda x: F.linear(x, W),
    "matmul": lambda x: x @ x.mT,
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "einsum": lambda x: torch.einsum("abc,dc->abd", x, W),
    "addmm": lambda x: torch.addmm(W[0, :4], x[0], W.T),
    "double": lambda x: F.linear(x.double(), W.double()),
    "half": lambda x: F.linear(x.half(), W),
    "integers": lambda x: x.long() @ x.long().mT,
    "add": lambda x: F.linear(x, W)[..., :4] + x[..., :4],
    "cat": lambda x: torch.cat([F.linear(x, W), x], -1),
    "softmax": lambda x: torch.softmax(F.linear(x, W), -1),
    "relu": lambda x: torch.relu(F.linear(x, W)),
    "mse": lambda x: F.mse_loss(x.bfloat16(), x),
    "cdist": lambda x: torch.cdist(x.bfloat16(), x.bfloat16()),
    "prod": lambda x: x.bfloat16().prod(),
    "exp": lambda x: x.bfloat16().exp(),
    "layer_norm": lambda x: F.layer_norm(x.bfloat16(), (8,), torch.ones(8)),
    "group_norm": lambda x: F.group_norm(x.bfloat16(), 2),
    "dot": lambda x: torch.dot(x[0, 0], x[0, 0]),
    "mv": lambda x: torch.mv(x[0], x[0, 0]),
    "prelu": lambda x: F.prelu(x, torch.ones(1)),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_function_returns_the_dtype_that_torch_computes_in(name: str) -> None:
    call = CALLS[name]
    with torch.autocast("cpu", torch.bfloat16):
        expected = call(X)
        report = multiprof.analyze(call, X)
    assert report.graph.outputs[0].dtype == str(expected.dtype).removeprefix("torch.")
    assert report.graph.outputs[0].shape == tuple(expected.shape)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.norm = nn.BatchNorm1d(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y = F.relu(self.norm(self.conv(x))).transpose(1, 2)
            y = self.attention(y, y, y, need_weights=False)[0]
            z = self.fc(y)
        return self.fc(y.float()) + z


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_region_of_the_model(device: str) -> None:
    with torch.device(device):
        model = Net().eval()
    before = {name: (p.dtype, id(p)) for name, p in model.named_parameters()}
    report = multiprof.analyze(model, (2, 4, 8))
    products = [layer for layer in report.graph.layers if layer.op in ("conv", "linear", "attention")]
    assert [layer.inputs.get("x", layer.inputs.get("q")).dtype for layer in products] == ["bfloat16"] * 5 + ["float32"]
    # 6 positions of 4·3 inputs; 4 projections of 6; products of 3 a head, twice; the last layer twice
    assert report.macs == 2 * (6 * 6 * 12 + 6 * 4 * 36 + 2 * 2 * 6 * 6 * 3 + 2 * 6 * 18)
    assert {name: (p.dtype, id(p)) for name, p in model.named_parameters()} == before


def test_figures_stay_and_weights_are_cast_once() -> None:
    layer = nn.Linear(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        report = multiprof.analyze(lambda x: layer(layer(x).repeat(1, 1, 2)), (2, 4, 6))
    assert report.macs == 2 * 8 * 6 * 3 and report.params == 21 and report.weight_bytes == 84
    assert sum(layer.op == "cast" and layer.inputs["x"].shape == (3, 6) for layer in report.graph.layers) == 1
    assert not torch.is_autocast_enabled("cpu")
