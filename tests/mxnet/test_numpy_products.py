"""Products of MXNet's numpy interface: shapes as MXNet executes them, a multiply-add for each setting of indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import multiprof
from multiprof import ModelError, Report

Shape = tuple[int, ...]


@pytest.fixture
def analyze(checker: Any) -> Iterator[Callable[..., Report]]:
    """A function of mxnet.np and arrays as a block; the result's shape is that of its execution."""
    mx = checker.mx

    class Block(mx.gluon.HybridBlock):
        def __init__(self, function: Any, weights: tuple[Shape, ...]) -> None:
            super().__init__()
            self.function = function
            with self.name_scope():
                self.held = [self.params.get(f"weight{i}", shape=shape) for i, shape in enumerate(weights)]
                for i, parameter in enumerate(self.held):
                    setattr(self, f"weight{i}", parameter)

        def hybrid_forward(self, F: Any, *arrays: Any, **weights: Any) -> Any:
            return self.function(F.np, *arrays, *(weights[name] for name in sorted(weights)))

    def call(function: Any, *shapes: Shape, weights: tuple[Shape, ...] = ()) -> Report:
        net = Block(function, weights)
        net.initialize()
        report = multiprof.analyze(net, [multiprof.TensorSpec(shape) for shape in shapes], strict=True)
        made = net(*(mx.np.zeros(shape) for shape in shapes))
        assert report.graph.outputs[0].shape == made.shape
        return report

    mx.npx.set_np()
    try:
        yield call
    finally:
        mx.npx.reset_np()


@pytest.mark.parametrize(
    ("a", "b", "macs"),
    [
        ((3, 4), (4, 5), 3 * 4 * 5),
        ((4,), (4,), 4),
        ((2, 3, 4), (4,), 2 * 3 * 4),
        ((2, 3, 4), (4, 5), 2 * 3 * 4 * 5),
        ((2, 4), (3, 4, 5), 2 * 4 * 3 * 5),
        ((), (3, 4), 0),
    ],
)
def test_dot(analyze: Callable[..., Report], a: Shape, b: Shape, macs: int) -> None:
    report = analyze(lambda np, a, b: np.dot(a, b), a, b)
    assert report.macs == macs
    assert report.flops == (2 * macs or 3 * 4)  # a number times a tensor: a product an element


@pytest.mark.parametrize(
    ("axes", "a", "b", "macs"),
    [
        (1, (2, 3), (3, 5), 2 * 3 * 5),
        (2, (6, 2, 3), (2, 3, 5), 6 * 2 * 3 * 5),
        (([1, 2], [1, 0]), (6, 2, 3), (3, 2, 5), 6 * 2 * 3 * 5),
        ((-1, 0), (2, 3), (3, 5), 2 * 3 * 5),
    ],
)
def test_tensordot(analyze: Callable[..., Report], axes: Any, a: Shape, b: Shape, macs: int) -> None:
    assert analyze(lambda np, a, b: np.tensordot(a, b, axes), a, b).macs == macs


def test_outer_products_have_no_dots(analyze: Callable[..., Report]) -> None:
    report = analyze(lambda np, a, b: np.tensordot(a, b, 0), (2, 3), (4,))
    assert (report.macs, report.flops) == (0, 2 * 3 * 4)


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bqhd,bkhd->bhqk", [(2, 5, 4, 3), (2, 6, 4, 3)], 2 * 4 * 5 * 6 * 3),
        ("ij,jk", [(2, 3), (3, 5)], 2 * 3 * 5),
        ("...ij,...jk->...ik", [(7, 2, 3), (7, 3, 5)], 7 * 2 * 3 * 5),
        ("ij,jk,kl->il", [(2, 3), (3, 5), (5, 7)], 2 * 3 * 5 + 2 * 5 * 7),
        ("ij->ji", [(2, 3)], 0),
        ("ii->i", [(3, 3)], 0),
    ],
)
def test_einsum(analyze: Callable[..., Report], equation: str, shapes: list[Shape], macs: int) -> None:
    assert analyze(lambda np, *arrays: np.einsum(equation, *arrays), *shapes).macs == macs


def test_sums_of_one_operand(analyze: Callable[..., Report]) -> None:
    report = analyze(lambda np, a: np.einsum("ij->j", a), (4, 3))
    assert (report.macs, report.flops) == (0, 3 * (4 - 1))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_weight_makes_it_linear(analyze: Callable[..., Report], reverse: bool) -> None:
    """Multi-head projection: N×L×64 with 64×4×16, whichever stands first."""

    def project(np: Any, x: Any, w: Any) -> Any:
        return np.einsum("chd,nlc->nlhd", w, x) if reverse else np.einsum("nlc,chd->nlhd", x, w)

    report = analyze(project, (2, 5, 64), weights=((64, 4, 16),))
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["in_features"], layer.attrs["out_features"]) == ("linear", 64, 64)
    assert layer.inputs["weight"].shape == (64, 4, 16)
    assert report.macs == 2 * 5 * 64 * 64
    assert report.params == 64 * 64
    dense = analyze(lambda np, x, w: np.dot(x, w), (2, 64), weights=((64, 10),))
    assert [layer.op for layer in dense.graph.layers] == ["linear"]
    assert dense.macs == 2 * 64 * 10


def test_what_does_not_fit(checker: Any, analyze: Callable[..., Report]) -> None:
    sym = checker.mx.sym.np.einsum("ij,jk->ik", *(checker.mx.sym.var(n).as_np_ndarray() for n in "xy"))
    path = checker.save(sym)
    with pytest.raises(ModelError, match="the index j has the sizes 3 and 4"):
        multiprof.analyze(path, {"x": (2, 3), "y": (4, 5)})
    with pytest.raises(ModelError, match="does not fit operands of the ranks"):
        multiprof.analyze(path, {"x": (2, 3, 4), "y": (4, 5)})
