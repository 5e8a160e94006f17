"""Graphs written by hand, for tests of whatever works on graphs and reports without any framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multiprof.ir import BUFFER, PARAMETER, VIEW, WRITE, Graph, Layer, Parameter, Quant, Region, Shape, TensorSpec


class GraphBuilder:
    """Collects inputs, parameters and layers; every method returns the tensor it makes.

    >>> net = GraphBuilder("net")
    >>> x = net.input((1, 300))
    >>> w = net.parameter("fc.weight", (100, 300))
    >>> y = net.layer("linear", {"x": x, "weight": w}, (1, 100), name="fc", in_features=300)
    >>> graph = net.graph(y)
    """

    def __init__(self, name: str = "net", dtype: str = "float32") -> None:
        self.name = name
        self.dtype = dtype
        self.inputs: list[TensorSpec] = []
        self.parameters: dict[str, Parameter] = {}
        self.regions: dict[str, Region] = {}
        self.layers: list[Layer] = []

    def input(self, shape: Shape, name: str = "x", dtype: str = "") -> TensorSpec:
        spec = TensorSpec(shape, dtype or self.dtype, name)
        self.inputs.append(spec)
        return spec

    def parameter(
        self,
        name: str,
        shape: Shape,
        kind: str = PARAMETER,
        *,
        trainable: bool | None = True,
        dtype: str = "",
        quant: Quant | None = None,
        tied: tuple[str, ...] = (),
    ) -> TensorSpec:
        spec = TensorSpec(shape, dtype or self.dtype, name, quant)
        self.parameters[name] = Parameter(spec, kind, trainable if kind == PARAMETER else None, name, tied)
        return spec

    def region(self, id: str, kind: str, **fields: Any) -> str:
        self.regions[id] = Region(id, kind=kind, **fields)
        return id

    def layer(
        self,
        op: str,
        inputs: Mapping[str, TensorSpec],
        y: Shape | None = None,
        *,
        name: str = "",
        scope: str = "",
        dtype: str = "",
        quant: Quant | None = None,
        region: str | None = None,
        alias: str = "",
        outputs: Mapping[str, Shape] | None = None,
        **attrs: Any,
    ) -> TensorSpec:
        """A layer with the one output ``y``, of the first input's shape unless given, or with ``outputs`` by role.

        ``alias`` is ``view`` or ``write`` when the first output shares the memory of the first input. ``dtype`` and
        ``quant`` are those of all outputs.
        """
        name = name or f"{op}{len(self.layers)}"
        first = next(iter(inputs.values()), None)
        shapes = outputs or {"y": first.shape if y is None and first else y or ()}
        kind = dtype or (first.dtype if first else self.dtype)
        made = {role: TensorSpec(shape, kind, f"{name}:{role}", quant) for role, shape in shapes.items()}
        aliases = ((next(iter(made)), next(iter(inputs)), alias),) if alias in (VIEW, WRITE) else ()
        self.layers.append(Layer(name, op, dict(inputs), made, attrs, scope, f"hand.{op}", region, aliases))
        return next(iter(made.values()))

    def graph(self, *outputs: TensorSpec, **metadata: Any) -> Graph:
        return Graph(
            self.name,
            "hand",
            tuple(self.inputs),
            outputs,
            tuple(self.layers),
            dict(self.parameters),
            dict(self.regions),
            metadata,
        )


def resnet50(batch: int = 1, size: int = 224, stride_in_first: bool = False) -> Graph:
    """ResNet-50 (He et al. 2016), layer by layer; ReLU and the residual addition work in place.

    ``stride_in_first``: a stage's first block strides in its first 1×1 convolution, as in the paper, instead of in the
    3×3 one.
    """
    net = GraphBuilder("resnet50")

    def conv(x: TensorSpec, channels: int, k: int, stride: int, name: str) -> TensorSpec:
        n, c, h, w = (int(d or 0) for d in x.shape)
        pad = k // 2
        h, w = ((extent + 2 * pad - k) // stride + 1 for extent in (h, w))
        scope, _, leaf = name.rpartition(".")
        y = net.layer(
            "conv",
            {"x": x, "weight": net.parameter(f"{name}.weight", (channels, c, k, k))},
            (n, channels, h, w),
            name=name,
            scope=name,
            kernel_size=(k, k),
            stride=(stride, stride),
            padding=((pad, pad), (pad, pad)),
            dilation=(1, 1),
            groups=1,
            in_channels=c,
            out_channels=channels,
            data_format="NCHW",
        )
        norm = f"{scope}.{leaf}_norm".lstrip(".")
        weights = {
            role: net.parameter(f"{norm}.{role}", (channels,), BUFFER if role in ("mean", "var") else PARAMETER)
            for role in ("weight", "bias", "mean", "var")
        }
        return net.layer("batch_norm", {"x": y, **weights}, name=norm, scope=norm, channels=channels, eps=1e-5)

    def relu(x: TensorSpec, name: str) -> TensorSpec:
        return net.layer("relu", {"x": x}, name=name, scope=name, alias=WRITE)

    def pool(op: str, x: TensorSpec, side: int, name: str, **attrs: Any) -> TensorSpec:
        return net.layer(op, {"x": x}, (*x.shape[:2], side, side), name=name, scope=name, data_format="NCHW", **attrs)

    x = net.input((batch, 3, size, size))
    x = relu(conv(x, 64, 7, 2, "conv1"), "relu")
    side = (int(x.shape[-1] or 0) + 2 - 3) // 2 + 1
    x = pool("max_pool", x, side, "maxpool", kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
    stages: Sequence[tuple[int, int, int]] = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
    for stage, (width, blocks, first) in enumerate(stages, 1):
        for block in range(blocks):
            at, stride = f"layer{stage}.{block}", first if block == 0 else 1
            strides = (stride, 1) if stride_in_first else (1, stride)
            y = relu(conv(x, width, 1, strides[0], f"{at}.conv1"), f"{at}.relu1")
            y = relu(conv(y, width, 3, strides[1], f"{at}.conv2"), f"{at}.relu2")
            y = conv(y, 4 * width, 1, 1, f"{at}.conv3")
            skip = conv(x, 4 * width, 1, stride, f"{at}.downsample") if block == 0 else x
            y = net.layer("add", {"x0": y, "x1": skip}, name=f"{at}.add", scope=at, alias=WRITE)
            x = relu(y, f"{at}.relu3")
    side = int(x.shape[-1] or 0)
    x = pool("adaptive_avg_pool", x, 1, "avgpool", input_size=(side, side), output_size=(1, 1))
    x = net.layer("reshape", {"x": x}, (batch, 2048), name="flatten", alias=VIEW)
    fc = {"weight": net.parameter("fc.weight", (1000, 2048)), "bias": net.parameter("fc.bias", (1000,))}
    y = net.layer("linear", {"x": x, **fc}, (batch, 1000), name="fc", scope="fc", in_features=2048, out_features=1000)
    return net.graph(y, batch=True)


__all__ = ["GraphBuilder", "resnet50"]
