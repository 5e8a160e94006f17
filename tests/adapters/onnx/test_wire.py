"""The scanner: a copy without payloads that is the same model otherwise, and errors that name the byte."""

from __future__ import annotations

import struct

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from multiprof.adapters.onnx import wire
from multiprof.adapters.onnx.wire import KEPT, Scanner
from multiprof.errors import ModelError

BIG = np.arange(5000, dtype=np.float32)


def scanned(data: bytes) -> tuple[onnx.ModelProto, Scanner]:
    scanner = Scanner(data, "m.onnx")
    return onnx.ModelProto.FromString(scanner.copy()), scanner


def with_weights(*tensors: onnx.TensorProto) -> onnx.ModelProto:
    node = helper.make_node("Relu", ["x"], ["y"], doc_string="what it does")
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    return helper.make_model(helper.make_graph([node], "g", [info], [info], list(tensors)))


def number(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*made, value))


def message(field: int, content: bytes) -> bytes:
    return number(field << 3 | 2) + number(len(content)) + content


def test_large_payloads_stay_in_the_file() -> None:
    data = with_weights(numpy_helper.from_array(BIG, "w")).SerializeToString()
    model, scanner = scanned(data)
    (payload,) = scanner.payloads
    assert payload.field == 9
    assert data[payload.offset : payload.offset + payload.length] == BIG.tobytes()
    (tensor,) = model.graph.initializer
    assert (tensor.name, list(tensor.dims), tensor.data_type) == ("w", [5000], TensorProto.FLOAT)
    assert not tensor.HasField("raw_data") and tensor.segment.begin == 0


def test_all_else_is_the_same() -> None:
    small = numpy_helper.from_array(np.arange(KEPT // 8), "small")
    original = with_weights(small, numpy_helper.from_array(BIG, "w"))
    model, _ = scanned(original.SerializeToString())
    original.graph.initializer[1].ClearField("raw_data")
    model.graph.initializer[1].ClearField("segment")
    assert model == original


def test_the_limit_is_exact() -> None:
    kept = helper.make_tensor("kept", TensorProto.UINT8, [KEPT], bytes(KEPT), raw=True)
    left = helper.make_tensor("left", TensorProto.UINT8, [KEPT + 1], bytes(KEPT + 1), raw=True)
    model, scanner = scanned(with_weights(kept, left).SerializeToString())
    assert [t.HasField("raw_data") for t in model.graph.initializer] == [True, False]
    assert [p.length for p in scanner.payloads] == [KEPT + 1]


@pytest.mark.parametrize(
    ("field", "dtype"),
    [("float_data", TensorProto.FLOAT), ("int64_data", TensorProto.INT64), ("double_data", TensorProto.DOUBLE),
     ("int32_data", TensorProto.INT32), ("uint64_data", TensorProto.UINT64)],
)  # fmt: skip
def test_typed_lists_are_payloads_too(field: str, dtype: int) -> None:
    tensor = TensorProto(name="w", dims=[2000], data_type=dtype)
    getattr(tensor, field).extend(range(2000))
    model, scanner = scanned(with_weights(tensor).SerializeToString())
    assert len(scanner.payloads) == 1
    assert not getattr(model.graph.initializer[0], field)


def test_numbers_that_are_not_packed_are_one_payload() -> None:
    unpacked = b"".join(number(4 << 3 | 5) + struct.pack("<f", value) for value in BIG)
    tensor = number(1 << 3) + number(5000) + number(2 << 3) + number(1) + unpacked + message(8, b"w")
    data = number(1 << 3) + number(8) + message(7, message(5, tensor))
    assert len(onnx.ModelProto.FromString(data).graph.initializer[0].float_data) == 5000  # so protobuf reads it
    model, scanner = scanned(data)
    assert [p.length for p in scanner.payloads] == [5 * 5000]
    assert model.graph.initializer[0].name == "w"


def test_payloads_in_attributes_subgraphs_and_functions() -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(BIG))
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(BIG, "s"), numpy_helper.from_array(np.arange(5000), "i"), [10000]
    )
    inner = helper.make_graph([constant], "then", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)])
    branch = helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([branch], "g", [], [], sparse_initializer=[sparse])
    function = helper.make_function("local", "F", [], ["c"], [constant], [helper.make_opsetid("", 17)])
    original = helper.make_model(graph, functions=[function])
    model, scanner = scanned(original.SerializeToString())
    assert len(scanner.payloads) == 2 + 2 + 1  # both branches, values and indices, the function
    assert len(model.SerializeToString()) < 1200
    assert model.graph.node[0].attribute[0].g.node[0].op_type == "Constant"


def test_documentation_and_training_are_dropped() -> None:
    original = with_weights()
    original.doc_string = "d" * 5000
    original.training_info.add().algorithm.name = "sgd"
    model, _ = scanned(original.SerializeToString())
    assert not model.doc_string and not model.training_info


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_file_that_ends_too_early(cut: int) -> None:
    data = with_weights(numpy_helper.from_array(BIG, "w")).SerializeToString()
    short = data[: len(data) * cut // 60]
    with pytest.raises(ModelError, match=r"m\.onnx .* at byte \d+, "):
        Scanner(short, "m.onnx").copy()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x08" + b"\xff" * 30, "more than 64 bits"),
        (b"\xff" * 30, "more than 64 bits"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "bytes long"),
        (b"\x0b\x00", "has the kind 3"),
        (b"\x0f\x00", "has the kind 7"),
        (b"\x02\x00", "field of number 0"),
        (b"\x0d\x00", "ends within its field 1"),
        (b"\x08", "ends within a number"),
        (b"\x80", "ends within a number"),
        (b"\x3a", "ends within a number"),
    ],
)
def test_what_is_no_message(data: bytes, what: str) -> None:
    with pytest.raises(ModelError, match=f"at byte 0, .*{what}|at byte 1, .*{what}"):
        Scanner(data, "m.onnx").copy()


def test_more_nodes_than_any_network_has() -> None:
    data = message(7, message(1, b"") * (wire.MAX_NODES + 1))
    with pytest.raises(ModelError, match=f"more than {wire.MAX_NODES} nodes"):
        Scanner(data, "m.onnx").copy()


def test_more_parts_than_any_network_has() -> None:
    """Empty attributes take two bytes each in the file, a hundred in memory: in one node, and in many small ones."""
    one = message(7, message(1, message(5, b"") * (wire.MAX_PARTS + 1)))
    many = message(7, message(1, message(5, b"") * 400 + message(6, b"d")) * 21_000)
    for data in (one, many):
        with pytest.raises(ModelError, match=f"more than {wire.MAX_PARTS} texts and messages"):
            Scanner(data, "m.onnx").copy()


def test_graphs_nested_without_end() -> None:
    content = message(1, message(8, b"w") + message(9, bytes(2000)))
    for _ in range(200):
        content = message(1, message(5, message(6, content)))  # a graph in an attribute of a node of a graph
    with pytest.raises(ModelError, match="nested more than 90 deep"):
        Scanner(message(7, content), "m.onnx").copy()
