"""Writes resnet50.onnx and mobilenetv2.onnx: the whole networks, with every shape and no weights.

    python examples/make_onnx.py [FOLDER]

Each weight is a ConstantOfShape node, as in the "light" models of the onnx package: a file of some 50 kB that loads
and runs everywhere. A weight's value is 1/(number of inputs a sum has), so that a run stays finite. Nodes are named
as PyTorch's exporter names them, weights as torchvision's checkpoints do. The output is the same at every run.
"""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path

import onnx
from onnx import TensorProto, helper

IMAGE = (1, 3, 224, 224)
CLASSES = 1000


class Net:
    """A graph being written. Every method adds nodes, and returns the name of what they compute."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.weights: list[onnx.NodeProto] = []
        self.stored: list[onnx.TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []

    def weight(self, name: str, shape: tuple[int, ...], value: float) -> str:
        """A weight: its shape is stored, its values are not."""
        self.stored.append(helper.make_tensor(f"{name}.shape", TensorProto.INT64, (len(shape),), shape))
        filling = helper.make_tensor("value", TensorProto.FLOAT, (1,), [value])
        self.weights.append(
            helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], f"{name}/fill", value=filling)
        )
        return name

    def node(self, op: str, module: str, inputs: list[str], **attributes: object) -> str:
        """A node of the module ``layer1.0.conv1``, named ``/layer1/layer1.0/conv1/Op`` (numbered if there are more)."""
        name = f"{path(module)}/{op}"
        same = sum(node.name == name or node.name.startswith(f"{name}_") for node in self.nodes)
        name = f"{name}_{same}" if same else name
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attributes))
        return output

    def conv(
        self, module: str, x: str, channels: tuple[int, int], kernel: int, stride: int = 1, groups: int = 1
    ) -> str:
        """A convolution without bias, padded so that stride 1 keeps the size; ``channels`` are in and out."""
        shape = (channels[1], channels[0] // groups, kernel, kernel)
        weight = self.weight(f"{module}.weight", shape, 1 / prod(shape[1:]))
        return self.node(
            "Conv", module, [x, weight], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4,
            dilations=[1, 1], group=groups,
        )  # fmt: skip

    def norm(self, module: str, x: str, channels: int) -> str:
        """A batch norm: two learned values and two statistics a channel."""
        names = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
        values = [self.weight(f"{module}.{name}", (channels,), value) for name, value in names.items()]
        return self.node("BatchNormalization", module, [x, *values], epsilon=1e-5)

    def classifier(self, module: str, x: str, features: int) -> None:
        """A fully connected layer to the classes, the last node of the net."""
        weight = self.weight(f"{module}.weight", (CLASSES, features), 1 / features)
        bias = self.weight(f"{module}.bias", (CLASSES,), 0.0)
        self.node("Gemm", module, [x, weight, bias], transB=1)
        self.nodes[-1].output[0] = "logits"

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.weights + self.nodes,
            self.name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (IMAGE[0], CLASSES))],
            self.stored,
        )
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="multiprof examples")
        onnx.checker.check_model(model, full_check=True)
        return model


def path(module: str) -> str:
    """``layer1.0.conv1`` as PyTorch's exporter writes it: /layer1/layer1.0/conv1 (a number keeps its container)."""
    parts: list[str] = []
    for part in module.split(".") if module else []:
        parts.append(f"{parts[-1]}.{part}" if part.isdigit() else part)
    return "".join(f"/{part}" for part in parts)


def resnet50() -> onnx.ModelProto:
    """ResNet-50 (He et al. 2015), with the stride in the 3×3 convolution, as in examples/resnet50.py."""
    net = Net("resnet50")
    x = net.norm("bn1", net.conv("conv1", "image", (3, 64), kernel=7, stride=2), 64)
    x = net.node("Relu", "relu", [x])
    x = net.node("MaxPool", "maxpool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (width, depth) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(depth):
            stride = 2 if stage > 1 and block == 0 else 1
            x = bottleneck(net, f"layer{stage}.{block}", x, channels, width, stride)
            channels = 4 * width
    x = net.node("GlobalAveragePool", "avgpool", [x])
    net.classifier("fc", net.node("Flatten", "", [x]), channels)
    return net.model()


def bottleneck(net: Net, block: str, x: str, channels: int, width: int, stride: int) -> str:
    """1×1 to ``width`` channels, 3×3, 1×1 to four times as many, and the input added at the end."""
    wide = 4 * width
    y = net.norm(f"{block}.bn1", net.conv(f"{block}.conv1", x, (channels, width), 1), width)
    y = net.node("Relu", f"{block}.relu", [y])
    y = net.norm(f"{block}.bn2", net.conv(f"{block}.conv2", y, (width, width), 3, stride), width)
    y = net.node("Relu", f"{block}.relu", [y])
    y = net.norm(f"{block}.bn3", net.conv(f"{block}.conv3", y, (width, wide), 1), wide)
    if channels != wide:
        x = net.norm(f"{block}.downsample.1", net.conv(f"{block}.downsample.0", x, (channels, wide), 1, stride), wide)
    return net.node("Relu", f"{block}.relu", [net.node("Add", block, [y, x])])


# expansion, output channels, blocks, stride of the first: table 2 of Sandler et al. 2018
MOBILENETV2 = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def mobilenetv2() -> onnx.ModelProto:
    """MobileNetV2 of width 1.0 (Sandler et al. 2018, "Inverted Residuals and Linear Bottlenecks")."""
    net = Net("mobilenetv2")
    net.stored += [
        helper.make_tensor(name, TensorProto.FLOAT, (), [value]) for name, value in [("zero", 0), ("six", 6)]
    ]
    x = conv_norm_relu6(net, "features.0", "image", (3, 32), 3, stride=2)
    channels, place = 32, 1
    for expansion, width, blocks, first_stride in MOBILENETV2:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            x = inverted_residual(net, f"features.{place}", x, (channels, width), expansion, stride)
            channels, place = width, place + 1
    x = conv_norm_relu6(net, f"features.{place}", x, (channels, 1280), 1)
    x = net.node("Flatten", "", [net.node("GlobalAveragePool", "", [x])])
    net.classifier("classifier.1", x, 1280)
    return net.model()


def inverted_residual(net: Net, block: str, x: str, channels: tuple[int, int], expansion: int, stride: int) -> str:
    """1×1 to ``expansion`` times the channels (unless 1), depthwise 3×3, 1×1 down; the input added where it fits."""
    wide = channels[0] * expansion
    y, place = x, 0
    if expansion != 1:
        y, place = conv_norm_relu6(net, f"{block}.conv.0", y, (channels[0], wide), 1), 1
    y = conv_norm_relu6(net, f"{block}.conv.{place}", y, (wide, wide), 3, stride, groups=wide)
    y = net.conv(f"{block}.conv.{place + 1}", y, (wide, channels[1]), 1)
    y = net.norm(f"{block}.conv.{place + 2}", y, channels[1])
    return net.node("Add", block, [x, y]) if stride == 1 and channels[0] == channels[1] else y


def conv_norm_relu6(
    net: Net, module: str, x: str, channels: tuple[int, int], kernel: int, stride: int = 1, groups: int = 1
) -> str:
    """A convolution, its norm, and an activation between 0 and 6."""
    y = net.norm(f"{module}.1", net.conv(f"{module}.0", x, channels, kernel, stride, groups), channels[1])
    return net.node("Clip", f"{module}.2", [y, "zero", "six"])


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for build in (resnet50, mobilenetv2):
        model = build()
        file = folder / f"{model.graph.name}.onnx"
        file.write_bytes(model.SerializeToString(deterministic=True))
        print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
