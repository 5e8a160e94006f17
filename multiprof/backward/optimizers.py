"""What an optimizer keeps and does in a step, for each trained weight; PyTorch's algorithms with their defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from multiprof.cost import Cost, Counts
from multiprof.errors import UsageError
from multiprof.ir import TensorSpec

States = Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """``states`` are the tensors kept for a weight, by name; ``update`` what a step takes for it; ``temporary`` how
    many tensors of a weight's size stand beside it while it is updated.
    """

    name: str
    states: Callable[[TensorSpec], States]
    update: Callable[[TensorSpec], Counts]
    temporary: int
    source: str


def _stateless(spec: TensorSpec) -> States:
    return {}


def _each(**amounts: int) -> Callable[[TensorSpec], Counts]:
    def update(spec: TensorSpec) -> Counts:
        n = spec.numel
        return Counts(**{name: each * n for name, each in amounts.items()})

    return update


def _moments(spec: TensorSpec) -> States:
    return {"exp_avg": spec, "exp_avg_sq": spec, "step": TensorSpec((), "float32")}


def _factors(spec: TensorSpec) -> States:
    """Rows and columns of the squares, where there are two dimensions; else all of them."""
    step = {"step": TensorSpec((), "float32")}
    if spec.rank < 2:
        return {"variance": spec} | step
    rows = TensorSpec((*spec.shape[:-1], 1), spec.dtype)
    columns = TensorSpec((*spec.shape[:-2], 1, spec.shape[-1]), spec.dtype)
    return {"row_var": rows, "col_var": columns} | step


def _adafactor(spec: TensorSpec) -> Counts:
    """Shazeer and Stern 2018, as torch.optim.Adafactor writes it.

    The norm of the weight (n muls, n − 1 adds, 1 exp) and of the update (the same), the update rsqrt(v)·g with v
    limited (n cmps, n exps, n muls), and w ← w − α·u (n muls, n adds). With two dimensions, r rows and c columns: the
    norms of rows and columns (2·n muls, 2·n − r − c adds, r + c exps), squared, divided and mixed with the old ones
    (2·(r + c) muls, r + c divs, 2·(r + c) adds), their product (n muls) over the rows' mean (n divs, r adds); with
    one, squares mixed with the old ones (2·n muls, 2·n adds).
    """
    n = spec.numel
    if not n:
        return Counts()
    common = Counts(muls=4 * n, adds=3 * n - 2, exps=n + 2, cmps=n)
    if spec.rank < 2:
        return common + Counts(muls=2 * n, adds=2 * n)
    rows, columns = n // (spec.shape[-1] or 1), n // (spec.shape[-2] or 1)
    both = rows + columns
    return common + Counts(muls=3 * n + 2 * both, adds=2 * n + both + rows, exps=both, divs=n + both)


OPTIMIZERS: Mapping[str, Optimizer] = {
    item.name: item
    for item in (
        Optimizer("sgd", _stateless, _each(muls=1, adds=1), 0, "w − lr·g"),
        Optimizer(
            "momentum", lambda spec: {"momentum_buffer": spec}, _each(muls=2, adds=2), 0, "v ← μ·v + g; w − lr·v"
        ),
        Optimizer(
            "adam",
            _moments,
            # m + (1 − β₁)·(g − m); β₂·v + (1 − β₂)·g·g; √v/c + ε; w − lr·m/that
            _each(muls=5, adds=5, divs=2, exps=1),
            2,
            "Kingma and Ba 2014",
        ),
        Optimizer("adamw", _moments, _each(muls=6, adds=5, divs=2, exps=1), 2, "Loshchilov and Hutter 2017"),
        Optimizer("adafactor", _factors, _adafactor, 1, "Shazeer and Stern 2018"),
    )
}


def optimizer(name: str) -> Optimizer:
    """The optimizer of that name; `UsageError` for another."""
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise UsageError(f"optimizer is {name!r}; one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]


def state_bytes(chosen: Optimizer, weights: Iterable[TensorSpec]) -> dict[str, int]:
    """Bytes that the optimizer keeps, by name."""
    found: dict[str, int] = {}
    for spec in weights:
        for name, state in chosen.states(spec).items():
            found[name] = found.get(name, 0) + state.nbytes
    return found


def update_cost(chosen: Optimizer, weights: Iterable[TensorSpec]) -> Cost:
    """What a step does to the weights."""
    return Cost({"update": sum((chosen.update(spec) for spec in weights), Counts())})


def temporary_bytes(chosen: Optimizer, weights: Iterable[TensorSpec]) -> int:
    """Bytes that the update of the largest weight needs for a moment."""
    return chosen.temporary * max((spec.nbytes for spec in weights), default=0)
