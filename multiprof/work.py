"""What a layer computes and which operands it takes in, by kind of kernel: what a device's measured rates apply to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiprof.errors import UnknownDimensionError
from multiprof.ir import BITS, FOLDED, TensorSpec
from multiprof.layer_report import LayerReport
from multiprof.ops import CONTRACTION_FAMILIES

# Kinds beside the op families, which are kinds as well.
DEPTHWISE, POINTWISE, THIN, TRANSCENDENTAL = "depthwise", "pointwise", "thin", "transcendental"
# Groups of a convolution with at most so many input channels (an image has three) leave vector registers part empty.
FEW = 4
_SECOND = frozenset(("x1", "k", "v"))  # operands in the place of a weight


@dataclass(frozen=True, slots=True)
class Work:
    """Work of one kind on operands of one dtype.

    ``kinds`` are the names under which a device may have figures for it, the most special one first. ``macs`` are
    multiply-adds; ``x``, ``weight`` and ``y`` bytes: read, read as the second operand of a product (a weight, or an
    activation in its place), and written. ``repeats`` are runs that must follow one another, each of which takes the
    weight in again; the other figures are those of all runs together.
    """

    kinds: tuple[str, ...]
    dtype: str
    macs: int = 0
    x: int = 0
    weight: int = 0
    y: int = 0
    repeats: int = 1

    @property
    def operands(self) -> Mapping[str, int]:
        """Bytes taken in and put out, by role."""
        return {"x": self.x, "weight": self.weight * self.repeats, "y": self.y}


def works(row: LayerReport) -> tuple[Work, ...]:
    """The work of a layer; none where a size is unknown, or for which no kernel of its own would be measured."""
    try:
        return _works(row)
    except UnknownDimensionError:
        return ()


def _works(row: LayerReport) -> tuple[Work, ...]:
    if row.state == FOLDED or row.cost is None:
        return ()
    trips = row.trips or 1
    if row.op == "attention":
        return _attention(row, trips)
    if row.family == "recurrent":
        return _recurrent(row, trips)
    x, weight, y = _operands(row)
    if row.family in CONTRACTION_FAMILIES:
        return (Work(kinds(row), operand_dtype(row), row.cost.macs, x * trips, weight, y * trips, trips),)
    named = kinds(row)
    return (Work(named, _dtype(row), 0, (x + weight) * trips, 0, y * trips),) if named else ()


def kinds(row: LayerReport) -> tuple[str, ...]:
    """The names under which a device may hold figures for such layers, the most special one first.

    Of a convolution: ``depthwise`` where each group has one input channel, ``thin`` with at most four, ``pointwise``
    with a kernel of one element; then the op family. A deconvolution that does not stride is a convolution. What works
    element by element is ``transcendental`` where it evaluates such functions, and ``elementwise`` where it has several
    operands; what clamps a result costs nothing of its own.
    """
    attrs = row.layer.attrs
    if row.op == "conv":
        groups, channels = attrs.get("groups", 1), attrs.get("in_channels", 0)
        if groups > 1 and groups == channels:
            return (DEPTHWISE,)
        if 0 < channels // groups <= FEW:
            return (THIN, row.family)
        if all(extent == 1 for extent in attrs.get("kernel_size", (0,))):
            return (POINTWISE, row.family)
    if row.op == "conv_transpose" and all(extent == 1 for extent in attrs.get("stride", (0,))):
        return ("convolution", row.family)
    if row.family in CONTRACTION_FAMILIES:
        return (row.family,)
    if row.op == "batch_norm":
        return ("elementwise",)
    if row.family in ("activation", "elementwise"):
        if row.cost is not None and row.cost.counts.exps:
            return (TRANSCENDENTAL,)
        return ("elementwise",) if len(row.layer.inputs) > 1 and row.op != "prelu" else ()
    if row.family in ("normalization", "softmax", "pooling"):
        return (row.family,)
    return ("transpose",) if row.op == "transpose" else ()


def _operands(row: LayerReport) -> tuple[int, int, int]:
    """Bytes of what is read, of the second operand, and of what is written, in one trip."""
    x = weight = 0
    for role, spec in row.layer.inputs.items():
        if role.startswith("weight") or role in _SECOND:
            weight += spec.nbytes
        elif not role.startswith("bias"):
            x += spec.nbytes
    return x, weight, sum(spec.nbytes for spec in row.layer.outputs.values())


def _attention(row: LayerReport, trips: int) -> tuple[Work, ...]:
    """Two products with scaling and softmax between them, each of which reads the scores and writes them again."""
    a, inputs, dtype = row.layer.attrs, row.layer.inputs, operand_dtype(row)
    assert row.cost is not None
    scores = a["batch"] * a["heads"] * a["q_len"] * a["kv_len"] * BITS.get(dtype, 32) // 8 * trips
    first = row.cost.macs * a["qk_dim"] // max(a["qk_dim"] + a["v_dim"], 1)
    named = (row.family, "matmul")
    written = sum(spec.nbytes for spec in row.layer.outputs.values()) * trips
    scaled = 0 if a.get("scale") == 1.0 else scores
    return (
        Work(named, dtype, first, inputs["q"].nbytes * trips, inputs["k"].nbytes, scores, trips),
        Work(("elementwise",), dtype, 0, scaled, 0, scaled),
        Work(("softmax",), dtype, 0, scores, 0, scores),
        Work(named, dtype, row.cost.macs - first, scores, inputs["v"].nbytes, written, trips),
    )


def _recurrent(row: LayerReport, trips: int) -> tuple[Work, ...]:
    """Each step multiplies one row per sequence by all weights; the gates are evaluated beside."""
    assert row.cost is not None
    x, weight, y = _operands(row)
    dtype = operand_dtype(row)
    gates = row.cost.counts.exps * BITS.get(dtype, 32) // 8
    steps = sequential_steps(row) * trips
    return (
        Work(("recurrent", "linear"), dtype, row.cost.macs, x * trips, weight, y * trips, steps),
        Work((TRANSCENDENTAL,), dtype, 0, gates, 0, gates),
    )


def sequential_steps(row: LayerReport) -> int:
    """How many steps of a layer must follow one another: of a recurrent one the length of its longest sequence."""
    if row.family != "recurrent":
        return 1
    a, shape = row.layer.attrs, row.layer.inputs["x"].shape
    if a.get("batch_sizes"):
        return len(a["batch_sizes"])
    steps = int(a["steps"])
    if len(shape) != 3:
        return steps
    batch = shape[0 if a.get("batch_first") else 1]
    return max(steps // batch, 1) if batch else steps


def weights(row: LayerReport, parameters: Mapping[str, object]) -> int:
    """Bytes of parameters that a layer reads in one trip; of a table that it looks up in, those it reads."""
    if row.bytes_read is None or not row.trips:
        return 0
    specs = [spec for spec in row.layer.inputs.values() if spec.name in parameters]
    return min(sum(spec.nbytes for spec in specs if None not in spec.shape), row.bytes_read // row.trips)


def operand_dtype(row: LayerReport) -> str:
    """The dtype a layer's products are formed in: of float and integer operands the float, else the wider."""
    dtypes = row.cost.dot_dtypes if row.cost is not None else None
    if dtypes is None:
        return "float32"
    left, right = dtypes[:2]
    floats = [dtype for dtype in (left, right) if "float" in dtype]
    return max(floats or (left, right), key=lambda dtype: BITS.get(dtype, 0))


def _dtype(row: LayerReport) -> str:
    first: TensorSpec | None = next(iter(row.layer.outputs.values()), None)
    return "float32" if first is None else first.dtype


__all__ = ["Work", "kinds", "operand_dtype", "sequential_steps", "weights", "works"]
