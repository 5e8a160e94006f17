"""The kernels that calibration times: single layers of matrix products, convolutions and streams, each as a graph.

Their sizes are those of no particular network. As graphs they are lowered, and their work is counted, by the code that
lowers and counts models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from multiprof import Graph, Report, TensorSpec
from multiprof.cost import index_formulas
from multiprof.engine import price
from multiprof.formulas import multiprof_formulas
from multiprof.testing.graphs import GraphBuilder
from multiprof.work import Work, works

COPY, READ, START, GEMM, RECURRENT = "copy", "read", "start", "gemm", "recurrent"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel to time.

    Families and their sizes: ``gemm``, ``linear``, ``recurrent`` (the product of a step) and ``read`` (the weights of a
    product with one row): rows, inner, columns · ``max_pool`` and ``avg_pool``: height and width, channels, kernel,
    stride · ``convolution``: height and width, channels in, channels out, kernel, stride · ``depthwise``: height and
    width, channels, kernel, stride · ``deconvolution``: as a convolution · ``matmul``: stack, rows, inner, columns ·
    ``copy`` and ``start``: elements · any other: an op of the vocabulary, and the shape of its input.
    """

    family: str
    sizes: tuple[int, ...]
    dtype: str = "float32"

    def graph(self, dtype: str = "", channels_last: bool = True) -> Graph:
        """The layer alone, on ``dtype`` where it is not the kernel's own."""
        net = GraphBuilder("kernel", dtype or self.dtype)
        return net.graph(_layer(net, self, channels_last))

    @property
    def kind(self) -> str:
        """The name under which predictions look for such kernels."""
        return RECURRENT if self.family == RECURRENT else self.work.kinds[0]

    @property
    def work(self) -> Work:
        """Its multiply-adds and the bytes of its operands, as predictions count them."""
        (row,) = price(self.graph(), _formulas()).layers
        return works(row)[0]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel ready to run. ``refresh`` writes its inputs anew and touches its results, which brings both into the
    caches, as the layer before leaves them in a model; the weights stay wherever they are.
    """

    run: Callable[[], object]
    refresh: Callable[[], object]


@cache
def _formulas() -> Any:
    return index_formulas(multiprof_formulas())


def report(kernel: Kernel, dtype: str = "", channels_last: bool = True) -> Report:
    return price(kernel.graph(dtype, channels_last), _formulas())


def _layer(net: GraphBuilder, kernel: Kernel, last: bool) -> TensorSpec:
    s = kernel.sizes
    if kernel.family in (GEMM, READ, RECURRENT, "linear"):
        rows, inner, columns = s
        x, w = net.input((rows, inner)), net.parameter("w", (columns, inner))
        inputs = {"x": x, "weight": w, "bias": net.parameter("b", (columns,))}
        return net.layer("linear", inputs, (rows, columns), in_features=inner, out_features=columns)
    if kernel.family == "matmul":
        stack, rows, inner, columns = s
        pair = {"x0": net.input((stack, rows, inner), "a"), "x1": net.input((stack, inner, columns), "b")}
        return net.layer("matmul", pair, (stack, rows, columns), contracted=inner)
    if kernel.family in ("convolution", "depthwise", "deconvolution"):
        return _window(net, kernel, last)
    if kernel.family in ("max_pool", "avg_pool"):
        return _pool(net, kernel, last)
    if kernel.family in (COPY, START):
        return net.layer("abs", {"x": net.input((1, *s))})
    x = net.input((1, *s))
    if kernel.family == "add":
        return net.layer("add", {"x0": x, "x1": net.input((1, *s), "z")})
    if kernel.family == "transpose":
        return net.layer("transpose", {"x": x}, (1, s[1], s[0], *s[2:]), perm=(0, 2, 1, *range(3, 1 + len(s))))
    if kernel.family == "softmax":
        return net.layer("softmax", {"x": x}, axis=(len(s),), n=s[-1])
    if kernel.family == "layer_norm":
        affine = {role: net.parameter(role, s[-1:]) for role in ("weight", "bias")}
        return net.layer("layer_norm", {"x": x, **affine}, normalized_size=s[-1], eps=1e-5)
    return net.layer(kernel.family, {"x": x})


def _window(net: GraphBuilder, kernel: Kernel, last: bool) -> TensorSpec:
    """A convolution as frameworks write one: padded by half the kernel, patches and 2×2 upsampling not at all."""
    if kernel.family == "depthwise":
        height, inner, k, stride = kernel.sizes
        outer, groups = inner, inner
    else:
        height, inner, outer, k, stride = kernel.sizes
        groups = 1

    up = kernel.family == "deconvolution"
    pad = (k - stride) // 2 if up else 0 if k == stride else k // 2
    side = (height - 1) * stride + k - 2 * pad if up else (height + 2 * pad - k) // stride + 1
    shape = (inner, outer, k, k) if up else (outer, inner // groups, k, k)
    inputs = {
        "x": net.input(_image(height, inner, last)), "weight": net.parameter("w", shape),
        "bias": net.parameter("b", (outer,)),
    }  # fmt: skip
    attrs: dict[str, Any] = {
        "kernel_size": (k, k), "stride": (stride, stride), "padding": ((pad, pad), (pad, pad)), "dilation": (1, 1),
        "groups": groups, "in_channels": inner, "out_channels": outer, "data_format": "NHWC" if last else "NCHW",
    }  # fmt: skip
    if up:
        attrs["output_padding"] = (0, 0)
    return net.layer("conv_transpose" if up else "conv", inputs, _image(side, outer, last), **attrs)


def _pool(net: GraphBuilder, kernel: Kernel, last: bool) -> TensorSpec:
    height, channels, k, stride = kernel.sizes
    side = (height - k) // stride + 1
    return net.layer(
        kernel.family, {"x": net.input(_image(height, channels, last))}, _image(side, channels, last),
        kernel_size=(k, k), stride=(stride, stride), padding=((0, 0), (0, 0)), dilation=(1, 1),
        data_format="NHWC" if last else "NCHW",
    )  # fmt: skip


def _image(side: int, channels: int, last: bool) -> tuple[int, ...]:
    return (1, side, side, channels) if last else (1, channels, side, side)


# rows, inner, columns: every side large and small
LINEAR = (
    (1, 1024, 1024), (1, 4096, 384), (4, 640, 2048), (16, 1024, 640), (48, 640, 1024), (128, 640, 640),
    (192, 160, 800), (192, 800, 160), (256, 64, 1024), (640, 1024, 48),
)  # fmt: skip
# height and width, channels in, channels out, kernel, stride
DENSE = (
    (48, 64, 64, 3, 1), (24, 128, 128, 3, 1), (12, 256, 256, 3, 1), (6, 512, 512, 3, 1), (48, 64, 128, 3, 2),
    (24, 128, 32, 3, 1), (96, 32, 32, 3, 1), (24, 40, 64, 5, 1),
)  # fmt: skip
POINTWISE = (
    (96, 20, 80, 1, 1), (48, 32, 160, 1, 1), (48, 160, 32, 1, 1), (48, 64, 256, 1, 1), (24, 128, 512, 1, 1),
    (12, 80, 480, 1, 1), (12, 480, 80, 1, 1), (12, 1024, 256, 1, 1), (6, 512, 2048, 1, 1), (6, 800, 160, 1, 1),
    (24, 256, 512, 1, 2),
)  # fmt: skip
THIN = ((192, 3, 32, 3, 2), (192, 3, 64, 7, 2), (160, 3, 24, 3, 1), (192, 3, 256, 16, 16))
DEPTHWISE = (
    (96, 40, 3, 1), (48, 160, 3, 1), (24, 200, 5, 1), (12, 480, 3, 1), (6, 800, 5, 1), (96, 80, 3, 2),
    (48, 160, 5, 2), (24, 320, 3, 2), (12, 640, 5, 2),
)  # fmt: skip
DECONVOLUTION = (
    (6, 384, 192, 4, 2), (12, 192, 96, 4, 2), (24, 96, 48, 4, 2), (40, 48, 4, 4, 2), (12, 160, 80, 2, 2),
    (24, 80, 80, 2, 2),
)  # fmt: skip
MATMUL = ((8, 128, 64, 128), (4, 256, 32, 256), (8, 128, 128, 64), (12, 64, 64, 64), (2, 512, 64, 512))
STREAMS = (
    ("sigmoid", (1 << 16,)), ("tanh", (1 << 15,)), ("gelu", (128, 1024)), ("add", (1 << 16,)), ("add", (1 << 19,)),
    ("layer_norm", (128, 256)), ("layer_norm", (192, 640)), ("softmax", (8, 128, 128)), ("softmax", (64, 512)),
    ("max_pool", (49, 64, 3, 2)), ("max_pool", (48, 96, 2, 2)), ("avg_pool", (24, 160, 2, 2)),
    ("transpose", (160, 480)), ("transpose", (128, 8, 64)),
)  # fmt: skip
COPIES = (1 << 12, 1 << 15, 1 << 17, 1 << 19, 1 << 21, 1 << 22, 1 << 23, 1 << 24)  # elements
STEPS = ((1, 160, 640), (1, 320, 1280), (1, 640, 1920), (4, 320, 1280))  # rows, inner, columns
READS = (64, 256, 1024, 2048, 4096, 8192, 24576)  # columns of 1024


def _all() -> Iterator[Kernel]:
    yield Kernel(START, (16,))
    yield Kernel(GEMM, (1024, 1024, 1024))
    yield Kernel(GEMM, (512, 512, 512))
    for family, shapes in _SHAPES.items():
        yield from (Kernel(family, shape) for shape in shapes)
    yield from (Kernel(name, shape) for name, shape in STREAMS)
    yield from (Kernel(RECURRENT, shape) for shape in STEPS)
    yield from (Kernel(COPY, (count,)) for count in COPIES)
    yield from (Kernel(READ, (1, 1024, columns)) for columns in READS)


_SHAPES = {
    "linear": LINEAR, "convolution": (*DENSE, *POINTWISE, *THIN), "depthwise": DEPTHWISE,
    "deconvolution": DECONVOLUTION, "matmul": MATMUL,
}  # fmt: skip
KERNELS: tuple[Kernel, ...] = tuple(_all())
# where a runtime computes on 8-bit integers
INTEGERS: tuple[Kernel, ...] = tuple(
    Kernel(kernel.family, kernel.sizes, "int8")
    for kernel in KERNELS
    if kernel.family in (GEMM, "linear", "convolution", "depthwise")
)


__all__ = ["COPY", "GEMM", "INTEGERS", "KERNELS", "READ", "RECURRENT", "START", "Kernel", "Prepared", "report"]
