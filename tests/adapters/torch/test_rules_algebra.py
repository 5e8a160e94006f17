"""Decompositions, distances, sparse products, scaled products of 8-bit floats, statistics, quantised tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import multiprof
from multiprof import Inputs

META = torch.device("meta")


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=META)


def report_of(call: Callable[..., Any], *given: Any) -> multiprof.Report:
    report = multiprof.analyze(call, Inputs(*given))
    assert not report.unsupported()
    return report


DECOMPOSED: list[tuple[Callable[[Any], Any], str, set[str]]] = [
    (torch.linalg.svd, "svd", {"y", "u", "v"}),
    (torch.linalg.svdvals, "svd", {"y"}),
    (torch.linalg.eigh, "eigh", {"y", "vectors"}),
    (torch.linalg.eigvalsh, "eigh", {"y"}),
    (torch.linalg.eig, "eig", {"y", "vectors"}),
    (torch.linalg.eigvals, "eig", {"y"}),
    (torch.linalg.slogdet, "log_det", {"y", "sign"}),
    (torch.linalg.matrix_exp, "matrix_exp", {"y"}),
    (torch.linalg.cholesky_ex, "cholesky", {"y", "info"}),
    (torch.linalg.inv_ex, "inverse", {"y", "info"}),
    (torch.linalg.lu_factor_ex, "lu", {"y", "pivots", "info"}),
]


@pytest.mark.parametrize(("call", "op", "roles"), DECOMPOSED, ids=lambda value: getattr(value, "__name__", None))
def test_decompositions(call: Any, op: str, roles: set[str], compare: Any) -> None:
    layer = compare(call, meta(2, 4, 4)).layer
    assert (layer.op, set(layer.outputs)) == (op, roles)


@pytest.mark.parametrize(
    ("call", "ops"),
    [
        (torch.linalg.lu, ["lu", "triangle", "triangle"]),
        (lambda a: torch.cholesky_solve(a, a), ["solve", "solve"]),
        (torch.linalg.pinv, ["svd", "greater", "reciprocal", "where", "mul", "matmul"]),
        (lambda a: torch.linalg.cross(a[..., :3], a[..., :3]), ["slice", "slice", "cross"]),
    ],
)
def test_what_is_made_of_others(call: Any, ops: list[str], compare: Any) -> None:
    assert compare(call, meta(2, 4, 4)).ops == ops


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", None])
@pytest.mark.parametrize("sides", [(5, 2), (5,)])
def test_least_squares(driver: Any, sides: tuple[int, ...]) -> None:
    """torch has no meta kernel for it; the shapes are those of a real run."""
    call = lambda a, b: torch.linalg.lstsq(a, b, driver=driver)  # noqa: E731
    a, b = torch.rand(5, 3), torch.rand(sides)
    report = report_of(call, a, b)
    (layer,) = report.graph.layers
    real = torch.linalg.lstsq(a, b.reshape(5, -1), driver=driver)
    assert layer.op == "lstsq"
    assert layer.y.numel == real.solution.numel()
    assert layer.outputs["rank"].shape == tuple(real.rank.shape)
    assert layer.outputs["singular_values"].shape == tuple(real.singular_values.shape)


def test_a_wide_system_has_no_price() -> None:
    report = multiprof.analyze(torch.linalg.lstsq, Inputs((3, 5), (3, 1)))
    assert report.coverage == 0


def test_lu_solves_by_two_substitutions() -> None:
    """4 unknowns, 3 sides: 6 products and differences each way, and 4 divisions backwards alone."""
    pivots = torch.arange(1, 5, dtype=torch.int32)
    report = report_of(lambda a, b: torch.linalg.lu_solve(a, pivots, b), (4, 4), (4, 3))
    assert report.flops == 3 * (2 * 6 + 2 * 6 + 4)


# -- distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "each"), [(1.0, 3), (2.0, 3)])
def test_few_distances_are_taken_one_by_one(p: float, each: int) -> None:
    """Per element a difference, |d| or d², and the sum of 8; p = 2 takes the root."""
    report = report_of(lambda a, b: torch.cdist(a, b, p=p), (2, 5, 8), (2, 6, 8))
    y = 2 * 5 * 6
    assert [layer.op for layer in report.layers] == ["distance"]
    assert report.flops == y * (each * 8 - 1) + (y if p == 2 else 0)
    rows = report_of(lambda a: F.pdist(a, p), (5, 8))
    assert rows.flops == report.flops // y * 10  # pairs of 5 rows


def test_many_distances_are_a_product() -> None:
    """More than 25 rows: |a|² − 2·a·b + |b|² by a product over 8 + 2."""
    report = report_of(torch.cdist, (1, 30, 8), (1, 40, 8))
    assert report.macs == 30 * 40 * (8 + 2)
    norms = (30 + 40) * (8 + 7)
    assert report.flops == 2 * report.macs + norms + 30 * 8 + 2 * 30 * 40


# -- sparse matrices ------------------------------------------------------------------------------


class Neighbours(torch.nn.Module):
    """A layer of a graph network: a sparse adjacency that the model holds."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.register_buffer("edges", getattr(torch.eye(6).roll(1, 0) + torch.eye(6), layout)())
        self.linear = torch.nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.sparse.mm(self.edges, x)) + (self.edges @ x)[:, :1]


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    ("layout", "positions"),
    [("to_sparse", 12 * 2 * 8), ("to_sparse_csr", (12 + 7) * 8), ("to_sparse_csc", (12 + 7) * 8)],
)
def test_only_what_is_stored_is_multiplied(layout: str, positions: int) -> None:
    """12 edges between 6 nodes of 3 features; read are the values, their positions, and the features once."""
    report = report_of(Neighbours(layout).eval(), (6, 3))
    products = [layer for layer in report.layers if layer.op == "sparse_matmul"]
    assert [layer.macs for layer in products] == [12 * 3, 12 * 3]
    assert products[0].bytes_read == 12 * 4 + positions + 6 * 3 * 4
    assert report.macs == 2 * 12 * 3 + 6 * 3 * 4


