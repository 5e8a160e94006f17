"""Detection: suppression and regions as loops, on the boxes that take them most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError, UnsupportedOpError
from multiprof.formulas.detection import FORMULAS
from multiprof.formulas.sorting import merge_sort
from multiprof.ir import Layer
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import exp, largest, maximum, minimum, positions, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]
Box = tuple[Counted, Counted, Counted, Counted]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}


def area(box: Box) -> Counted:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)


def overlaps(a: Box, b: Box, areas: tuple[Counted, Counted]) -> bool:
    left, top = maximum(a[0], b[0]), maximum(a[1], b[1])
    right, bottom = minimum(a[2], b[2]), minimum(a[3], b[3])
    common = maximum(right - left, 0.0) * maximum(bottom - top, 0.0)
    return common / (areas[0] + areas[1] - common) > 0.5


def suppress(tally: Tally, boxes: list[Box], scores: list[list[Counted]], limit: int | None) -> list[list[int]]:
    """Greedy suppression of the boxes of one image, by class; sorted beforehand."""
    with tally.term("area"):
        areas = [area(box) for box in boxes]
    result = []
    for line in scores:
        with tally.term("score"):
            order = [i for i, score in enumerate(line) if score > -2.0]
        order.sort(key=lambda i: -line[i].value)  # used at once
        kept: list[int] = []
        for i in order:
            if limit is not None and len(kept) >= limit:
                break
            with tally.term("overlap"):
                if any(overlaps(boxes[i], boxes[k], (areas[i], areas[k])) for k in kept):
                    continue
            kept.append(i)
        result.append(kept)
    return result


def boxes_of(tally: Tally, corners: list[tuple[float, float, float, float]]) -> list[Box]:
    return [tuple(tally.scalar(value) for value in box) for box in corners]  # type: ignore[misc]


def nms_layer(make: Make, batch: int, classes: int, boxes: int, limit: int | None) -> Layer:
    shapes = {"boxes": (batch, boxes, 4), "scores": (batch, classes, boxes)}
    attrs = {"batch": batch, "classes": classes, "boxes": boxes, "max_output": limit}
    return make("nms", shapes, {"y": (None, 3)}, **attrs)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9))
def test_boxes_apart_are_the_worst_case(make: Make, batch: int, classes: int, boxes: int) -> None:
    tally = Tally()
    for _ in range(batch):
        corners = boxes_of(tally, [(2.0 * i, 0.0, 2.0 * i + 1, 1.0) for i in range(boxes)])
        scores = [[tally.scalar(1 / (i + 1)) for i in range(boxes)] for _ in range(classes)]
        assert suppress(tally, corners, scores, None) == [list(range(boxes))] * classes
    found = dict(TABLE["nms"].price(nms_layer(make, batch, classes, boxes, None)).terms)
    assert found.pop("sort") == Counts(cmps=batch * classes * merge_sort(boxes))
    assert {name: counts for name, counts in found.items() if counts} == tally.terms


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 10))
def test_no_boxes_take_more(make: Make, places: list[int], limit: int) -> None:
    """Boxes anywhere, some of them on top of each other, with a limit on how many are kept."""
    tally = Tally()
    corners = boxes_of(tally, [(p / 2, 0.0, p / 2 + 1, 1.0) for p in places])
    scores = [[tally.scalar(1 / (i + 1)) for i in range(len(places))]]
    suppress(tally, corners, scores, limit)
    said = TABLE["nms"].price(nms_layer(make, 1, 1, len(places), limit)).terms
    met = tally.terms.get("overlap", Counts())
    assert said["overlap"].divs >= met.divs
    assert said["overlap"].flops >= met.flops


@pytest.mark.parametrize(("boxes", "limit"), [(6, 1), (6, 3), (6, 6), (6, 60), (1, 1), (6, 0)])
def test_the_limit_is_reached_by_the_last_box(make: Make, boxes: int, limit: int) -> None:
    """All but one of the kept boxes come first, those between lie on the last of them, and the last stands apart."""
    apart = max(min(limit, boxes) - 1, 0)
    tally = Tally()
    first = [(2.0 * i, 0.0, 2.0 * i + 1, 1.0) for i in range(apart)]
    between = [first[-1] if first else (0.0, 0.0, 1.0, 1.0)] * (boxes - apart - 1)
    corners = boxes_of(tally, [*first, *between, (100.0, 0.0, 101.0, 1.0)])
    scores = [[tally.scalar(1 / (i + 1)) for i in range(boxes)]]
    suppress(tally, corners, scores, limit)
    said = TABLE["nms"].price(nms_layer(make, 1, 1, boxes, limit)).terms["overlap"]
    assert said == tally.terms.get("overlap", Counts())


def test_a_detector_of_2535_boxes_and_80_classes(make: Make) -> None:
    # 80 lists; at most 100 kept: Σ min(i, 99) over 2,535 candidates = 99·100/2 − 99 + 99·(2,535 − 99)
    pairs = sum(min(i, 99) for i in range(2535))
    terms = TABLE["nms"].price(nms_layer(make, 1, 80, 2535, 100)).terms
    assert terms["overlap"] == Counts(cmps=7, adds=4, muls=1, divs=1) * (80 * pairs)
    assert terms["sort"].cmps == 80 * (2535 * 12 - 4096 + 1)


# -- regions


def spans(size: int, cells: int, start: float, extent: float) -> list[range]:
    step = extent / cells
    low = [math.floor(start + i * step) for i in range(cells)]
    high = [math.ceil(start + (i + 1) * step) for i in range(cells)]
    return [range(max(a, 0), min(b, size)) for a, b in zip(low, high, strict=True)]


def region(tally: Tally, cells: tuple[int, int]) -> None:
    """Four coordinates scaled, two sides divided into cells."""
    corners = [tally.scalar(float(i)) * 0.5 for i in range(4)]
    for low, high, count in zip(corners[:2], corners[2:], cells, strict=True):
        (high - low) / count


@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(1, 2), st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(1, 3))
def test_roi_pool_of_the_whole_map(
    make: Make, agree: Agree, regions: int, channels: int, size: tuple[int, int], cell: int
) -> None:
    tally = Tally()
    x = tally.array((1, channels, *size))
    cells = (cell, 2)
    for _ in range(regions):
        with tally.term("region"):
            region(tally, cells)
            for corner in range(4):
                tally.scalar(corner).cast(round)
        with tally.term("edges"):
            for count, n in zip(cells, size, strict=True):
                for edge in range(2 * count):
                    step = tally.scalar(1.5) * float(edge)
                    maximum(minimum(step.cast(math.floor) + 0.0, float(n)), 0.0)
        with tally.term("window"):
            for c in range(channels):
                for rows in spans(size[0], cells[0], 0, size[0]):
                    for columns in spans(size[1], cells[1], 0, size[1]):
                        largest([x[0, c, i, j] for i in rows for j in columns])
    shapes = {"x": x.shape, "rois": (regions, 5)}
    layer = make("roi_pool", shapes, {"y": (regions, channels, *cells)}, output_size=cells, spatial_scale=0.5)
    agree(TABLE["roi_pool"], layer, tally)


@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_roi_align(
    make: Make, agree: Agree, regions: int, channels: int, cell: int, ratio: int, aligned: bool, peak: bool
) -> None:
    tally = Tally()
    x = tally.array((1, channels, 7, 7))
    cells = (cell, 2)
    for _ in range(regions):
        with tally.term("region"):
            region(tally, cells)
        if aligned:
            with tally.term("offset"):
                for _corner in range(4):
                    tally.scalar() - 0.5
        places = []
        with tally.term("place"):
            for count in cells:
                line = []
                for sample in range(count * ratio):
                    p = tally.scalar(1.25) + tally.scalar(0.5) * (sample + 0.5)
                    low = p.cast(math.floor)
                    line.append((int(low.value), p - low.value))
                places.append(line)
        for c, a, b in positions((channels, *cells)):
            values = []
            for i, t in places[0][a * ratio : (a + 1) * ratio]:
                for j, u in places[1][b * ratio : (b + 1) * ratio]:
                    with tally.term("linear"):
                        rows = [x[0, c, k, j] + u * (x[0, c, k, j + 1] - x[0, c, k, j]) for k in (i, i + 1)]
                        values.append(rows[0] + t * (rows[1] - rows[0]))
            with tally.term("max" if peak else "mean"):
                if peak:
                    largest(values)
                else:
                    total(values) / len(values)
    attrs: dict[str, Any] = {"output_size": cells, "sampling_ratio": ratio, "aligned": aligned}
    if peak:
        attrs["mode"] = "max"
    shapes = {"x": x.shape, "rois": (regions, 4)}
    layer = make("roi_align", shapes, {"y": (regions, channels, *cells)}, **attrs)
    agree(TABLE["roi_align"], layer, tally)
    assert TABLE["roi_align"].bound is not None
    assert TABLE["roi_align"].bound(layer) == ""


def test_samples_that_adapt_are_counted_for_the_whole_map(make: Make) -> None:
    shapes, y = {"x": (1, 8, 20, 31), "rois": (5, 4)}, {"y": (5, 8, 7, 7)}
    adaptive = make("roi_align", shapes, y, output_size=(7, 7), sampling_ratio=0)
    # ⌈20/7⌉ by ⌈31/7⌉ samples in a cell
    elements = 5 * 8 * 49
    assert TABLE["roi_align"].price(adaptive).terms["linear"] == Counts(adds=6, muls=3) * (3 * 5 * elements)
    assert TABLE["roi_align"].bound is not None
    assert "upper bound" in TABLE["roi_align"].bound(adaptive)
    last = make("roi_align", {"x": (1, 20, 31, 8), "rois": (5, 4)}, {"y": (5, 7, 7, 8)}, output_size=(7, 7))
    last.attrs |= {"sampling_ratio": 0, "data_format": "NHWC"}
    assert TABLE["roi_align"].price(last) == TABLE["roi_align"].price(adaptive)


# -- anchors


@given(st.integers(0, 4), st.booleans(), st.booleans())
def test_box_decode(make: Make, agree: Agree, boxes: int, corner: bool, clip: bool) -> None:
    tally = Tally()
    for _ in range(boxes):
        anchor, delta = tally.array((4,)), tally.array((4,))
        edges: list[Counted] = []
        for axis in range(2):
            low, high, d, s = anchor[axis,], anchor[axis + 2,], delta[axis,], delta[axis + 2,]
            side, middle = high, low
            if corner:
                with tally.term("anchors"):
                    side, middle = high - low, (high + low) * 0.5
            with tally.term("centre"):
                centre = d * 0.1 * side + middle
            with tally.term("side"):
                made = exp(s * 0.2) * side
            with tally.term("corners"):
                half = made * 0.5
                edges += [centre - half, centre + half]
        if clip:
            with tally.term("clip"):
                for edge in edges:
                    minimum(maximum(edge, 0.0), 1.0)
    attrs = {"anchors": "corner" if corner else "center", "clip": clip}
    layer = make("box_decode", {"x0": (1, boxes, 4), "x1": (boxes, 4)}, {"y": (1, boxes, 4)}, **attrs)
    agree(TABLE["box_decode"], layer, tally)


def test_what_depends_on_values_says_so(make: Make) -> None:
    layer = nms_layer(make, 1, 1, 3, None)
    bounds = {op: rule.bound(layer) for op, rule in TABLE.items() if rule.bound}
    assert set(bounds) == {"nms", "roi_pool", "roi_align"}
    assert all(text.startswith("an upper bound") for text in bounds.values())


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    with pytest.raises(UnknownDimensionError, match="boxes is data-dependent"):
        TABLE["nms"].price(make("nms", {}, {"y": (None, 3)}, batch=1, classes=1, boxes=None))
    with pytest.raises(PluginError, match="requires the attribute classes"):
        TABLE["nms"].price(make("nms", {}, {"y": (None, 3)}, batch=1, boxes=3))
    shapes = {"x": (1, 2, None, 4), "rois": (3, 5)}
    with pytest.raises(UnknownDimensionError, match="data-dependent"):
        TABLE["roi_pool"].price(make("roi_pool", shapes, {"y": (3, 2, 7, 7)}, output_size=(7, 7)))
    with pytest.raises(UnknownDimensionError):
        TABLE["roi_align"].price(
            make(
                "roi_align",
                {"x": (1, 2, 4, 4), "rois": (None, 5)},
                {"y": (None, 2, 7, 7)},
                output_size=(7, 7),
                sampling_ratio=2,
            )
        )
    with pytest.raises(UnsupportedOpError, match="no formula for the mode 'median'"):
        TABLE["roi_align"].price(
            make(
                "roi_align",
                {"x": (1, 2, 4, 4), "rois": (3, 5)},
                {"y": (3, 2, 7, 7)},
                output_size=(7, 7),
                sampling_ratio=2,
                mode="median",
            )
        )
