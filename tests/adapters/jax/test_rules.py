"""The other primitives, one by one: which layers they become and what those cost, by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax


def struct(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


N = 12  # elements of a 3×4 tensor

# function of one 3×4 float tensor -> (ops, FLOPs)
UNARY: dict[str, tuple[Any, list[str], int]] = {
    "abs": (jnp.abs, ["abs"], N),
    "cbrt": (jnp.cbrt, ["pow"], N),
    "clip": (lambda x: lax.clamp(0.0, x, 6.0), ["clip"], 2 * N),
    "copysign by hand": (lambda x: jnp.sign(x) * x, ["sign", "mul"], 3 * N),
    "cube": (lambda x: x**3, ["pow"], 2 * N),
    "division by a number": (lambda x: x / 3, ["div"], N),
    "number by it": (lambda x: 3 / x, ["div"], N),
    "exp": (jnp.exp, ["exp"], N),
    "expm1 and log1p": (lambda x: jnp.log1p(jnp.expm1(x)), ["expm1", "log1p"], 2 * N),
    "erf": (lax.erf, ["erf"], N),
    "erf_inv": (lax.erf_inv, ["erfinv"], N),
    "floor": (jnp.floor, ["floor"], 0),
    "is finite": (lax.is_finite, ["is_finite"], 2 * N),
    "logistic": (jax.nn.sigmoid, ["sigmoid"], 4 * N),
    "maximum with 0": (lambda x: jnp.maximum(x, 0), ["relu"], N),
    "maximum with a number": (lambda x: jnp.maximum(x, 0.5), ["maximum"], N),
    "power of a number": (lambda x: x**2.5, ["pow"], N),
    "power with a number": (lambda x: 2.0**x, ["pow"], N),
    "reciprocal square root": (lax.rsqrt, ["rsqrt"], N),
    "square": (jnp.square, ["square"], N),
    "subtraction from a number": (lambda x: 1 - x, ["sub"], N),
    "tanh": (jnp.tanh, ["tanh"], N),
    "arithmetic of numbers": (lambda x: x * (1 / jnp.sqrt(64.0) + jnp.float32(1) * 2), ["mul"], N),
    "cast": (lambda x: x.astype(jnp.bfloat16), ["cast"], 0),
    "no cast": (lambda x: x.astype(jnp.float32), [], 0),
    "sum": (lambda x: x.sum(1), ["sum"], 3 * 3),
    "max": (lambda x: x.max(0), ["max"], 2 * 4),
    "min": (lambda x: x.min(), ["min"], N - 1),
    "prod": (lambda x: x.prod(0), ["prod"], 2 * 4),
    "mean": (lambda x: x.mean(1), ["mean"], 3 * 3 + 3),
    "mean, kept": (lambda x: x.mean(1, keepdims=True), ["mean"], 3 * 3 + 3),
    "argmax": (lambda x: jnp.argmax(x, 1), ["argmax"], 3 * 3),
    "cumsum": (lambda x: jnp.cumsum(x, 1), ["cumsum"], 3 * 3),
    "cumprod": (lambda x: lax.cumprod(x, 0, reverse=True), ["cumprod"], 2 * 4),
    "cummax": (lambda x: lax.cummax(x, 1), ["cummax"], 3 * 3),
    "cummin": (lambda x: lax.cummin(x, 0), ["cummin"], 2 * 4),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x, 1), ["logcumsumexp"], 3 * 3 * 6),
    "reduction by a function": (lambda x: lax.reduce(x, 0.0, lambda a, b: a + b, (0,)), ["sum"], 2 * 4),
    "reshape": (lambda x: x.reshape(2, 6), ["reshape"], 0),
    "transpose": (lambda x: x.T, ["transpose"], 0),
    "flip": (lambda x: x[::-1], ["flip"], 0),
    "slice": (lambda x: lax.slice(x, (1, 0), (3, 4), (1, 2)), ["slice"], 0),
    "slice by index": (lambda x: x[1:, ::2], ["slice"], 0),
    "tile": (lambda x: jnp.tile(x, (2, 1)), ["repeat"], 0),
    "split": (lambda x: jnp.split(x, 2, 1), ["split"], 0),
    "concatenate": (lambda x: jnp.concatenate([x, x]), ["concat"], 0),
    "stop_gradient": (lax.stop_gradient, [], 0),
    "pad": (lambda x: jnp.pad(x, 1), ["pad"], 0),
    "crop": (lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-1, -1, 0))), ["slice"], 0),
    "holes": (lambda x: lax.pad(x, 0.0, ((0, 0, 1), (0, 0, 0))), ["pad"], 0),
    "bits": (lambda x: lax.bitcast_convert_type(x, jnp.int32), ["reshape"], 0),
    "relu6": (jax.nn.relu6, ["relu6"], 2 * N),
    "silu": (jax.nn.silu, ["silu"], 5 * N),
    "softplus": (jax.nn.softplus, ["softplus"], 3 * N),
    "elu": (jax.nn.elu, ["elu"], 4 * N),
    "selu": (jax.nn.selu, ["selu"], 5 * N),
    "celu": (jax.nn.celu, ["celu"], 5 * N),
    "leaky_relu": (jax.nn.leaky_relu, ["leaky_relu"], 2 * N),
    "hard_tanh": (jax.nn.hard_tanh, ["hard_tanh"], 2 * N),
    "hard_sigmoid": (jax.nn.hard_sigmoid, ["hard_sigmoid"], 4 * N),
    "hard_silu": (jax.nn.hard_silu, ["hard_swish"], 5 * N),
    "mish": (jax.nn.mish, ["mish"], 5 * N),
    "log_sigmoid": (jax.nn.log_sigmoid, ["log_sigmoid"], 5 * N),
    "soft_sign": (jax.nn.soft_sign, ["softsign"], 3 * N),
    "gelu by tanh": (jax.nn.gelu, ["gelu"], 9 * N),
    "glu": (lambda x: jax.nn.glu(x, axis=1), ["glu"], 5 * N // 2),
    "softmax": (lambda x: jax.nn.softmax(x, 1), ["softmax"], 3 * (3 + 7 + 4 + 4)),
    "softmax over both": (lambda x: jax.nn.softmax(x, (0, 1)), ["softmax"], 11 + 23 + 12 + 12),
    "log_softmax": (lambda x: jax.nn.log_softmax(x, 0), ["log_softmax"], 4 * (2 + 8 + 4)),
}

# Of those, what JAX itself traces to other primitives before a version, and what those are; the last line that fits
# counts. The arithmetic stays: it is on integers, or moves elements alone.
GATHERED = ["arange", "mul", "add", "reshape", "fill", "concat", "gather"]
BEFORE: list[tuple[tuple[int, ...], str, list[str]]] = [
    ((0, 9), "slice by index", GATHERED),
    ((0, 9), "tile", ["reshape", "expand", "reshape"]),
    ((0, 5), "tile", ["reshape", "reshape", "expand", "reshape"]),
    ((0, 5), "split", ["slice", "slice"]),
    ((0, 5), "pad", ["pad"] * 4),  # one side at a time
]


@pytest.mark.parametrize("name", UNARY)
def test_one_tensor(analyze: Any, name: str) -> None:
    function, ops, flops = UNARY[name]
    for version, changed, older in BEFORE:
        if name == changed and jax.__version_info__ < version:
            ops = older
    report = analyze(function, (3, 4))
    assert [layer.op for layer in report.graph.layers] == ops
    assert report.flops == flops
    assert report.unsupported() == {}


def test_a_function_of_the_users_own_keeps_its_steps(analyze: Any) -> None:
    """It is called silu, and is something else."""

    @jax.jit
    def silu(x: Any) -> Any:
        return x * 2 + 1

    assert [layer.op for layer in analyze(silu, (3, 4)).graph.layers] == ["mul", "add"]


def test_gelu_by_the_error_function(analyze: Any) -> None:
    report = analyze(lambda x: jax.nn.gelu(x, approximate=False) + 0 * x, (3, 4))
    (layer,) = [layer for layer in report.graph.layers if layer.op == "gelu"]
    assert layer.attrs["approximate"] == "none"


def test_integers_are_no_floating_point_arithmetic(analyze: Any) -> None:
    report = analyze(lambda i: ((i << 1) & 7 | ~i) ^ (i % 3 + i), struct(5, dtype="int32"))
    assert report.flops == 0
    assert report.unsupported() == {}


def test_selections(analyze: Any) -> None:
    report = analyze(lambda x, y: jnp.where(x > 0, y, -jnp.inf), [(3, 4), (3, 4)])
    where = report.graph.layers[-1]
    assert where.op == "where"
    assert where.inputs["x0"].name == "y"
    assert where.attrs == {"scalar1": float("-inf")}
    assert report.flops == 2 * N  # a comparison and a selection
    several = analyze(lambda i, x: lax.select_n(i, x, 2 * x, 3 * x), [struct(3, 4, dtype="int32"), (3, 4)])
    assert several.flops == 2 * N + 2 * N


def test_embeddings_and_gathers(analyze: Any) -> None:
    ids = struct(2, 7, dtype="int32")
    table = analyze(lambda params, ids: params[ids], [(100, 16), ids])
    (layer,) = [layer for layer in table.graph.layers if layer.op == "embedding"]
    assert layer.attrs == {"num_embeddings": 100, "embedding_dim": 16}
    assert layer.y.shape == (2, 7, 16)
    assert (table.macs, table.flops) == (0, 0)
    picked = analyze(lambda x, i: x[i, i], [(8, 8), struct(3, dtype="int32")])
    assert "gather" in [layer.op for layer in picked.graph.layers]


@pytest.mark.parametrize(
    ("method", "flops"), [("set", 0), ("add", 5 * 4), ("mul", 5 * 4), ("max", 5 * 4), ("min", 5 * 4)]
)
def test_scatters(analyze: Any, method: str, flops: int) -> None:
    """Five rows of four are written; what combines them with those there takes one operation an element."""

    def model(x: Any, i: Any, rows: Any) -> Any:
        return getattr(x.at[i], method)(rows)

    report = analyze(model, [(9, 4), struct(5, dtype="int32"), (5, 4)])
    assert report.flops == flops
    assert report.graph.layers[-1].op == ("index_put" if method == "set" else "index_reduce")


def test_slices_at_computed_places(analyze: Any) -> None:
    index = struct(dtype="int32")
    read = analyze(lambda x, i: lax.dynamic_slice(x, (i, 0), (2, 4)), [(9, 4), index])
    assert read.graph.layers[-1].op == "index"
    assert read.graph.layers[-1].y.shape == (2, 4)
    written = analyze(lambda x, y, i: lax.dynamic_update_slice(x, y, (i, 0)), [(9, 4), (2, 4), index])
    assert written.graph.layers[-1].op == "index_put"
    assert read.flops == written.flops == 0
    known = analyze(lambda x: lax.dynamic_slice(x, (1, 0), (2, 4)), (9, 4))
    assert [layer.op for layer in known.graph.layers] == ["slice"]


def test_sorting_and_selecting(analyze: Any) -> None:
    for function, op in (
        (lambda x: jnp.sort(x, 1), "sort"),
        (lambda x: jnp.argsort(x, 1), "sort"),
        (lambda x: lax.top_k(x, 2), "topk"),
        (lambda x: lax.approx_max_k(x, 2), "topk"),
    ):
        report = analyze(function, (3, 8))
        (layer,) = [layer for layer in report.graph.layers if layer.op == op]
        assert layer.attrs["n"] == 8
        assert layer.attrs["axis"] == 1
        assert report.unsupported() == {}


def test_one_hot(analyze: Any) -> None:
    report = analyze(lambda i: jax.nn.one_hot(i, 10), struct(5, dtype="int32"))
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs) == ("one_hot", {"axis": 1, "depth": 10})


def test_pooling(analyze: Any) -> None:
    window = {"window_dimensions": (1, 3, 3, 1), "window_strides": (1, 2, 2, 1), "padding": "VALID"}
    y = 2 * 3 * 3 * 5  # 7×7 → 3×3
    x = (2, 7, 7, 5)
    largest = analyze(lambda x: lax.reduce_window(x, -jnp.inf, lax.max, **window), x)
    assert ([layer.op for layer in largest.graph.layers], largest.flops) == (["max_pool"], y * 8)
    assert largest.graph.layers[0].attrs["data_format"] == "NHWC"
    mean = analyze(lambda x: lax.reduce_window(x, 0.0, lax.add, **window) / 9, x)
    assert ([layer.op for layer in mean.graph.layers], mean.flops) == (["avg_pool"], y * 8 + y)
    assert mean.graph.layers[0].attrs["divisor"] is None
    total = analyze(lambda x: lax.reduce_window(x, 0.0, lax.add, **window), x)
    assert ([layer.op for layer in total.graph.layers], total.flops) == (["unfold", "sum"], y * 8)
    least = analyze(lambda x: lax.reduce_window(x, jnp.inf, lax.min, **window), x)
    assert least.flops == y * 8


def test_average_of_what_lies_inside(analyze: Any) -> None:
    """The counts of each window are the same in every run: only the sums and the divisions are arithmetic."""

    def model(x: Any) -> Any:
        add = lambda t: lax.reduce_window(t, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")  # noqa: E731
        return add(x) / add(jnp.ones_like(x))

    report = analyze(model, (1, 6, 6, 2))
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["count_include_pad"]) == ("avg_pool", False)
    assert report.flops == 6 * 6 * 2 * (8 + 1)


def test_gradient_of_max_pooling(analyze: Any) -> None:
    """16 windows of 4: the maximum is found again (3 comparisons), and the gradient added there."""

    def pooled(x: Any) -> Any:
        return (lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")).sum()

    report = analyze(jax.grad(pooled), (1, 8, 8, 1))
    assert report.flops == 16 * 3 + 16
    assert report.unsupported() == {}


def test_random_numbers_are_no_arithmetic_of_the_network(analyze: Any) -> None:
    key = jax.eval_shape(lambda: jax.random.key(0))

    def model(key: Any, x: Any) -> Any:
        return x + jax.random.normal(key, x.shape) * jax.random.bernoulli(key, 0.5, x.shape)

    report = analyze(model, [key, (3, 4)])
    assert [layer.attrs["distribution"] for layer in report.graph.layers if layer.op == "random"]
    assert report.flops == 2 * N
    assert report.unsupported() == {}


def test_fourier_transforms(analyze: Any) -> None:
    """One transform an axis; of a real one only the last axis has half a spectrum."""
    report = analyze(lambda x: jnp.fft.rfft2(x), (2, 8, 16))
    layers = [layer for layer in report.graph.layers if layer.op == "fft"]
    assert [(layer.attrs["axis"], layer.attrs["n"], layer.attrs["onesided"]) for layer in layers] == [
        (2, 16, True),
        (1, 8, False),
    ]
    assert layers[0].y.shape == layers[1].y.shape == (2, 8, 9)
    back = analyze(lambda x: jnp.fft.irfft2(x), struct(2, 8, 9, dtype="complex64"))
    inverse = [layer for layer in back.graph.layers if layer.op == "fft"]
    assert [(layer.attrs["axis"], layer.attrs["inverse"]) for layer in inverse] == [(1, True), (2, True)]
    assert inverse[-1].y.shape == (2, 8, 16)


def test_linear_algebra(analyze: Any) -> None:
    report = analyze(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True), [(4, 4), (4, 3)])
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["triangular"], layer.attrs["upper"]) == ("solve", True, False)
    factor = analyze(lambda a: lax.linalg.cholesky(a, symmetrize_input=False), (4, 4))
    assert "cholesky" in [layer.op for layer in factor.graph.layers]
    factors = analyze(lax.linalg.lu, (2, 6, 4))
    (layer,) = factors.graph.layers
    assert [spec.shape for spec in layer.outputs.values()] == [(2, 6, 4), (2, 4), (2, 6)]
    # column k of 4: 6 − k sizes and as many comparisons but one, a quotient for every row below, and its 3 − k products
    columns = [(6 - k, 3 - k) for k in range(4)]
    assert factors.flops == 2 * sum(2 * rows - 1 + (rows - 1) + 2 * (rows - 1) * right for rows, right in columns)


def test_equations_by_elimination(analyze: Any) -> None:
    """n = 5: the factors, then forward (no divisions: L has ones on its diagonal), backward; 3 columns."""
    report = analyze(jnp.linalg.solve, [(5, 5), (5, 3)])
    assert report.unsupported() == {}
    factors = sum(2 * rows - 1 + (rows - 1) + 2 * (rows - 1) ** 2 for rows in range(2, 6))
    assert report.flops == factors + 3 * 2 * (5 * 4) + 3 * 5
    forward, backward = [layer for layer in report.graph.layers if layer.op == "solve"]
    assert (forward.attrs["unit"], backward.attrs["unit"]) == (True, False)


@pytest.mark.parametrize(("mode", "columns"), [("r", 0), ("reduced", 4), ("complete", 6)])
def test_qr_forms_what_is_read_of_q(analyze: Any, mode: str, columns: int) -> None:
    """6×4: four reflections of 6, 5, 4, 3 elements, which meet the columns to their right, and those of Q from k on."""
    report = analyze(lambda a: jnp.linalg.qr(a, mode=mode), (6, 4))
    (layer,) = report.graph.layers
    assert list(layer.outputs) == (["y", "q"] if columns else ["y"])
    # norm: r products, r − 1 sums, a root; r_kk: 2; x_k − r_kk: 1; r − 1 quotients; τ: 2
    vectors = sum(r + (r - 1) + 1 + 2 + 1 + (r - 1) + 2 for r in (6, 5, 4, 3))
    met = sum(2 * (2 * r - 1) * right for r, right in ((6, 3), (5, 2), (4, 1), (3, 0)))
    formed = sum(2 * (2 * (6 - k) - 1) * (columns - k) for k in range(4)) if columns else 0
    assert report.flops == vectors + met + formed


@pytest.mark.parametrize(
    ("call", "op", "flops"),
    [
        # the textbook's counts for 4×4, with all vectors of the square and without any
        (jnp.linalg.svd, "svd", 14 * 4 * 16 + 8 * 64),
        (lambda x: jnp.linalg.svd(x, compute_uv=False), "svd", 172),  # 4·4·16 − 4·64/3 = 170⅔, and even
        (jnp.linalg.eigh, "eigh", 9 * 64),
        (jnp.linalg.eig, "eig", 25 * 64),
        (jnp.linalg.eigvals, "eig", 10 * 64),
    ],
)
def test_decompositions_whose_steps_depend_on_the_values(analyze: Any, call: Any, op: str, flops: int) -> None:
    report = analyze(call, (4, 4))
    assert not report.unsupported()
    assert [layer.flops for layer in report.layers if layer.op == op] == [flops]


@pytest.mark.parametrize("name", ["lgamma", "digamma", "bessel_i0e", "igamma", "zeta"])
def test_functions_evaluated_as_a_whole(analyze: Any, name: str) -> None:
    function = getattr(lax, name)
    report = analyze((lambda x: function(x, x)) if name in ("igamma", "zeta") else function, (3, 4))
    assert [layer.op for layer in report.graph.layers] == ["special"]
    assert report.counts.exps == report.flops == 12
