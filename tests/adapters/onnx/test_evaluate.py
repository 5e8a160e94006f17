"""Shape arithmetic gives what ONNX Runtime computes, for every operator in the table, on random small tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, TypeProto, helper, numpy_helper

from multiprof.adapters.onnx.evaluate import EVALUATORS, evaluate

I64 = np.int64
X = np.array([[3, -1, 4], [1, -5, 9]], I64)
V = np.array([7, 0, 5, 2], I64)
F = np.array([[2.5, -1.25, 0.5], [1.5, 4.0, 9.0]], np.float32)
B = np.array([True, False, True])
C = np.array([False, False, True])


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, I64)


# (operator, operands, attributes); several of one operator for its forms
CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    *((name, [X, ints(2, 3, -2)], {}) for name in ("Add", "Sub", "Mul", "Div", "Mod", "Equal", "Greater", "Less",
                                                  "GreaterOrEqual", "LessOrEqual", "Max", "Min")),
    *((name, [F, np.array([2.0, -3.0, 0.5], np.float32)], {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    *((name, [np.array([4.0, 0.25, 2.5], np.float32)], {}) for name in ("Sqrt", "Exp", "Log", "Reciprocal", "Floor",
                                                                       "Ceil", "Round", "Abs", "Neg")),
    *((name, [X], {}) for name in ("Abs", "Neg", "Identity")),
    *((name, [B, C], {}) for name in ("And", "Or", "Xor")),
    ("Not", [B], {}),
    ("Relu", [F], {}),
    ("Mod", [F, np.array([2.0, -3.0, 0.75], np.float32)], {"fmod": 1}),
    ("Mod", [X, ints(2, 3, -2)], {"fmod": 1}),
    ("Pow", [np.array([4.0, 0.25, 2.5], np.float32), np.array([2.0, -1.0, 0.5], np.float32)], {}),
    ("Pow", [ints(2, 3), ints(3, 2)], {}),
    *((name, [X, ints(1)], {"keepdims": keep}) for keep in (0, 1) for name in ("ReduceSum",)),
    *((name, [X], {"keepdims": 0, "axes": [-1]}) for name in ("ReduceProd", "ReduceMax", "ReduceMin")),
    *((name, [X], {}) for name in ("ReduceProd", "ReduceMax", "ReduceMin", "ReduceSum")),
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    ("Cast", [F], {"to": TensorProto.INT64}),
    ("Cast", [X], {"to": TensorProto.FLOAT}),
    ("Cast", [X], {"to": TensorProto.BOOL}),
    ("Clip", [X, np.array(-2, I64), np.array(3, I64)], {}),
    ("Clip", [X, None, np.array(3, I64)], {}),
    ("Concat", [X, X + 1, X], {"axis": -1}),
    ("Concat", [V, V], {"axis": 0}),
    ("ConstantOfShape", [ints(2, 3)], {"value": numpy_helper.from_array(ints(7))}),
    ("ConstantOfShape", [ints(2, 0)], {}),
    ("CumSum", [X, np.array(1, I64)], {}),
    ("Expand", [X, ints(4, 1, 3)], {}),
    ("Gather", [X, np.array([[2, -1], [0, 0]], I64)], {"axis": 1}),
    ("Gather", [V, np.array(-2, I64)], {}),
    ("GatherND", [X, np.array([[1, 0], [0, 2]], I64)], {}),
    ("GatherND", [X, np.array([[1], [0]], I64)], {}),
    ("NonZero", [V], {}),
    ("NonZero", [X], {}),
    ("Range", [np.array(2, I64), np.array(11, I64), np.array(3, I64)], {}),
    ("Range", [np.array(5, I64), np.array(-6, I64), np.array(-3, I64)], {}),
    ("Range", [np.array(5, I64), np.array(1, I64), np.array(3, I64)], {}),
    ("Range", [np.array(0.5, np.float32), np.array(2.0, np.float32), np.array(0.25, np.float32)], {}),
    ("Reshape", [X, ints(3, -1)], {}),
    ("Reshape", [X, ints(0, 1, -1)], {}),
    ("ScatterND", [V, np.array([[1], [3]], I64), ints(10, 20)], {}),
    ("Slice", [V, ints(1), ints(3)], {}),
    ("Slice", [V, ints(-3), ints(1 << 40), ints(0), ints(2)], {}),
    ("Slice", [V, ints(-1), ints(-(1 << 40)), ints(0), ints(-1)], {}),
    ("Slice", [V, ints(3), ints(0), ints(0), ints(-2)], {}),
    ("Slice", [V, ints(9), ints(0), ints(0), ints(-1)], {}),
    ("Slice", [V, ints(2), ints(-3), ints(0), ints(-1)], {}),
    ("Slice", [X, ints(0, 1), ints(1, 3), ints(0, -1)], {}),
    ("Split", [V, ints(1, 3)], {"axis": 0}),
    ("Squeeze", [X[:, None], ints(1)], {}),
    ("Squeeze", [X[None, :, None]], {}),
    ("Tile", [X, ints(2, 1)], {}),
    ("TopK", [V, ints(2)], {}),
    ("TopK", [X, ints(2)], {"axis": 0, "largest": 0}),
    ("Transpose", [X], {}),
    ("Transpose", [X[None]], {"perm": [2, 0, 1]}),
    ("Unsqueeze", [X, ints(0, -1)], {}),
    ("Where", [B, ints(1, 2, 3), ints(4, 5, 6)], {}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_as_onnx_runtime_computes_it(models: Any, case: tuple[str, list[Any], dict[str, Any]]) -> None:
    op_type, operands, attrs = case
    names = [f"i{n}" if operand is not None else "" for n, operand in enumerate(operands)]
    count = 2 if op_type in ("Split", "TopK") else 1
    outputs = [f"o{n}" for n in range(count)]
    given = {name: operand for name, operand in zip(names, operands, strict=True) if name}
    infos = [
        models.info(name, operand.shape, helper.np_dtype_to_tensor_dtype(operand.dtype))
        for name, operand in given.items()
    ]
    node = helper.make_node(op_type, names, outputs, **attrs)
    model = models.model([node], infos, [helper.make_value_info(name, TypeProto()) for name in outputs])
    wanted = models.run(model, given)
    plain = {key: numpy_helper.to_array(v) if isinstance(v, TensorProto) else v for key, v in attrs.items()}
    got = evaluate(op_type, operands, plain, 17)
    assert got is not None
    for name, array in zip(outputs, got, strict=True):
        assert array.dtype == wanted[name].dtype
        np.testing.assert_allclose(array, wanted[name], rtol=1e-6)


def test_every_operator_has_a_case() -> None:
    assert set(EVALUATORS) == {case[0] for case in CASES}


@pytest.mark.parametrize(
    ("op_type", "operands", "attrs"),
    [
        ("Div", [ints(1), ints(0)], {}),
        ("Mod", [ints(1), ints(0)], {}),
        ("Add", [ints(1, 2), ints(1, 2, 3)], {}),
        ("Gather", [V, ints(9)], {}),
        ("Range", [np.array(0, I64), np.array(1, I64), np.array(0, I64)], {}),
        ("Range", [np.array(0, I64), np.array(10**18, I64), np.array(1, I64)], {}),
        ("Expand", [ints(1), ints(10**9, 10**9)], {}),
        ("Tile", [ints(1), ints(10**18)], {}),
        ("ConstantOfShape", [ints(10**9, 10**9)], {}),
        ("ConstantOfShape", [ints(-1)], {}),
        ("Add", [np.ones((300, 1)), np.ones((1, 300))], {}),
        ("Concat", [np.ones(40_000), np.ones(40_000)], {"axis": 0}),
        ("Gather", [np.ones(300), np.zeros((300, 300), I64)], {}),
        ("Unsqueeze", [V], {"axes": list(range(60))}),
        ("Reshape", [V, ints(5)], {}),
        ("Split", [V, ints(1, 9)], {}),
        ("NoSuchOperator", [V], {}),
    ],
)
def test_what_is_not_computed(op_type: str, operands: Any, attrs: Any) -> None:
    assert evaluate(op_type, operands, attrs, 17) is None
