"""load(save(r)) == r for whatever a report can hold, and a clean error for whatever is none."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import PRIMITIVES, Cost, Counts
from multiprof.engine import price
from multiprof.errors import MultiprofError, ReportError
from multiprof.formulas import multiprof_formulas
from multiprof.ir import BITS, FOLDED, PREPARED, Layer, Mark, Parameter, Quant, Region, TensorSpec
from multiprof.layer_report import LayerReport
from multiprof.measurement import Measurement
from multiprof.passes import fold_batch_norm
from multiprof.prediction import BOUNDS, Bound, Prediction
from multiprof.report import Report
from multiprof.testing.graphs import GraphBuilder, resnet50

FORMULAS = {op: item for item in multiprof_formulas() for op in item.ops}

names = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
whole = st.one_of(st.integers(0, 9), st.integers(0, 10**200))
floats = st.floats(allow_nan=False)  # NaN is equal to nothing, itself included


def tables_of(nan: bool) -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(-(10**200), 10**200), st.floats(allow_nan=nan), names,
            st.complex_numbers(allow_nan=nan),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.one_of(names, st.just("$list"), st.integers(0, 3)), inner, max_size=3),
        ),
        max_leaves=6,
    )  # fmt: skip
    return st.dictionaries(names, values, max_size=3)


tables, attributes = tables_of(nan=False), tables_of(nan=True)
shapes = st.lists(st.one_of(st.none(), st.integers(0, 2**62)), max_size=4).map(tuple)
quants = st.none() | st.builds(
    Quant,
    st.lists(floats, max_size=2).map(tuple),
    st.lists(st.integers(-9, 9), max_size=2).map(tuple),
    st.none() | st.integers(0, 3),
)
specs = st.builds(TensorSpec, shapes, st.sampled_from(sorted(BITS)), st.just(""), quants)
costs = st.builds(
    Cost,
    st.dictionaries(names, st.builds(Counts, **dict.fromkeys(PRIMITIVES, whole)), max_size=3),
    st.none() | st.tuples(names, names, names),
)
measurements = st.builds(
    Measurement,
    st.lists(st.floats(0, 1e200), min_size=1, max_size=4).map(tuple),
    names,
    names,
    names,
    st.sampled_from(["whole", "group", "overhead"]),
    st.lists(names, max_size=2).map(tuple),
    st.none() | st.integers(0, 64),
    st.none() | st.integers(0, 64),
    st.booleans(),
    tables,
    names,
    st.dictionaries(names, st.floats(0, 1e200), max_size=2),
    st.dictionaries(names, whole, max_size=2),
)

amounts = st.none() | st.floats(0, 1e200)
predictions = st.builds(
    Prediction,
    names,
    names,
    names,
    st.lists(
        st.builds(
            Bound, st.lists(names, max_size=2).map(tuple), whole, st.none() | whole, st.sampled_from(BOUNDS), amounts
        ),
        max_size=2,
    ).map(tuple),
    amounts,
    names,
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    net = GraphBuilder(draw(names))
    fresh = iter(range(99))

    def named(spec: TensorSpec) -> TensorSpec:
        return replace(spec, name=f"t{next(fresh)}{draw(names)}")

    net.inputs = [named(spec) for spec in draw(st.lists(specs, max_size=2))]
    for _ in range(draw(st.integers(0, 2))):
        spec = named(replace(draw(specs), shape=(3, 4)))
        kind = draw(st.sampled_from(["parameter", "buffer", "constant"]))
        trainable = draw(st.sampled_from([None, True, False]))
        net.parameters[spec.name] = Parameter(
            spec, kind, trainable, draw(names), tuple(draw(st.lists(names, max_size=2)))
        )
    for number in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["loop", "branch", "call"]))
        parent = "r0" if number else None
        net.regions[f"r{number}"] = Region(
            f"r{number}", parent, kind, draw(st.none() | whole), draw(names), draw(st.booleans())
        )
    there = [*net.inputs, *(p.spec for p in net.parameters.values())]
    rows, marks = [], {}
    for number in range(draw(st.integers(0, 3))):
        inputs = {f"x{i}": draw(st.sampled_from(there)) for i in range(draw(st.integers(0, 2))) if there}
        outputs = {"y": named(draw(specs))}
        aliases = (("y", "x0", draw(st.sampled_from(["view", "write"]))),) if inputs and draw(st.booleans()) else ()
        region = draw(st.sampled_from([None, *net.regions]))
        layer = Layer(
            f"l{number}", draw(names), inputs, outputs, draw(attributes), draw(names), draw(names), region, aliases
        )
        state = draw(st.sampled_from(["priced", "folded", "prepared", "free", "unsupported"]))
        amounts = [draw(st.none() | whole) for _ in range(3)]
        cost = None if state == "unsupported" else draw(costs)
        rows.append(LayerReport(layer, state, draw(names), cost, draw(st.none() | costs), *amounts, draw(names)))
        if state in (FOLDED, PREPARED):
            marks[layer.name] = Mark(state, draw(names), draw(names))
        there += outputs.values()
        net.layers.append(layer)
    outputs = draw(st.lists(st.sampled_from(there), max_size=2)) if there else []
    graph = replace(net.graph(*outputs), marks=marks, metadata=draw(tables))
    graph.metadata.pop("format", None)
    return Report(
        graph,
        tuple(rows),
        draw(names),
        tuple(draw(st.lists(names, max_size=2))),
        tuple(draw(st.lists(measurements, max_size=2))),
        draw(tables),
        draw(tables),
        {"file_bytes": draw(st.none() | whole), "format": draw(st.none() | names), "more": draw(tables)},
        tuple(draw(st.lists(predictions, max_size=2))),
    )


@given(reports())
def test_what_is_saved_is_loaded(report: Report) -> None:
    data = report.to_dict()
    loaded = Report.from_dict(json.loads(json.dumps(data, allow_nan=False)))
    assert loaded == report
    assert loaded.to_dict() == data


def test_attributes_that_are_no_number_are_equal_to_themselves_alone() -> None:
    def layer(value: Any) -> Layer:
        return Layer("where", "where", {}, {}, {"scalar0": value})

    for value in (float("nan"), (1, float("nan")), [float("nan")], {"a": {0: float("nan")}}, complex(0, float("nan"))):
        assert layer(value) == layer(pickle.loads(pickle.dumps(value)))  # another object
        assert layer(value) != layer(0.0)
    assert layer((1, float("nan"))) != layer((2, float("nan")))
    assert layer((float("nan"),)) != layer([float("nan")])
    assert layer({"a": float("nan")}) != layer({"b": float("nan")})
    assert layer(float("nan")) != "where"


def test_tuples_and_lists_stay_apart(tmp_path: Path) -> None:
    """The one difference that == between containers of JSON values would miss."""
    net = GraphBuilder()
    net.layer("relu", {"x": net.input((1,))}, pair=(1, [2, (3,)]))
    report = price(net.graph(), FORMULAS)
    report.save(tmp_path / "r.json")
    attrs = Report.load(tmp_path / "r.json").graph.layers[0].attrs
    assert attrs == {"pair": (1, [2, (3,)])}
    assert [type(x) for x in (attrs["pair"], attrs["pair"][1], attrs["pair"][1][1])] == [tuple, list, tuple]


def test_resnet50_comes_back_whole(tmp_path: Path) -> None:
    report = price(fold_batch_norm(resnet50()), FORMULAS)
    path = tmp_path / "resnet50.json"
    report.save(path)
    loaded = Report.load(path)
    assert loaded == report
    assert (loaded.macs, loaded.flops, loaded.params, loaded.peak) == (
        report.macs,
        report.flops,
        report.params,
        report.peak,
    )
    assert (loaded.coverage, loaded.digest, loaded.by_op()) == (report.coverage, report.digest, report.by_op())
    assert loaded.receptive_field("layer4.2.relu3") == report.receptive_field("layer4.2.relu3")


def small() -> dict[str, Any]:
    """A report with a part of every kind, as JSON values."""
    net = GraphBuilder("small")
    x = net.input((2, 4))
    net.inputs[0].quant = Quant((0.5,), (3,), 0)
    net.region("loop", "loop", trips=2)
    y = net.layer(
        "linear", {"x": x, "weight": net.parameter("w", (3, 4))}, (2, 3), name="fc", in_features=4, out_features=3
    )
    y = net.layer("relu", {"x": y}, name="act", region="loop", alias="write")
    net.layer("toy.odd", {"x": y}, (None, 2), name="odd", list=[1], inf=float("inf"))
    report = price(replace(net.graph(y), marks={"act": Mark(FOLDED, "why", "fc")}), FORMULAS, warnings=("w",))
    report = replace(report, measurements=(Measurement((1.0,), "toy", environment={"cpu": "a"}),))
    report = replace(report, predictions=(Prediction("d", "D", "", (Bound(("fc",), 1, 2, "compute", 0.5),), 1.5),))
    data = report.to_dict()
    assert Report.from_dict(data) == report
    return data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no report: it is not JSON: Expecting value"),
        (b"PK\x03\x04\xff\xfe", "is no report: it is not text in UTF-8"),
        (b"{", "is no report: it is not JSON"),
        (b"[" * 100_000, "is no report: it is not JSON"),
        (b"[]", "the report is [], not an object"),
        (b"null", "the report is None, not an object"),
        (b'{"schema_version": "1"}', "there is no 'schema_version': this is no report of multiprof"),
        (b'{"nodes": []}', "there is no 'schema_version'"),
        (b'{"schema_version": 99}', "its schema is version 99, and this multiprof reads version 1"),
        (b'{"schema_version": 1}', "the report has no 'model'"),
        (b'{"schema_version": NaN}', "NaN is no JSON number"),
        (b'{"schema_version": 1, "model": {"format": "\\ud800"}}', "is no report: it is not JSON"),
        (b"9" * 5000, "is no report: it is not JSON"),
    ],
)
def test_a_file_that_is_no_report(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(ReportError) as raised:
        Report.load(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"missing\.json: cannot be read: No such file or directory"):
        Report.load(tmp_path / "missing.json")
    with pytest.raises(ReportError, match="cannot be read: Is a directory"):
        Report.load(tmp_path)
    with pytest.raises(ReportError, match="cannot be read: embedded null"):
        Report.load("a\0b")


def at(data: Any, *path: Any) -> Any:
    for step in path:
        data = data[step]
    return data


LAYER = ("graph", "layers", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("warnings",), "none", "the report: 'warnings' is 'none', not an array"),
        (("warnings",), [1], "'warnings' is [1], not an array of strings"),
        (("convention",), None, "'convention' is None, not a string"),
        (("model", "file_bytes"), -1, "the report, model: 'file_bytes' is -1, not a whole number from 0 on"),
        (("inputs", 0, "shape"), [2, -4], "the report, inputs[0]: 'shape' is [2, -4], not a shape"),
        (("inputs", 0, "shape"), [1] * 65, "'shape' is an array of 65, not a shape"),
        (("inputs", 0, "shape"), [10**300], "'shape' is "),
        (("inputs", 0, "dtype"), "float31", "'dtype' is 'float31', not a known dtype"),
        (("inputs", 0, "quant", "scale"), ["a"], "'scale' is ['a'], not an array of numbers"),
        (("inputs", 0, "quant", "zero_point"), [1.5], "not an array of whole numbers"),
        ((*LAYER, "state"), "cheap", "graph, layers[0]: 'state' is 'cheap', not one of priced"),
        ((*LAYER, "terms"), None, "'terms' is None, not what a layer that is priced has"),
        (("graph", "layers", 2, "terms"), {}, "not what a layer that is unsupported has"),
        ((*LAYER, "terms", "dot", "macs"), 1.5, "'macs' is 1.5, not a whole number"),
        ((*LAYER, "terms", "dot", "macs"), 10**251, "'macs' is a number of more than 250 digits"),
        ((*LAYER, "terms", "dot"), {"flops": 1}, "'flops' is no primitive"),
        ((*LAYER, "dot_dtypes"), ["a"], "not the dtypes of both operands and the accumulator"),
        ((*LAYER, "aliases"), [["y", "x"]], "not an array of [output role, input role, view or write]"),
        ((*LAYER, "attrs"), [], "'attrs' is [], not an object"),
        ((*LAYER, "attrs"), {"a": {"$float": "huge"}}, "is no float"),
        ((*LAYER, "attrs"), {"a": {"$mapping": [[[], 1, 2]]}}, "is no mapping"),
        ((*LAYER, "attrs"), {"a": {"$mapping": [[{"$list": []}, 1]]}}, "is no mapping"),
        ((*LAYER, "inputs", "x", "name"), "ghost", "layer fc reads 'ghost' as x, which comes from nowhere"),
        ((*LAYER, "region"), "gone", "layer fc is in region 'gone', which is not declared"),
        (("graph", "regions", 0, "parent"), "loop", "region 'loop' contains itself"),
        (("graph", "marks", "act", "state"), "gone", "'state' is 'gone', not one of folded, prepared"),
        (("measurements", 0, "times"), [-1], "-1 is no time in seconds"),
        (("measurements", 0, "times"), ["1"], "not an array of seconds"),
        (("measurements", 0, "kind"), "layer", "kind is 'layer'"),
        (("measurements", 0, "phases"), {"load": -1.0}, "'load' is -1.0, not a number from 0 on"),
        (("measurements", 0, "memory"), {"rss": 1.5}, "'rss' is 1.5, not a whole number"),
        (("predictions", 0, "kernels", 0, "bound"), "luck", "'bound' is 'luck', not one of compute, memory"),
        (("predictions", 0, "kernels", 0, "seconds"), -1, "'seconds' is -1, not a number from 0 on"),
        (("predictions", 0, "joules"), "1", "'joules' is '1', not a number from 0 on"),
    ],
)
def test_a_report_with_a_wrong_part_says_which(path: tuple[Any, ...], value: Any, message: str) -> None:
    data = small()
    at(data, *path[:-1])[path[-1]] = value
    with pytest.raises(ReportError) as raised:
        Report.from_dict(data)
    assert message in str(raised.value)


def test_two_parameters_of_a_name() -> None:
    data = small()
    data["graph"]["parameters"] *= 2
    with pytest.raises(ReportError, match="there are two parameters of the name 'w'"):
        Report.from_dict(data)


def test_nesting_without_end() -> None:
    data = small()
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    data["graph"]["metadata"]["deep"] = deep
    with pytest.raises(ReportError, match="nested too deeply"):
        Report.from_dict(data)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path] if path else []
    if isinstance(data, (dict, list)):
        for step in data if isinstance(data, dict) else range(len(data)):
            found += places(data[step], (*path, step))
    return found


SMALL = small()
WRONG = [None, True, -1, 0, 2, 10**249, 10**300, 1.5, "", "x", [], [None], [[]], {}, {"x": {}}, {"$list": 3}]


def everything(report: Report) -> list[Callable[[], Any]]:
    """All that can be asked of a report."""
    whole = [
        "macs", "flops", "params", "trainable_params", "params_duplicated", "peak", "activation_bytes", "coverage",
        "space_elements", "traffic_bytes", "coverage_details", "macs_per_sample", "flops_per_sample", "total", "digest",
    ]  # fmt: skip
    asked: list[Callable[[], Any]] = [lambda name=name: getattr(report, name) for name in whole]  # type: ignore[misc]
    asked += [report.by_op, report.by_family, report.by_scope, report.by_dtype, report.modules, report.unsupported]
    asked += [report.unused_parameters, report.to_dict, lambda: repr(report)]
    asked += [lambda name=row.name: report.receptive_field(name) for row in report.layers]  # type: ignore[misc]
    return asked


def damage(data: Any, path: tuple[Any, ...], value: Any) -> None:
    parent = at(data, *path[:-1])
    if value == "remove":
        del parent[path[-1]]
    else:
        parent[path[-1]] = value


def refused_or_whole(data: Any) -> bool:
    """Whether the report is refused with a clean error; if not, it answers every question, or says why it cannot."""
    try:
        report = Report.from_dict(data)
    except ReportError:
        return True
    for ask in everything(report):
        with suppress(MultiprofError):
            str(ask())
    return False


def test_whatever_one_place_holds_instead_never_ends_in_a_traceback() -> None:
    refused = []
    for path in places(SMALL):
        for value in [*WRONG, "remove"]:
            data = copy.deepcopy(SMALL)
            damage(data, path, value)
            refused.append(refused_or_whole(data))
    assert any(refused)
    assert not all(refused)


faults = st.tuples(st.sampled_from(places(SMALL)), st.sampled_from([*WRONG, "remove"]))


@given(st.lists(faults, min_size=2, max_size=4))
def test_nor_do_several(damaged: list[tuple[tuple[Any, ...], Any]]) -> None:
    data = copy.deepcopy(SMALL)
    for path, value in damaged:
        with suppress(LookupError, TypeError):  # what stood there may be damaged already
            damage(data, path, value)
    refused_or_whole(data)
