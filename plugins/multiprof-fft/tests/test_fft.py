"""The plugin as a user has it: installed with pip beside multiprof, found through its entry point."""

from __future__ import annotations

import cmath

import multiprof_fft
import pytest
import torch
from torch import nn

import multiprof
from multiprof.testing import Counted, Tally

Complex = tuple[Counted, Counted]


class Filter(nn.Module):
    """Multiplies the spectrum of a real signal, as a Fourier neural operator or a spectral filter does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * 2)


class Spectrum(nn.Module):
    """The two-dimensional transform of a complex image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x)


def test_without_the_plugin_the_transforms_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPROF_DISABLE_PLUGINS", "1")
    report = multiprof.analyze(Filter(), (2, 64))
    assert set(report.unsupported()) == {"torch.aten._fft_r2c", "torch.aten._fft_c2r"}
    assert report.coverage < 1


def test_with_the_plugin_they_are_priced() -> None:
    report = multiprof.analyze(Filter(), (2, 64))
    assert not report.unsupported()
    assert report.coverage == 1
    transforms = [layer for layer in report.layers if layer.op.startswith("torch.aten._fft")]
    assert [layer.op for layer in transforms] == ["torch.aten._fft_r2c", "torch.aten._fft_c2r"]
    for layer in transforms:
        # a real signal of 2·64 elements, log2(64) = 6 stages: 2·64·6 / 4 = 192 butterflies of 10 operations
        assert layer.flops == 1920
        assert layer.macs == 0
        assert "multiprof-fft" in layer.provider


def test_over_two_dimensions_the_stages_of_both_add_up() -> None:
    report = multiprof.analyze(Spectrum(), torch.zeros(3, 8, 16, dtype=torch.complex64))
    (layer,) = report.layers
    # 3·8·16 elements, 3 + 4 stages: 384·7 / 2 = 1344 butterflies
    assert layer.op == "torch.aten._fft_c2c"
    assert layer.flops == 13_440


def test_a_length_that_is_no_power_of_two_has_the_stages_of_the_next() -> None:
    report = multiprof.analyze(Filter(), (1, 100))
    # log2(128) = 7 stages over 100 real elements: 175 butterflies
    assert report.layers[0].flops == 1750


@pytest.mark.parametrize("n", [1, 2, 8, 64])
def test_the_count_is_that_of_a_radix_2_transform(n: int) -> None:
    tally = Tally()
    values = [complex(k % 5 - 2, k % 3 - 1) for k in range(n)]
    with tally.term("butterflies"):
        spectrum = radix_2([(tally.scalar(v.real), tally.scalar(v.imag)) for v in values], tally)
    expected = torch.fft.fft(torch.tensor(values, dtype=torch.complex128))
    for (real, imag), value in zip(spectrum, expected.tolist(), strict=True):
        assert complex(real.value, imag.value) == pytest.approx(value)

    signal = multiprof.TensorSpec((n,), "complex128", "x")
    layer = multiprof.Layer("fft", "torch.aten._fft_c2c", {"self": signal}, {"y": signal}, {"dim": (0,)})
    priced = multiprof_fft.fft.price(layer)
    assert {name: counts for name, counts in priced.terms.items() if counts} == tally.terms


def radix_2(x: list[Complex], tally: Tally) -> list[Complex]:
    """Cooley and Tukey's transform, every multiplication carried out, those by 1 and −i too."""
    if len(x) == 1:
        return x
    even, odd = radix_2(x[::2], tally), radix_2(x[1::2], tally)
    low, high = [], []
    for k, ((a, b), (c, d)) in enumerate(zip(even, odd, strict=True)):
        w = cmath.exp(-2j * cmath.pi * k / len(x))
        re, im = c * w.real - d * w.imag, c * w.imag + d * w.real
        low.append((a + re, b + im))
        high.append((a - re, b - im))
    return low + high
