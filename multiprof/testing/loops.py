"""Contractions as naive loops over counting scalars: the definition that formulas are held against.

Nothing here is clever: a convolution runs over the materialised padded input, a deconvolution over the uncropped
output, accumulators start at zero, and a bias is a separate addition. Shapes are (N, C, spatial …), weights
(C_o, C_i/G, kernel …) for convolution and (C_i, C_o/G, kernel …) for deconvolution. Each function opens the terms
(``dot``, ``bias`` …) it works in and returns its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from multiprof.testing.counting import Array, Counted, Index, Tally, positions, select, softmax, tanh, total

Pairs = Sequence[tuple[int, int]]


def conv(
    tally: Tally,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Index,
    padding: Pairs,
    dilation: Index,
    groups: int,
) -> Array:
    """Convolution of any rank; ``padding`` is (before, after) per spatial dimension."""
    batch, in_channels, *size = x.shape
    out_channels, group_in, *kernel = weight.shape
    group_out = out_channels // groups
    padded = Array((batch, in_channels, *(n + sum(pad) for n, pad in zip(size, padding, strict=True))))
    for index in padded.indices():
        source = (*index[:2], *(i - pad[0] for i, pad in zip(index[2:], padding, strict=True)))
        inside = all(0 <= i < n for i, n in zip(source[2:], size, strict=True))
        padded[index] = x[source] if inside else tally.scalar()
    out_size = (
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(padded.shape[2:], dilation, kernel, stride, strict=True)
    )
    y = Array((batch, out_channels, *out_size))
    for index in y.indices():
        n, o, *position = index
        first = o // group_out * group_in
        window = (
            (padded.at(n, first + c, *_tap_position(position, tap, stride, dilation)), weight.at(o, c, *tap))
            for c in range(group_in)
            for tap in positions(tuple(kernel))
        )
        with tally.term("dot"):
            y[index] = tally.dot(window)
    return _add_bias(tally, y, bias, axis=1)


def conv_transpose(
    tally: Tally,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Index,
    padding: Pairs,
    output_padding: Index,
    dilation: Index,
    groups: int,
) -> Array:
    """Transposed convolution of any rank: every input element is spread over the output, which is cropped after."""
    batch, in_channels, *size = x.shape
    _, group_out, *kernel = weight.shape
    group_in = in_channels // groups
    full = tuple(
        (n - 1) * s + d * (k - 1) + 1 + extra
        for n, s, d, k, extra in zip(size, stride, dilation, kernel, output_padding, strict=True)
    )
    spread = tally.array((batch, group_out * groups, *full), fill=0.0)
    with tally.term("dot"):
        for source in x.indices():
            n, c, *position = source
            for o in range(group_out):
                for tap in positions(tuple(kernel)):
                    channel = c // group_in * group_out + o
                    target = (n, channel, *_tap_position(position, tap, stride, dilation))
                    spread[target] = tally.multiply_add(spread[target], x[source], weight.at(c, o, *tap))
        y = Array((batch, group_out * groups, *(n - sum(pad) for n, pad in zip(full, padding, strict=True))))
        for index in y.indices():
            y[index] = spread.at(*index[:2], *(i + pad[0] for i, pad in zip(index[2:], padding, strict=True)))
            tally.count("dots")
    return _add_bias(tally, y, bias, axis=1)


def linear(tally: Tally, x: Array, weight: Array, bias: Array | None) -> Array:
    """x·Wᵀ + b over the last dimension of x; weight is (out, in)."""
    out_features, in_features = weight.shape
    y = Array((*x.shape[:-1], out_features))
    with tally.term("dot"):
        for index in y.indices():
            *lead, o = index
            y[index] = tally.dot((x.at(*lead, i), weight.at(o, i)) for i in range(in_features))
    return _add_bias(tally, y, bias, axis=-1)


def matmul(tally: Tally, a: Array, b: Array) -> Array:
    """Matrix product of the last two dimensions, the leading ones broadcast as everywhere; ranks from 2."""
    *lead_a, rows, inner = a.shape
    *lead_b, _, columns = b.shape
    rank = max(len(lead_a), len(lead_b))
    sizes_a = [1] * (rank - len(lead_a)) + lead_a
    sizes_b = [1] * (rank - len(lead_b)) + lead_b
    lead = tuple(m if n == 1 else n for m, n in zip(sizes_a, sizes_b, strict=True))
    y = Array((*lead, rows, columns))
    with tally.term("dot"):
        for index in y.indices():
            *batch, i, j = index
            in_a = [0 if n == 1 else p for p, n in zip(batch, sizes_a, strict=True)][rank - len(lead_a) :]
            in_b = [0 if n == 1 else p for p, n in zip(batch, sizes_b, strict=True)][rank - len(lead_b) :]
            y[index] = tally.dot((a.at(*in_a, i, k), b.at(*in_b, k, j)) for k in range(inner))
    return y


def einsum(tally: Tally, equation: str, *operands: Array) -> Array:
    """An explicit Einstein sum of one or two operands; an index of size 1 broadcasts."""
    left, _, out = equation.partition("->")
    names = left.split(",")
    sizes: dict[str, int] = {}
    for letters, operand in zip(names, operands, strict=True):
        for letter, n in zip(letters, operand.shape, strict=True):
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    summed = [letter for letter in sizes if letter not in out]

    def element(letters: str, operand: Array, at: dict[str, int]) -> Counted:
        return operand.at(*(0 if n == 1 else at[letter] for letter, n in zip(letters, operand.shape, strict=True)))

    y = Array(tuple(sizes[letter] for letter in out))
    for index in y.indices():
        points = [
            dict(zip((*out, *summed), (*index, *inner), strict=True))
            for inner in positions(tuple(sizes[letter] for letter in summed))
        ]
        if len(operands) == 1:
            with tally.term("sum"):
                y[index] = total(element(names[0], operands[0], at) for at in points)
        elif summed:
            with tally.term("dot"):
                y[index] = tally.dot(
                    (element(names[0], operands[0], at), element(names[1], operands[1], at)) for at in points
                )
        else:
            with tally.term("product"):
                y[index] = element(names[0], operands[0], points[0]) * element(names[1], operands[1], points[0])
    return y


def attention(
    tally: Tally,
    q: Array,
    k: Array,
    v: Array,
    *,
    scale: float = 1.0,
    added: Array | None = None,
    selected: Array | None = None,
    causal: str = "",
    unmasked: bool = False,
    softcap: float = 0.0,
    dropout: float = 0.0,
) -> Array:
    """softmax(scale·q·kᵀ + mask)·v of (N, heads, L, D) arrays; k and v may have fewer heads (grouped queries).

    ``added`` is a mask (L_q, L_k) to add, ``selected`` one that keeps a score where it is not 0, ``causal`` the
    alignment (``top_left`` or ``bottom_right``) of a causal mask. With ``unmasked`` the loops visit only the pairs the
    causal mask lets through; without, they score every pair and select after. A scale of 1.0 is left out; a
    ``softcap`` c makes c·tanh(score/c) of each score. ``dropout`` multiplies the probabilities by a mask, which here
    keeps all, over the share that is kept.
    """
    batch, heads, q_len, qk_dim = q.shape
    kv_heads, kv_len, v_dim = v.shape[1:]
    offset = kv_len - q_len if causal == "bottom_right" else 0
    hidden = float("-inf")
    y = tally.array((batch, heads, q_len, v_dim), fill=0.0)
    for n, h, i in positions((batch, heads, q_len)):
        g = h // (heads // kv_heads)
        keys = [j for j in range(kv_len) if not (causal and unmasked) or j <= i + offset]
        if not keys:
            continue
        with tally.term("dot"):
            scores = [tally.dot((q.at(n, h, i, d), k.at(n, g, j, d)) for d in range(qk_dim)) for j in keys]
        if scale != 1.0:
            with tally.term("scale"):
                scores = [score * scale for score in scores]
        if softcap:
            with tally.term("cap"):
                scores = [tanh(score / softcap) * softcap for score in scores]
        with tally.term("mask"):
            if added is not None:
                scores = [score + added[(i, j)] for score, j in zip(scores, keys, strict=True)]
            if selected is not None:
                scores = [
                    select(bool(selected[(i, j)].value), score, hidden) for score, j in zip(scores, keys, strict=True)
                ]
            if causal and not unmasked:
                scores = [select(j <= i + offset, score, hidden) for score, j in zip(scores, keys, strict=True)]
        with tally.term("softmax"):
            weights = softmax(scores)
        if dropout:
            with tally.term("dropout"):
                weights = [weight * (tally.scalar(1.0) / (1 - dropout)) for weight in weights]
        with tally.term("dot"):
            for d in range(v_dim):
                y[(n, h, i, d)] = tally.dot((w, v.at(n, g, j, d)) for w, j in zip(weights, keys, strict=True))
    return y


def _tap_position(output: Sequence[int], tap: Index, stride: Index, dilation: Index) -> Iterator[int]:
    """Where a kernel element lies when the kernel's corner is at ``output``·stride."""
    return (p * s + k * d for p, k, s, d in zip(output, tap, stride, dilation, strict=True))


def _add_bias(tally: Tally, y: Array, bias: Array | None, axis: int) -> Array:
    if bias is not None:
        with tally.term("bias"):
            for index in y.indices():
                y[index] = y[index] + bias[(index[axis],)]
    return y


__all__ = ["attention", "conv", "conv_transpose", "einsum", "linear", "matmul"]
