"""Detection: what depends on where objects are. Such a figure is an upper bound, and is marked as one."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UnknownDimensionError, UnsupportedOpError
from multiprof.formulas._primitives import sizes
from multiprof.formulas._sizes import size
from multiprof.formulas.sampling import interpolations
from multiprof.formulas.sorting import merge_sort
from multiprof.ir import Layer
from multiprof.windows import spatial_places

# -- non-maximum suppression


def _pairs(layer: Layer) -> int:
    """P: overlaps in the worst case: candidate i (from 0) meets all boxes kept so far, at most i and at most the limit
    less one, since after the last box that may be kept nothing is looked at.
    """
    candidates = size(layer, "boxes")
    limit = layer.attrs.get("max_output")
    kept = candidates if limit is None else min(max(limit, 0), candidates)
    return (kept - 1) * (2 * candidates - kept) // 2 if kept else 0


def _nms_symbols(layer: Layer) -> Mapping[str, int]:
    """B: images; G: lists of scores, one for each image and class; N: boxes of an image; P: overlaps of one
    list, at most; C: comparisons that sort one list, N·⌈log₂ N⌉ − 2^⌈log₂ N⌉ + 1
    """
    batch, boxes = size(layer, "batch"), size(layer, "boxes")
    return {
        "B": batch,
        "G": batch * size(layer, "classes"),
        "N": boxes,
        "P": _pairs(layer),
        "C": merge_sort(boxes),
    }


def _all_apart(layer: Layer) -> str:
    return "an upper bound: how many boxes meet depends on the values"


@formula("nms", symbols=_nms_symbols, bound=_all_apart, source="greedy suppression as in R-CNN, Girshick et al. 2014")
def nms(layer: Layer) -> Cost:
    """score: G·N cmps; sort: G·C cmps; area: 2·B·N adds, B·N muls; overlap: 7·G·P cmps, 4·G·P adds, G·P muls, G·P divs

    Every score meets the threshold, and the list is sorted. An area: 2 differences, 1 product. An overlap: the corners
    of the intersection (4 cmps), its sides (2 adds), which are no less than 0 (2 cmps), its area (1 mul), the union
    (2 adds), the quotient (1 div) and the threshold (1 cmp). The bound is reached where no box falls out: candidate i
    then meets i boxes, or as many as are kept less one.
    """
    s = _nms_symbols(layer)
    boxes, pairs = s["B"] * s["N"], s["G"] * s["P"]
    return Cost(
        {
            "score": Counts(cmps=s["G"] * s["N"]),
            "sort": Counts(cmps=s["G"] * s["C"]),
            "area": Counts(adds=2 * boxes, muls=boxes),
            "overlap": Counts(cmps=7 * pairs, adds=4 * pairs, muls=pairs, divs=pairs),
        }
    )


# -- regions


def _regions(layer: Layer) -> int:
    """R: how many regions there are; their coordinates (and number of the image) are the last dimension."""
    rois = layer.inputs["rois"]
    return rois.numel // (rois.shape[-1] or 1)


def _map(layer: Layer) -> tuple[int, ...]:
    """Height and width of x."""
    found = tuple(layer.x.shape[place] for place in spatial_places(layer))
    if None in found:
        raise UnknownDimensionError(
            f"layer {layer.name}: the size of {layer.x.name or 'x'}, {found}, is data-dependent"
        )
    return tuple(n for n in found if n is not None)


def _covered(layer: Layer) -> int:
    """W: elements of all cells were every region the map: in + out − gcd(in, out) along an axis, as in pooling."""
    cells = sizes(layer, "output_size")
    if not prod(cells):
        return 0
    return layer.y.numel // prod(cells) * prod(n + m - gcd(n, m) for n, m in zip(_map(layer), cells, strict=True))


def _roi_pool_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; R: regions; Q: edges of cells along the axes, two for each; W: elements of all cells
    together, were every region the whole map
    """
    regions = _regions(layer)
    edges = 2 * regions * sum(sizes(layer, "output_size"))
    return {"|y|": layer.y.numel, "R": regions, "Q": edges, "W": _covered(layer)}


def _whole_map(layer: Layer) -> str:
    return "an upper bound, with every region as large as the whole map: the regions depend on the values"


@formula("roi_pool", symbols=_roi_pool_symbols, bound=_whole_map, source="Girshick 2015, Fast R-CNN, section 2.1")
def roi_pool(layer: Layer) -> Cost:
    """region: 4·R muls, 4·R casts, 2·R adds, 2·R divs; edges: Q adds, Q muls, Q casts, 2·Q cmps; window: W − |y| cmps

    The four coordinates of a region are scaled and rounded, its sides divided into cells; an edge of a cell is
    a multiple of its side, rounded, moved to the region and limited to the map. A cell takes one comparison less than
    it has elements.
    """
    s = _roi_pool_symbols(layer)
    regions, edges = s["R"], s["Q"]
    return Cost(
        {
            "region": Counts(muls=4 * regions, casts=4 * regions, adds=2 * regions, divs=2 * regions),
            "edges": Counts(adds=edges, muls=edges, casts=edges, cmps=2 * edges),
            "window": Counts(cmps=max(s["W"] - s["|y|"], 0)),
        }
    )


