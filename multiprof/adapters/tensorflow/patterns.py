"""What TensorFlow wraps in views or spells out: convolutions over rows, products on more than two axes, norms, gelu.

`tf.nn.conv1d` is a convolution over images of one row, `tf.tensordot` with a weight a product of matrices: between two
views that only add and take away that axis, or merge and split the leading ones, stands what was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from multiprof.adapters._common.patterns.gelu import merge_gelu
from multiprof.adapters._common.patterns.net import Net
from multiprof.adapters._common.patterns.norms import merge_norm
from multiprof.adapters._common.writer import GraphWriter
from multiprof.ir import Layer, Shape, TensorSpec

_Patterns = Mapping[str, tuple[Callable[[Net, int], bool], ...]]
_LEADING = "abcdefghilmnopqrstuvwxyz"  # leading axes; j and k are summed and made


def without_views(writer: GraphWriter, outputs: Sequence[TensorSpec]) -> list[Layer]:
    """The layers, convolutions and products free of the views around them. Before biases are looked for."""
    return _merged(writer, outputs, {"reshape": (_row, _product)})


def put_together(writer: GraphWriter, outputs: Sequence[TensorSpec]) -> list[Layer]:
    """The layers, with norms and gelu as one each."""
    return _merged(
        writer, outputs, {"mul": (merge_norm, merge_gelu), "add": (merge_norm,), "div": (merge_norm, merge_gelu)}
    )


def _merged(writer: GraphWriter, outputs: Sequence[TensorSpec], patterns: _Patterns) -> list[Layer]:
    net = Net(writer, outputs)
    for i in range(len(net.layers)):
        layer = net.layers[i]
        if layer is not None:
            any(merge(net, i) for merge in patterns.get(layer.op, ()))
    return [layer for layer in net.layers if layer is not None]


def _view(net: Net, spec: TensorSpec, by: Layer) -> TensorSpec | None:
    """What ``spec`` is a reshape of, whoever else reads that."""
    layer = net.layers[net.maker[spec.name]] if spec.name in net.maker else None
    return layer.x if layer is not None and layer.op == "reshape" and layer.region == by.region else None


def _row(net: Net, i: int) -> bool:
    """A convolution over (N, 1, T, C) or (N, C, 1, T), between the views that add the axis and drop it."""
    last = net.layers[i]
    assert last is not None
    host = net.made(last.x, last, "conv")
    order = None if host is None else {"NHWC": "NLC", "NCHW": "NCL"}.get(host.attrs.get("data_format", ""))
    x = None if host is None else _view(net, host.x, last)
    if host is None or order is None or x is None or host.attrs.get("padding") is None:
        return False
    axis = 1 if order == "NLC" else 2
    attrs = host.attrs
    if not (_dropped(host.x.shape, axis) == x.shape and _dropped(host.y.shape, axis) == last.y.shape):
        return False
    if attrs["kernel_size"][0] != 1 or attrs["padding"][0] != (0, 0) or None in (*x.shape, *last.y.shape):
        return False
    weight = _row_of(net, host.inputs["weight"], last)
    if weight is None:
        return False
    one = {name: attrs[name][1:] for name in ("kernel_size", "stride", "padding", "dilation")}
    inputs = {**host.inputs, "x": x, "weight": weight}
    made = replace(host, inputs=inputs, outputs=dict(last.outputs), attrs={**attrs, **one, "data_format": order})
    net.put(last, made, [host])
    return True


def _row_of(net: Net, weight: TensorSpec, by: Layer) -> TensorSpec | None:
    """The filter without its first axis, of size 1: what it is a view of, or a piece of the parameter itself."""
    shape = weight.shape[1:]
    before = _view(net, weight, by)
    if before is not None:
        return before if before.shape == shape else None
    return TensorSpec(shape, weight.dtype, weight.name) if net.declared(weight) else None


def _dropped(shape: Shape, axis: int) -> Shape | None:
    return (*shape[:axis], *shape[axis + 1 :]) if len(shape) == 4 and shape[axis] == 1 else None


def _product(net: Net, i: int) -> bool:
    """A product of matrices between the view that merges the leading axes and the one that splits them again."""
    last = net.layers[i]
    assert last is not None
    host = net.made(last.x, last, "linear")
    x = None if host is None else _view(net, host.x, last)
    if host is None or x is None or (host.x.rank, host.y.rank, host.inputs["weight"].rank) != (2, 2, 2):
        return False
    shape, made = x.shape, last.y.shape
    if len(shape) < 2 or None in (*shape, *made) or (*shape[:-1], host.y.shape[-1]) != made:
        return False
    if shape[-1] != host.x.shape[-1] or len(shape) > len(_LEADING):
        return False
    attrs = dict(host.attrs)
    if attrs.get("equation") == "ij,jk->ik":
        leading = _LEADING[: len(shape) - 1]
        attrs["equation"] = f"{leading}j,jk->{leading}k"
    elif "equation" in attrs:
        return False
    net.put(last, replace(host, inputs={**host.inputs, "x": x}, outputs=dict(last.outputs), attrs=attrs), [host])
    return True


__all__ = ["put_together", "without_views"]
