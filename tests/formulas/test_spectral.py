"""Fourier transforms: the algorithms on counting scalars, whose values are checked against the definition."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.spectral import complex_transform, fft, real_transform, stft
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Counted, Tally

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]


@dataclass
class Number:
    """A complex number of two counting scalars: an addition takes 2 adds, a product with a constant 4 muls, 2 adds."""

    re: Counted
    im: Counted

    @property
    def value(self) -> complex:
        return complex(self.re.value, self.im.value)

    def __add__(self, other: Number) -> Number:
        return Number(self.re + other.re, self.im + other.im)

    def __sub__(self, other: Number) -> Number:
        return Number(self.re - other.re, self.im - other.im)

    def times(self, w: complex) -> Number:
        return Number(self.re * w.real - self.im * w.imag, self.re * w.imag + self.im * w.real)

    def scaled(self, factor: float) -> Number:
        return Number(self.re * factor, self.im * factor)


def root(n: int, k: int) -> complex:
    return cmath.exp(-2j * cmath.pi * k / n)


def transform(x: Sequence[Number]) -> list[Number]:
    """Cooley–Tukey, by the smallest prime factor; Bluestein where that is above 13."""
    n = len(x)
    if n == 1:
        return list(x)
    p = next((p for p in range(2, n + 1) if n % p == 0), n)
    if p > 13:
        return bluestein(x)
    m = n // p
    parts = [transform(x[j::p]) for j in range(p)]
    for j in range(1, p):
        parts[j] = [parts[j][q].times(root(n, j * q)) for q in range(m)]
    y: list[Number] = [x[0]] * n
    for q in range(m):
        column = [part[q] for part in parts]
        if p == 2:
            y[q], y[q + m] = column[0] + column[1], column[0] - column[1]
            continue
        for k in range(p):
            whole = column[0]
            for j in range(1, p):
                whole = whole + (column[j].times(root(p, j * k)) if k else column[j])
            y[q + k * m] = whole
    return y


def bluestein(x: Sequence[Number]) -> list[Number]:
    """jk = (j² + k² − (k − j)²)/2: a product with a chirp, a convolution with another, and a product again."""
    n = len(x)
    m = 1
    while m < 2 * n - 1:
        m *= 2
    chirp = [cmath.exp(-1j * cmath.pi * k * k / n) for k in range(n)]
    kernel = [0j] * m
    for k in range(n):
        kernel[k] = kernel[-k] = chirp[k].conjugate()
    spectrum = [sum(kernel[j] * root(m, j * k) for j in range(m)) for k in range(m)]  # ahead of time
    zero = Number(x[0].re.tally.scalar(), x[0].re.tally.scalar())
    padded = [item.times(chirp[k]) for k, item in enumerate(x)] + [zero] * (m - n)
    met = [item.times(spectrum[k].conjugate() / m) for k, item in enumerate(conjugated(transform(padded)))]
    # the inverse transform is the conjugate of the transform of the conjugate; conjugation is a sign of the tables
    return [item.times(chirp[k]) for k, item in enumerate(conjugated(transform(met))[:n])]


def conjugated(x: Sequence[Number]) -> list[Number]:
    """With the other sign of the imaginary part, which is no operation where a table takes it in."""
    return [Number(item.re, item.re.tally.scalar(-item.im.value)) for item in x]


def numbers(tally: Tally, n: int) -> list[Number]:
    a = tally.array((n, 2))
    return [Number(a[k, 0], a[k, 1]) for k in range(n)]


def check(made: Sequence[Number], values: Sequence[complex]) -> None:
    n = len(values)
    for k, item in enumerate(made):
        expected = sum(value * root(n, j * k) for j, value in enumerate(values))
        assert item.value == pytest.approx(expected, abs=1e-9 * n)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 16, 30, 60, 17, 19, 34])
def test_complex_transforms(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    for _ in range(2):
        x = numbers(tally, n)
        with tally.term("transform"):
            y = transform(x)
        check(y, [item.value for item in x])
    agree(fft, make("fft", {"x": (2, n, 2)}, {"y": (2, n, 2)}, axis=1, n=n), tally)
    complex_layer = make("fft", {"x": (n, 2)}, {"y": (n, 2)}, "complex64", axis=0, n=n)
    agree(fft, complex_layer, tally)


@pytest.mark.parametrize("stages", range(1, 12))
def test_a_power_of_two_takes_5_n_log2_n(stages: int) -> None:
    n = 2**stages
    assert sum(complex_transform(n)) == 5 * n * stages


def real(x: Sequence[Counted]) -> list[Number]:
    """The first n/2 + 1 numbers of the spectrum of an even number of real ones."""
    n = len(x)
    half = n // 2
    z = transform([Number(x[2 * k], x[2 * k + 1]) for k in range(half)])
    tally = x[0].tally
    zero = tally.scalar()
    y: list[Number] = [z[0]] * (half + 1)
    y[0], y[half] = Number(z[0].re + z[0].im, zero), Number(z[0].re - z[0].im, zero)
    for k in range(1, half // 2 + 1):
        mirrored = conjugated([z[half - k]])[0]
        even = (z[k] + mirrored).scaled(0.5)
        odd = (z[k] - mirrored).times(root(n, k) * -0.5j)
        y[k] = even + odd
        y[half - k] = conjugated([even - odd])[0]
    return y


@pytest.mark.parametrize("n", [2, 4, 6, 8, 10, 12, 16, 26, 34])
def test_transforms_of_real_signals(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    x = tally.array((n,))
    with tally.term("transform"):
        y = real([x[i,] for i in range(n)])
    assert len(y) == n // 2 + 1
    check(y, [0j + x[i,].value for i in range(n)] if n else [])
    layer = make("fft", {"x": (n, 1)}, {"y": (n // 2 + 1, 2)}, axis=0, n=n, onesided=True)
    agree(fft, layer, tally)
    layer = make("fft", {"x": (n,)}, {"y": (n // 2 + 1,)}, axis=0, n=n, onesided=True)
    layer.outputs["y"] = TensorSpec((n // 2 + 1,), "complex64", "y")
    agree(fft, layer, tally)


@pytest.mark.parametrize("n", [2, 4, 6, 8, 12, 16, 26])
def test_transforms_back_to_real_signals(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    signal = tally.array((n,))
    half = n // 2
    spectrum = [sum(signal[j,].value * root(n, j * k) for j in range(n)) for k in range(half + 1)]
    x = [Number(tally.scalar(value.real), tally.scalar(value.imag)) for value in spectrum]
    with tally.term("transform"):
        z: list[Number] = [Number(x[0].re + x[half].re, x[0].re - x[half].re)] * half
        for k in range(1, half // 2 + 1):
            mirrored = conjugated([x[half - k]])[0]
            even, odd = x[k] + mirrored, (x[k] - mirrored).times(root(n, k).conjugate() * 1j)
            z[k] = even + odd
            z[half - k] = conjugated([even - odd])[0]
        y = conjugated(transform(conjugated(z)))
    with tally.term("scale"):
        made = [part * (1 / n) for item in y for part in (item.re, item.im)]
    assert [item.value for item in made] == pytest.approx([signal[i,].value for i in range(n)])
    layer = make("fft", {"x": (half + 1,)}, {"y": (n,)}, axis=0, n=n, onesided=True, inverse=True)
    layer.inputs["x"] = TensorSpec((half + 1,), "complex64", "x")
    agree(fft, layer, tally)


def test_an_inverse_transform_divides_every_part() -> None:
    x = TensorSpec((3, 8, 2))
    layer = Layer("back", "fft", {"x": x}, {"y": x}, {"axis": 1, "n": 8, "inverse": True})
    assert fft.price(layer).terms["scale"] == Counts(muls=3 * 8 * 2)
    layer = Layer("back", "fft", {"x": TensorSpec((3, 8), "complex64")}, {"y": TensorSpec((3, 8), "complex64")})
    layer.attrs = {"axis": 1, "n": 8, "inverse": True}
    assert fft.price(layer).terms["scale"] == Counts(muls=3 * 8 * 2)


@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([4, 6, 8]), st.booleans(), st.booleans())
def test_frames(make: Make, agree: Agree, batch: int, frames: int, length: int, onesided: bool, window: bool) -> None:
    tally = Tally()
    x = tally.array((batch, length + (frames - 1) * 2))
    for b in range(batch):
        for frame in range(frames):
            part = [x[b, 2 * frame + i] for i in range(length)]
            if window:
                with tally.term("window"):
                    part = [item * 0.5 for item in part]
            with tally.term("transform"):
                if onesided:
                    real(part)
                else:
                    transform([Number(item, tally.scalar()) for item in part])
    bins = length // 2 + 1 if onesided else length
    inputs = {"x": x.shape, **({"window": (length,)} if window else {})}
    attrs = {"frame_length": length, "frame_step": 2, "onesided": onesided}
    agree(stft, make("stft", inputs, {"y": (batch, frames, bins, 2)}, **attrs), tally)
    layer = make("stft", inputs, {"y": (batch, frames, bins)}, **attrs)
    layer.outputs["y"].dtype = "complex64"
    agree(stft, layer, tally)


def test_a_huge_length_is_no_trouble() -> None:
    adds, muls = complex_transform(10**18 + 9)  # a prime
    assert 0 < adds + muls < 10**22
    assert real_transform(10**18) < complex_transform(10**18)


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    with pytest.raises(UnknownDimensionError, match="data-dependent"):
        fft.price(make("fft", {"x": (None, 8, 2)}, {"y": (None, 8, 2)}, axis=1, n=8))
    with pytest.raises(PluginError, match="requires the attribute n"):
        fft.price(make("fft", {"x": (8, 2)}, {"y": (8, 2)}, axis=0))
    with pytest.raises(PluginError, match="requires the attribute frame_length"):
        stft.price(make("stft", {"x": (8,)}, {"y": (1, 3, 2)}))
    assert fft.price(make("fft", {"x": (0, 8, 2)}, {"y": (0, 8, 2)}, axis=1, n=8)).counts == Cost().counts