def _samples(layer: Layer) -> tuple[int, ...]:
    """Samples along each side of a cell: as given, or where they adapt as many as the whole map would take."""
    cells = sizes(layer, "output_size")
    ratio = size(layer, "sampling_ratio")
    if ratio > 0:
        return (ratio,) * len(cells)
    return tuple(-(-n // m) if m else 0 for n, m in zip(_map(layer), cells, strict=True))


def _roi_align_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; R: regions; S: samples in a cell; Q: coordinates of all samples along the axes;
    I: interpolations of a sample
    """
    cells, samples, regions = sizes(layer, "output_size"), _samples(layer), _regions(layer)
    return {
        "|y|": layer.y.numel,
        "R": regions,
        "S": prod(samples),
        "Q": regions * sum(m * s for m, s in zip(cells, samples, strict=True)),
        "I": interpolations(len(cells)),
    }


def _adaptive(layer: Layer) -> str:
    return "" if layer.attrs.get("sampling_ratio") else _whole_map(layer)


@formula("roi_align", symbols=_roi_align_symbols, bound=_adaptive, source="He et al. 2017, Mask R-CNN, section 3")
def roi_align(layer: Layer) -> Cost:
    """region: 4·R muls, 2·R adds, 2·R divs; offset: 4·R adds; place: 2·Q adds, Q muls, Q casts; linear: 2·I·S·|y| adds, I·S·|y| muls; mean: (S − 1)·|y| adds, |y| divs; max: (S − 1)·|y| cmps

    The four coordinates of a region are scaled (and shifted by half an element, where ``aligned``), its sides divided
    into cells. A sample's coordinate: 1 mul, 1 add, rounded, and 1 add for the fraction. A sample: 3 interpolations
    a + t·(b − a). A cell: their mean, or their maximum. Where the number of samples adapts to the region
    (``sampling_ratio`` 0) the figure is an upper bound.
    """  # noqa: E501  # the mathematics is one line
    mode = layer.attrs.get("mode", "avg")
    if mode not in ("avg", "max"):
        raise UnsupportedOpError(f"layer {layer.name}: roi_align has no formula for the mode {mode!r}")
    s = _roi_align_symbols(layer)
    y, regions, places, samples = s["|y|"], s["R"], s["Q"], s["S"] * s["|y|"]
    terms = {"region": Counts(muls=4 * regions, adds=2 * regions, divs=2 * regions)}
    if layer.attrs.get("aligned"):
        terms["offset"] = Counts(adds=4 * regions)
    terms["place"] = Counts(adds=2 * places, muls=places, casts=places)
    terms["linear"] = Counts(adds=2 * s["I"] * samples, muls=s["I"] * samples)
    if mode == "avg":
        terms["mean"] = Counts(adds=samples - y, divs=y)
    else:
        terms["max"] = Counts(cmps=samples - y)
    return Cost(terms)


# -- anchors


def _boxes(layer: Layer) -> Mapping[str, int]:
    """B: boxes"""
    return {"B": layer.y.numel // 4}


@formula("box_decode", symbols=_boxes, source="Liu et al. 2016, SSD, equation (2), solved for the box")
def box_decode(layer: Layer) -> Cost:
    """anchors: 4·B adds, 2·B muls; centre: 4·B muls, 2·B adds; side: 4·B muls, 2·B exps; corners: 2·B muls, 4·B adds; clip: 8·B cmps

    Along each of two axes: the centre d·v·s + c, of an anchor of side s at c and a variance v; the side e^(d·v)·s; the
    corners, half a side to both sides. Anchors given by their corners (``corner``) make a side (1 add) and a centre
    (1 add, 1 mul) first.
    """  # noqa: E501  # the mathematics is one line
    boxes = layer.y.numel // 4
    terms = {"anchors": Counts(adds=4 * boxes, muls=2 * boxes)} if layer.attrs.get("anchors") == "corner" else {}
    terms["centre"] = Counts(muls=4 * boxes, adds=2 * boxes)
    terms["side"] = Counts(muls=4 * boxes, exps=2 * boxes)
    terms["corners"] = Counts(muls=2 * boxes, adds=4 * boxes)
    if layer.attrs.get("clip"):
        terms["clip"] = Counts(cmps=8 * boxes)
    return Cost(terms)


FORMULAS = (nms, roi_pool, roi_align, box_decode)
