"""What convolution, deconvolution and pooling share: windows and the order of dimensions."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Call, Known
from multiprof.ir import Shape

FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
LAYOUTS = frozenset(("NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC"))
# the representation calls the single spatial dimension L
FORMATS = {"NCW": "NCL", "NWC": "NLC"}


class Window:
    """Kernel, stride, dilation and padding of a node, one number per spatial dimension, and where these stand."""

    __slots__ = ("dilate", "kernel", "last", "layout", "pad", "rank", "stride")

    def __init__(self, call: Call, kernel: tuple[int, ...]) -> None:
        self.rank = rank = len(kernel)
        if rank not in FIRST:
            raise call.error(f"a kernel of {rank} dimensions")
        attrs = call.attrs
        self.kernel = kernel
        self.stride = attrs.ints("stride", (1,) * rank)
        self.dilate = attrs.ints("dilate", (1,) * rank)
        self.pad = attrs.ints("pad", (0,) * rank)
        layout = attrs.text("layout") or FIRST[rank]
        if layout not in LAYOUTS or len(layout) != rank + 2:
            raise attrs.wrong("layout", f"the order of {rank + 2} dimensions")
        self.layout = layout
        self.last = layout[-1] == "C"
        for name, values, least in (("kernel", kernel, 1), ("stride", self.stride, 1), ("dilate", self.dilate, 1)):
            if len(values) != rank or min(values) < least:
                raise attrs.wrong(name, f"{rank} numbers of at least {least}")
        if len(self.pad) != rank or min(self.pad) < 0:
            raise attrs.wrong("pad", f"{rank} numbers of at least 0")

    def split(self, shape: Shape) -> tuple[int | None, int | None, Shape]:
        """Batch, channels and spatial sizes of a tensor in this order of dimensions."""
        if self.last:
            return shape[0], shape[-1], shape[1:-1]
        return shape[0], shape[1], shape[2:]

    def join(self, first: int | None, channels: int | None, spatial: Shape) -> Shape:
        return (first, *spatial, channels) if self.last else (first, channels, *spatial)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        return tuple((p, p) for p in self.pad)

    @property
    def data_format(self) -> str:
        return FORMATS.get(self.layout, self.layout)


def times(a: int | None, b: int) -> int | None:
    return None if a is None else a * b


def over(call: Call, a: int | None, b: int, what: str) -> int | None:
    """``a / b``, which must be whole."""
    if a is None:
        return None
    if b < 1 or a % b:
        raise call.error(f"{a} {what} do not divide into {b} groups")
    return a // b


def split(window: Window, shape: Known) -> tuple[int | None, int | None, Shape]:
    """Batch, channels and spatial sizes, all unknown where the shape is."""
    if shape is None:
        return None, None, (None,) * window.rank
    return window.split(shape)
