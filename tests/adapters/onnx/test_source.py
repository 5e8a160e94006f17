"""Files and what belongs to them: contents on demand, external data that must lie beside the model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import multiprof
from multiprof.adapters.onnx.dtypes import NAMES, NUMPY
from multiprof.adapters.onnx.source import MAX_VALUES, Source
from multiprof.errors import ModelError
from multiprof.ir import BITS, STRING

node = helper.make_node
# onnx 1.16 knows the types of opset 21, and cannot read back complex numbers that it wrote as a typed list.
OLDEST = onnx.defs.onnx_opset_version() <= 21
NUMBERS = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}
UNREADABLE = {TensorProto.COMPLEX64, TensorProto.COMPLEX128} if OLDEST else set()


def test_every_element_type_of_onnx_has_a_name() -> None:
    assert set(NAMES) - ({23, 24, 25, 26, 27, 28} if OLDEST else set()) == NUMBERS
    assert {name for name in NAMES.values() if name not in BITS} == {STRING}


@pytest.mark.parametrize("number", sorted(NUMBERS - UNREADABLE - {TensorProto.STRING}))
def test_widths_are_those_onnx_stores(number: int) -> None:
    """Eight elements, packed as onnx packs them, take as many bytes as their width says."""
    tensor = helper.make_tensor("t", number, [8], np.zeros(8, helper.tensor_dtype_to_np_dtype(number)))
    stored = numpy_helper.from_array(numpy_helper.to_array(tensor))
    if stored.data_type == number and NAMES[number][:6] != "float6":  # onnx gives each of these a byte
        assert len(stored.raw_data) == BITS[NAMES[number]]


def stored(tensor: onnx.TensorProto) -> bytes:
    return helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString()


@pytest.mark.parametrize("dtype", sorted(NUMPY))
@pytest.mark.parametrize("count", [3, 2000])
@pytest.mark.parametrize("raw", [True, False])
def test_contents_are_those_onnx_reads(models: Any, dtype: str, count: int, raw: bool) -> None:
    values = (np.random.default_rng(0).random(count) * 100).astype(dtype)
    if raw:
        tensor = numpy_helper.from_array(values, "t")
    else:
        number = helper.np_dtype_to_tensor_dtype(values.dtype)
        tensor = helper.make_tensor("t", number, [count], values)
        if number in UNREADABLE:
            with pytest.raises(TypeError):
                numpy_helper.to_array(tensor)
            return
    with Source(models.save(stored(tensor))) as source:
        found = source.values(source.model.graph.initializer[0])
        assert bool(source.payloads) == (len(tensor.SerializeToString()) > 1100)
    assert found is not None and found.dtype == values.dtype
    np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))


def test_negative_numbers_in_a_typed_list(models: Any) -> None:
    values = np.arange(-1000, 1000, dtype=np.int64)
    tensor = helper.make_tensor("t", TensorProto.INT64, [2000], values)
    with Source(models.save(stored(tensor))) as source:
        np.testing.assert_array_equal(source.values(source.model.graph.initializer[0]), values)


def test_contents_that_are_not_there_or_too_many(models: Any) -> None:
    short = TensorProto(name="t", dims=[10], data_type=TensorProto.FLOAT, raw_data=bytes(4))
    huge = TensorProto(name="t", dims=[10**9, 10**9], data_type=TensorProto.FLOAT)
    large = numpy_helper.from_array(np.zeros(MAX_VALUES + 1, np.int8), "t")
    empty = TensorProto(name="t", dims=[0, 10**18], data_type=TensorProto.FLOAT)
    for tensor, shape in ((short, None), (huge, None), (large, None), (empty, (0, 10**18))):
        with Source(models.save(stored(tensor))) as source:
            found = source.values(source.model.graph.initializer[0])
        assert (None if found is None else found.shape) == shape


def external(location: str, shape: tuple[int, ...] = (64, 64), dtype: int = TensorProto.FLOAT, **more: Any) -> Any:
    tensor = TensorProto(name="w", dims=shape, data_type=dtype, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def model_with(models: Any, tensor: onnx.TensorProto) -> onnx.ModelProto:
    model: onnx.ModelProto = models.model(
        [node("MatMul", ["x", "w"], ["y"], name="mm")], [models.info("x", [1, 64])], ["y"], [tensor]
    )
    return model


def test_external_weights_are_counted_and_not_read(models: Any) -> None:
    path = models.save(model_with(models, external("weights/w.bin", offset=64, length=64 * 64 * 4)))
    (path.parent / "weights").mkdir()
    weights = path.parent / "weights" / "w.bin"
    weights.write_bytes(bytes(64 + 64 * 64 * 4))
    weights.chmod(0o000)  # its size can be seen, its contents cannot (by anybody but root)
    report = multiprof.analyze(path)
    assert (report.params, report.macs) == (64 * 64, 64 * 64)
    assert report.file_bytes == path.stat().st_size + weights.stat().st_size
    assert not report.warnings


def test_external_weights_that_are_missing_are_a_warning(models: Any) -> None:
    report = multiprof.analyze(models.save(model_with(models, external("gone.bin"))))
    assert report.params == 64 * 64
    assert any("gone.bin" in warning for warning in report.warnings)


def test_an_external_file_that_is_too_short(models: Any) -> None:
    path = models.save(model_with(models, external("w.bin")))
    (path.parent / "w.bin").write_bytes(bytes(100))
    assert any("'w' should lie at 0 to 16384" in warning for warning in multiprof.analyze(path).warnings)


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../w.bin", "a/../../w.bin", "..", "C:\\w.bin", "..\\w.bin", "", ".", "a\0b", "x" * 5000],
)
def test_external_data_outside_the_folder(models: Any, location: str) -> None:
    path = models.save(model_with(models, external(location)), "inner/model.onnx")
    (path.parent.parent / "w.bin").write_bytes(bytes(64 * 64 * 4))
    with pytest.raises(ModelError, match="the tensor 'w' has its data in"):
        models.read(path)


def test_links_that_lead_outside(models: Any, tmp_path: Path) -> None:
    path = models.save(model_with(models, external("link.bin")), "inner/model.onnx")
    (tmp_path / "w.bin").write_bytes(bytes(64 * 64 * 4))
    os.symlink(tmp_path / "w.bin", path.parent / "link.bin")
    with pytest.raises(ModelError, match=r"'w' has its data in 'link.bin', which leads outside"):
        models.read(path)


def test_shape_arithmetic_on_external_integers(models: Any) -> None:
    tensor = external("shape.bin", (2,), TensorProto.INT64)
    model = models.model([node("Reshape", ["x", "w"], ["y"])], [models.info("x", [4, 6])], ["y"], [tensor])
    path = models.save(model)
    (path.parent / "shape.bin").write_bytes(np.array([3, 8]).astype("<i8").tobytes())
    assert models.read(path).outputs[0].shape == (3, 8)


def test_a_size_that_follows_from_external_numbers(models: Any) -> None:
    """A resize by 2 and 3, which are float32."""
    tensor = external("scales.bin", (2,))
    model = models.model(
        [node("Resize", ["x", "", "w"], ["y"], mode="nearest")], [models.info("x", [4, 6])], ["y"], [tensor]
    )
    path = models.save(model)
    (path.parent / "scales.bin").write_bytes(np.array([2, 3]).astype("<f4").tobytes())
    assert models.read(path).outputs[0].shape == (4 * 2, 6 * 3)


@pytest.mark.parametrize(("start", "kind"), [(0.0, "constant"), (0.5, "parameter")])
def test_a_start_from_zeros_beside_the_model(models: Any, start: float, kind: str) -> None:
    """As it is where it stands in the model's file: what an exporter writes as zeros is not learned."""
    weights = [numpy_helper.from_array(np.ones((1, 3 * 5, n), np.float32), name) for name, n in (("i", 4), ("h", 5))]
    model = models.model(
        [node("GRU", ["x", "i", "h", "", "", "w"], ["y"], hidden_size=5)],
        [models.info("x", [3, 2, 4])],
        ["y"],
        [*weights, external("start.bin", (1, 2, 5))],
    )
    path = models.save(model)
    (path.parent / "start.bin").write_bytes(np.full(2 * 5, start).astype("<f4").tobytes())
    assert models.read(path).parameters["w"].kind == kind


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"", "empty"), (b"\x1c\x00\x00\x00ORTM" + bytes(50), "ONNX Runtime's own format"), (b"not a model", "no ONNX")],
)
def test_what_is_no_model(models: Any, data: bytes, what: str) -> None:
    with pytest.raises(ModelError, match=what):
        models.read(data)
