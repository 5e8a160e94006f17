"""Einstein sums: results against torch's meta kernels, steps against the operators torch runs, values against torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import prod
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

Counts = tuple[int, int, int]


def meta(shape: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(tuple(shape), dtype=dtype, device="meta")


def weight(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(meta(shape))


class Recorded(TorchDispatchMode):
    """What torch itself runs: multiply-adds of matrix products, elements of products, elements that sums reduce."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = self.muls = self.sums = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._opname
        if name in ("bmm", "mm", "dot", "mv"):
            self.macs += out.numel() * args[0].shape[-1]
        elif name == "mul":
            self.muls += out.numel()
        elif name == "sum":
            self.sums += args[0].numel() - out.numel()
        return out


def run_by_torch(function: Any, *args: Any) -> Counts:
    with torch.no_grad(), Recorded() as recorded:
        function(*args)
    return recorded.macs, recorded.muls, recorded.sums


def letters(layer: Any) -> tuple[list[str], str]:
    left, _, out = layer.attrs["equation"].partition("->")
    return left.split(","), out


def counted(layers: Any) -> Counts:
    """The same three numbers from the layers."""
    macs = muls = sums = 0
    for layer in layers:
        if layer.op == "sum" or (layer.op == "einsum" and len(layer.inputs) == 1):
            sums += layer.x.numel - layer.y.numel
        elif layer.op in ("einsum", "linear"):
            terms, out = letters(layer)
            sizes: dict[str, int] = {}
            for term, spec in zip(terms, layer.inputs.values(), strict=True):
                for letter, n in zip(term, spec.shape, strict=True):
                    sizes[letter] = max(sizes.get(letter, 1), n)
            summed = [n for letter, n in sizes.items() if letter not in out]
            assert layer.y.numel == prod(sizes[letter] for letter in out)
            if layer.op == "linear":
                assert prod(summed) == layer.attrs["in_features"]
            if summed:
                macs += prod(sizes.values())
            else:
                muls += layer.y.numel
    return macs, muls, sums


def evaluate(checked: Any, values: list[torch.Tensor]) -> torch.Tensor:
    """Run the layers as their attributes say."""
    names = {checked.specs[id(t)].name: v for t, v in zip(checked.given, values, strict=True)}
    for layer in checked.layers:
        operands = [names[spec.name] for spec in layer.inputs.values()]
        if layer.op == "sum":
            y = operands[0].sum(layer.attrs["axis"])
        elif layer.op == "transpose":
            y = operands[0].permute(layer.attrs["perm"])
        elif layer.op == "slice":
            i, j = (int(n) for n in layer.attrs["index"].removeprefix("diagonal(0,").rstrip(")").split(","))
            y = operands[0].diagonal(0, i, j)
        elif layer.op == "add":
            y = operands[0] + operands[1]
        else:
            y = torch.einsum(layer.attrs["equation"], *operands)
        names[layer.y.name] = y
        assert tuple(y.shape) == layer.y.shape
    return names[checked.layers[-1].y.name]


def check_values(checked: Any, function: Any, shapes: list[Any]) -> None:
    values = [torch.randn(s, dtype=torch.float64, generator=torch.Generator().manual_seed(7)) for s in shapes]
    torch.testing.assert_close(evaluate(checked, values), function(*values))


def einsum(equation: str) -> Any:
    return lambda *operands: torch.einsum(equation, *operands)


# -- the equations of the handbook, each with its shapes -----------------------------------------------------------

EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij , jk -> ki", [(2, 3), (3, 4)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
    ("bij,bkj->bki", [(5, 2, 3), (5, 4, 3)]),
    ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("bqhd,bkhd->bhqk", [(2, 4, 3, 5), (2, 6, 3, 5)]),
    ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
    ("...ij,jk->...ik", [(6, 5, 2, 3), (3, 4)]),
    ("i...j,jk->k...i", [(2, 6, 5, 3), (3, 4)]),
    ("...i,...i->...", [(4, 5, 3), (5, 3)]),
    ("...i,i", [(4, 5, 3), (3,)]),
    ("...,...", [(4, 5), (4, 5)]),
    ("...ij,...jk->ik", [(5, 2, 3), (5, 3, 4)]),
    ("Ab,bC->AC", [(2, 3), (3, 4)]),
    ("aB,Bc", [(2, 3), (3, 4)]),
    ("zA,Az", [(2, 3), (3, 2)]),
    ("i,i->", [(3,), (3,)]),
    ("i,j->ij", [(3,), (4,)]),
    ("i,j->ji", [(3,), (4,)]),
    ("ij,ij->ij", [(3, 4), (3, 4)]),
    ("ij,ji->ij", [(3, 4), (4, 3)]),
    ("ij,ij->", [(3, 4), (3, 4)]),
    ("ij,kl->", [(3, 4), (5, 2)]),
    ("ij,kl->ik", [(3, 4), (5, 2)]),
    ("ij,jk->k", [(3, 4), (4, 2)]),
    ("ii,ij->ij", [(3, 3), (3, 4)]),
    ("iij,jk->ik", [(3, 3, 4), (4, 2)]),
    ("iji,jkj->ik", [(3, 4, 3), (4, 2, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,jk,kl,lm->im", [(2, 3), (3, 4), (4, 5), (5, 6)]),
    ("bi,oij,bj->bo", [(2, 3), (4, 3, 5), (2, 5)]),
    ("a,b,c->abc", [(2,), (3,), (4,)]),
    ("ab,ab,ab->a", [(2, 3), (2, 3), (2, 3)]),
    ("ab,bc,ac->", [(2, 3), (3, 4), (2, 4)]),
    ("ab,cd,ef->ace", [(2, 3), (4, 5), (3, 2)]),
    ("...a,...b,ab->...", [(5, 2), (5, 3), (2, 3)]),
    ("nchw,vcw->nchv", [(2, 3, 4, 5), (6, 3, 5)]),
]
SINGLE: list[tuple[str, tuple[int, ...]]] = [
    ("ij->ij", (3, 4)), ("ij->ji", (3, 4)), ("ba", (3, 4)), ("ij->i", (3, 4)), ("ij->", (3, 4)), ("ij->j", (3, 4)),
    ("ii->i", (3, 3)), ("ii", (3, 3)), ("ii->", (3, 3)), ("iij->ji", (3, 3, 4)), ("iijj->ij", (3, 3, 4, 4)),
    ("iiji->j", (3, 3, 4, 3)), ("...ij->...ji", (2, 5, 3, 4)), ("i...->...i", (3, 4, 5)), ("i...->i", (3, 4, 5)),
    ("...", (3, 4)), ("...ii->...i", (2, 3, 3)), ("i->", (3,)), ("->", ()), ("bAc->cAb", (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=[e for e, _ in EQUATIONS])
def test_several_operands(compare: Any, equation: str, shapes: Any) -> None:
    function = einsum(equation)
    checked = compare(function, *map(meta, shapes))
    assert checked.by_rule
    assert counted(checked.layers) == run_by_torch(function, *map(meta, shapes))
    check_values(checked, function, shapes)
    steps = [layer for layer in checked.layers if layer.op == "einsum"]
    assert len(steps) == len(shapes) - 1
    path = ((0, 1),) * len(steps) if len(steps) > 1 else None
    assert all(layer.attrs.get("path") == path for layer in steps)


@pytest.mark.parametrize(("equation", "shape"), SINGLE, ids=[e for e, _ in SINGLE])
def test_one_operand_is_a_view_or_a_reduction(compare: Any, equation: str, shape: Any) -> None:
    function = einsum(equation)
    checked = compare(function, meta(shape))
    assert checked.by_rule
    assert counted(checked.layers) == run_by_torch(function, meta(shape))
    if checked.layers:
        check_values(checked, function, [shape])
    for layer in checked.layers:
        assert layer.op in ("slice", "transpose", "einsum")
        assert (layer.op == "einsum") == (not layer.aliases)


@pytest.mark.parametrize(("equation", "shapes"), [e for e in EQUATIONS if len(e[1]) == 2], ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("which", [0, 1])
def test_a_contraction_with_a_weight_is_linear(compare: Any, equation: str, shapes: Any, which: int) -> None:
    function = einsum(equation)
    operands = [(weight(*s) if i == which else meta(s)) for i, s in enumerate(shapes)]
    checked = compare(function, *operands)
    assert checked.by_rule
    macs, muls, _ = run_by_torch(function, *map(meta, shapes))
    assert counted(checked.layers)[:2] == (macs, muls)
    layer = checked.layers[-1]
    assert layer.op == ("linear" if macs else "einsum")
    if macs:
        assert list(layer.inputs) == ["x", "weight"]
        assert layer.attrs["in_features"] * layer.y.numel == macs
        x, w = layer.inputs["x"], layer.inputs["weight"]
        terms, _ = letters(layer)
        assert layer.attrs["out_features"] == prod(
            n for c, n in zip(terms[1], w.shape, strict=True) if c not in terms[0]
        )
        assert len(terms[0]) == x.rank
    part = equation.split("->")[0].split(",")[which]
    if len(set(part)) == len(part):  # the diagonal of a weight is a piece of it, and no layer
        check_values(checked, function, shapes)


def test_a_step_with_a_weight_among_activations(compare: Any) -> None:
    checked = compare(einsum("bi,oij,bj->bo"), meta((2, 3)), weight(4, 3, 5), meta((2, 5)))
    assert checked.ops == ["linear", "einsum"]
    first, second = checked.layers
    # Indices stand as torch aligns them: the output's b and o first.
    assert first.attrs == {
        "in_features": 3, "out_features": 20, "equation": "bi,oij->boj", "path": ((0, 1), (0, 1)),
    }  # fmt: skip
    assert second.attrs == {"equation": "boj,bj->bo", "path": ((0, 1), (0, 1))}


def test_indices_of_one_operand_alone_are_summed_first(compare: Any) -> None:
    checked = compare(einsum("ij,kl->ik"), meta((3, 4)), meta((5, 2)))
    assert checked.ops == ["sum", "sum", "einsum"]
    left, right, product = checked.layers
    assert (left.attrs, left.y.shape) == ({"axis": (1,), "keepdim": False}, (3,))
    assert (right.attrs, right.y.shape) == ({"axis": (1,), "keepdim": False}, (5,))
    assert product.attrs == {"equation": "i,k->ik"}


@pytest.mark.parametrize("args", [
    lambda a, b: (a, [0, 1], b, [1, 2]), lambda a, b: (a, [0, 1], b, [1, 2], [0, 2]),
    lambda a, b: (a, [30, 1], b, [1, 2], [2, 30]), lambda a, b: (a, [..., 1], b, [1, 2], [..., 2]),
    lambda a, b: ("ij,jk->ik", [a, b]), lambda a, b: ("ij,jk->ik", (a, b)),
])  # fmt: skip
def test_other_ways_to_write_it(compare: Any, args: Any) -> None:
    function = lambda a, b: torch.einsum(*args(a, b))  # noqa: E731  # one line beside its arguments
    checked = compare(function, meta((2, 3)), meta((3, 4)))
    assert checked.by_rule
    assert checked.ops == ["einsum"]
    assert counted(checked.layers) == (2 * 3 * 4, 0, 0)
    check_values(checked, function, [(2, 3), (3, 4)])


# -- random equations ----------------------------------------------------------------------------------------------


def random_case(rng: random.Random, smallest: int) -> tuple[str, list[list[int]]]:
    """Operands of up to four letters each, among them repeated ones, now and then an ellipsis."""
    names = rng.sample("abcXYz", rng.randint(1, 5))
    sizes = {name: rng.randint(smallest, 4) for name in names}
    ellipsis = [rng.randint(smallest, 3) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    terms, shapes = [], []
    for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
        term = [rng.choice(names) for _ in range(rng.randint(0, 4))]
        if rng.random() < 0.8:
            term = list(dict.fromkeys(term))
        shape = [sizes[name] for name in term]
        if ellipsis:
            at, depth = rng.randint(0, len(term)), rng.randint(0, len(ellipsis))
            shape[at:at] = ellipsis[len(ellipsis) - depth :]
            term.insert(at, "...")
        terms.append("".join(term))
        shapes.append(shape)
    equation = ",".join(terms)
    if rng.random() < 0.8:
        seen = [name for name in names if any(name in term for term in terms)]
        out = rng.sample(seen, rng.randint(0, len(seen)))
        if ellipsis and rng.random() < 0.8:
            out.insert(rng.randint(0, len(out)), "...")
        equation += "->" + "".join(out)
    return equation, shapes


def test_random_equations(compare: Any) -> None:
    rng = random.Random(5)
    for _ in range(400):
        equation, shapes = random_case(rng, 2)
        function = einsum(equation)
        tensors = []
        for shape in shapes:
            order = rng.sample(range(len(shape)), len(shape))
            made = meta([shape[i] for i in order])
            tensors.append(made.permute([order.index(i) for i in range(len(shape))]))
        checked = compare(function, *tensors)
        assert checked.by_rule
        assert counted(checked.layers) == run_by_torch(function, *tensors)
        if checked.layers:
            check_values(checked, function, shapes)


def test_random_equations_with_sizes_of_one(compare: Any) -> None:
    """Also sizes that broadcast, which torch allows for any index."""
    rng = random.Random(6)
    answered = 0
    for _ in range(400):
        equation, shapes = random_case(rng, 1)
        shapes = [[1 if rng.random() < 0.15 else n for n in shape] for shape in shapes]
        answered += compare(einsum(equation), *map(meta, shapes)).by_rule
    assert answered > 300


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)]), ("ij,jk->ik", [(2, 3)]), ("ij->ik", [(2, 3)]), ("ij->ii", [(2, 3)]),
        ("i.j->ij", [(2, 3)]), ("i1->i", [(2, 3)]), ("ii->i", [(2, 3)]), ("ijk->i", [(2, 3)]), ("i->i", [(2, 3)]),
        ("......i->i", [(2, 3)]), ("i->i...", [(2,)]), ("ij,jk->ik", [(2, 3), (3, 4), (4, 5)]), ("ij->i->j", [(2, 3)]),
        ("ij,jk->ik", [(0, 3), (3, 4)]), ("ij,jk->ik", [(2, 0), (0, 4)]), ("ij->i", [(2, 0)]), ("...ij->ij", [(2,)]),
    ],
)  # fmt: skip
def test_odd_arguments_are_torchs(compare: Any, equation: str, shapes: Any) -> None:
    compare(einsum(equation), *map(meta, shapes))


def test_integers(compare: Any) -> None:
    a, b = meta((2, 3), torch.int32), meta((3, 4), torch.int32)
    assert compare(einsum("ij,kl->ijkl"), a, b).by_rule
    assert compare(einsum("ij->ji"), a).by_rule
    # torch sums integers in int64, step by step: its own kernels decide.
    compare(einsum("ij->i"), a)
    compare(einsum("ij,jk->ik"), a, b)


# -- opt_einsum ----------------------------------------------------------------------------------------------------


class LastFirst:
    """Stands in for the opt_einsum package: contracts from the right, and remembers what it was asked."""

    asked: list[tuple[str, list[tuple[int, ...]], str]]

    def __init__(self) -> None:
        self.asked = []

    def contract_path(self, equation: str, *operands: Any, optimize: str) -> tuple[list[tuple[int, int]], str]:
        self.asked.append((equation, [tuple(x.shape) for x in operands], optimize))
        return [(n - 2, n - 1) for n in range(len(operands), 1, -1)], ""


@pytest.fixture
def optimizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[LastFirst]:
    found = LastFirst()
    module = torch.backends.opt_einsum
    monkeypatch.setattr(module.m, "_opt_einsum", found)
    monkeypatch.setattr(module.m, "enabled", True)
    monkeypatch.setattr(module.m, "strategy", "auto")
    module.m.is_available.cache_clear()
    yield found
    monkeypatch.undo()
    module.m.is_available.cache_clear()


def test_the_path_is_opt_einsums_where_torch_has_it(compare: Any, optimizer: LastFirst) -> None:
    shapes = [(2, 30), (30, 3), (3, 40), (40, 5)]
    function = einsum("ij,jk,kl,lm->im")
    checked = compare(function, *map(meta, shapes))
    assert checked.by_rule
    ours, torchs = optimizer.asked[1], optimizer.asked[0]
    assert ours == torchs == ("ij,jk,kl,lm->im", shapes, "auto")
    assert checked.ops == ["einsum"] * 3
    assert {layer.attrs["path"] for layer in checked.layers} == {((2, 3), (1, 2), (0, 1))}
    # (3·40)·5, then (30·3)·5, then (2·30)·5
    assert counted(checked.layers) == (600 + 450 + 300, 0, 0)
    assert counted(checked.layers) == run_by_torch(function, *map(meta, shapes))
    check_values(checked, function, shapes)


def test_random_equations_by_another_path(compare: Any, optimizer: LastFirst) -> None:
    rng = random.Random(8)
    for _ in range(200):
        equation, shapes = random_case(rng, 2)
        function = einsum(equation)
        checked = compare(function, *map(meta, shapes))
        assert checked.by_rule
        assert counted(checked.layers) == run_by_torch(function, *map(meta, shapes))
        if checked.layers:
            check_values(checked, function, shapes)
    assert optimizer.asked


# -- tensordot, bilinear -------------------------------------------------------------------------------------------

TENSORDOT: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((2, 3), (3, 4), 1), ((2, 3, 4), (3, 4, 5), 2), ((2, 3), (4, 5), 0), ((3, 4), (3, 4), 2),
    ((2, 3), (3, 4), ([1], [0])),
    ((2, 3, 4), (4, 5, 2), ([0, 2], [2, 0])), ((2, 3, 4), (5, 3, 2), ([-2, 0], [1, -1])), ((3,), (3,), 1),
    ((2, 3, 4), (3,), ((1,), (0,))),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "dims"), TENSORDOT)
