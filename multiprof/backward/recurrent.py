"""Backward pass through time of recurrent networks.

Every product of the forward pass has two in the backward: of the gates' gradients with the weights (for the input and
for the state before), and with what the weights met. The gradient of the state before goes on to the step before; the
first step of a sequence needs it only where the first state does. Source: Werbos 1990, Backpropagation through time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multiprof.backward.rule import Extra, Needs, Rule
from multiprof.cost import Cost, Counts
from multiprof.formulas._sizes import size
from multiprof.ir import Layer

# Per unit and step, from the definitions: what the gradients of gates and state take. LSTM: dc += dh·o·(1 − tanh²c)
# (3 muls, 2 adds), do = dh·tanh c, di = dc·g, dg = dc·i, df = dc·c, dc' = dc·f (5 muls), the derivatives σ(1 − σ) three
# times (2 muls, 1 add each) and 1 − g² (2 muls, 1 add). GRU: dn = dh·(1 − z), dz = dh·(h − n), dh' = dh·z (3 muls,
# 2 adds), dn·(1 − n²) (2 muls, 1 add), dr = dn·h̃, dh̃ = dn·r (2 muls), two sigmoids (4 muls, 2 adds). RNN: 1 − h².
_GATES: Mapping[str, tuple[int, Counts]] = {
    "lstm": (4, Counts(muls=16, adds=6)),
    "gru": (3, Counts(muls=11, adds=5)),
    "rnn": (1, Counts(muls=2, adds=1)),
}


def sequences(layer: Layer) -> int:
    """N: how many sequences there are, each with a first step."""
    packed = layer.attrs.get("batch_sizes")
    if packed:
        return int(packed[0])
    state = layer.inputs.get("h0")
    hidden = layer.attrs.get("proj_size") or size(layer, "hidden_size")
    if state is not None:
        return state.numel // hidden
    x = layer.x
    if x.rank < 3:
        return 1
    batch = x.shape[0 if layer.attrs.get("batch_first") else 1]
    return batch or 0


def _price(layer: Layer, needs: Needs) -> Cost:
    """input_grad: S·G·H·C_i macs; state_grad: (S − N + N₀)·G·H·R macs; weight_ih_grad: S·G·H·C_i macs; …

    G gates, R what is fed back, N sequences, N₀ of them where the first state needs a gradient.
    """
    gates, work = _GATES[layer.op]
    s, c_i, h = (size(layer, name) for name in ("steps", "input_size", "hidden_size"))
    p = layer.attrs.get("proj_size") or 0
    r = p or h
    rows = gates * h
    terms = {"gates": work * (s * h)}
    if layer.op == "rnn" and layer.attrs.get("nonlinearity", "tanh") == "relu":
        terms["gates"] = Counts(cmps=s * h)
    if "peephole" in layer.inputs:
        terms["peephole"] = Counts(muls=3 * s * h, adds=3 * s * h)
    if "x" in needs:
        terms["input_grad"] = Counts(s * rows * c_i, s * c_i)
    back = s if needs & {"h0", "c0"} else max(s - sequences(layer), 0)
    # the gradient of a state from the step behind it, and from the output of its own step
    terms["state_grad"] = Counts(back * rows * r, back * r, adds=back * r)
    for role, columns in (("weight_ih", c_i), ("weight_hh", r)):
        if role in needs:
            terms[f"{role}_grad"] = Counts(s * rows * columns, rows * columns)
    for role in ("bias_ih", "bias_hh"):
        if role in needs:
            terms[f"{role}_grad"] = Counts(adds=max(s - 1, 0) * rows)
    if p:
        terms["projection_grad"] = Counts(s * h * p, s * h)
        if "weight_hr" in needs:
            terms["weight_hr_grad"] = Counts(s * h * p, h * p)
    if "peephole" in needs:
        terms["peephole_grad"] = Counts(muls=3 * s * h, adds=3 * max(s - 1, 0) * h)
    return Cost(terms)


def _keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    kept: list[str] = [role for role in ("x", "h0", "c0") if role in layer.inputs]
    if layer.op == "rnn" and _cell(layer):
        kept.append("y")
    return kept + list(layer.outputs) if _whole(layer) else kept


def _whole(layer: Layer) -> bool:
    """Whether one kernel makes the whole sequence (oneDNN), and not a loop over its steps."""
    return layer.op == "lstm" and not layer.attrs.get("proj_size") and layer.x.dtype == "float32" and not _cell(layer)


def _cell(layer: Layer) -> bool:
    """Whether it is one step by itself: each sequence has one, and its state is no output beside y."""
    return "hn" not in layer.outputs and size(layer, "steps") == sequences(layer)


def _pitch(columns: int) -> int:
    """Elements from one row to the next, as oneDNN lays matrices of 32-bit numbers out: 64 bytes, but no 1 KiB."""
    padded = -(-columns // 16) * 16
    return padded + 16 if padded % 256 == 0 else padded


_PAGE = 4096


def _workspace(layer: Layer) -> int:
    """Bytes of oneDNN's workspace of an LSTM: the gates of every step, five arrays of states for the layer below and
    this one, and the cells; each to whole pages. Source: oneDNN, src/cpu/rnn/rnn_utils.cpp, set_offsets.
    """
    n, h, steps = sequences(layer), size(layer, "hidden_size"), size(layer, "steps")
    wide = max(size(layer, "input_size"), h)
    states = 2 * (steps + n)
    rows = ((steps, _pitch(4 * h)), *[(states, _pitch(wide))] * 3, *[(states, _pitch(h))] * 2, (steps, h))
    return sum(-(-count * columns * 4 // _PAGE) * _PAGE for count, columns in rows)


def _extra(layer: Layer, needs: Needs) -> Extra:
    """What a step leaves, H elements a unit: an LSTM its gates, c, tanh c and h; a GRU its gates, n, h − n, the product
    of the state and h; an RNN h. The last h is the output's, and nothing reads the last c, but in a projected LSTM.
    """
    if _whole(layer):
        return (("workspace", _workspace(layer)),)
    y = layer.outputs["y"]
    width = y.nbytes // y.numel if y.numel else 0
    s, h = size(layer, "steps"), size(layer, "hidden_size")
    last = sequences(layer) * h
    ends = last if layer.attrs.get("proj_size") else 2 * last
    elements = {"lstm": 7 * s * h - ends, "gru": 7 * s * h - last, "rnn": 0 if _cell(layer) else s * h}[layer.op]
    return (("steps", elements * width),)


_CPU = "kept as PyTorch does on the CPU"
RULES = {
    "lstm": Rule(_price, _keeps, _extra, source=f"Gers et al. 2000; {_CPU}, by oneDNN for float32"),
    "gru": Rule(_price, _keeps, _extra, source=f"Cho et al. 2014; {_CPU}"),
    "rnn": Rule(_price, _keeps, _extra, source=f"Elman 1990; {_CPU}"),
}
