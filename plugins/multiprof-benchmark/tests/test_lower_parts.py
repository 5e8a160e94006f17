"""What a slice takes, from the words of each framework. The oracle is Python's own slicing of the positions."""

from __future__ import annotations

from typing import Any

import pytest
from multiprof_benchmark.lower.parts import cut_of

from multiprof import Layer, TensorSpec

BIG = 9223372036854775807  # what ONNX writes for "to the end"


def sliced(shape: tuple[int, ...], target: tuple[int, ...], **attrs: Any) -> tuple[Any, bool]:
    return cut_of(Layer("part", "slice", {"x": TensorSpec(shape)}, {"y": TensorSpec(target)}, attrs))


@pytest.mark.parametrize(
    ("attrs", "shape", "expected"),
    [
        ({"index": ":, 1:3"}, (4, 5, 6), (range(4), range(1, 3), range(6))),
        ({"index": "..., None, -1"}, (4, 5, 6), (range(4), range(5), None, 5)),
        ({"index": "0, ::2"}, (4, 5), (0, range(0, 5, 2))),
        ({"index": f"1[-2:{BIG}:1]"}, (4, 5), (range(4), range(3, 5))),  # ONNX: an axis and its bounds
        ({"index": f"0[-1:{-BIG}:-1]"}, (4,), (range(3, -1, -1),)),  # backwards
        ({"index": "0[0:0:1], 1[1:3:1]", "begin_mask": 1, "end_mask": 1}, (4, 5), (range(4), range(1, 3))),
        (
            {"index": "0[0:0:1], 1[0:0:1], 2[-1:0:1]", "ellipsis_mask": 1, "new_axis_mask": 2, "shrink_axis_mask": 4},
            (4, 5, 6),
            (range(4), range(5), None, 5),
        ),
        ({"index": ((0, 4, 1), (1, 5, 2))}, (4, 5), (range(4), range(1, 5, 2))),  # TFLite
        ({"index": (((2, 3, 1), "dropped"), ((0, 1, 1), "new"), ((0, 5, 1), "kept"))}, (4, 5), (2, None, range(5))),
    ],
)
def test_what_is_described_is_taken(attrs: dict[str, Any], shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    target = tuple(1 if item is None else len(item) for item in expected if not isinstance(item, int))
    assert sliced(shape, target, **attrs) == (expected, True)


def test_a_part_that_is_not_described_has_the_shape_at_least() -> None:
    assert sliced((4, 5, 6), (4, 6), index="step") == ((range(4), 0, range(6)), False)
    assert sliced((4, 5), (2, 5)) == ((range(2), range(5)), False)


def test_what_gives_another_shape_than_the_result_is_not_believed() -> None:
    assert sliced((4, 5), (3, 5), index="0:2") == ((range(3), range(5)), False)


def test_no_part_is_larger_than_the_whole() -> None:
    with pytest.raises(ValueError, match=r"no part of \(4, 5\)"):
        sliced((4, 5), (4, 6))
