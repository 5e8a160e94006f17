"""A Graph as a .tflite file on 8-bit integers: LiteRT computes on them what PyTorch computes on real numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
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

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
CHANGES = ("QUANTIZE", "DEQUANTIZE")


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = function

    def forward(self, *operands):
        return self.function(self, *operands)


def main_graph(data: bytes):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    return model, model.subgraphs[0]


def kinds(data: bytes) -> list[str]:
    """The kinds of a file's operators, in order."""
    model, graph = main_graph(data)
    return [KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode] for operator in graph.operators]


def tensors(data: bytes) -> set[tuple[bytes, tuple[int, ...]]]:
    """Names and shapes of what a file's operators write, but for changes of type."""
    model, graph = main_graph(data)
    found = set()
    for operator in graph.operators:
        if KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode] not in CHANGES:
            found.update((graph.tensors[at].name, tuple(graph.tensors[at].shape)) for at in operator.outputs)
    return found


def run(data: bytes, arrays: list[np.ndarray]) -> list[tuple[np.ndarray, float]]:
    """Results as real numbers, each with what one step of it stands for, from integers that stand for ``arrays``."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        assert detail["dtype"] == np.int8
        scale, zero = detail["quantization"]
        interpreter.set_tensor(detail["index"], np.round(array / scale + zero).astype(np.int8))
    interpreter.invoke()
    found = []
    for detail in interpreter.get_output_details():
        assert detail["dtype"] == np.int8
        scale, zero = detail["quantization"]
        found.append(((interpreter.get_tensor(detail["index"]).astype(np.float64) - zero) * scale, scale))
    return found


def close(
    model: nn.Module, *shapes: tuple[int, ...], steps: float = 2.0, low: float = -1.0, step: float | None = None,
    floats: tuple[str, ...] = (), spread: float = 20.0,
) -> None:  # fmt: skip
    """The file computes the model's results within so many steps of its output.

    Inputs lie in [low, 1] and are multiples of the step. Without ``step`` 120 of them span inputs and results alike:
    nothing saturates, as long as what is computed between them is no larger. Results must spread over ``spread``
    steps, so that a wrong one would show. ``floats`` are the kinds of operators that LiteRT has on floats alone.
    """
    torch.manual_seed(0)
    model = model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    arrays = [np.random.default_rng(n).uniform(low, 1, shape).astype(np.float32) for n, shape in enumerate(shapes)]
    with torch.no_grad():
        rough = model(*map(torch.from_numpy, arrays))
        largest = max(float(np.abs(array).max()) for array in [*arrays, rough.numpy()])
        step = largest / 120 if step is None else step
        arrays = [(np.round(array / step) * step).astype(np.float32) for array in arrays]
        wanted = model(*map(torch.from_numpy, arrays)).numpy()
    report = multiprof.analyze(model, [tuple(shape) for shape in shapes])
    values = {name: value.numpy() for name, value in model.state_dict().items()}
    flat = lower(report, values=values, precision="int8", step=step)
    assert flat.share.complete, str(flat.share)
    ((found, scale),) = run(flat.data, arrays)
    assert found.shape == wanted.shape
    assert np.ptp(wanted) >= spread * scale
    assert np.abs(found - wanted).max() <= steps * scale
    plain = lower(report, values=values, precision="fp32").data
    assert [kind for kind in kinds(flat.data) if kind not in CHANGES] == kinds(plain)
    assert tensors(flat.data) == tensors(plain)
    assert types_of_operators(flat.data).get("float32", set()) == set(floats)
    assert not floats or all(kind in flat.notes[-1] for kind in floats)


def types_of_operators(data: bytes) -> dict[str, set[str]]:
    """dtype → the kinds of operators that write it, but for changes of type."""
    model, graph = main_graph(data)
    names = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT8: "int8"}
    found: dict[str, set[str]] = {}
    for operator in graph.operators:
        kind = KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode]
        for at in operator.outputs if kind not in CHANGES else ():
            found.setdefault(names.get(graph.tensors[at].type, "other"), set()).add(kind)
    return found


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.Conv2d(3, 9, 1),
        nn.Conv2d(3, 8, (3, 5), (2, 1), (0, 2)), nn.Conv2d(3, 8, 3, dilation=2, padding=2),
        nn.Conv2d(3, 6, 3, groups=3, padding=1), nn.Conv2d(3, 3, 5, 2, 2, groups=3),
    ],
    ids=str,
)  # fmt: skip
def test_convolutions(conv):
    close(conv, (2, 3, 12, 13))


def test_a_grouped_convolution():
    close(nn.Conv2d(8, 12, 3, padding=1, groups=4), (1, 8, 9, 9))


@pytest.mark.parametrize(
    "deconv",
    [
        nn.ConvTranspose2d(4, 6, 2, 2), nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
        nn.ConvTranspose2d(4, 6, 5, 3, 2, bias=False), nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2),
    ],
    ids=str,
)  # fmt: skip
def test_deconvolutions(deconv):
    close(deconv, (2, 4, 5, 6))


@pytest.mark.parametrize("layer", [nn.Conv1d(3, 6, 5, padding=2), nn.MaxPool1d(2), nn.AvgPool1d(3, 2, 1)], ids=str)
def test_sequences(layer):
    close(layer, (2, 3, 20))


@pytest.mark.parametrize("shape", [(4, 20), (2, 5, 20)])
def test_dense(shape):
    close(nn.Linear(20, 9), shape)
    close(nn.Linear(20, 9, bias=False), shape)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((6, 4)),
    ],
    ids=str,
)  # fmt: skip
def test_pooling(pool):
    close(pool, (2, 3, 12, 8), spread=15.0)


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(), nn.ReLU6(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.Hardswish(), nn.GELU("tanh"), nn.SiLU(),
        nn.LeakyReLU(0.2), nn.PReLU(3), nn.Hardtanh(-0.5, 0.75), nn.Softmax(1), nn.Softplus(), nn.Softsign(),
        nn.GLU(-1), nn.LogSigmoid(),
    ],
    ids=str,
)  # fmt: skip
def test_activations(activation):
    wide = isinstance(activation, (nn.Softplus, nn.Softsign))  # between operand and result they are larger than both
    close(activation, (2, 3, 6, 4), step=0.04 if wide else None, steps=3.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean((2, 3)), lambda x: x.sum(1, keepdim=True), lambda x: x.amax(-1), lambda x: x.flatten(1),
        lambda x: x.permute(0, 2, 3, 1), lambda x: x.transpose(1, 3) * 0.5, lambda x: torch.cat([x, x * x], 1),
        lambda x: torch.stack([x, x * x], 1), lambda x: x[:, 1:3, ::2] + 0.5,
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
        lambda x: nn.functional.pad(x, (1, 2, 0, 3), value=0.5), lambda x: 0.75 - x / 2, lambda x: x.clamp(-0.5, 0.7),
        lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: x @ x.transpose(-1, -2),
        lambda x: x.unbind(1)[2].exp(), lambda x: nn.functional.interpolate(x, scale_factor=2),
        lambda x: nn.functional.interpolate(x, (9, 7), mode="bilinear"), lambda x: nn.functional.pixel_shuffle(x, 2),
        lambda x: x.reshape(2, 2, 2, 30).transpose(1, 2).reshape(2, 4, 30), lambda x: x.flip(2),
        lambda x: x + x.flip(3),
        lambda x: torch.cat([torch.sigmoid(x), x], 1), lambda x: torch.softmax(x, -1).mean((2, 3)) * 4 + x.mean((2, 3)),
    ],
    ids=range(24),
)  # fmt: skip
def test_functions(function):
    close(Call(lambda m, x: function(x)), (2, 4, 6, 5), steps=3.0)


def test_a_sum_of_a_constant_that_is_larger_or_smaller_than_all_integers():
    close(Call(lambda m, x: (x.abs() + 1).rsqrt()), (4, 40), step=0.02, spread=10.0)
    close(Call(lambda m, x: torch.relu(x + 1e-6)), (4, 40))
    close(Call(lambda m, x: torch.maximum(x - 1e9, x)), (4, 40))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
        )
        self.up = nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.body(x))
        x = self.norm(self.up(x))
        return self.head(x.mean((2, 3)))


def test_a_network_with_folded_norms_and_merged_activations():
    close(Residual(), (2, 3, 16, 16), step=0.02, steps=4.0)


def test_what_has_no_integer_kernel_runs_in_floats_between_integers():
    lstm = Call(lambda m, x: m.parts[1](m.parts[0](x)[0]), nn.LSTM(5, 7), nn.Linear(7, 6))
    close(lstm, (4, 6, 5), floats=("UNIDIRECTIONAL_SEQUENCE_LSTM",), steps=3.0)
    close(Call(lambda m, x: torch.sin(x) * x), (3, 40), floats=("SIN",))
    close(Call(lambda m, x: torch.cos(torch.sin(x))), (3, 40), floats=("SIN", "COS"), low=0.0)
    report = multiprof.analyze(Call(lambda m, x: torch.cos(torch.sin(x))), (3, 40))
    assert kinds(lower(report, precision="int8").data) == ["DEQUANTIZE", "SIN", "COS", "QUANTIZE"]


def test_the_share_of_the_macs_on_integers():
    lstm = Call(lambda m, x: m.parts[1](m.parts[0](x)[0]), nn.LSTM(5, 7), nn.Linear(7, 6))
    report = multiprof.analyze(lstm, (4, 6, 5))
    dense = 4 * 6 * 7 * 6
    gates = 4 * 6 * 4 * 7 * (5 + 7)
    flat = lower(report, precision="int8")
    assert flat.integer * report.macs == pytest.approx(dense)
    assert report.macs - dense >= gates
    assert f"{dense / report.macs:.1%} of the MACs on integers" in flat.notes[-1]
    assert lower(report, precision="fp32").integer == 0


@pytest.mark.parametrize(
    "layer", [nn.GRU(5, 7), nn.GRU(5, 7, batch_first=True, bidirectional=True), nn.RNN(5, 7)], ids=str
)
def test_gru_and_elman(layer):
    """Step by step, each from the rounded state before: an error of half a step in each of six."""
    close(Call(lambda m, x: m.parts[0](x)[0], layer), (4, 6, 5), step=0.015, steps=5.0)


def test_attention():
    class Attention(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v)

    close(Attention(), (1, 2, 6, 8), (1, 2, 6, 8), (1, 2, 6, 8), step=0.02, steps=2.0)


def test_a_transformer():
    """What int8 makes of a layer norm's variance in steps of 0.05 is its own affair; the rest must be right."""
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    report = multiprof.analyze(model.eval(), (2, 6, 16))
    flat = lower(report, precision="int8")
    assert flat.share.complete
    assert flat.integer == 1.0
    ((found, _),) = run(flat.data, [np.zeros((2, 6, 16), np.float32)])
    assert found.shape == (2, 6, 16)


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
    run(flat.data, [np.zeros(report.graph.inputs[0].shape, np.float32)])


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


def run_as_given(data: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


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
