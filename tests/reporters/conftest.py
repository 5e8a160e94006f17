"""A small net, built by hand, with every state a layer can have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multiprof import Graph, Layer, Parameter, Report, TensorSpec, engine, passes, registry


class Builder:
    """Collects layers that each read the output of the one before."""

    def __init__(self) -> None:
        self.x = TensorSpec((2, 3, 8, 8), "float32", "x")
        self.current = self.x
        self.layers: list[Layer] = []
        self.parameters: dict[str, Parameter] = {}

    def weight(self, name: str, shape: tuple[int, ...], kind: str = "parameter", trainable: bool = True) -> TensorSpec:
        spec = TensorSpec(shape, "float32", name)
        self.parameters[name] = Parameter(spec, kind, trainable if kind == "parameter" else None)
        return spec

    def add(self, name: str, op: str, shape: tuple[int, ...], scope: str, attrs=None, **operands: TensorSpec) -> None:
        inputs = operands if "x0" in operands else {"x": self.current, **operands}
        self.current = TensorSpec(shape, "float32", name)
        self.layers.append(Layer(name, op, inputs, {"y": self.current}, attrs or {}, scope, source=f"call_{op}"))


def conv(channels: int, out: int) -> dict[str, object]:
    return {
        "kernel_size": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1,
        "in_channels": channels, "out_channels": out, "data_format": "NCHW",
    }  # fmt: skip


# The classes of the modules that an adapter saw running; containers that are never called have none.
CLASSES = {"": "Net", "stem": "Stem", "stem.conv": "Conv2d", "body.0": "Block", "body.1": "TiedBlock", "head": "Linear"}


def make(*, full: bool = True, classes: dict[str, str] | None = None) -> Report:
    """x 2×3×8×8 → stem (conv 3×3/2 to 4 channels, folded norm, relu) → flatten → body.0 (linear 64 → 10, relu),
    body.1 (linear 10 → 10 twice with one weight), add → head (linear 10 → 5); ``full`` adds an op nobody knows."""
    b = Builder()
    b.add("stem.conv", "conv", (2, 4, 4, 4), "stem.conv", conv(3, 4), weight=b.weight("stem.conv.weight", (4, 3, 3, 3)))
    names = {"weight": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    norm = {
        r: b.weight(f"stem.norm.{n}", (4,), "parameter" if r in ("weight", "bias") else "buffer")
        for r, n in names.items()
    }
    b.add("stem.norm", "batch_norm", (2, 4, 4, 4), "stem.norm", {"channels": 4, "eps": 1e-5}, **norm)
    b.add("stem.act", "relu", (2, 4, 4, 4), "stem.act")
    b.add("flatten", "reshape", (2, 64), "", {"shape": (2, 64)})
    linear = {"in_features": 64, "out_features": 10}
    b.add("body.0.fc", "linear", (2, 10), "body.0.fc", linear, weight=b.weight("body.0.fc.weight", (10, 64)))
    b.add("body.0/relu", "relu", (2, 10), "body.0")
    skip = b.current
    scaled = TensorSpec((10, 10), "float32", "body.1.fc/mul")
    shared = b.weight("body.1.fc.weight", (10, 10), trainable=False)
    b.layers.append(Layer(scaled.name, "mul", {"x0": shared}, {"y": scaled}, {"scalar": 2.0}, "body.1.fc"))
    linear = {"in_features": 10, "out_features": 10}
    b.add("body.1.fc", "linear", (2, 10), "body.1.fc", linear, weight=scaled)
    b.add("body.1.fc_1", "linear", (2, 10), "body.1.fc", linear, weight=shared)
    b.add("body/add", "add", (2, 10), "body", x0=b.current, x1=skip)
    if full:
        b.add("odd", "toy.mystery", (2, 10), "odd")
    linear = {"in_features": 10, "out_features": 5}
    b.add(
        "head",
        "linear",
        (2, 5),
        "head",
        linear,
        weight=b.weight("head.weight", (5, 10)),
        bias=b.weight("head.bias", (5,)),
    )
    b.weight("spare.weight", (3, 3))
    metadata = {"framework_version": "7.5", "rung": "by the book", "batch": True}
    if classes is not None:
        metadata["modules"] = classes
    graph = Graph("Net", "toy", (b.x,), (b.current,), tuple(b.layers), b.parameters, {}, metadata)
    for apply in passes.default_passes:
        graph = apply(graph)
    tool = {"name": "multiprof", "version": "0"}
    return engine.price(graph, registry.build().formulas(), tool=tool, warnings=["mind the gap"] if full else [])


# Worked by hand. conv: |y| = 2·4·4·4 = 128, K·C_i = 27; the linear layers N·I·O.
CONV, FC, SQUARE, HEAD = 128 * 27, 2 * 64 * 10, 2 * 10 * 10, 2 * 10 * 5
MACS = CONV + FC + 2 * SQUARE + HEAD
PARAMS = 4 * 27 + 2 * 4 + 640 + 100 + (50 + 5) + 9


@pytest.fixture
def report() -> Report:
    return make()


@pytest.fixture
def whole() -> Report:
    """The same net without the unknown op and without a warning."""
    return make(full=False)


@pytest.fixture
def classified() -> Report:
    """The same net from an adapter that knows the classes of its modules."""
    return make(full=False, classes=CLASSES)


@pytest.fixture
def one_layer() -> Callable[..., Report]:
    """A net of one linear layer with names of the caller's choice."""

    def build(name: str, scope: str = "", model: str = "Net", reason: str = "") -> Report:
        x, y = TensorSpec((1, 2), "float32", "x"), TensorSpec((1, 3), "float32", name)
        weight = Parameter(TensorSpec((3, 2), "float32", f"{name}.weight"), trainable=None)
        attrs = {"in_features": 2, "out_features": 3}
        layer = Layer(name, "linear", {"x": x, "weight": weight.spec}, {"y": y}, attrs, scope)
        graph = Graph(model, "toy", (x,), (y,), (layer,), {weight.name: weight})
        return engine.price(graph, registry.build().formulas(), warnings=[reason] if reason else [])

    return build
