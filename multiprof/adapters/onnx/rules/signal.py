"""Spectra and determinants."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import axis_of, int_attr, number, unary


def fourier(node: Node) -> None:
    """DFT: the length is the operand ``dft_length``, else the axis has it; the axis is an attribute before opset 20.

    The last dimension holds real and imaginary parts (1 or 2 of them). The inverse of a one-sided spectrum is twice as
    long, less two.
    """
    x = node.need(0)
    if node.version < 20:
        axis: Any = int_attr(node, "axis", 1)
    else:
        axis = number(node.input(2)) if node.input(2) is not None else -2
    attrs: dict[str, Any] = {
        "inverse": bool(int_attr(node, "inverse", 0)),
        "onesided": bool(int_attr(node, "onesided", 0)),
    }
    length = number(node.input(1))
    if axis is None:
        attrs |= {"axis": None, "n": None if length is None else int(length)}
    else:
        place = axis_of(node, int(axis), x.rank)
        n = x.shape[place]
        if attrs["inverse"] and attrs["onesided"]:
            n = node.y.shape[place]
        if node.input(1) is not None:
            n = None if length is None else int(length)
        attrs |= {"axis": place, "n": n}
    node.layer("fft", {"x": x}, None, attrs)


def short_time_fourier(node: Node) -> None:
    """STFT: signal, frame_step, window, frame_length; the length of a frame is the window's where it is not given."""
    window, step, length = node.input(2), number(node.need(1)), number(node.input(3))
    frame: Any = None if length is None else int(length)
    if frame is None and node.input(3) is None and window is not None and window.rank == 1:
        frame = window.shape[0]
    attrs: dict[str, Any] = {
        "frame_length": frame,
        "frame_step": None if step is None else int(step),
        "onesided": bool(int_attr(node, "onesided", 1)),
    }
    node.layer("stft", {"x": node.need(0), "window": window}, None, attrs)


RULES: dict[str, Rule] = {"DFT": fourier, "Det": unary("det"), "STFT": short_time_fourier}
