"""The plugin as a user has it: installed with pip beside multiprof, found through its entry point."""

from __future__ import annotations

from collections.abc import Sequence

import multiprof_selective_scan
import pytest
import torch
from transformers import MambaConfig, MambaModel
from transformers.models.mamba.modeling_mamba import MambaMixer

import multiprof
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import exp, log, sigmoid

CLAIMED = "torch.transformers.models.mamba.modeling_mamba.MambaMixer"
BATCH, LENGTH = 2, 5


def config(**changes: object) -> MambaConfig:
    sizes = {"hidden_size": 6, "state_size": 3, "conv_kernel": 4, "time_step_rank": 2, "num_hidden_layers": 2}
    return MambaConfig(**(sizes | {"vocab_size": 10, "expand": 2} | changes))


def block(**changes: object) -> MambaMixer:
    torch.manual_seed(0)
    mixer = MambaMixer(config(**changes), layer_idx=0).double().eval()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.uniform_(-0.5, 0.5)
    return mixer


def test_the_block_becomes_one_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = multiprof.TensorSpec((BATCH, LENGTH, 6), "float64")
    claimed = multiprof.analyze(block(), spec)
    monkeypatch.setenv("MULTIPROF_DISABLE_PLUGINS", "1")
    loop = multiprof.analyze(block(), spec)

    assert [layer.op for layer in claimed.layers] == [CLAIMED]
    assert "multiprof-selective-scan" in claimed.layers[0].provider
    assert claimed.coverage == 1
    assert len(loop.layers) > LENGTH
    assert claimed.params == loop.params == sum(p.numel() for p in block().parameters())

    # Both count the same block, one from its sizes, one operation by operation. The loop's convolution also makes the
    # last K − 1 outputs, which are cut off: E·K macs and E bias additions each.
    assert loop.coverage == 1
    tail = BATCH * 3
    assert loop.macs - claimed.macs == tail * 12 * 4
    assert loop.flops - claimed.flops == tail * (2 * 12 * 4 + 12)


def test_it_is_found_inside_a_network() -> None:
    model = MambaModel(config()).eval()
    report = multiprof.analyze(model, {"input_ids": multiprof.TensorSpec((1, 7), "int64"), "use_cache": False})
    mixers = [layer for layer in report.layers if layer.op == CLAIMED]
    assert [layer.scope for layer in mixers] == ["layers.0.mixer", "layers.1.mixer"]
    # 7 tokens, 12 inner channels, 6 outer ones, rank 2, 3 states, 4 taps: 7·12·(18 + 4 + 9 + 4)
    assert [layer.macs for layer in mixers] == [2940, 2940]


@pytest.mark.parametrize("biases", [{}, {"use_bias": True}, {"use_conv_bias": False}])
def test_the_count_is_that_of_loops_that_compute_the_block(biases: dict[str, bool]) -> None:
    mixer = block(**biases)
    x = torch.rand(BATCH, LENGTH, 6, dtype=torch.float64)
    tally = Tally()
    computed = [scan(sequence, mixer, tally) for sequence in x.tolist()]
    with torch.no_grad():
        expected = mixer(x)
    assert torch.allclose(torch.tensor(computed, dtype=torch.float64), expected)

    inputs = {"x0": multiprof.TensorSpec(tuple(x.shape), "float64", "x")}
    for name, parameter in mixer.named_parameters():
        inputs[name] = multiprof.TensorSpec(tuple(parameter.shape), "float64", name)
    layer = multiprof.Layer("mixer", CLAIMED, inputs, {"y": inputs["x0"]})
    assert multiprof_selective_scan.mamba.price(layer).terms == tally.terms


def scan(sequence: list[list[float]], mixer: MambaMixer, tally: Tally) -> list[list[float]]:
    """The block on one sequence, scalar by scalar: Gu and Dao 2023, algorithm 2 and figure 3."""
    weights = {name: parameter.tolist() for name, parameter in mixer.state_dict().items()}
    negative_a = (-torch.exp(mixer.A_log)).tolist()  # from weights alone: made once, not for every token
    channels, states, rank = len(weights["D"]), len(negative_a[0]), mixer.time_step_rank
    taps = len(weights["conv1d.weight"][0][0])
    state = [[tally.scalar() for _ in range(states)] for _ in range(channels)]
    past = [[tally.scalar() for _ in range(channels)] for _ in range(taps - 1)]
    result = []

    def project(name: str, vector: Sequence[Counted]) -> list[Counted]:
        out = []
        for row in weights[f"{name}.weight"]:
            with tally.term("dot"):
                out.append(tally.dot((tally.scalar(w), v) for w, v in zip(row, vector, strict=True)))
        return biased(name, out)

    def biased(name: str, vector: list[Counted]) -> list[Counted]:
        bias = weights.get(f"{name}.bias")
        with tally.term("bias"):
            return vector if bias is None else [v + b for v, b in zip(vector, bias, strict=True)]

    for token in sequence:
        both = project("in_proj", [tally.scalar(v) for v in token])
        inner, gate = both[:channels], both[channels:]
        window = [*past, inner]
        past = window[1:]
        convolved = []
        for c, (taps_of_c,) in enumerate(weights["conv1d.weight"]):
            with tally.term("dot"):
                convolved.append(
                    tally.dot((tally.scalar(w), step[c]) for w, step in zip(taps_of_c, window, strict=True))
                )
        convolved = biased("conv1d", convolved)
        with tally.term("scan"):
            u = [v * sigmoid(v) for v in convolved]
        selected = project("x_proj", u)
        b, c_out = selected[rank : rank + states], selected[rank + states :]
        delta = project("dt_proj", selected[:rank])
        out = []
        for e in range(channels):
            with tally.term("scan"):
                d = log(exp(delta[e]) + 1.0)
                for n in range(states):
                    kept = exp(d * negative_a[e][n]) * state[e][n]
                    state[e][n] = kept + d * b[n] * u[e]
            with tally.term("dot"):
                y = tally.dot(zip(state[e], c_out, strict=True))
            with tally.term("scan"):
                out.append((y + u[e] * weights["D"][e]) * (gate[e] * sigmoid(gate[e])))
        result.append([v.value for v in project("out_proj", out)])
    return result