@pytest.mark.parametrize("weighted", [False, True])
def test_tensordot(compare: Any, a: Any, b: Any, dims: Any, weighted: bool) -> None:
    function = lambda x, y: torch.tensordot(x, y, dims)  # noqa: E731  # one line beside its arguments
    checked = compare(function, meta(a), weight(*b) if weighted else meta(b))
    assert checked.by_rule
    if dims == 0:  # torch multiplies matrices with one column; it is an outer product
        assert counted(checked.layers) == (0, 2 * 3 * 4 * 5, 0)
        assert checked.ops == ["einsum"]
    else:
        assert counted(checked.layers) == run_by_torch(function, meta(a), meta(b))
        assert checked.ops == ["linear" if weighted else "einsum"]
    check_values(checked, function, [a, b])


@pytest.mark.parametrize(
    ("a", "b", "dims"),
    [((2, 3), (3, 4), 2), ((2, 3), (3, 4), 3), ((2, 3), (3, 4), -1), ((2, 3), (1, 4), 1), ((2, 1), (3, 4), 1),
     ((2, 3), (3, 4), ([1], [0, 1])), ((2, 3), (3, 4), ([1, 1], [0, 0])), ((2, 3), (3, 4), ([5], [0])),
     ((2, 0), (0, 4), 1)],
)  # fmt: skip
def test_odd_tensordots_are_torchs(compare: Any, a: Any, b: Any, dims: Any) -> None:
    compare(lambda x, y: torch.tensordot(x, y, dims), meta(a), meta(b))


