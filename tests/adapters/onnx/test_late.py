"""Tensors that wait for a reader: what an attempt changes is seen inside it, and outside once it is merged."""

from __future__ import annotations

from multiprof.adapters.onnx.call import Deferred
from multiprof.adapters.onnx.late import Waiting
from multiprof.ir import TensorSpec


def waiting(name: str) -> Deferred:
    return Deferred(TensorSpec((1,), name=name))


def test_an_attempt_keeps_its_changes_to_itself() -> None:
    outside = Waiting()
    assert not outside
    first, second = waiting("first"), waiting("second")
    outside["first"] = first
    inside = Waiting(outside)
    assert inside and inside.get("first") is first
    assert inside.pop("first") is first
    assert inside.get("first") is None and inside.pop("first") is None
    inside["second"] = second
    assert outside.get("first") is first and outside.get("second") is None


def test_merging_makes_them_outside() -> None:
    outside = Waiting()
    outside["first"], outside["kept"] = waiting("first"), waiting("kept")
    inside = Waiting(outside)
    inside.pop("first")
    inside["second"] = waiting("second")
    deeper = Waiting(inside)
    deeper.pop("second")
    deeper["third"] = waiting("third")
    assert deeper.merge() is inside and inside.merge() is outside
    assert [name for name in ("first", "second", "third", "kept") if outside.get(name)] == ["third", "kept"]


def test_what_was_taken_may_wait_again() -> None:
    outside = Waiting()
    outside["t"] = waiting("t")
    inside = Waiting(outside)
    inside.pop("t")
    again = waiting("t")
    inside["t"] = again
    inside.merge()
    assert outside.get("t") is again
