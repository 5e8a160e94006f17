"""Rules of shape that many operators share."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Call


def infer_same(call: Call) -> None:
    """The first argument and the first result have one shape."""
    call.give(call.shape(0))
    call.expect(0, call.result())


def infer_all_same(call: Call) -> None:
    """All arguments and results have one shape."""
    for i in range(len(call.ins)):
        call.give(call.shape(i))
    shape = call.result()
    for i in range(len(call.ins)):
        call.expect(i, shape)
    for i in range(1, len(call.outs)):
        call.give(shape, i)
