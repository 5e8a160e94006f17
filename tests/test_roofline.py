"""Predicted times: kernels worked by hand on a device of round numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

import multiprof
from multiprof import Device, Energy, UsageError
from multiprof.cost import index_formulas
from multiprof.engine import price
from multiprof.formulas import multiprof_formulas
from multiprof.ir import Graph
from multiprof.prediction import Bound, Prediction
from multiprof.report import Report
from multiprof.roofline import predict
from multiprof.testing.graphs import GraphBuilder

FORMULAS = index_formulas(multiprof_formulas())
BOX = Device("box", {"float32": 1000.0, "int8": 4000.0}, 100.0, "round numbers", "A box")


def report(graph: Graph) -> Report:
    return price(graph, FORMULAS)


def on(graph: Graph, device: Device) -> Prediction:
    return predict(graph, report(graph).layers, device)


def net(dtype: str = "float32", **more: str) -> Graph:
    """linear 8 → 8 on a batch of 2, with its activation: 128 macs, 16 comparisons, 16 + 64 + 16 elements moved."""
    net = GraphBuilder(dtype=dtype)
    x = net.input((2, 8))
    y = net.layer("linear", {"x": x, "weight": net.parameter("w", (8, 8))}, (2, 8), name="fc", in_features=8, **more)
    return net.graph(net.layer("relu", {"x": y}, name="act", **more))


def test_the_longer_of_computing_and_moving():
    # 2·128 + 16 operations at 1000 a second; 384 bytes at 100 a second
    assert on(net(), BOX).kernels == (Bound(("fc", "act"), 272, 384, "memory", pytest.approx(3.84)),)
    fast = replace(BOX, bandwidth=1e9)
    assert on(net(), fast).kernels == (Bound(("fc", "act"), 272, 384, "compute", pytest.approx(0.272)),)
    assert on(net(), BOX).kernels[0].intensity == pytest.approx(272 / 384)


def test_what_is_no_product_has_a_rate_of_its_own():
    device = replace(BOX, bandwidth=1e9, elementwise=100.0)
    assert on(net(), device).seconds == pytest.approx(256 / 1000 + 16 / 100)


def test_products_take_the_rate_of_their_dtype():
    device = replace(BOX, bandwidth=1e9)
    # int8: the activation's comparisons are integer operations, at the rate of what is no product
    assert on(net("int8"), device).seconds == pytest.approx(256 / 4000 + 16 / 1000)
    # a weight of integers and a float activation are multiplied as floats
    mixed = GraphBuilder()
    inputs = {"x": mixed.input((2, 8)), "weight": mixed.parameter("w", (8, 8), dtype="int8")}
    y = mixed.layer("linear", inputs, (2, 8), in_features=8)
    assert on(mixed.graph(y), device).seconds == pytest.approx(256 / 1000)


def test_a_device_without_any_rate_that_would_do():
    only = Device("only", {"int8": 1000.0}, 100.0, "")
    made = on(net(), only)
    assert made.kernels == (Bound(("fc", "act"), 272, 384, "unknown", None),)
    assert made.unknown == ["fc", "act"]
    assert made.seconds == 0


def test_starting_a_kernel_takes_time():
    device = replace(BOX, overhead=10.0)
    assert on(net(), device).kernels[0] == Bound(("fc", "act"), 272, 384, "overhead", pytest.approx(13.84))
    loop = GraphBuilder()
    region = loop.region("loop", "loop", trips=5)
    y = loop.layer("relu", {"x": loop.input((2, 8))}, name="act", region=region)
    # five trips, of 128 bytes each
    assert on(loop.graph(y), device).seconds == pytest.approx(5 * 10 + 5 * 128 / 100)


def test_what_fits_in_a_cache():
    device = replace(BOX, caches=((384, 1000.0),))
    assert on(net(), device).seconds == pytest.approx(0.384)
    assert on(net(), replace(BOX, caches=((383, 1000.0),))).seconds == pytest.approx(3.84)
    loop = GraphBuilder()
    region = loop.region("loop", "loop", trips=5)
    y = loop.layer("relu", {"x": loop.input((2, 8))}, name="act", region=region)
    # the trips together move 640 bytes, but each only 128
    assert on(loop.graph(y), device).seconds == pytest.approx(640 / 1000)


def test_depthwise_convolutions_have_a_rate_of_their_own():
    def conv(groups: int) -> Graph:
        net = GraphBuilder()
        inputs = {"x": net.input((1, 4, 3, 3)), "weight": net.parameter("w", (4, 4 // groups, 1, 1))}
        attrs = {"kernel_size": (1, 1), "groups": groups, "in_channels": 4, "out_channels": 4}
        return net.graph(net.layer("conv", inputs, (1, 4, 3, 3), **attrs))

    device = replace(BOX, bandwidth=1e9, kernels={"depthwise": {"float32": 10.0}, "convolution": {"float32": 500.0}})
    assert on(conv(4), device).seconds == pytest.approx(2 * 36 / 10)
    assert on(conv(2), device).seconds == pytest.approx(2 * 72 / 500)
    assert on(net(), device).seconds == pytest.approx(0.272)  # a linear layer: the device's rate


MEASURED = {"linear": {"float32": {"x": 64.0, "weight": 128.0, "y": 32.0}}}


def test_operands_take_time_on_top_of_the_arithmetic():
    device = replace(BOX, bandwidth=1e9, operands=MEASURED)
    # 256 operations at 1000 a second; 64 bytes of x, 256 of the weight, 64 of y; the activation clamps: 16 operations
    assert on(net(), device).kernels[0].seconds == pytest.approx(0.256 + 1 + 2 + 2 + 16 / 1000)
    # data that moves more slowly than all that goes before
    assert on(net(), replace(BOX, bandwidth=10.0, operands=MEASURED)).kernels[0].seconds == pytest.approx(384 / 10)


def test_weights_come_from_where_the_whole_model_leaves_them():
    device = replace(BOX, caches=((400, 50.0),), reads=((256, 200.0), (400, 10.0)))
    # 128 bytes of activations in a cache of 50 a second, 256 of weights at 200
    assert on(net(), device).seconds == pytest.approx(128 / 50 + 256 / 200)
    two = GraphBuilder()
    x = two.input((2, 8))
    for name in ("a", "b"):
        x = two.layer("linear", {"x": x, "weight": two.parameter(name, (8, 8))}, (2, 8), name=name, in_features=8)
    # together 512 bytes of weights: those lie beyond all that was measured, where 100 bytes a second move
    assert on(two.graph(x), device).seconds == pytest.approx(2 * (128 / 50 + 256 / 100))


def test_each_step_of_a_recurrent_layer_reads_its_weights_again():
    lstm = GraphBuilder()
    inputs = {
        "x": lstm.input((5, 1, 2)), "weight_ih": lstm.parameter("i", (8, 2)), "weight_hh": lstm.parameter("h", (8, 2)),
    }  # fmt: skip
    y = lstm.layer("lstm", inputs, (5, 1, 2), name="l", input_size=2, hidden_size=2, steps=5)
    device = replace(BOX, rates={"float32": 1e9}, bandwidth=1e9, reads=((128, 64.0),), overhead=1.0)
    # 128 bytes of weights five times, five starts; x and y move at once
    assert on(lstm.graph(y), device).seconds == pytest.approx(5 * 128 / 64 + 5, rel=1e-5)
    # where nothing is known of reading weights, they are read once, as the formula of traffic says
    plain = replace(device, reads=(), bandwidth=100.0)
    assert on(lstm.graph(y), plain).seconds == pytest.approx((128 + 40 + 40) / 100 + 1, rel=1e-5)


def test_what_stands_in_for_a_rate_is_said():
    made = on(net("float16"), BOX)
    assert made.notes == (
        "products in float16 are taken to run as fast as in float32: the device has no rate for float16",
    )
    assert on(net(), BOX).notes == on(net("uint8"), BOX).notes == ()
    table = Energy({"int8": 1.0}, 1.0, "")
    assert on(net(), replace(BOX, energy=table)).notes == (
        "no energy is estimated: the device has no figure for float32",
    )
    assert (
        on(net(), Device("only", {"int8": 1000.0}, 100.0, "")).notes == ()
    )  # not predicted at all, which is said apart


def test_a_note_is_shown_and_kept(tmp_path):
    after = multiprof.predict(report(net("float16")), BOX)
    assert "products in float16 are taken to run as fast as in float32" in str(after)
    after.save(tmp_path / "r.json")
    assert multiprof.load(tmp_path / "r.json").predictions == after.predictions


def test_energy_of_arithmetic_and_of_traffic():
    table = Energy({"float32": 2.0, "int8": 0.5}, 10.0, "a paper")
    made = on(net(), replace(BOX, energy=table))
    assert made.joules == pytest.approx((2.0 * 256 + 2.0 * 16 + 10.0 * 384) * 1e-12)
    assert made.energy_source == "a paper"
    made = on(net("uint8"), replace(BOX, energy=table))
    assert made.joules == pytest.approx((0.5 * 256 + 0.5 * 16 + 10.0 * 96) * 1e-12)
    assert on(net("float64"), replace(BOX, energy=Energy({"int8": 1.0}, 1.0, ""))).joules is None


def test_the_parts_of_the_time():
    made = Prediction("d", "d", "", (Bound(("a",), 1, 1, "memory", 3.0), Bound(("b",), 1, 1, "compute", 1.0)))
    assert (made.share("memory"), made.share("compute"), made.share("overhead")) == (0.75, 0.25, 0.0)


def test_a_report_keeps_its_predictions(tmp_path):
    before = report(net())
    after = multiprof.predict(before, BOX, replace(BOX, name="second", energy=Energy({"float32": 1.0}, 1.0, "e")))
    assert before.predictions == ()
    assert [p.device for p in after.predictions] == ["box", "second"]
    after.save(tmp_path / "r.json")
    assert multiprof.load(tmp_path / "r.json") == after


def test_devices_by_name_and_by_file(tmp_path):
    table = "rates = {float32 = 1}\nbandwidth = 1\nsource = ''\n"
    (tmp_path / "d.toml").write_text(f"[a]\n{table}[b]\n{table}")
    after = multiprof.predict(report(net()), "t4", tmp_path / "d.toml")
    assert [p.device for p in after.predictions] == ["t4", "a", "b"]
    with pytest.raises(UsageError, match=r"unknown device 'h10-sxm'; did you mean h100-sxm\?"):
        multiprof.predict(report(net()), "h10-sxm")
    with pytest.raises(UsageError, match="unknown device '!'; multiprof devices lists those that are known"):
        multiprof.predict(report(net()), "!")
    with pytest.raises(UsageError, match="name at least one device"):
        multiprof.predict(report(net()))
