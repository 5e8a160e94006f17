"""Windows over images: TFLite's two ways of padding, and shapes that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

from multiprof.adapters._common.shapes import same_padding
from multiprof.adapters.tflite.node import Node

SAME, VALID = 0, 1
FORMATS = {1: "NLC", 2: "NHWC", 3: "NDHWC"}

Pairs = tuple[tuple[int, int], ...]


def slide(
    node: Node,
    sizes: Sequence[int | None],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int] | None = None,
) -> tuple[tuple[int | None, ...], Pairs]:
    """Sizes of the result and padding of windows over ``sizes``.

    SAME gives ⌈size/stride⌉ elements and puts the odd one of the padding behind; VALID has no padding and gives
    ⌈(size − reach + 1)/stride⌉. Where a size is not known SAME is written as the padding at stride 1.
    """
    mode = node.options["padding"]
    if mode not in (SAME, VALID):
        raise node.fail(f"its padding {mode} is neither SAME nor VALID")
    dilation = dilation or (1,) * len(kernel)
    if min((*kernel, *stride, *dilation)) < 1:
        raise node.fail(f"kernel {tuple(kernel)}, stride {tuple(stride)} and dilation {tuple(dilation)} must be ≥ 1")
    outputs: list[int | None] = []
    pairs: list[tuple[int, int]] = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        reach = (k - 1) * d + 1
        if mode == VALID:
            pairs.append((0, 0))
            outputs.append(None if size is None else (size - reach) // s + 1)
            if size is not None and size < reach:
                raise node.fail(f"a kernel of {k} (dilation {d}) does not fit {size}")
        else:
            pairs.append(((reach - 1) // 2, reach // 2) if size is None else same_padding(size, k, s, d))
            outputs.append(None if size is None else -(-size // s))
    return tuple(outputs), tuple(pairs)


__all__ = ["FORMATS", "SAME", "VALID", "Pairs", "slide"]
