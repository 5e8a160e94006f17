"""Fourier transforms and complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import multiprof
from multiprof import Inputs

META = torch.device("meta")


def real(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device=META)


def spectrum(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.complex64, device=META)


# name, what it is given, and of every layer: axis, length, inverse, of a real signal, scaled
CASES: list[tuple[str, torch.Tensor, dict[str, Any], list[tuple[int, int, bool, bool, bool]]]] = [
    ("fft", spectrum(2, 6, 8), {}, [(2, 8, False, False, False)]),
    ("fft", spectrum(2, 6, 8), {"dim": 1, "norm": "ortho"}, [(1, 6, False, False, True)]),
    ("ifft", spectrum(2, 6, 8), {}, [(2, 8, True, False, True)]),
    ("ifft", spectrum(2, 6, 8), {"norm": "forward"}, [(2, 8, True, False, False)]),
    ("fft", real(2, 6, 8), {}, [(2, 8, False, True, False)]),
    ("rfft", real(2, 6, 8), {}, [(2, 8, False, True, False)]),
    ("irfft", spectrum(2, 6, 5), {}, [(2, 8, True, True, True)]),
    ("irfft", spectrum(2, 6, 5), {"n": 9}, [(2, 9, True, True, True)]),
    ("hfft", spectrum(2, 6, 5), {}, [(2, 8, True, True, False)]),
    ("fft2", spectrum(2, 6, 8), {}, [(2, 8, False, False, False), (1, 6, False, False, False)]),
    ("ifft2", spectrum(2, 6, 8), {}, [(2, 8, True, False, False), (1, 6, True, False, True)]),
    ("rfft2", real(2, 6, 8), {}, [(2, 8, False, True, False), (1, 6, False, False, False)]),
    ("irfft2", spectrum(2, 6, 5), {}, [(1, 6, True, False, False), (2, 8, True, True, True)]),
]


@pytest.mark.parametrize(("name", "x", "more", "layers"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_one_layer_for_each_axis(
    name: str, x: torch.Tensor, more: dict[str, Any], layers: list[Any], compare: Any
) -> None:
    tracer = compare(getattr(torch.fft, name), x, **more)
    found = [layer for layer in tracer.layers if layer.op == "fft"]
    assert [tuple(layer.attrs[k] for k in ("axis", "n", "inverse", "onesided", "scaled")) for layer in found] == layers


def flops(call: Callable[..., Any], *tensors: Any) -> int:
    report = multiprof.analyze(call, Inputs(*tensors))
    assert not report.unsupported()
    return report.flops


def test_powers_of_two_by_hand() -> None:
    """5·n·log₂ n real operations for a complex signal; an inverse scales its 2·n numbers."""
    x = torch.zeros(3, 64, dtype=torch.complex64)
    assert flops(torch.fft.fft, x) == 3 * 5 * 64 * 6
    assert flops(torch.fft.ifft, x) == 3 * (5 * 64 * 6 + 2 * 64)
    # 3 + 2 stages over 8·4 numbers
    assert flops(torch.fft.fft2, torch.zeros(8, 4, dtype=torch.complex64)) == 5 * 32 * 5


def test_a_real_signal_takes_about_half() -> None:
    """64 real numbers are 32 complex ones: 5·32·5, and then 16 pairs of 10 additions and 6 products, and 2."""
    assert flops(torch.fft.rfft, (3, 64)) == 3 * (5 * 32 * 5 + 16 * 16 + 2)


def test_fourier_mixing_is_priced_whole() -> None:
    """What FNet does in place of attention: a transform along the features, one along the tokens, the real part."""
    report = multiprof.analyze(lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real, (1, 16, 32))
    assert [layer.op for layer in report.layers] == ["fft", "fft", "slice"]
    assert report.coverage == 1


def test_frames_there_and_back() -> None:
    """64-point frames at every 16 elements of 400: 26 of them, windowed before and after."""
    window = torch.hann_window(64)

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return torch.istft(torch.stft(x, 64, window=window, return_complex=True), 64, window=window)

    report = multiprof.analyze(there_and_back, (1, 400))
    assert not report.unsupported()
    transforms = [layer for layer in report.layers if layer.op == "fft"]
    assert [layer.layer.attrs["n"] for layer in transforms] == [64, 64]
    frame = 5 * 32 * 5 + 16 * 16 + 2
    assert transforms[0].flops == 26 * frame
    assert [layer.op for layer in report.layers if layer.op == "fold"] == ["fold", "fold"]


@pytest.mark.parametrize(
    ("call", "given", "ops"),
    [
        (torch.conj_physical, (spectrum(3),), ["conj"]),
        (torch.angle, (spectrum(3),), ["angle"]),
        (torch.complex, (real(3), real(3)), ["stack"]),
        (torch.polar, (real(3), real(3)), ["polar"]),
    ],
)
def test_complex_numbers(call: Any, given: Any, ops: list[str], compare: Any) -> None:
    assert compare(call, *given).ops == ops


def test_frequencies() -> None:
    report = multiprof.analyze(lambda x: x * torch.fft.rfftfreq(8), (2, 5))
    assert not report.unsupported()