class Unpriced(torch.nn.Module):
    """A sparse matrix, in an operation of which there is no count on what it stores."""

    def __init__(self, layout: str, operation: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.register_buffer("edges", getattr(torch.eye(4), layout)())
        self.operation = operation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.operation(self.edges, x)


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda s, x: s.to_dense() @ x,
        lambda s, x: F.linear(x, s),
        lambda s, x: torch.addmm(x, s, x),
        lambda s, x: torch.sparse.addmm(x, s, x),
    ],
    ids=["to_dense", "linear", "addmm", "sparse.addmm"],
)
def test_other_operations_on_sparse_matrices_are_refused(layout: str, operation: Any) -> None:
    """They are not counted as if the matrix were dense, nor a dense one as if it were sparse."""
    with pytest.raises(multiprof.ModelError, match="edges is a sparse tensor"):
        multiprof.analyze(Unpriced(layout, operation), (4, 4))


# -- 8-bit floats, statistics, one element of a line -----------------------------------------------


def test_scaled_products_of_8_bit_floats() -> None:
    """16×32 by 32×48; the product of the scales, which are constants, meets every result."""
    one = torch.tensor(1.0)
    float8 = torch.float8_e4m3fn
    call = lambda a, b: torch._scaled_mm(a, b.mT, one, one, out_dtype=torch.bfloat16)  # noqa: E731
    report = report_of(call, torch.zeros(16, 32).to(float8), torch.zeros(48, 32).to(float8))
    assert report.macs == 16 * 48 * 32
    assert report.counts.muls == 16 * 48


def test_covariance_by_hand() -> None:
    """3 rows of 8: a mean each, 24 differences, a product, 9 divisions by 7."""
    report = report_of(torch.cov, (3, 8))
    assert report.macs == 9 * 8
    assert report.flops == 2 * 9 * 8 + 3 * (7 + 1) + 24 + 9


@pytest.mark.parametrize(
    ("call", "ops"),
    [
        (lambda x: torch.kthvalue(x, 2)[0], ["topk", "slice", "slice"]),
        (lambda x: torch.median(x, 1)[0], ["topk", "slice", "slice"]),
        (torch.median, ["topk", "slice"]),
        (lambda x: torch.mode(x, 0)[0], ["mode"]),
        (torch.histc, ["min", "max", "histogram"]),
        (lambda x: torch.multinomial(x, 2), ["random"]),
        (torch.poisson, ["random"]),
    ],
)
def test_selection_and_chance(call: Any, ops: list[str], compare: Any) -> None:
    assert compare(call, meta(4, 5)).ops == ops


def test_a_median_is_the_lower_of_the_two_in_the_middle(compare: Any) -> None:
    tracer = compare(lambda x: torch.median(x, 0)[0], meta(6, 2))
    assert tracer.layers[0].attrs == {"axis": 0, "k": 3, "n": 6, "largest": False, "sorted": True}


@pytest.mark.parametrize("flags", [{}, {"return_inverse": True}, {"return_counts": True}, {"dim": 0}])
def test_different_elements_are_found_by_value(flags: dict[str, Any]) -> None:
    x = torch.tensor([[3.0, 1.0], [3.0, 1.0], [2.0, 2.0]])

    def call(x: torch.Tensor) -> torch.Tensor:
        found = torch.unique(x, **flags)
        return (found[0] if isinstance(found, tuple) else found) + 1

    report = report_of(call, x)
    assert [layer.op for layer in report.layers] == ["unique", "add"]
    assert report.graph.outputs[0].shape == tuple(call(x).shape)


def test_quantised_tensors_there_and_back() -> None:
    """Divided, shifted, limited twice; shifted back and scaled."""
    report = report_of(lambda x: torch.quantize_per_tensor(x, 0.1, 3, torch.quint8).dequantize(), (2, 3))
    assert [layer.op for layer in report.layers] == ["quantize", "dequantize"]
    assert report.graph.layers[0].y.dtype == "uint8"
    assert report.flops == 6 * (4 + 2)


@pytest.mark.parametrize("per_channel", [False, True])
def test_exported_quantisation_has_operators_of_its_own(per_channel: bool) -> None:
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  # registers them

    ops = torch.ops.quantized_decomposed
    if per_channel:
        scale, zero = torch.full((3,), 0.1), torch.zeros(3, dtype=torch.int64)
        given: tuple[Any, ...] = (scale, zero, 1, -128, 127, torch.int8)
        call = lambda x: ops.dequantize_per_channel(ops.quantize_per_channel(x, *given), *given)  # noqa: E731
    else:
        given = (0.1, 0, -128, 127, torch.int8)
        call = lambda x: ops.dequantize_per_tensor(ops.quantize_per_tensor(x, *given), *given)  # noqa: E731
    report = report_of(call, (2, 3))
    assert [layer.op for layer in report.layers] == ["quantize", "dequantize"]
    assert [layer.layer.attrs.get("axis") for layer in report.layers] == [1 if per_channel else None] * 2


# -- bags ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_with_padding_count_every_row(mode: str) -> None:
    report = report_of(
        lambda x, w: F.embedding_bag(x, w, mode=mode, padding_idx=1), torch.tensor([[1, 2], [3, 4]]), (9, 8)
    )
    assert [layer.op for layer in report.layers][-2:] == ["embedding", mode]
    assert report.flops == 2 * 8 * (1 + (mode == "mean"))
