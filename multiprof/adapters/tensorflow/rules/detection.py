"""Non-maximum suppression."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule


@rule("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4", "NonMaxSuppressionV5")
def suppression(node: Node) -> None:
    """boxes (B, 4), scores (B), at most, thresholds."""
    boxes = node.x(0)
    attrs: dict[str, Any] = {"boxes": boxes.shape[0], "classes": 1, "batch": 1}
    _limits(node, attrs, 2, 3, 4)
    roles = ("y", "scores", "valid") if node.op.endswith("V5") else ("y", "valid")
    outputs = {role: node.y(i) for i, role in enumerate(roles[: len(node.outputs)])}
    node.layer("nms", {"boxes": boxes, "scores": node.x(1)}, outputs, attrs)


def _limits(node: Node, attrs: dict[str, Any], most: int, overlap: int, score: int) -> None:
    for name, place in (("max_output", most), ("iou_threshold", overlap), ("score_threshold", score)):
        found = node.scalar(place)
        if found is not None:
            attrs[name] = found
    if "iou_threshold" not in attrs and "iou_threshold" in node.proto.attr:
        attrs["iou_threshold"] = node.attr("iou_threshold")


@rule("CombinedNonMaxSuppression")
def combined(node: Node) -> None:
    """boxes (N, B, q, 4), scores (N, B, C), at most a class, at most in all, thresholds."""
    boxes, scores = node.x(0), node.x(1)
    attrs: dict[str, Any] = {"boxes": scores.shape[1], "classes": scores.shape[2], "batch": scores.shape[0]}
    _limits(node, attrs, 2, 4, 5)
    roles = ("y", "scores", "classes", "valid")
    node.layer("nms", {"boxes": boxes, "scores": scores}, {r: node.y(i) for i, r in enumerate(roles)}, attrs)
