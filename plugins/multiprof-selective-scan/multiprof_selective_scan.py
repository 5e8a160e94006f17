from multiprof import Cost, Counts, formula, hookimpl


def sizes(layer):  # S tokens of D channels; E inner channels of N states each; Δ of rank R; kernel K; b biases in all
    (e, n), (_, r), (_, _, k) = (layer.inputs[role].shape for role in ("A_log", "dt_proj.weight", "conv1d.weight"))
    d, b = layer.x.shape[-1], sum(spec.numel for role, spec in layer.inputs.items() if role.endswith(".bias"))
    return {"S": layer.x.numel // d, "D": d, "E": e, "N": n, "R": r, "K": k, "b": b}


@formula("torch.transformers.models.mamba.modeling_mamba.MambaMixer", symbols=sizes, source="arXiv 2312.00752, §3")
def mamba(layer):
    """dot: S·E·(3·D + 2·R + 3·N + K) macs, S·(5·E + D + R + 2·N) dots; bias: S·b adds; scan: S·E·(4·N + 4) muls, S·E·(N + 6) adds, S·E·(N + 4) exps, S·E·2 divs"""  # noqa: E501
    s, d, e, n, r, k, b = sizes(layer).values()
    dot, bias = Counts(macs=e * (3 * d + 2 * r + 3 * n + k), dots=5 * e + d + r + 2 * n), Counts(adds=b)
    return Cost({"dot": dot, "bias": bias, "scan": e * Counts(muls=4 * n + 4, adds=n + 6, exps=n + 4, divs=2)}) * s


@hookimpl
def multiprof_formulas():
    return [mamba]
