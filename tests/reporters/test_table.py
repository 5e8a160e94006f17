"""The table: its rows add up to its totals, it fits its terminal, and no name of a model can break out of it."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from typing import Any

import pytest

from multiprof import Graph, Layer, Region, Report, TensorSpec, engine, registry
from multiprof.reporters.table import render

CONV, FC, SQUARE, HEAD = 128 * 27, 2 * 64 * 10, 2 * 10 * 10, 2 * 10 * 5
MACS = CONV + FC + 2 * SQUARE + HEAD
PARAMS = 4 * 27 + 2 * 4 + 640 + 100 + (50 + 5) + 9

GOLDEN = """\
Net (toy), x: 2×3×8×8 float32

Layer          Op          Input    Output   Kernel  Parameters    MACs   Share
───────────────────────────────────────────────────────────────────────────────
Net                        2×3×8×8  2×5                     920   5,236  100.0%
├─ stem                    2×3×8×8  2×4×4×4                 116   3,456   66.0%
│  ├─ conv     conv        2×3×8×8  2×4×4×4  3×3 /2         108   3,456   66.0%
│  ├─ norm     batch_norm  2×4×4×4  2×4×4×4                   8  folded
│  └─ act      relu        2×4×4×4  2×4×4×4                   –       –
├─ body                    2×64     2×10                    740   1,680   32.1%
│  ├─ 0                    2×64     2×10                    640   1,280   24.4%
│  │  ├─ fc    linear      2×64     2×10                    640   1,280   24.4%
│  │  └─ relu  relu        2×10     2×10                      –       –
│  ├─ 1                    2×10     2×10                    100     400    7.6%
│  │  └─ fc    linear ×2   2×10     2×10                    100     400    7.6%
│  └─ add      add         2×10     2×10                      –       –
└─ head        linear      2×10     2×5                      55     100    1.9%

