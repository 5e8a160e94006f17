"""Receptive fields against sets of positions pushed through the operations, and against the recurrence by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.errors import ModelError
from multiprof.ir import CONSTANT, Graph, TensorSpec
from multiprof.receptive_field import ReceptiveField, receptive_fields
from multiprof.testing.graphs import GraphBuilder, resnet50


def square(size: int, jump: int | Fraction) -> ReceptiveField:
    return ReceptiveField((size, size), (Fraction(jump), Fraction(jump)))


def last_field(graph: Graph) -> ReceptiveField | None:
    return receptive_fields(graph).get(graph.layers[-1].name)


# The oracle: for every element along one dimension the set of input positions it depends on, without any border.

Seen = list[frozenset[int]]


def slide(seen: Seen, k: int, stride: int, dilation: int) -> Seen:
    last = (k - 1) * dilation
    return [frozenset().union(*(seen[o + m * dilation] for m in range(k))) for o in range(0, len(seen) - last, stride)]


def transposed(seen: Seen, k: int, stride: int) -> Seen:
    """Output o meets the inputs i with o = i·stride + m; the borders, which meet fewer, are cut off."""
    found = []
    for o in range(k - 1, (len(seen) - 1) * stride + 1):
        inputs = [i for i in range(len(seen)) if 0 <= o - i * stride < k]
        found.append(frozenset().union(*(seen[i] for i in inputs)))
    return found


def nearest(seen: Seen, factor: int) -> Seen:
    return [s for s in seen for _ in range(factor)]


def widest(seen: Seen) -> int:
    return max((max(s) - min(s) + 1 for s in seen if s), default=0)


Step = tuple[str, int, int, int]
windows = st.tuples(st.sampled_from(["conv", "max_pool"]), st.integers(1, 4), st.integers(1, 3), st.integers(1, 2))
upsampling = st.one_of(
    st.tuples(st.just("conv_transpose"), st.integers(2, 5), st.integers(1, 3), st.just(1)),
    st.tuples(st.just("resize"), st.just(1), st.integers(2, 3), st.just(1)),
)


def chain(steps: Sequence[Step]) -> tuple[GraphBuilder, Seen]:
    """The steps as layers over one spatial dimension, and what each element of the result sees of 150 positions."""
    net = GraphBuilder()
    x = net.input((1, 2, 150))
    seen: Seen = [frozenset((position,)) for position in range(150)]
    for op, k, stride, dilation in steps:
        if op == "resize":
            seen = nearest(seen, stride)
            x = net.layer(op, {"x": x}, (1, 2, int(x.shape[2] or 0) * stride), mode="nearest", data_format="NCL")
            continue
        seen = transposed(seen, k, stride) if op == "conv_transpose" else slide(seen, k, stride, dilation)
        attrs = {"kernel_size": (k,), "stride": (stride,), "dilation": (dilation,), "data_format": "NCL"}
        x = net.layer(op, {"x": x}, (1, 2, len(seen)), **attrs)
    return net, seen


@given(st.lists(windows, min_size=1, max_size=4))
def test_chains_of_windows_see_what_they_see(steps: list[Step]) -> None:
    net, seen = chain(steps)
    field = last_field(net.graph())
    assert field is not None
    jump = 1
    for _, _, stride, _ in steps:
        jump *= stride
    assert field.jump == (jump,)
    if len(seen) > 1:  # enough positions to see it all
        assert field.size == (widest(seen),)


@given(st.lists(windows, max_size=2), upsampling, st.lists(st.integers(1, 4), max_size=3))
def test_windows_after_upsampling(before: list[Step], up: Step, kernels: list[int]) -> None:
    net, seen = chain([*before, up, *(("conv", k, 1, 1) for k in kernels)])
    field = last_field(net.graph())
    assert field is not None
    if len(seen) > 6:  # every phase of the finer grid occurs
        assert field.size == (widest(seen),)


@given(st.lists(st.one_of(windows, upsampling), min_size=1, max_size=5))
def test_no_element_sees_more_than_is_said(steps: list[Step]) -> None:
    """Striding after upsampling may leave out the elements that see most; the field is then an upper bound."""
    if sum(stride for op, _, stride, _ in steps if op in ("conv_transpose", "resize")) > 6:
        return
    net, seen = chain(steps)
    field = last_field(net.graph())
    assert field is not None
    assert field.size[0] >= widest(seen)


@given(st.lists(windows, min_size=1, max_size=4), st.lists(windows, min_size=1, max_size=4))
def test_where_paths_meet_the_widest_counts(left: list[Step], right: list[Step]) -> None:
    """The same strides on both paths, so that they can be added."""
    right = [(op, k, stride, d) for (op, k, _, d), (_, _, stride, _) in zip(right, left, strict=False)]
    left = left[: len(right)]
    sizes = []
    net = GraphBuilder()
    x = net.input((1, 2, 150))
    ends = []
    for steps in (left, right):
        y = x
        for op, k, stride, dilation in steps:
            attrs = {"kernel_size": (k,), "stride": (stride,), "dilation": (dilation,)}
            y = net.layer(op, {"x": y}, (1, 2, 99), **attrs)
        ends.append(y)
        sizes.append(receptive_fields(net.graph())[net.layers[-1].name].size[0])
    net.layer("add", {"x0": ends[0], "x1": ends[1]}, name="sum")
    field = last_field(net.graph())
    assert field is not None
    assert field.size == (max(sizes),)


def test_vgg16_by_hand() -> None:
    """3×3 convolutions add 2·j, pools 1·j and double j (Simonyan & Zisserman 2015; Araujo et al. 2019 say 212).

    2 at j=1: 5, pool 6; 2 at 2: 14, pool 16; 3 at 4: 40, pool 44; 3 at 8: 92, pool 100; 3 at 16: 196, pool 212.
    """
    net = GraphBuilder()
    x = net.input((1, 3, 224, 224))
    ends = []
    for convs in (2, 2, 3, 3, 3):
        for _ in range(convs):
            x = net.layer("conv", {"x": x}, x.shape, kernel_size=(3, 3), stride=(1, 1), data_format="NCHW")
            x = net.layer("relu", {"x": x})
        half = int(x.shape[-1] or 0) // 2
        x = net.layer("max_pool", {"x": x}, (1, 3, half, half), kernel_size=(2, 2))  # strides by its kernel
        ends.append(receptive_fields(net.graph())[net.layers[-1].name])
    assert ends == [square(6, 2), square(16, 4), square(44, 8), square(100, 16), square(212, 32)]


def test_alexnet_by_hand() -> None:
    """11/4: 11, j 4; pool 3/2: 19, j 8; 5×5: 51; pool: 67, j 16; three 3×3: 99, 131, 163; pool: 195, j 32."""
    net = GraphBuilder()
    x = net.input((1, 3, 224, 224))
    for op, k, stride in (
        ("conv", 11, 4),
        ("max_pool", 3, 2),
        ("conv", 5, 1),
        ("max_pool", 3, 2),
        ("conv", 3, 1),
        ("conv", 3, 1),
        ("conv", 3, 1),
        ("max_pool", 3, 2),
    ):
        x = net.layer(op, {"x": x}, (1, 3, 9, 9), kernel_size=(k, k), stride=(stride, stride))
    fields = [receptive_fields(net.graph())[layer.name] for layer in net.layers]
    assert [(f.size[0], f.jump[0]) for f in fields] == [
        (11, 4), (19, 8), (51, 8), (67, 16), (99, 16), (131, 16), (163, 16), (195, 32),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stride_in_first", "sizes"),
    [
        # 7 + 2·2 = 11 after the stem; the 3×3 of a stage's first block works at the j before the stride
        (False, (11 + 3 * 8, 35 + 8 + 3 * 16, 91 + 16 + 5 * 32, 267 + 32 + 2 * 64)),
        # and at the j after it where the 1×1 before strides: 483, as published for ResNet-50 v1
        (True, (11 + 3 * 8, 35 + 4 * 16, 99 + 6 * 32, 291 + 3 * 64)),
    ],
)
def test_resnet50_by_hand(stride_in_first: bool, sizes: tuple[int, ...]) -> None:
    fields = receptive_fields(resnet50(stride_in_first=stride_in_first))
    ends = ("layer1.2.relu3", "layer2.3.relu3", "layer3.5.relu3", "layer4.2.relu3")
    assert [fields[name] for name in ends] == [
        square(size, jump) for size, jump in zip(sizes, (4, 8, 16, 32), strict=True)
    ]
    assert sizes[-1] == (483 if stride_in_first else 427)
    assert fields["avgpool"].size == (sizes[-1] + 6 * 32,) * 2  # 7 elements, 32 apart
    assert "flatten" not in fields
    assert "fc" not in fields


def test_layout_does_not_matter() -> None:
    fields = []
    for order, shape in (("NCHW", (1, 3, 9, 11)), ("NHWC", (1, 9, 11, 3)), ("CHW", (3, 9, 11))):
        net = GraphBuilder()
        x = net.input(shape)
        x = net.layer("conv", {"x": x}, shape, kernel_size=(3, 5), stride=(1, 2), data_format=order)
        fields.append(last_field(net.graph()))
    assert fields == [ReceptiveField((3, 5), (Fraction(1), Fraction(2)))] * 3


def image() -> tuple[GraphBuilder, TensorSpec]:
    """A 5×5 convolution with stride 2 on an image: size 5, jump 2."""
    net = GraphBuilder()
    x = net.input((2, 3, 16, 16))
    y = net.layer("conv", {"x": x}, (2, 4, 8, 8), kernel_size=(5, 5), stride=(2, 2), data_format="NCHW")
    return net, y


@pytest.mark.parametrize(
    ("op", "shape", "attrs", "field"),
    [
        ("relu", (2, 4, 8, 8), {}, square(5, 2)),
        ("batch_norm", (2, 4, 8, 8), {"channels": 4}, square(5, 2)),
        ("group_norm", (2, 4, 8, 8), {"groups": 2}, square(5, 2)),
        ("dropout", (2, 4, 8, 8), {}, square(5, 2)),
        ("pad", (2, 4, 10, 10), {}, square(5, 2)),
        ("channel_shuffle", (2, 4, 8, 8), {"groups": 2}, square(5, 2)),
        ("softmax", (2, 4, 8, 8), {"axis": (1,)}, square(5, 2)),  # over channels
        ("softmax", (2, 4, 8, 8), {"axis": (3,)}, None),  # over a line of the image
        ("transpose", (2, 8, 8, 4), {"perm": (0, 2, 3, 1)}, square(5, 2)),
        ("reshape", (2, 2, 2, 8, 8), {}, square(5, 2)),  # channels split
        ("reshape", (1, 2, 4, 8, 8, 1), {}, square(5, 2)),
        ("reshape", (2, 4, 64), {}, None),  # the image in one line
        ("slice", (2, 1, 8, 8), {}, square(5, 2)),  # of the channels
        ("slice", (2, 4, 4, 8), {}, None),  # of the image, who knows with which step
        ("sum", (2, 8, 8), {"axis": (1,)}, square(5, 2)),
        ("mean", (2, 4, 1, 1), {"axis": (2, 3), "keepdim": True}, square(5 + 7 * 2, 16)),
        ("mean", (2, 4), {"axis": (2, 3)}, None),
        ("adaptive_avg_pool", (2, 4, 1, 1), {"input_size": (8, 8), "output_size": (1, 1)}, square(5 + 7 * 2, 16)),
        # windows of 8 over 3: 0–3, 2–6, 5–8, so 4 long at most
        (
            "adaptive_max_pool",
            (2, 4, 3, 3),
            {"input_size": (8, 8), "output_size": (3, 3)},
            square(5 + 3 * 2, Fraction(16, 3)),
        ),
        ("resize", (2, 4, 16, 16), {"mode": "nearest"}, square(5, 1)),
        ("resize", (2, 4, 16, 16), {"mode": "bilinear"}, square(5 + 2, 1)),
        ("resize", (2, 4, 16, 16), {"mode": "bicubic"}, square(5 + 3 * 2, 1)),
        ("resize", (2, 4, 4, 4), {"mode": "nearest"}, square(5, 4)),
        ("resize", (2, 4, 4, 4), {"mode": "bilinear", "antialias": True}, None),
        ("pixel_shuffle", (2, 1, 16, 16), {"factor": 2}, square(5, 1)),
        ("pixel_unshuffle", (2, 16, 4, 4), {"factor": 2}, square(5 + 2, 4)),
        ("flip", (2, 4, 8, 8), {"axis": (1,)}, square(5, 2)),
        ("roll", (2, 4, 8, 8), {"axis": (2,)}, None),
        ("linear", (2, 4, 8, 5), {}, None),  # contracts a line
        ("matmul", (2, 4, 8, 8), {}, None),
        ("attention", (2, 4, 8, 8), {}, None),
        ("toy.mystery", (2, 4, 8, 8), {}, None),
    ],
)  # fmt: skip
def test_what_each_op_does_to_a_field(
    op: str, shape: tuple[int, ...], attrs: dict[str, Any], field: ReceptiveField | None
) -> None:
    net, y = image()
    net.layer(op, {"x": y}, shape, **attrs)
    assert last_field(net.graph()) == field


def test_a_linear_layer_on_the_channels_is_a_1x1_convolution() -> None:
    net = GraphBuilder()
    x = net.input((1, 8, 8, 3))
    y = net.layer("conv", {"x": x}, (1, 8, 8, 4), kernel_size=(3, 3), data_format="NHWC")
    net.layer("linear", {"x": y, "weight": net.parameter("w", (9, 4))}, (1, 8, 8, 9))
    assert last_field(net.graph()) == square(3, 1)


def test_weights_and_masks_leave_a_field_as_it_is() -> None:
    net, y = image()
    mask = net.layer("cast", {"x": net.parameter("mask", (8, 8), CONSTANT)}, (8, 8))
    net.layer("mul", {"x0": y, "x1": mask}, (2, 4, 8, 8))
    assert last_field(net.graph()) == square(5, 2)


@pytest.mark.parametrize(
    "op", ["quantize", "dequantize", "requantize", "fake_quantize", "dynamic_quantize", "lp_normalize"]
)
def test_quantisation_leaves_a_field_as_it_is(op: str) -> None:
    net, y = image()
    net.layer(op, {"x": y, "scale": net.parameter("scale", (), CONSTANT)}, (2, 4, 8, 8), axis=(1,), p=2)
    assert last_field(net.graph()) == square(5, 2)


def test_pairs_of_channels_meet_in_a_rotation() -> None:
    net = GraphBuilder()
    y = net.layer("conv", {"x": net.input((1, 4, 8))}, (1, 4, 8), kernel_size=(3,), data_format="NCL")
    net.layer("rotary_embedding", {"x": net.layer("transpose", {"x": y}, (1, 8, 4), perm=(0, 2, 1))}, (1, 8, 4))
    assert last_field(net.graph()) == ReceptiveField((3,), (Fraction(1),))


def test_places_that_are_computed_may_be_anywhere() -> None:
    for op, roles in (("deform_conv", ("x", "offset")), ("grid_sample", ("x", "grid")), ("roi_align", ("x", "rois"))):
        net, y = image()
        attrs = {"kernel_size": (3, 3), "output_size": (8, 8), "data_format": "NCHW", "mode": "bilinear"}
        net.layer(op, {roles[0]: y, roles[1]: net.parameter("where", (2, 18, 8, 8))}, (2, 4, 8, 8), **attrs)
        assert last_field(net.graph()) is None


def test_squeeze_and_excitation_sees_as_far_as_its_pool() -> None:
    """The pooled branch sees 5 + 7·2 = 19 positions and is repeated over the image; the jump is the image's."""
    net, y = image()
    pooled = net.layer("mean", {"x": y}, (2, 4, 1, 1), axis=(2, 3), keepdim=True)
    gate = net.layer("conv", {"x": pooled}, (2, 4, 1, 1), kernel_size=(1, 1), data_format="NCHW")
    net.layer("mul", {"x0": y, "x1": gate}, (2, 4, 8, 8))
    assert last_field(net.graph()) == square(19, 2)


