"""Detection: regions of interest, anchors, suppression of overlapping boxes."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing

# -- regions of interest ----------------------------------------------------------------------------------------------


def _pooled(call: Call) -> tuple[int, int]:
    size = call.attrs.ints("pooled_size")
    if len(size) == 1:
        size *= 2
    if len(size) != 2 or min(size) < 1:
        raise call.attrs.wrong("pooled_size", "two sizes")
    return size[0], size[1]


def infer_roi(call: Call) -> None:
    """A row of rois is the sample's number and a box: 5 numbers, 6 where the box is turned."""
    source, rois = call.rank(0, 4), call.rank(1, 2)
    numbers = 6 if call.op == "_contrib_RROIAlign" else 5
    if rois is not None:
        call.expect(1, (rois[0], numbers))
    if source is None or rois is None:
        return
    height, width = _pooled(call)
    channels = source[1]
    if call.attrs.flag("position_sensitive") and channels is not None:
        channels //= height * width
    call.give((rois[0], channels, height, width))


def infer_ps_roi(call: Call) -> None:
    rois = call.rank(1, 2)
    size = call.attrs.integer("pooled_size", least=1)
    if rois is not None:
        call.expect(1, (rois[0], 5))
        call.give((rois[0], call.attrs.integer("output_dim", least=1), size, size))


def write_roi(call: Call, to: Writing) -> None:
    attrs: dict[str, Any] = {
        "output_size": to.y(call).shape[2:],
        "spatial_scale": call.attrs.number("spatial_scale", 1),
    }
    inputs = {"x": to.x(call, 0), "rois": to.x(call, 1)}
    if call.op == "ROIPooling":
        to.layer(call, "roi_pool", inputs, None, attrs)
        return
    name = "sampling_ratio" if call.op == "_contrib_RROIAlign" else "sample_ratio"
    attrs["sampling_ratio"] = max(0, call.attrs.integer(name, -1))
    attrs["mode"] = "avg"
    attrs["aligned"] = call.attrs.flag("aligned")
    attrs["data_format"] = "NCHW"
    to.layer(call, "roi_align", inputs, None, attrs)


def write_foreign(call: Call, to: Writing) -> None:
    to.foreign(call)


# -- proposals --------------------------------------------------------------------------------------------------------


def infer_proposal(call: Call) -> None:
    """A score and four numbers for each anchor and position; so many boxes come out as are asked for."""
    scores = call.rank(0, 4)
    kept = call.attrs.integer("rpn_post_nms_top_n", 300, least=1)
    rows: int | None = kept
    if scores is not None:
        batch, channels, *size = scores
        call.expect(1, (batch, None if channels is None else channels * 2, *size))
        call.expect(2, (batch, 3))
        if call.op == "_contrib_MultiProposal":
            rows = None if batch is None else batch * kept
    elif call.op == "_contrib_MultiProposal":
        rows = None
    call.give((rows, 5))
    call.give((rows, 1), 1)


def _proposal_outputs(call: Call) -> int:
    return 2 if call.attrs.flag("output_score") else 1


# -- anchors ----------------------------------------------------------------------------------------------------------


def infer_prior(call: Call) -> None:
    """As many boxes at each position as there are sizes and ratios, less one."""
    source = call.rank(0, 4)
    count = len(call.attrs.floats("sizes", (1.0,))) + len(call.attrs.floats("ratios", (1.0,))) - 1
    if source is not None:
        positions = numel(source[2:])
        call.give((1, None if positions is None else positions * count, 4))


def write_prior(call: Call, to: Writing) -> None:
    attrs = {"sizes": call.attrs.floats("sizes", (1.0,)), "ratios": call.attrs.floats("ratios", (1.0,))}
    to.layer(call, "prior_box", to.operands(call), None, attrs)


def infer_target(call: Call) -> None:
    """Anchors (1, A, 4), labels (N, L, ≥ 5), class predictions (N, C, A)."""
    anchors, predictions = call.rank(0, 3), call.rank(2, 3)
    if anchors is None or predictions is None:
        return
    count, batch = anchors[1], predictions[0]
    values = None if count is None else 4 * count
    for i, width in enumerate((values, values, count)):
        call.give((batch, width), i)


def infer_detection(call: Call) -> None:
    """Class probabilities (N, C, A), offsets (N, 4·A), anchors (1, A, 4) → (N, A, 6)."""
    scores, anchors = call.rank(0, 3), call.rank(2, 3)
    count = scores[2] if scores is not None else None
    if count is None and anchors is not None:
        count = anchors[1]
    if scores is not None:
        call.expect(1, (scores[0], None if count is None else 4 * count))
        call.give((scores[0], count, 6))
    call.expect(2, (1, count, 4))