"""


def cells(text: str) -> list[tuple[int, str, dict[str, str]]]:
    """(depth, name, cells by title) of every row; a numeric cell ends where its title does."""
    lines = text.split("\n")
    rule = next(i for i, line in enumerate(lines) if line and set(line) == {"─"})
    header = lines[rule - 1]
    ends = {title: header.index(title) + len(title) for title in ("Parameters", "MACs", "Share")}
    found = []
    for line in lines[rule + 1 : lines.index("", rule)]:
        label = line[: header.index("Op")].rstrip()
        name = label.lstrip("├└│─ ")
        values = {title: line[:end].rpartition("  ")[2].strip() for title, end in ends.items()}
        found.append(((len(label) - len(name)) // 3, name, values))
    return found


def number(cell: str) -> int:
    return int(cell.replace(",", "").removeprefix("≥")) if cell.strip("≥,")[:1].isdigit() else 0


def test_golden(whole):
    text = render(whole, width=0, ascii=False)
    assert text.startswith(GOLDEN)


def test_the_golden_rows_add_up(whole):
    """Every opened module is the sum of its parts, and the model is the hand-worked whole."""
    table = cells(render(whole, width=0, ascii=False))
    assert (number(table[0][2]["MACs"]), number(table[0][2]["Parameters"])) == (MACS, PARAMS)
    for i, (depth, name, values) in enumerate(table):
        parts = []
        for below, _, inner in table[i + 1 :]:
            if below <= depth:
                break
            if below == depth + 1:
                parts.append(inner)
        for column in ("MACs", "Parameters") if parts else ():
            unused = 9 if (column, depth) == ("Parameters", 0) else 0  # the weight that no layer reads has no row
            assert sum(number(p[column]) for p in parts) + unused == number(values[column]), (name, column)
    shares = [float(values["Share"].rstrip("%")) for depth, _, values in table if depth == 1 and values["Share"]]
    assert abs(sum(shares) - 100) < 0.2


def types(text: str) -> dict[str, str]:
    """The second column by the name in the first."""
    lines = text.split("\n")
    rule = next(i for i, line in enumerate(lines) if line and set(line) == {"─"})
    start, end = lines[rule - 1].index("Type"), lines[rule - 1].index("Input")
    rows = lines[rule + 1 : lines.index("", rule)]
    return {line[:start].strip("├└│─ "): line[start:end].strip() for line in rows}


def test_the_classes_of_modules_where_they_are_known(classified):
    assert types(render(classified, width=0, ascii=False, depth=2)) == {
        "Net": "",  # the model's name is its class
        "stem": "Stem",
        "conv": "conv",  # a module that is one layer says what that does
        "norm": "batch_norm",
        "act": "relu",
        "body": "",  # never called: a mere container
        "0": "Block, 2 layers",
        "1": "TiedBlock, linear ×2",
        "add": "add",
        "head": "linear",
    }
    deep = types(render(classified, width=0, ascii=False))
    assert (deep["0"], deep["1"], deep["fc"]) == ("Block", "TiedBlock", "linear ×2")


def test_a_module_of_several_operations_shows_its_class_before_them():
    report = chain(["act", "act"], modules={"act": "Twice"})
    assert types(render(report, width=0, ascii=False))["act"] == "Twice, relu ×2"
    assert types(render(chain(["act"], modules={"act": "Once"}), width=0, ascii=False))["act"] == "relu"


@pytest.mark.parametrize("nonsense", [None, [], "Net", 3])
def test_what_a_file_says_of_classes_may_be_nonsense(nonsense):
    assert "Op" in render(chain(["act"], modules=nonsense), width=0, ascii=False).split("\n")[2]


def test_totals_are_exact_and_have_units(whole):
    text = render(whole, width=0, ascii=False)
    flops = 2 * MACS + 128 + 128 + 20 + 20 + 10  # norm folded to bias adds, two relus, the addition, the bias
    assert f"MACs              {MACS:,} (5.24 k)" in text
    assert f"FLOPs             {flops:,} (10.8 k) = 2·{MACS:,} MACs + 158 adds + 148 cmps" in text
    assert f"Parameters        {PARAMS}, {PARAMS - 100} trainable, 100 frozen" in text
    assert "Buffers           8 elements, 32 bytes" in text
    assert f"Weights           {4 * PARAMS:,} bytes (3.59 KiB)" in text
    assert f"Per sample        {MACS // 2:,} MACs, {flops // 2:,} FLOPs (batch 2)" in text
    # the image, 1,536 bytes, and the conv's output, 512, are alive at the conv
    assert "Peak activations  2,048 bytes (2.00 KiB) at stem.conv" in text
    assert "x 2×3×8×8 (1.50 KiB), stem.conv 2×4×4×4 (512 bytes)" in text
    text = re.sub(" +", " ", text)
    assert "Coverage 100% of 11 layers" in text
    assert "Folded batch_norm; merged into a layer beside at inference" in text
    assert "Prepared mul; only weights go in" in text
    assert "Not listed 1 layer of data movement alone: reshape" in text
    assert "Unused 9 parameters that no layer reads: spare.weight" in text
    assert "Convention default: 1 MAC is one multiply-add" in text
    assert "Read toy 7.5, by the book; counted by multiprof 0" in text
    whole.graph.metadata["rung"] = "file"
    assert "Read toy 7.5, from a file; counted by" in re.sub(" +", " ", render(whole, width=0, ascii=False))
    assert "Warning" not in text


def test_what_has_no_cost_is_told_everywhere(report):
    text = render(report, width=0, ascii=False)
    table = {name: values for _, name, values in cells(text)}
    assert table["odd"]["MACs"] == "?"
    assert table["Net"]["MACs"] == f"≥{MACS:,}"
    assert f"MACs              at least {MACS:,}" in text
    assert "Coverage     91.6%: 1 of 12 layers without a cost" in text  # 11/12 = 91.66…, rounded down
    assert "Unsupported  toy.mystery: odd (no formula)" in text
    assert "Warning  mind the gap" in text


@pytest.mark.parametrize(
    ("depth", "names"),
    [
        (0, ["Net"]),
        (1, ["Net", "stem", "body", "head"]),
        (2, ["Net", "stem", "conv", "norm", "act", "body", "0", "1", "add", "head"]),
    ],
)
def test_depth_opens_so_many_levels(whole, depth, names):
    table = cells(render(whole, width=0, ascii=False, depth=depth))
    assert [name for _, name, _ in table] == names
    assert number(table[0][2]["MACs"]) == MACS


def test_a_closed_module_says_how_many_layers_it_has(whole):
    line = next(line for line in render(whole, width=0, ascii=False, depth=1).split("\n") if "body" in line)
    assert "6 layers" in line  # linear, relu, mul, linear, linear, add


def test_sort_orders_the_parts_of_each_module(whole):
    def first_level(key):
        return [name for depth, name, _ in cells(render(whole, width=0, ascii=False, sort=key)) if depth == 1]

    assert first_level("macs") == ["stem", "body", "head"]
    assert first_level("params") == ["body", "stem", "head"]
    assert first_level("name") == ["body", "head", "stem"]


def test_sort_by_flops_or_bytes_shows_that_column(whole):
    assert "FLOPs" in render(whole, width=0, ascii=False, sort="flops").split("\n")[2]
    assert "Bytes moved" in render(whole, width=0, ascii=False, sort="bytes").split("\n")[2]


def test_top_lists_the_dearest_layers(whole):
    text = render(whole, width=0, ascii=False, top=2)
    assert [name for _, name, _ in cells(text)][:2] == ["stem.conv", "body.0.fc"]
    assert "… and 9 more layers" in text
    text = render(whole, width=0, ascii=False, top=1, sort="params")
    assert cells(text)[0][1] == "body.0.fc"


def test_a_weight_used_again_is_counted_once(whole):
    table = {name: values for _, name, values in cells(render(whole, width=0, ascii=False, top=11))}
    assert table["body.1.fc"]["Parameters"] == "100"
    assert table["body.1.fc_1"]["Parameters"] == "shared"


@pytest.mark.parametrize("width", [120, 80, 60, 50])
def test_no_line_is_wider_than_the_terminal(report, width):
    for line in render(report, width=width, ascii=False).split("\n"):
        assert len(line) <= width, line


def test_a_narrow_table_keeps_names_parameters_and_macs(report):
    text = render(report, width=44, ascii=False)
    header = next(line for line in text.split("\n") if line.startswith("Layer"))
    assert header.split() == ["Layer", "Parameters", "MACs"]
    assert f"{MACS:,}" in text


def test_long_names_are_clipped_on_a_terminal_alone(one_layer):
    long = "a_very_" + "long_" * 30 + "name"
    assert long in render(one_layer(long, long), width=0, ascii=False)
    narrow = render(one_layer(long, long), width=60, ascii=False, depth=1).split("\n\n")[1]
    assert "a_very_lo" in narrow
    assert "…" in narrow
    assert max(map(len, narrow.split("\n"))) <= 60


def test_wide_characters_line_up(one_layer):
    def columns(text):
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

    lines = render(one_layer("卷积层", "卷积层"), width=0, ascii=False).split("\n")
    row = next(line for line in lines if "卷积层" in line)
    header = next(line for line in lines if line.startswith("Layer"))
    assert columns(row[: row.index("linear")]) == columns(header[: header.index("Op")])


def test_ascii_where_nothing_else_can_be_shown(one_layer):
    text = render(one_layer("卷积", "卷积"), width=0, ascii=True)
    assert text.isascii()
    assert "`- \\u5377\\u79ef" in text
    assert "1x2" in text


def test_stdout_decides_unless_told(report, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert render(report).isascii()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert "├─" in render(report)


def test_a_terminal_gives_its_width(report, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "66")
    assert max(map(len, render(report).split("\n"))) <= 66


@pytest.mark.parametrize(
    "evil", ["\x1b[31mred", "a\nb", "a\rb", "\x9b31m", "\u202egnp", "\u200bzero", "\ud800", "\x07"]
)
def test_names_cannot_control_the_terminal(one_layer, evil):
    text = render(one_layer(evil, evil, model=evil, reason=evil), width=0, ascii=False)
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert len(text.split("\n")) == len(
        render(one_layer("safe", "safe", reason="safe"), width=0, ascii=False).split("\n")
    )


def test_loops_say_how_often_they_run():
    x, y = TensorSpec((1, 2), "float32", "x"), TensorSpec((1, 2), "float32", "y")
    layer = Layer("cell", "relu", {"x": x}, {"y": y}, {}, "cell", region="loop")
    for trips, said, flops in ((8, "relu, 8 runs", "16"), (None, "relu, ? runs", "?"), (1, "relu  ", "2")):
        graph = Graph("Net", "toy", (x,), (y,), (layer,), {}, {"loop": Region("loop", kind="loop", trips=trips)})
        text = render(engine.price(graph, registry.build().formulas()), sort="flops", width=0, ascii=False)
        row = next(line for line in text.split("\n") if "└─ cell" in line)
        assert said in row
        assert row.split()[-1] == flops


def chain(scopes: list[str], **metadata: Any) -> Report:
    """A net of one relu per scope."""
    specs = [TensorSpec((1, 2), "float32", f"t{i}") for i in range(len(scopes) + 1)]
    layers = [
        Layer(f"t{i + 1}", "relu", {"x": specs[i]}, {"y": specs[i + 1]}, {}, scope) for i, scope in enumerate(scopes)
    ]
    graph = Graph("Net", "toy", (specs[0],), (specs[-1],), tuple(layers), metadata=metadata)
    return engine.price(graph, registry.build().formulas())


def test_a_big_net_is_opened_less_deep():
    report = chain([f"a{i // 100}.b{i // 10}.c{i}" for i in range(500)])
    assert len(cells(render(report, width=0, ascii=False))) == 1 + 5 + 50
    assert len(cells(render(report, width=0, ascii=False, depth=3))) == 1 + 5 + 50 + 500


def test_a_big_flat_net_is_cut_and_the_cut_is_told():
    text = render(chain([""] * 1000), width=0, ascii=False)
    assert "… and 701 more rows: --depth or --top chooses" in text  # the model and 299 of its 1,000 layers are shown
    assert len(cells(text)) == 300 + 1
    assert "FLOPs" in text and " 2,000 " in text
    assert "more rows" not in render(chain([""] * 1000), width=0, ascii=False, depth=1)


def test_print_shows_the_table(report):
    assert str(report) == render(report)
