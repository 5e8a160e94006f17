"""Quantised operators: the same canonical layers on integers; ranges are tensors of one element beside the values."""

from __future__ import annotations

from collections.abc import Callable

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules import activation, convolution, dense, joining, pool, reshape
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Quant

Write = Callable[[Call, Writing], None]

# A quantised tensor whose scale follows from a range that is only known when the model runs.
RANGED = Quant((), ())


def _ranges(call: Call) -> None:
    """All arguments called min or max, and the second and third result, have one element."""
    for i, arg in enumerate(call.args):
        if arg.startswith(("min_", "max_")) or arg.endswith(("_min", "_max")):
            call.expect(i, (1,))
    for i in (1, 2):
        call.give((1,), i)


def _with_ranges(infer: Callable[[Call], None]) -> Callable[[Call], None]:
    def both(call: Call) -> None:
        infer(call)
        _ranges(call)

    return both


def _mark(call: Call, to: Writing) -> None:
    """Integers of the operator stand for real numbers."""
    for spec in (*(to.x(call, i) for i in range(len(call.ins))), to.y(call)):
        if spec.dtype in ("int8", "uint8", "int32"):
            spec.quant = spec.quant or RANGED


def _write_ranges(call: Call, to: Writing) -> None:
    """The result's range, from those of the operands: for a product their products, else that of the data."""
    for i, end in ((1, "min"), (2, "max")):
        if i >= len(call.outs):
            return
        ends = [to.x(call, at) for at, arg in enumerate(call.args) if end in arg]
        made = {"y": to.y(call, i)}
        if f"{end}_calib_range" in call.attrs:
            to.layer(call, "constant", {}, made, {"value": call.attrs.number(f"{end}_calib_range", 0.0)}, end)
        elif len(ends) > 1:
            to.layer(call, "mul", {"x0": ends[0], "x1": ends[1]}, made, None, end)
        elif ends:
            to.layer(call, "identity", {"x": ends[0]}, made, None, end)
        else:
            to.layer(call, end, {"x": to.x(call)}, made, {"keepdim": False}, end)


def _quantised(write: Write) -> Write:
    def both(call: Call, to: Writing) -> None:
        _mark(call, to)
        write(call, to)
        _write_ranges(call, to)

    return both


# -- to integers and back ---------------------------------------------------------------------------------------------


def write_quantize(call: Call, to: Writing) -> None:
    """By a range that is given or was calibrated; without one, by that of the values themselves."""
    known = len(call.args) > 1 or "min_calib_range" in call.attrs
    to.unary(call, "quantize" if known else "dynamic_quantize", {"dtype": to.y(call).dtype})


def write_dequantize(call: Call, to: Writing) -> None:
    _mark(call, to)
    to.unary(call, "dequantize", {"dtype": "float32"})


def write_requantize(call: Call, to: Writing) -> None:
    to.unary(call, "requantize", {"dtype": to.y(call).dtype})


def _out_type(call: Call) -> str:
    found = call.attrs.text("out_type", "uint8" if call.op == "_contrib_quantize" else "int8")
    if found == "auto":  # unsigned where no calibrated value is negative
        return "uint8" if call.attrs.number("min_calib_range", -1.0) >= 0 else "int8"
    return str(found)


def _first_and_ranges(dtype: Callable[[Call], str]) -> Callable[[Call], tuple[str, ...]]:
    return lambda call: (dtype(call), "float32", "float32")


def _as_data(call: Call) -> str:
    return call.inference.dtypes[call.ins[0]] or "int8"


# -- layers -----------------------------------------------------------------------------------------------------------


def _layer_args(call: Call) -> Args:
    """Data, weight and bias, then the range of each."""
    names = ("data", "weight") if call.attrs.flag("no_bias") else ("data", "weight", "bias")
    return (*names, *(f"{end}_{name}" for name in names for end in ("min", "max")))


def infer_add(call: Call) -> None:
    a, b = call.shape(0), call.shape(1)
    call.give(a)
    call.give(b)
    call.expect(0, call.result())
    call.expect(1, call.result())


def _binary(op: str) -> Write:
    def write(call: Call, to: Writing) -> None:
        to.layer(call, op, {"x0": to.x(call, 0), "x1": to.x(call, 1)})

    return write


def _concat_count(call: Call) -> int:
    return call.attrs.integer("num_args", least=1)


def _concat_args(call: Call) -> Args:
    names = [f"arg{i}" for i in range(_concat_count(call))]
    return (*names, *(f"{name}_{end}" for name in names for end in ("min", "max")))


def infer_concat(call: Call) -> None:
    """Only the first operands are joined; behind them stand their ranges."""
    every = call.ins
    try:
        call.ins = every[: _concat_count(call)]
        joining.infer_concat(call)
    finally:
        call.ins = every


def write_concat(call: Call, to: Writing) -> None:
    count = _concat_count(call)
    axis = call.axis(call.attrs.integer("dim", 1), to.y(call).rank)
    to.layer(call, "concat", {f"x{i}": to.x(call, i) for i in range(count)}, None, {"axis": axis})


_RANGE = ("data", "min_range", "max_range")
_DATA = ("data", "min_data", "max_data")
_SUM_ARGS = ("lhs", "rhs", "lhs_min", "lhs_max", "rhs_min", "rhs_max")
_INT32 = _first_and_ranges(lambda _: "int32")
_SAME = _first_and_ranges(_as_data)


def _rule(
    infer: Callable[[Call], None],
    write: Write,
    args: Args | Callable[[Call], Args],
    dtype: Callable[[Call], tuple[str, ...]],
) -> Rule:
    return Rule(_with_ranges(infer), _quantised(write), args, 3, like=(), dtype=dtype)


RULES: Rules = {
    "_contrib_quantize": _rule(infer_same, write_quantize, _RANGE, _first_and_ranges(_out_type)),
    "_contrib_quantize_v2": _rule(infer_same, write_quantize, ("data",), _first_and_ranges(_out_type)),
    "_contrib_dequantize": Rule(_with_ranges(infer_same), write_dequantize, _RANGE, like=(), dtype=lambda _: "float32"),
    "_contrib_requantize": _rule(infer_same, write_requantize, _RANGE, _first_and_ranges(_out_type)),
    "_contrib_quantized_conv": _rule(convolution.infer_convolution, convolution.write_convolution, _layer_args, _INT32),
    "_contrib_quantized_fully_connected": _rule(
        dense.infer_fully_connected, dense.write_fully_connected, _layer_args, _INT32
    ),
    "_contrib_quantized_pooling": _rule(pool.infer_pooling, pool.write_pooling, _DATA, _SAME),
    "_contrib_quantized_act": _rule(infer_same, activation.write_activation, _DATA, _SAME),
    "_contrib_quantized_flatten": _rule(reshape.infer_flatten, reshape.write_reshape, _DATA, _SAME),
    "_contrib_quantized_concat": _rule(infer_concat, write_concat, _concat_args, _SAME),
    "_contrib_quantized_elemwise_add": _rule(infer_add, _binary("add"), _SUM_ARGS, _INT32),
    "_contrib_quantized_elemwise_mul": _rule(infer_add, _binary("mul"), _SUM_ARGS, _INT32),
}
