"""Detection: non-maximum suppression."""

from __future__ import annotations

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import int_attr, number
from multiprof.errors import ModelError


def non_max_suppression(node: Node) -> None:
    """boxes (N, B, 4), scores (N, classes, B); how many boxes survive, only the values tell."""
    boxes, scores = node.need(0), node.need(1)
    if boxes.rank != 3 or scores.rank != 3:
        raise ModelError(f"{node.where}: boxes {boxes.shape} and scores {scores.shape}")
    kept = number(node.input(2))
    attrs = {
        "boxes": boxes.shape[1],
        "classes": scores.shape[1],
        "batch": boxes.shape[0],
        "max_output": 0 if node.input(2) is None else None if kept is None else int(kept),
        "center_point_box": int_attr(node, "center_point_box", 0),
    }
    for place, name in ((3, "iou_threshold"), (4, "score_threshold")):
        value = number(node.input(place))
        if value is not None:
            attrs[name] = value  # type: ignore[assignment]  # a float among the integers
    node.layer("nms", {"boxes": boxes, "scores": scores}, None, attrs)


RULES: dict[str, Rule] = {"NonMaxSuppression": non_max_suppression}