def test_concatenation_and_stacking() -> None:
    net, y = image()
    z = net.layer("conv", {"x": y}, (2, 4, 8, 8), kernel_size=(3, 3), data_format="NCHW")
    net.layer("concat", {"x0": y, "x1": z}, (2, 8, 8, 8), name="channels", axis=1)
    net.layer("concat", {"x0": y, "x1": z}, (2, 4, 16, 8), name="lines", axis=-2)
    net.layer("stack", {"x0": y, "x1": z}, (2, 4, 8, 8, 2), name="stack", axis=-1)
    fields = receptive_fields(net.graph())
    assert fields["channels"] == fields["stack"] == square(5 + 2 * 2, 2)
    assert "lines" not in fields


def test_paths_at_different_paces_have_no_field() -> None:
    net, y = image()
    fast = net.layer("max_pool", {"x": net.inputs[0]}, (2, 4, 8, 8), kernel_size=(1, 1))
    net.layer("add", {"x0": y, "x1": fast}, (2, 4, 8, 8))
    assert last_field(net.graph()) is None


def test_a_field_of_what_does_not_see_the_input_is_none() -> None:
    net, _ = image()
    net.layer("conv", {"x": net.parameter("w", (2, 4, 8, 8))}, (2, 4, 8, 8), kernel_size=(3, 3))
    assert last_field(net.graph()) is None


def test_text_has_a_field_along_its_positions() -> None:
    net = GraphBuilder()
    ids = net.input((1, 50), dtype="int64")
    x = net.layer("embedding", {"x": ids, "weight": net.parameter("w", (9, 8))}, (1, 50, 8))
    x = net.layer("transpose", {"x": x}, (1, 8, 50), perm=(0, 2, 1))
    net.layer("conv", {"x": x}, (1, 8, 48), kernel_size=(3,), data_format="NCL")
    assert last_field(net.graph()) == ReceptiveField((3,), (Fraction(1),))


def test_attributes_that_make_no_window_are_an_error_of_the_layer() -> None:
    net, y = image()
    net.layer("conv_transpose", {"x": y}, (2, 4, 8, 8), name="odd", kernel_size=(3, 3), stride=(0, 0))
    with pytest.raises(ModelError, match=r"layer odd: its attributes are none of op conv_transpose: .*upsampling by 0"):
        receptive_fields(net.graph())
