"""What TensorFlow wraps in views or spells out: convolutions over rows, products on more than two axes, norms, gelu.

`tf.nn.conv1d` is a convolution over images of one row, `tf.tensordot` with a weight a product of matrices: between two
views that only add and take away that axis, or merge and split the leading ones, stands what was meant. A dilated
convolution is often a dense one between SpaceToBatch and BatchToSpace.
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
    return _merged(writer, outputs, {"reshape": (_rows, _product), "transpose": (_dilated,), "slice": (_dilated,)})


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


def _rows(net: Net, i: int) -> bool:
    """Convolutions over (N, 1, T, C) or (N, C, 1, T), between the views that add the axis and drop it."""
    last = net.layers[i]
    assert last is not None
    hosts: list[Layer] = []
    spec = last.x
    while (host := net.made(spec, last, "conv")) is not None:
        hosts.insert(0, host)
        spec = host.x
    x = _view(net, spec, last)
    order = {"NHWC": "NLC", "NCHW": "NCL"}.get(hosts[0].attrs.get("data_format", "")) if hosts else None
    if order is None or x is None:
        return False
    axis = 1 if order == "NLC" else 2
    if _dropped(spec.shape, axis) != x.shape or _dropped(last.x.shape, axis) != last.y.shape:
        return False
    made: list[Layer] = []
    for host in hosts:
        weight = _row_of(net, host.inputs["weight"], last)
        shape = _dropped(host.y.shape, axis)
        attrs = host.attrs
        if (
            weight is None
            or shape is None
            or attrs["padding"] is None
            or attrs["data_format"] != hosts[0].attrs["data_format"]
        ):
            return False
        if attrs["kernel_size"][0] != 1 or attrs["padding"][0] != (0, 0):
            return False
        one = {name: attrs[name][1:] for name in ("kernel_size", "stride", "padding", "dilation")}
        y = last.y if host is hosts[-1] else TensorSpec(shape, host.y.dtype, host.y.name)
        inputs = {**host.inputs, "x": x, "weight": weight}
        made.append(replace(host, inputs=inputs, outputs={"y": y}, attrs={**attrs, **one, "data_format": order}))
        x = y
    for host, layer in zip(hosts[:-1], made[:-1], strict=True):
        net.put(host, layer, [])
    net.put(last, made[-1], [hosts[-1]])
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


def _dilated(net: Net, i: int) -> bool:
    """A dense convolution of every block's positions, put together again and cropped: a dilated one."""
    last = net.layers[i]
    assert last is not None
    back = last if last.op == "transpose" else net.made(last.x, last, "transpose")
    crops = last.attrs.get("crops", ()) if last.op == "slice" else ()
    following = net.layers[i + 1] if i + 1 < len(net.layers) else None
    if back is None or "blocks" not in back.attrs or (last.op == "slice" and not crops):
        return False
    if back is last and following is not None and "crops" in following.attrs and following.x.name == last.y.name:
        return False  # it is merged there
    host = net.made(back.x, last, "conv")
    cut = None if host is None else net.made(host.x, last, "transpose")
    if host is None or cut is None or cut.attrs.get("blocks") != back.attrs["blocks"]:
        return False
    attrs = host.attrs
    count = len(attrs["kernel_size"])
    plain = attrs["stride"] == attrs["dilation"] == (1,) * count and attrs["padding"] == ((0, 0),) * count
    if not plain or not attrs["data_format"].endswith("C"):
        return False
    pad = net.made(cut.x, last, "pad")
    x = cut.x if pad is None else pad.x
    before = ((0, 0),) * count if pad is None else pad.attrs["padding"][1 : count + 1]
    crops = (*crops, *[(0, 0)] * (count - len(crops)))
    dilation = (*back.attrs["blocks"], *[1] * (count - len(back.attrs["blocks"])))
    padding = tuple((a - c, b - d) for (a, b), (c, d) in zip(before, crops, strict=True))
    sizes = zip(x.shape[1:-1], last.y.shape[1:-1], padding, dilation, attrs["kernel_size"], strict=True)
    if None in (*x.shape, *last.y.shape) or any(n + sum(p) - d * (k - 1) != m or min(p) < 0 for n, m, p, d, k in sizes):
        return False
    changed = {**attrs, "padding": padding, "dilation": dilation}
    made = replace(host, inputs={**host.inputs, "x": x}, outputs=dict(last.outputs), attrs=changed)
    net.put(last, made, [layer for layer in (back, host, cut, pad) if layer is not None])
    return True


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
