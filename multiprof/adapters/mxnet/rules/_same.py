"""Rules of shape that many operators share."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Call, unify


def infer_same(call: Call) -> None:
    """The first argument and the first result have one shape."""
    call.give(call.shape(0))
    call.expect(0, call.result())


def infer_all_same(call: Call) -> None:
    """All arguments and results have one shape."""
    shape = call.result()
    try:
        for i in range(len(call.ins)):
            shape = unify(shape, call.shape(i))
    except ValueError:
        names, shapes = call.inference.names, call.inference.shapes
        text = ", ".join(f"{names[entry]!r} {shapes[entry]}" for entry in (*call.ins[:8], call.outs[0]))
        raise call.error(f"these should have one shape: {text}") from None
    call.give(shape)
    for i in range(len(call.ins)):
        call.expect(i, shape)
    for i in range(1, len(call.outs)):
        call.give(shape, i)
