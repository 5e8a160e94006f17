"""The plugin as a user has it: installed with pip beside multiprof, found through its entry point."""

from __future__ import annotations

import multiprof_chebyshev
import pytest
import torch
from torch import nn

import multiprof
from multiprof.testing import Tally


class Expansion(nn.Module):
    """A layer of a Kolmogorov–Arnold network: a sum of polynomials of its squashed input."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(4, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        terms = [torch.special.chebyshev_polynomial_t(x, n) for n in range(4)]
        return torch.stack(terms, -1) @ self.weights


def test_without_the_plugin_the_polynomials_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPROF_DISABLE_PLUGINS", "1")
    report = multiprof.analyze(Expansion().eval(), (2, 64))
    assert set(report.unsupported()) == {"torch.aten.special_chebyshev_polynomial_t"}
    assert report.coverage < 1


def test_with_the_plugin_they_are_priced() -> None:
    report = multiprof.analyze(Expansion().eval(), (2, 64))
    assert not report.unsupported()
    assert report.coverage == 1
    polynomials = [layer for layer in report.layers if layer.op.endswith("_polynomial_t")]
    # 2·64 elements; degrees 0 and 1 need no step, 2 needs one and 3 two, each of 2 operations; 1 more for 2·x
    assert [layer.flops for layer in polynomials] == [128, 128, 128 * 3, 128 * 5]
    assert all(layer.macs == 0 and "multiprof-chebyshev" in layer.provider for layer in polynomials)


def test_a_degree_that_is_a_tensor_stays_unsupported() -> None:
    report = multiprof.analyze(torch.special.chebyshev_polynomial_u, [(2, 3), (2, 3)])
    ((layers,),) = (report.unsupported().values(),)
    assert len(layers) == 1
    assert "the degree is a tensor" in report.layers[0].reason


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", ["t", "u", "v", "w"])
def test_the_count_is_that_of_the_recurrence(kind: str, n: int) -> None:
    values = [0.3, -0.7, 0.05]
    tally, found = Tally(), []
    for value in values:
        x = tally.scalar(value)
        with tally.term("recurrence"):
            twice = x + x
        before = tally.scalar(1.0)
        now = tally.scalar({"t": value, "u": 2 * value, "v": 2 * value - 1, "w": 2 * value + 1}[kind])
        for _ in range(n - 1):
            with tally.term("recurrence"):
                before, now = now, twice * now - before
        found.append(now.value)
    function = getattr(torch.special, f"chebyshev_polynomial_{kind}")
    assert found == pytest.approx(function(torch.tensor(values, dtype=torch.float64), n).tolist())

    spec = multiprof.TensorSpec((3,), "float64", "x")
    name = f"torch.aten.special_chebyshev_polynomial_{kind}"
    layer = multiprof.Layer("p", name, {"x": spec}, {"y": spec}, {"n": n})
    assert multiprof_chebyshev.chebyshev.price(layer).terms == tally.terms
