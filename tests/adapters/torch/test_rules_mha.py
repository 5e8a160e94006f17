"""Multi-head attention and the fused encoder layer: results against torch's meta kernels, pieces against arithmetic."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import Parameter, TensorSpec


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def weight(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(meta(*shape))


class Products(TorchDispatchMode):
    """Multiply-adds of the matrix products that torch's own kernels run."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._opname in ("mm", "bmm"):
            self.macs += out.numel() * args[0].shape[-1]
        elif func._opname in ("addmm", "baddbmm"):
            self.macs += out.numel() * args[1].shape[-1]
        return out


def macs_by_torch(function: Any, *args: Any, **kwargs: Any) -> int:
    with torch.no_grad(), Products() as products:
        function(*args, **kwargs)
    return products.macs


def macs(layers: Any) -> int:
    total = 0
    for layer in layers:
        a = layer.attrs
        if layer.op == "linear":
            total += layer.y.numel * a["in_features"]
        elif layer.op == "attention":
            total += a["batch"] * a["heads"] * a["q_len"] * a["kv_len"] * (a["qk_dim"] + a["v_dim"])
    return total


def forward(**options: Any) -> Any:
    """``F.multi_head_attention_forward`` with the options of a call, by name, and its many weights."""

    def call(q: Any, k: Any, v: Any, w: dict[str, Any], masks: dict[str, Any]) -> Any:
        settings = {
            "bias_k": None,
            "bias_v": None,
            "in_proj_bias": None,
            "in_proj_weight": None,
            "out_proj_bias": None,
        } | w
        return F.multi_head_attention_forward(
            q, k, v, add_zero_attn=options.pop("add_zero_attn", False), dropout_p=0.0, **settings, **masks, **options
        )

    width, heads = options.pop("width"), options.pop("heads")
    options |= {"embed_dim_to_check": width, "num_heads": heads, "training": False}
    zero = options.get("add_zero_attn", False)

    def repeatable(*args: Any) -> Any:
        options["add_zero_attn"] = zero
        return call(*args)

    return repeatable


def packed(width: int, bias: bool = True) -> dict[str, Any]:
    found = {"in_proj_weight": weight(3 * width, width), "out_proj_weight": weight(width, width)}
    return found | ({"in_proj_bias": weight(3 * width), "out_proj_bias": weight(width)} if bias else {})


L, N, E, H, S = 5, 3, 8, 2, 7
D = E // H


def test_self_attention_is_three_pieces(compare: Any) -> None:
    def call(x: Any, w: Any) -> Any:
        return forward(width=E, heads=H, need_weights=False)(x, x, x, w, {})

    checked = compare(call, meta(L, N, E), packed(E))
    assert checked.by_rule
    work = [layer for layer in checked.layers if layer.op not in ("reshape", "transpose", "split", "copy")]
    assert [(layer.name, layer.op) for layer in work] == [
        ("in_proj", "linear"), ("attention", "attention"), ("out_proj", "linear"),
    ]  # fmt: skip
    in_proj, attention, out_proj = work
    assert in_proj.attrs == {"in_features": E, "out_features": 3 * E}
    assert out_proj.attrs == {"in_features": E, "out_features": E}
    assert attention.attrs == {
        "batch": N, "heads": H, "kv_heads": H, "q_len": L, "kv_len": L, "qk_dim": D, "v_dim": D, "causal": False,
        "scale": D**-0.5,
    }  # fmt: skip
    assert list(attention.outputs) == ["y"]
    # 3·E·E a token, L·L scores of D and as many sums for each head, E·E a token
    assert macs(checked.layers) == L * N * 3 * E * E + N * H * L * L * 2 * D + L * N * E * E


def test_asked_for_weights_it_is_still_one_attention_layer_and_a_mean(compare: Any) -> None:
    def call(x: Any, w: Any) -> Any:
        return forward(width=E, heads=H)(x, x, x, w, {})

    checked = compare(call, meta(L, N, E), packed(E))
    assert checked.by_rule
    assert checked.ops.count("attention") == 1
    assert not {"softmax", "matmul", "einsum"} & set(checked.ops)
    attention = next(layer for layer in checked.layers if layer.op == "attention")
    assert attention.outputs["weights"].shape == (N, H, L, L)
    mean = checked.layers[-1]
    assert (mean.op, mean.attrs) == ("mean", {"axis": (1,), "keepdim": False})
    assert mean.inputs["x"].name == attention.outputs["weights"].name
    assert mean.y.shape == (N, L, L)
    assert macs(checked.layers) == macs_by_torch(call, meta(L, N, E), packed(E))