@pytest.mark.parametrize("leading", [(), (5,), (2, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(compare: Any, leading: tuple[int, ...], bias: bool) -> None:
    tensors = [meta((*leading, 3)), meta((*leading, 4)), weight(6, 3, 4), *([weight(6)] if bias else [])]
    checked = compare(F.bilinear, *tensors)
    assert checked.by_rule
    assert checked.ops == ["linear", "einsum", *(["add"] if bias else [])]
    n = prod(leading)
    # x1·W: every sample meets 6·3·4 weights; then with x2, 6 sums of 4
    assert counted(checked.layers) == (n * 6 * 3 * 4 + n * 6 * 4, 0, 0)
    check_values(checked, F.bilinear, [t.shape for t in tensors])


def test_what_torch_runs_for_bilinear() -> None:
    """One product with a slice of the weight, and one with the second input, for every output."""
    n, out, in1, in2 = 5, 6, 3, 4
    tensors = [torch.ones(n, in1), torch.ones(n, in2), torch.ones(out, in1, in2)]
    assert run_by_torch(torch.ops.aten._trilinear, tensors[0], tensors[2], tensors[1], [1, 3], [0], [1, 2], [2, 3])[
        1:
    ] == (0, 0)
    y = torch.einsum("bi,oij,bj->bo", tensors[0], tensors[2], tensors[1])
    torch.testing.assert_close(F.bilinear(tensors[0], tensors[1], tensors[2]), y)


def test_odd_bilinears_are_torchs(compare: Any) -> None:
    for shapes in ([(5, 3), (5, 4), (6, 3, 3)], [(5, 3), (4, 4), (6, 3, 4)], [(5, 3), (5, 4), (6, 3, 4), (5,)]):
        compare(F.bilinear, *map(meta, shapes))
