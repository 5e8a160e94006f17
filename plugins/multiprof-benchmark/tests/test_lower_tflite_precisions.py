"""The precisions of .tflite files: whole networks on integers, weights in 16 bits, and a quantised model's own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flat_files import EXAMPLES, Call, Residual, kinds, main_graph, run_as_given, types_of_operators
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.lower.tflite.writer import ABSENT, Writer
from multiprof_benchmark.sessions.litert import SynthesisedSession
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import Rules
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization
from torch import nn

import multiprof
from multiprof import UsageError


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        # MobileNetV2 as TensorFlow's converter (2.21) writes Keras's on integers, but for the softmax that this one
        # lacks, and the PAD of a padding of 1 on all sides where the stride is 2: five such layers.
        ("mobilenetv2", {"CONV_2D": 35, "DEPTHWISE_CONV_2D": 17, "ADD": 10, "MEAN": 1, "FULLY_CONNECTED": 1, "PAD": 5}),
        # ResNet-50: 1 + 16·3 convolutions and 4 beside a sum; strides of 2 in the stem, its pooling (PADV2: the least
        # number, not 0) and the first block of three stages.
        (
            "resnet50",
            {"CONV_2D": 53, "ADD": 16, "MEAN": 1, "FULLY_CONNECTED": 1, "PAD": 4, "PADV2": 1, "MAX_POOL_2D": 1},
        ),
    ],
)
def test_whole_networks(tmp_path, name, operators):
    report = multiprof.analyze(EXAMPLES / f"{name}.onnx")
    flat = lower(report, precision="int8")
    found = Counter(kinds(flat.data))
    found.pop("RESHAPE", None)  # between the mean and the dense layer
    assert found.pop("TRANSPOSE") == 1  # images come with their channels first
    assert found == operators
    path = tmp_path / "whole.tflite"
    path.write_bytes(flat.data)
    again = multiprof.analyze(path)
    assert again.macs == report.macs
    assert {dtype: total.macs for dtype, total in again.by_dtype().items() if total.macs} == {"int8": report.macs}
    assert set(types_of_operators(flat.data)) == {"int8"}
    assert flat.integer == 1.0
    whole = len(lower(report, precision="fp32").data)
    half = len(lower(report, precision="fp16").data)
    assert 0.25 * whole < len(flat.data) < 0.3 * whole
    assert 0.5 * whole < half < 0.51 * whole
    assert run_as_given(flat.data, np.zeros(report.graph.inputs[0].shape, np.int8)).shape == (1, 1000)


def test_weights_in_16_bits_stand_behind_a_dequantize():
    torch.manual_seed(0)
    model = Residual().eval()
    report = multiprof.analyze(model, (2, 3, 16, 16))
    values = {name: value.numpy() for name, value in model.state_dict().items()}
    flat = lower(report, values=values, precision="fp16")
    written, graph = main_graph(flat.data)
    halves = [t for t in graph.tensors if t.type == schema.TensorType.FLOAT16]
    large = [
        t for t in graph.tensors if t.type == schema.TensorType.FLOAT32 and written.buffers[t.buffer].data is not None
    ]
    assert Counter(kinds(flat.data))["DEQUANTIZE"] == len(halves)
    assert sum(tuple(t.shape) == (8, 3, 3, 8) for t in halves) == 2  # both convolutions of the body
    assert not large
    plain = lower(report, values=values, precision="fp32").data
    assert [kind for kind in kinds(flat.data) if kind != "DEQUANTIZE"] == kinds(plain)
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    found = run_as_given(flat.data, x)
    assert np.abs(found - wanted).max() <= 5e-3 * np.abs(wanted).max()  # 11 bits of a weight: 1/2048
    assert np.abs(found - run_as_given(plain, x)).max() > 0


def test_recurrent_weights_in_16_bits():
    torch.manual_seed(0)
    for layer in (nn.LSTM(5, 7), nn.GRU(5, 7)):
        model = Call(lambda m, x: m.parts[0](x)[0], layer).eval()
        values = {name: value.numpy() for name, value in model.state_dict().items()}
        flat = lower(multiprof.analyze(model, (4, 6, 5)), values=values, precision="fp16")
        x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype(np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(x)).numpy()
        assert np.abs(run_as_given(flat.data, x) - wanted).max() <= 2e-3


def test_an_embedding_is_a_table_of_integers():
    torch.manual_seed(0)
    model = nn.Embedding(10, 6).eval()
    values = {name: value.numpy() for name, value in model.state_dict().items()}
    flat = lower(multiprof.analyze(model, torch.tensor([[1, 2, 9]])), values=values, precision="int8")
    interpreter = Interpreter(model_content=flat.data)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    assert detail["dtype"] in (np.int32, np.int64)
    interpreter.set_tensor(detail["index"], np.array([[1, 2, 9]], detail["dtype"]))
    interpreter.invoke()
    detail = interpreter.get_output_details()[0]
    scale, zero = detail["quantization"]
    found = (interpreter.get_tensor(detail["index"]).astype(np.float64) - zero) * scale
    table = model.weight.detach().numpy()
    assert scale == pytest.approx(np.abs(table).max() / 127, rel=1e-6)
    assert np.abs(found - table[[[1, 2, 9]]]).max() <= 0.51 * scale


def test_a_quantised_file_is_written_in_its_own_precision(tmp_path):
    """Its tensors keep their types, shapes and scales; --precision fp32 makes floats of it."""
    source = EXAMPLES / "keywords_int8.tflite"
    report = multiprof.analyze(source)
    flat = lower(report)
    assert flat.integer == 1.0
    assert [kind for kind in kinds(flat.data) if kind != "RESHAPE"] == kinds(source.read_bytes())
    for data in (source.read_bytes(), flat.data):
        assert set(types_of_operators(data)) == {"int8"}
    assert activations(flat.data) == activations(source.read_bytes())
    path = tmp_path / "again.tflite"
    path.write_bytes(flat.data)
    again = multiprof.analyze(path)
    assert again.macs == report.macs
    assert set(types_of_operators(lower(report, precision="fp32").data)) == {"float32"}


def test_a_quantised_file_with_its_own_weights_computes_the_same():
    """Bit for bit: scales and zero points are kept, and weights whose largest is 127 steps are the same integers."""
    source = EXAMPLES / "keywords_int8.tflite"
    report = multiprof.analyze(source)
    interpreter = Interpreter(str(source))
    stored = {}
    for detail in interpreter.get_tensor_details():
        try:
            stored[detail["name"]] = interpreter.get_tensor(detail["index"])
        except ValueError:  # an activation: nothing has computed it
            continue
    values = {owner.source: stored[owner.source] for owner in report.graph.parameters.values()}
    assert len(values) == 20  # a weight and a bias for each of ten layers
    flat = lower(report, values=values)
    x = np.random.default_rng(0).integers(-128, 128, report.graph.inputs[0].shape).astype(np.int8)
    found, wanted = run_as_given(flat.data, x), run_as_given(source.read_bytes(), x)
    assert np.ptp(wanted.astype(int)) > 50
    assert np.array_equal(found, wanted)


def test_what_is_widened_is_named(tmp_path):
    """Integers as weights alone, of a product of real numbers: written on floats, and said to be."""
    writer = Writer("hybrid")
    x = writer.tensor((1, 4), "float32", "x")
    weight = writer.constant(np.arange(12, dtype=np.int8).reshape(3, 4), "weight", scale=[0.1])
    y = writer.tensor((1, 3), "float32", "y")
    writer.operator("FULLY_CONNECTED", [x, weight, ABSENT], [y], "FullyConnectedOptions", 3)
    path = tmp_path / "hybrid.tflite"
    path.write_bytes(writer.finish([("x", x)], [("y", y)]))
    report = multiprof.analyze(path)
    flat = lower(report, values={"weight": np.arange(12).reshape(3, 4)})
    (note,) = flat.notes
    assert note == f"in float32 although the model has integers there: {report.graph.layers[0].name}"
    assert flat.integer == 0
    given = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    expected = [[0.1 * sum((4 * row + at) * (at + 1) for at in range(4)) for row in range(3)]]
    assert run_as_given(flat.data, given) == pytest.approx(np.array(expected), rel=1e-5)


def activations(data: bytes) -> list[tuple[int, float, int]]:
    """Elements, scale and zero point of what the operators write, in order; what is only reshaped is left out."""
    _, graph = main_graph(data)
    made = [
        graph.tensors[at]
        for kind, operator in zip(kinds(data), graph.operators, strict=True)
        for at in operator.outputs
        if kind != "RESHAPE"
    ]
    return [(int(np.prod(t.shape)), float(t.quantization.scale[0]), int(t.quantization.zeroPoint[0])) for t in made]


class Samples(quantization.CalibrationDataReader):
    def __init__(self) -> None:
        source = np.random.default_rng(0)
        self.left = [{"x": source.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(2)]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_a_quantised_onnx_file_is_written_in_its_own_precision(tmp_path, form, kind):
    """Convolution, ReLU, convolution, sum: on integers there; a sine: on floats there, and the model's ends too."""
    source = np.random.default_rng(0)
    weights = {"w": (8, 3, 3, 3), "b": (8,), "v": (8, 8, 1, 1)}
    stored = [numpy_helper.from_array(source.normal(size=s).astype(np.float32), n) for n, s in weights.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["e"]),
        helper.make_node("Add", ["e", "r"], ["a"]),
        helper.make_node("Sin", ["a"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, n, 16, 16)) for name, n in (("x", 3), ("y", 8))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], stored)
    plain, path = tmp_path / "plain.onnx", tmp_path / "quantised.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), plain)
    quantization.quantize_static(
        plain, path, Samples(), quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[kind], weight_type=quantization.QuantType.QInt8, per_channel=True,
    )  # fmt: skip
    flat = lower(multiprof.analyze(path))
    assert flat.share.complete
    assert flat.integer == 1.0
    found = types_of_operators(flat.data)
    assert found["int8"] >= {"CONV_2D", "ADD"}
    assert "SIN" in found["float32"]
    assert not found["float32"] & {"CONV_2D", "ADD"}
    order = [kind for kind in kinds(flat.data) if kind not in ("TRANSPOSE", "RESHAPE")]
    assert order == ["QUANTIZE", "CONV_2D", "CONV_2D", "ADD", "DEQUANTIZE", "SIN"]
    x = source.normal(size=(1, 3, 16, 16)).astype(np.float32)
    assert run_as_given(flat.data, x).shape == (1, 8, 16, 16)
    assert set(types_of_operators(lower(multiprof.analyze(plain)).data)) == {"float32"}


@pytest.mark.parametrize(("precision", "dtype"), [("", "float32"), ("fp16", "float32"), ("int8", "int8")])
def test_a_session_in_another_precision_times_every_layer(tmp_path, precision, dtype):
    report = multiprof.analyze(Residual().eval(), (2, 3, 16, 16))
    report.save(tmp_path / "report.json")
    options = Options(precision=precision, rules=Rules(2, 0.0, 1.0, 1, 0.0))
    session = SynthesisedSession(Subject(tmp_path / "report.json", "torch"), options)
    session.run()
    assert session.interpreter.get_input_details()[0]["dtype"] == np.dtype(dtype)
    timed = {name for part in session.per_layer(options) for name in part.subject}
    working = {row.name for row in report.layers if row.macs}
    assert len(working) == 5
    assert working <= timed
    assert any("100.0% of the MACs on integers" in note for note in session.facts().notes) == (precision == "int8")


def test_a_precision_that_cannot_be_written():
    report = multiprof.analyze(nn.Linear(2, 3), (1, 2))
    with pytest.raises(UsageError, match=r"precision 'bf16' cannot be written; fp32, fp16 and int8 can"):
        lower(report, precision="bf16")
