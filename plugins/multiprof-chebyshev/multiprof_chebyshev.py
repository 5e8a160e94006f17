# Prices PyTorch's Chebyshev polynomials by their recurrence of three terms, P(k) = 2·x·P(k−1) − P(k−2).
from multiprof import Cost, Counts, UnknownDimensionError, formula, hookimpl


def steps(layer):
    """|y|: elements of y; S: steps of the recurrence, one for each degree above 1"""
    if "n" not in layer.attrs:
        raise UnknownDimensionError(f"{layer.name}: the degree is a tensor, whose values are not known")
    return {"|y|": layer.outputs["y"].numel, "S": max(int(layer.attrs["n"]) - 1, 0)}


@formula(*(f"torch.aten.special_chebyshev_polynomial_{kind}" for kind in "tuvw"), symbols=steps)
def chebyshev(layer):
    """recurrence: |y|·(S + 1) adds, |y|·S muls"""
    return Cost({"recurrence": Counts(adds=steps(layer)["S"] + 1, muls=steps(layer)["S"])}) * steps(layer)["|y|"]


@hookimpl
def multiprof_formulas():
    return [chebyshev]