@pytest.mark.parametrize(
    ("same", "projections"),
    [
        ("qkv", [("in_proj", 3 * E)]),
        ("kv", [("q_proj", E), ("kv_proj", 2 * E)]),
        ("", [("q_proj", E), ("k_proj", E), ("v_proj", E)]),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_projections_are_as_few_as_torch_makes_them(compare: Any, same: str, projections: Any, bias: bool) -> None:
    def call(q: Any, k: Any, v: Any, w: Any) -> Any:
        if same == "qkv":
            k = v = q
        elif same == "kv":
            v = k
        return forward(width=E, heads=H)(q, k, v, w, {})

    kv_length = L if same == "qkv" else S
    tensors = meta(L, N, E), meta(kv_length, N, E), meta(kv_length, N, E)
    checked = compare(call, *tensors, packed(E, bias))
    assert checked.by_rule
    linears = [layer for layer in checked.layers if layer.op == "linear"]
    assert [(x.name, x.attrs["out_features"]) for x in linears] == [*projections, ("out_proj", E)]
    assert all(("bias" in layer.inputs) == bias for layer in linears)
    # The pieces of the packed weight are operands under its own name.
    assert len({layer.inputs["weight"].name for layer in linears[:-1]}) == 1
    assert macs(checked.layers) == macs_by_torch(call, *tensors, packed(E, bias))


def test_separate_weights(compare: Any) -> None:
    """Keys and values of other widths, as ``nn.MultiheadAttention(kdim=…, vdim=…)`` takes them."""
    w = {
        "q_proj_weight": weight(E, E), "k_proj_weight": weight(E, 6), "v_proj_weight": weight(E, 10),
        "in_proj_bias": weight(3 * E), "out_proj_weight": weight(E, E), "out_proj_bias": weight(E),
    }  # fmt: skip
    call = forward(width=E, heads=H, use_separate_proj_weight=True)
    checked = compare(call, meta(L, N, E), meta(S, N, 6), meta(S, N, 10), w, {})
    assert checked.by_rule
    linears = [layer for layer in checked.layers if layer.op == "linear"]
    assert [(x.name, x.attrs["in_features"]) for x in linears] == [
        ("q_proj", E), ("k_proj", 6), ("v_proj", 10), ("out_proj", E),
    ]  # fmt: skip
    assert macs(checked.layers) == (
        L * N * E * E + S * N * E * 6 + S * N * E * 10 + N * H * L * S * 2 * D + L * N * E * E
    )


def random_masks(rng: random.Random, batched: bool) -> dict[str, Any]:
    dtype = rng.choice((torch.bool, torch.float32))
    found: dict[str, Any] = {}
    if rng.random() < 0.5:
        found["attn_mask"] = rng.choice((meta(L, S, dtype=dtype), meta((N if batched else 1) * H, L, S, dtype=dtype)))
    if rng.random() < 0.5:
        found["key_padding_mask"] = meta(N, S, dtype=dtype) if batched else meta(S, dtype=dtype)
    if "attn_mask" in found and rng.random() < 0.3:
        found["is_causal"] = True
    return found


def test_all_options(compare: Any) -> None:
    rng = random.Random(3)
    flags = itertools.product(*[(False, True)] * 6)
    for need_weights, average, zero, appended, static, batched in flags:
        for _ in range(3):
            masks = random_masks(rng, batched)
            if batched:
                q, k, v = meta(L, N, E), meta(S, N, E), meta(S, N, E)
            else:
                q, k, v = meta(L, E), meta(S, E), meta(S, E)
            w = packed(E, rng.random() < 0.8)
            options: dict[str, Any] = {"width": E, "heads": H, "add_zero_attn": zero, "need_weights": need_weights}
            options["average_attn_weights"] = average
            if appended:
                w |= {"bias_k": weight(1, 1, E), "bias_v": weight(1, 1, E)}
            elif static:
                folded = (N if batched else 1) * H
                masks |= {"static_k": meta(folded, S, D), "static_v": meta(folded, S, D)}
            call = forward(**options)
            checked = compare(call, q, k, v, w, masks)
            assert checked.error is not None or checked.by_rule
            if checked.error is None:
                assert macs(checked.layers) == macs_by_torch(call, q, k, v, w, masks)
            else:
                assert masks.get("is_causal")


def test_keys_that_are_appended_lengthen_the_attention(compare: Any) -> None:
    w = packed(E) | {"bias_k": weight(1, 1, E), "bias_v": weight(1, 1, E)}
    call = forward(width=E, heads=H, add_zero_attn=True, need_weights=False)
    checked = compare(call, meta(L, N, E), meta(S, N, E), meta(S, N, E), w, {})
    attention = next(layer for layer in checked.layers if layer.op == "attention")
    assert attention.attrs["kv_len"] == S + 2
    assert checked.ops.count("concat") == 4


def test_what_torch_refuses(compare: Any) -> None:
    x, k = meta(L, N, E), meta(S, N, E)
    cases: list[tuple[Any, ...]] = [
        (x, k, meta(S + 1, N, E), packed(E), {}),
        (x, meta(S, N + 1, E), meta(S, N + 1, E), packed(E), {}),
        (meta(L, N, E + 1), k, k, packed(E), {}),
        (x, k, k, packed(E), {"attn_mask": meta(L, L)}),
        (x, k, k, packed(E), {"attn_mask": meta(N, L, S)}),
        (x, k, k, packed(E), {"key_padding_mask": meta(N, L)}),
        (x, k, k, packed(E), {"attn_mask": meta(L, S, dtype=torch.int64)}),
        (x, k, k, packed(E), {"is_causal": True}),
        (x, k, k, packed(E) | {"bias_k": weight(1, 1, E)}, {}),
        (x, k, k, packed(E + 2), {}),
    ]
    for q, key, value, w, masks in cases:
        assert compare(forward(width=E, heads=H), q, key, value, w, masks).error is not None
    assert compare(forward(width=E, heads=3), x, k, k, packed(E), {}).error is not None


# -- the fused calls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("average", [True, False])
def test_native_multi_head_attention(need_weights: bool, average: bool) -> None:
    """There is no meta kernel: shapes are those that the CPU returns."""
    args = [torch.ones(N, L, E), E, H, torch.ones(3 * E, E), torch.ones(3 * E), torch.ones(E, E), torch.ones(E)]

    def call(x: Any, *rest: Any) -> Any:
        return torch._native_multi_head_attention(x, x, x, *rest, None, need_weights, average)

    expected = call(*args)
    tracer = compare_shapes(call, args)
    got = tracer.result
    assert [None if t is None else (tuple(t.shape), t.stride()) for t in got] == [
        None if t is None else (tuple(t.shape), t.stride()) for t in expected
    ]
    layers = [layer for layer in tracer.layers if layer.op in ("linear", "attention", "mean")]
    assert [layer.op for layer in layers] == [
        "linear",
        "attention",
        "linear",
        *(["mean"] if need_weights and average else []),
    ]
    assert macs(layers) == L * N * 3 * E * E + N * H * L * L * 2 * D + L * N * E * E


def compare_shapes(call: Any, args: list[Any]) -> Any:
    """Trace a call on meta tensors; tensors after the first are parameters."""
    tracer: Any = Tracer(torch.device("cpu"), real=False)
    given = []
    for i, value in enumerate(args):
        if isinstance(value, torch.Tensor):
            value = meta(*value.shape)
            if i == 0:
                tracer.give_input(value, "x")
            else:
                tracer.declare(value, Parameter(TensorSpec(tuple(value.shape), "float32", f"w{i}")))
        given.append(value)
    with torch.no_grad(), ShapeMode(tracer):
        tracer.result = call(*given)
    assert tracer.kernel_calls == 0
    return tracer


@pytest.mark.parametrize("gelu", [True, False])
@pytest.mark.parametrize("norm_first", [True, False])
def test_the_fused_encoder_layer(gelu: bool, norm_first: bool) -> None:
    """Its pieces are those of the module that torch fuses into it."""
    ffn = 16
    ones = torch.ones
    args = [
        ones(N, L, E), E, H, ones(3 * E, E), ones(3 * E), ones(E, E), ones(E), gelu, norm_first, 1e-5, ones(E), ones(E),
        ones(E), ones(E), ones(ffn, E), ones(ffn), ones(E, ffn), ones(E),
    ]  # fmt: skip
    expected = torch._transformer_encoder_layer_fwd(*args)
    tracer = compare_shapes(torch._transformer_encoder_layer_fwd, args)
    assert (tracer.result.shape, tracer.result.stride()) == (expected.shape, expected.stride())
    moves = ("reshape", "transpose", "split", "copy")
    work = [layer.op for layer in tracer.layers if layer.op not in moves]
    attention = ["linear", "attention", "linear"]
    feed_forward = ["linear", "gelu" if gelu else "relu", "linear"]
    if norm_first:
        assert work == ["layer_norm", *attention, "add", "layer_norm", *feed_forward, "add"]
    else:
        assert work == [*attention, "add", "layer_norm", *feed_forward, "add", "layer_norm"]
    assert macs(tracer.layers) == L * N * 4 * E * E + N * H * L * L * 2 * D + 2 * L * N * E * ffn
    # every tensor comes from somewhere, and the last layer makes the result
    assert tracer.specs[id(tracer.result)].name == tracer.layers[-1].y.name


def test_a_padded_batch_stays_padded() -> None:
    """nn.TransformerEncoder asks whether a mask allows a nested tensor; a trace answers no, whatever the values are."""
    with torch.device("meta"):
        model = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, H, 16, batch_first=True), 2).eval()
    traced = compare_shapes(lambda x: model(x, src_key_padding_mask=meta(N, L, dtype=torch.bool)), [meta(N, L, E)])
    assert [layer.op for layer in traced.layers].count("attention") == 2
    assert traced.result.shape == (N, L, E)
