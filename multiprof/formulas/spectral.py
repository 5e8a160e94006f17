"""Fourier transforms, by the algorithms that libraries use: Cooley–Tukey, and Bluestein's for large prime factors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UnknownDimensionError
from multiprof.formulas._sizes import size
from multiprof.ir import Layer

_SOURCE = "Cooley and Tukey 1965; Bluestein 1970 for prime factors above 13; Sorensen et al. 1987 for real signals"

# The small transforms that libraries have code of their own for (FFTW, pocketfft, cuFFT); real ones differ a little.
_FACTORS = (2, 3, 5, 7, 11, 13)


@lru_cache(maxsize=1024)
def complex_transform(n: int) -> tuple[int, int]:
    """Additions and multiplications of a transform of n complex numbers.

    A complex addition is 2 additions, a complex product 4 multiplications and 2 additions. A stage of n = p·m makes p
    transforms of m, n − m products with twiddle factors, and m transforms of p by the definition: p·(p − 1) additions
    and, but for p = 2 where the factor is −1, (p − 1)² products. For n = 2^k that is the well-known 5·n·log₂ n in all.
    What is left with a prime factor above 13 is convolved with a chirp (`_chirp`).
    """
    if n <= 1:
        return 0, 0
    p = next((p for p in _FACTORS if n % p == 0), None)
    if p is None:
        return _chirp(n)
    m = n // p
    adds, muls = complex_transform(m)
    products = n - m + (m * (p - 1) ** 2 if p > 2 else 0)
    return p * adds + 2 * (m * p * (p - 1) + products), p * muls + 4 * products


def _chirp(n: int) -> tuple[int, int]:
    """Bluestein: n products with a chirp, a cyclic convolution of the next power of two from 2·n − 1 on with a known
    filter (two transforms, one product each place), and n products again.
    """
    m = 1 << (2 * n - 2).bit_length()
    adds, muls = complex_transform(m)
    products = 2 * n + m
    return 2 * adds + 2 * products, 2 * muls + 4 * products


def real_transform(n: int, inverse: bool = False) -> tuple[int, int]:
    """Additions and multiplications of a transform between n real numbers and n/2 + 1 complex ones.

    Even and odd elements are the parts of n/2 complex numbers; the two spectra are told apart by symmetry: each of the
    n/4 pairs (k, n/2 − k) takes 4 complex additions and one product, and on the way there two halvings, which the
    scale of an inverse contains; the first and the last number take 2 additions. An odd n is transformed as if complex.
    """
    if n % 2:
        return complex_transform(n)
    adds, muls = complex_transform(n // 2)
    pairs = n // 4
    return adds + 10 * pairs + 2, muls + (4 if inverse else 6) * pairs


def _has_parts(layer: Layer) -> bool:
    """Whether the last dimension holds the parts of a number: there is no complex dtype on either side."""
    return not any("complex" in spec.dtype for spec in (layer.x, layer.y))


def _lines(layer: Layer) -> int:
    """M: how many transforms there are: the places of x along all dimensions but the transformed one."""
    dims = list(layer.x.shape)
    if _has_parts(layer):
        dims.pop()
    del dims[layer.attrs["axis"]]
    if None in dims:
        raise UnknownDimensionError(f"layer {layer.name}: the shape {layer.x.shape} is data-dependent")
    return prod(n or 0 for n in dims)


def _work(layer: Layer) -> tuple[int, int]:
    n = size(layer, "n")
    if layer.attrs.get("onesided"):
        return real_transform(n, bool(layer.attrs.get("inverse")))
    return complex_transform(n)


def _numbers(layer: Layer) -> int:
    """Real numbers in y."""
    return layer.y.numel * (2 if "complex" in layer.y.dtype else 1)


def _fft_symbols(layer: Layer) -> Mapping[str, int]:
    """M: transforms; A: additions of one; P: multiplications of one; S: real numbers in y"""
    size(layer, "axis")
    adds, muls = _work(layer)
    return {"M": _lines(layer), "A": adds, "P": muls, "S": _numbers(layer)}


@formula("fft", symbols=_fft_symbols, source=_SOURCE)
def fft(layer: Layer) -> Cost:
    """transform: M·A adds, M·P muls; scale: S muls

    A and P by Cooley–Tukey: 5·n·log₂ n in all for a power of two, a little more than half of that for a real signal
    (``onesided``); by Bluestein's algorithm where n has a prime factor above 13. Twiddle factors are a table. An
    inverse transform divides by n, unless ``scaled`` says otherwise.
    """
    s = _fft_symbols(layer)
    terms = {"transform": Counts(adds=s["M"] * s["A"], muls=s["M"] * s["P"])}
    if layer.attrs.get("scaled", layer.attrs.get("inverse")):
        terms["scale"] = Counts(muls=s["S"])
    return Cost(terms)


def _stft_symbols(layer: Layer) -> Mapping[str, int]:
    """M: frames; L: elements of a frame; A: additions of one transform; P: multiplications of one"""
    length = size(layer, "frame_length")
    onesided = layer.attrs.get("onesided", True)
    bins = length // 2 + 1 if onesided else length
    adds, muls = real_transform(length) if onesided else complex_transform(length)
    numbers = _numbers(layer)
    return {"M": numbers // (2 * bins) if bins else 0, "L": length, "A": adds, "P": muls}


@formula("stft", symbols=_stft_symbols, source=_SOURCE)
def stft(layer: Layer) -> Cost:
    """window: M·L muls; transform: M·A adds, M·P muls

    Every frame is multiplied by the window, where there is one, and transformed as ``fft`` says.
    """
    s = _stft_symbols(layer)
    terms = {"window": Counts(muls=s["M"] * s["L"])} if "window" in layer.inputs else {}
    terms["transform"] = Counts(adds=s["M"] * s["A"], muls=s["M"] * s["P"])
    return Cost(terms)


FORMULAS = (fft, stft)