def write_detection(call: Call, to: Writing) -> None:
    """Boxes from anchors and offsets, the best class of each, and the suppression of those that overlap."""
    scores, y = to.x(call, 0), to.y(call)
    batch, count = y.shape[0], y.shape[1]
    boxes, best = to.between(call, (batch, count, 4)), to.between(call, (batch, count))
    offsets = {"x0": to.x(call, 1), "x1": to.x(call, 2)}
    attrs: dict[str, Any] = {"anchors": "corner", "clip": call.attrs.flag("clip", True)}
    to.layer(call, "box_decode", offsets, {"y": boxes}, attrs, "decode")
    to.layer(call, "max", {"x": scores}, {"y": best}, {"axis": (1,), "keepdim": False}, "max")
    top = call.attrs.integer("nms_topk", -1)
    attrs = {
        "boxes": count,
        "classes": 1,
        "batch": batch,
        "max_output": top if top > 0 else None,
        "iou_threshold": call.attrs.number("nms_threshold", 0.5),
        "score_threshold": call.attrs.number("threshold", 0.01),
    }
    to.layer(call, "nms", {"boxes": boxes, "scores": best}, None, attrs, "nms")


# -- boxes ------------------------------------------------------------------------------------------------------------


def write_box_nms(call: Call, to: Writing) -> None:
    """Boxes (…, A, columns), of which one column is the score."""
    x = to.x(call)
    attrs = {"boxes": x.shape[-2] if x.rank > 1 else None, "classes": 1, "batch": numel(x.shape[:-2])}
    top = call.attrs.integer("topk", -1)
    if top > 0:
        attrs["max_output"] = top
    to.layer(call, "nms", {"boxes": x, "scores": x}, None, attrs)


def infer_iou(call: Call) -> None:
    a, b = call.shape(0), call.shape(1)
    if a is not None and b is not None:
        call.give((*a[:-1], *b[:-1]))


def infer_matching(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        if len(source) < 2:
            raise call.error(f"the data has the shape {source}, of rank {len(source)}; at least 2 are needed")
        call.give(source[:-1])
        call.give((*source[:-2], source[-1]), 1)


def write_decode(call: Call, to: Writing) -> None:
    to.layer(call, "box_decode", to.operands(call), None, {"anchors": call.attrs.text("format", "center")})


def infer_encode(call: Call) -> None:
    """samples (N, A), matches (N, A), anchors (N, A, 4), refs (N, M, 4) → offsets and masks (N, A, 4)."""
    anchors = call.shape(2)
    for i in range(2):
        call.give(anchors, i)


def _ps_args(call: Call) -> Args:
    return ("data", "rois") if call.attrs.flag("no_trans") else ("data", "rois", "trans")


_ROI = ("data", "rois")
_RPN = ("cls_prob", "bbox_pred", "im_info")
RULES: Rules = {
    "ROIPooling": Rule(infer_roi, write_roi, _ROI, like=(0,)),
    "_contrib_ROIAlign": Rule(infer_roi, write_roi, _ROI, like=(0,)),
    "_contrib_RROIAlign": Rule(infer_roi, write_roi, _ROI, like=(0,)),
    "_contrib_PSROIPooling": Rule(infer_ps_roi, write_foreign, _ROI, like=(0,)),
    "_contrib_DeformablePSROIPooling": Rule(infer_ps_roi, write_foreign, _ps_args, like=(0,)),
    "_contrib_Proposal": Rule(infer_proposal, write_foreign, _RPN, _proposal_outputs),
    "_contrib_MultiProposal": Rule(infer_proposal, write_foreign, _RPN, _proposal_outputs),
    "_contrib_MultiBoxPrior": Rule(infer_prior, write_prior),
    "_contrib_MultiBoxTarget": Rule(infer_target, write_foreign, ("anchor", "label", "cls_pred"), 3),
    "_contrib_MultiBoxDetection": Rule(infer_detection, write_detection, ("cls_prob", "loc_pred", "anchor")),
    "_contrib_box_nms": Rule(infer_same, write_box_nms),
    "_contrib_box_iou": Rule(infer_iou, write_foreign, ("lhs", "rhs")),
    "_contrib_bipartite_matching": Rule(infer_matching, write_foreign, outputs=2),
    "_contrib_box_decode": Rule(infer_same, write_decode, ("data", "anchors")),
    "_contrib_box_encode": Rule(
        infer_encode, write_foreign, ("samples", "matches", "anchors", "refs", "means", "stds"), 2
    ),
}
