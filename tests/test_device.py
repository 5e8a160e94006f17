"""Descriptions of machines: which rate serves a dtype, which bandwidth a size, and what is refused."""

from __future__ import annotations

import pytest

from multiprof import Device, Energy, PluginError

RATES = {"float32": 100.0, "float64": 50.0, "bfloat16": 400.0, "int8": 800.0}


def device(**more) -> Device:
    return Device("box", **{"rates": RATES, "bandwidth": 10.0, "source": "a data sheet"} | more)


@pytest.mark.parametrize(
    ("dtype", "rate"),
    [
        ("float32", 100.0),
        ("int8", 800.0),
        ("float16", 400.0),  # of those at least as wide the narrowest float: bfloat16
        ("int4", 400.0),
        ("int32", 100.0),
        ("int64", 50.0),
        ("complex128", None),
    ],
)
def test_a_dtype_without_a_rate_takes_that_of_the_next_wider_float(dtype, rate):
    assert device().rate(dtype) == rate


def test_a_rate_measured_for_a_kind_of_kernel_goes_first():
    box = device(kernels={"depthwise": {"float32": 7.0}})
    assert [box.rate("float32", kind) for kind in ("depthwise", "convolution", "")] == [7.0, 100.0, 100.0]
    assert box.rate("int16", "depthwise") == 400.0  # bfloat16, the next wider float, which was not measured
    assert box.rate("int32", "depthwise") == 7.0


def test_what_fits_in_a_cache_moves_at_its_speed():
    box = device(caches=((100, 1000.0), (500, 200.0)))
    assert [box.bandwidth_of(size) for size in (0, 100, 101, 500, 501)] == [1000.0, 1000.0, 200.0, 200.0, 10.0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rates": {}}, "device box: no rates; give operations per second for at least one dtype"),
        ({"rates": {"float23": 1.0}}, "device box: rates: 'float23' is no dtype"),
        ({"rates": {"float32": -1.0}}, "device box: rates.float32 is -1.0; give a positive number"),
        ({"kernels": {"linear": {"float32": 0}}}, "device box: kernels.linear.float32 is 0; give a positive number"),
        ({"bandwidth": float("nan")}, "device box: bandwidth is nan; give a positive number"),
        ({"bandwidth": "fast"}, "device box: bandwidth is 'fast'; give a positive number"),
        ({"elementwise": 0.0}, "device box: elementwise is 0.0; give a positive number"),
        ({"caches": ((0, 1.0),)}, "device box: a cache's size is 0; give a positive number"),
        ({"caches": ((1, 0.0),)}, "device box: a cache's bandwidth is 0.0; give a positive number"),
        ({"overhead": -1.0}, "device box: overhead is -1.0; give seconds from 0 on"),
        ({"energy": Energy({"int8": 1.0}, 0.0, "")}, "device box: energy.byte is 0.0; give a positive number"),
        ({"energy": Energy({"i8": 1.0}, 1.0, "")}, "device box: energy.operations: 'i8' is no dtype"),
    ],
)
def test_figures_that_are_none_are_refused(wrong, said):
    with pytest.raises(PluginError) as error:
        device(**wrong)
    assert str(error.value) == said


MEASURED = {"linear": {"float32": {"x": 10.0, "weight": 5.0, "y": 2.0}, "int8": {"weight": 1.0}}}


@pytest.mark.parametrize(
    ("dtype", "kinds", "seconds"),
    [
        ("float32", ["linear"], 20 / 10 + 30 / 5 + 4 / 2),
        ("int8", ["linear"], 30 / 1),  # what is not said costs nothing
        ("float16", ["linear"], 20 / 10 + 30 / 5 + 4 / 2),  # by the byte as the next wider float
        ("float64", ["linear"], None),
        ("float32", ["recurrent", "linear"], 10.0),
        ("float32", ["matmul"], None),
        ("float32", [], None),
    ],
)
def test_taking_operands_in(dtype, kinds, seconds):
    assert device(operands=MEASURED).handling(dtype, kinds, {"x": 20, "weight": 30, "y": 4}) == seconds


def test_weights_are_read_at_a_speed_of_their_own():
    box = device(caches=((100, 1000.0),), reads=((50, 400.0), (200, 40.0)))
    assert [box.read_bandwidth_of(size) for size in (50, 51, 200, 201)] == [400.0, 40.0, 40.0, 10.0]
    assert device(caches=((100, 1000.0),)).read_bandwidth_of(60) == 1000.0


def test_the_most_special_kind_goes_first():
    box = device(kernels={"thin": {"float32": 3.0}, "convolution": {"float32": 7.0, "int8": 9.0}})
    assert box.rate("float32", "thin", "convolution") == 3.0
    assert box.rate("float32", "pointwise", "convolution") == 7.0
    assert box.rate("int8", "thin", "convolution") == 9.0
    assert box.rate("int8", "thin") == 800.0


@pytest.mark.parametrize(("dtype", "served"), [("float32", "float32"), ("float16", "bfloat16"), ("complex128", None)])
def test_which_dtype_serves(dtype, served):
    assert device().rated(dtype, "linear") == served


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"operands": {"linear": {"f": {}}}}, "device box: operands.linear.f: 'f' is no dtype"),
        ({"operands": {"linear": {"int8": {"z": 1.0}}}},
         "device box: operands.linear.int8: 'z' is none of x, weight, y"),
        ({"operands": {"linear": {"int8": {"x": 0}}}},
         "device box: operands.linear.int8.x is 0; give a positive number"),
        ({"reads": ((2, 1.0), (1, 1.0))}, "device box: reads are of [2, 1] bytes; give small ones first"),
        ({"reads": ((2, -1.0),)}, "device box: a read's bandwidth is -1.0; give a positive number"),
    ],
)  # fmt: skip
def test_measured_figures_that_are_none_are_refused(wrong, said):
    with pytest.raises(PluginError) as error:
        device(**wrong)
    assert str(error.value) == said
