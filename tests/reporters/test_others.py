"""Tree, JSON, CSV and Markdown: the same numbers, each safe where it is read."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

import multiprof
from multiprof import Graph, Layer, TensorSpec, engine, registry
from multiprof.reporters import REPORTERS, multiprof_reporters
from multiprof.reporters.csv import HEADER

CONV, FC, SQUARE, HEAD = 128 * 27, 2 * 64 * 10, 2 * 10 * 10, 2 * 10 * 5
MACS = CONV + FC + 2 * SQUARE + HEAD
RENDER = {reporter.name: reporter.render for reporter in REPORTERS}


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_hook_returns_the_reporters():
    assert multiprof_reporters() == REPORTERS
    assert sorted(RENDER) == ["csv", "json", "latency", "md", "roofline", "table", "tree"]


@pytest.mark.parametrize("reporter", REPORTERS, ids=lambda r: r.name)
def test_every_option_a_reporter_names_is_one_it_takes(whole, reporter):
    values = {"depth": 1, "sort": "macs", "top": 1, "width": 0, "ascii": False}
    for option in reporter.options:
        assert reporter.render(whole, **{option: values[option]})
    for option in set(values) - set(reporter.options):
        with pytest.raises(TypeError):
            reporter.render(whole, **{option: values[option]})


@pytest.mark.parametrize("reporter", REPORTERS, ids=lambda r: r.name)
def test_a_report_that_was_saved_looks_the_same(report, reporter, tmp_path):
    report.save(tmp_path / "r.json")
    assert reporter.render(multiprof.load(tmp_path / "r.json")) == reporter.render(report)


def test_tree_sums_modules_wherever_they_ran(whole):
    lines = RENDER["tree"](whole, width=0, ascii=False).split("\n")
    cells = {
        line.lstrip("├└│─ ").split()[0]: line.lstrip("├└│─ ").split()[1:]
        for line in lines
        if "─ " in line or line.startswith("Net  ")
    }
    assert cells["Net"][:3] == ["11", "920", f"{MACS:,}"]
    assert cells["stem"][:3] == ["3", "116", f"{CONV:,}"]
    assert cells["body"][:3] == ["6", "740", f"{FC + 2 * SQUARE:,}"]
    moved = 4 * (2 * 10 + 5 * 10 + 5 + 2 * 5)  # x, weight, bias and y, float32
    assert cells["head"] == ["1", "55", "100", "210", str(moved), "1.9%"]


def test_tree_depth_and_sort(whole):
    def names(**options):
        lines = RENDER["tree"](whole, width=0, ascii=False, **options).split("\n")
        return [line.lstrip("├└│─ ").split()[0] for line in lines if "─ " in line]

    assert names(depth=1) == ["stem", "body", "head"]
    assert names(depth=1, sort="params") == ["body", "stem", "head"]
    assert names(depth=1, sort="name") == ["body", "head", "stem"]
    assert names() == ["stem", "conv", "norm", "act", "body", "0", "fc", "1", "fc", "head"]


def test_tree_and_markdown_show_the_classes_of_modules(classified):
    lines = RENDER["tree"](classified, width=0, ascii=False).split("\n")
    rows = [line.lstrip("├└│─ ").split() for line in [lines[2], *lines[4 : lines.index("", 4)]]]
    words = {row[0]: row[1] for row in rows}
    assert words["Module"] == "Class"
    assert (words["stem"], words["1"], words["head"]) == ("Stem", "TiedBlock", "Linear")
    assert words["Net"] == "11" and words["body"] == "6"  # no class: the number of layers follows
    assert "| Layer | Type | Input |" in markdown(classified)
    assert "| `body.0` | Block, 2 layers |" in markdown(classified)


def test_tree_says_what_is_missing(report):
    text = RENDER["tree"](report, width=0, ascii=False)
    assert f"≥{MACS:,}" in text
    assert "odd" in text and "toy.mystery" in text and "mind the gap" in text


def test_json_is_the_report_and_safe_on_a_terminal(report, one_layer):
    assert json.loads(RENDER["json"](report)) == json.loads(json.dumps(report.to_dict()))
    assert multiprof.Report.from_dict(json.loads(RENDER["json"](report))) == report
    text = RENDER["json"](one_layer("\x1b[31mé\x9b"))
    assert text.isascii() and "\x1b" not in text


def test_csv_has_a_row_per_layer_and_the_columns_add_up(report):
    rows = read_csv(RENDER["csv"](report))
    assert [row["name"] for row in rows] == [layer.name for layer in report.layers]
    assert list(rows[0]) == list(HEADER)
    counted = [row for row in rows if row["state"] in ("priced", "folded", "free")]
    assert sum(int(row["macs"]) for row in counted) == MACS
    assert sum(int(row["flops"]) for row in counted) == report.flops
    assert sum(int(row["params"]) for row in rows) == report.params - 9  # the unused weight has no layer
    conv = rows[0]
    assert conv["inputs"] == "x=2x3x8x8:float32 weight=4x3x3x3:float32"
    assert conv["outputs"] == "y=2x4x4x4:float32"
    assert (conv["macs"], conv["dots"], conv["state"], conv["provider"]) == (str(CONV), "128", "priced", "multiprof")


def test_csv_leaves_the_unknown_empty(report):
    (odd,) = [row for row in read_csv(RENDER["csv"](report)) if row["name"] == "odd"]
    assert (odd["macs"], odd["flops"], odd["bytes_read"], odd["state"]) == ("", "", "", "unsupported")


def test_csv_sort_and_top(report):
    rows = read_csv(RENDER["csv"](report, top=2))
    assert [row["name"] for row in rows] == ["stem.conv", "body.0.fc"]
    assert [r["name"] for r in read_csv(RENDER["csv"](report, sort="name", top=1))] == ["body.0.fc"]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\r=1"])
def test_csv_cells_are_never_formulas(one_layer, evil):
    (row,) = read_csv(RENDER["csv"](one_layer(evil)))
    assert row["name"][0] in "'\\"  # quoted, or the control character written out


def markdown(report, **options) -> str:
    """The Markdown without the spaces that line its columns up."""
    return re.sub(" +", " ", RENDER["md"](report, **options))


def test_markdown_tables_are_whole(report):
    for block in RENDER["md"](report).strip().split("\n\n")[1:]:
        lines = block.split("\n")
        assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1  # also as plain text
    text = markdown(report)
    assert "| Layer | Op | Input | Output | Kernel | Parameters | MACs | Share |" in text
    rule = next(line for line in text.split("\n") if line.startswith("|:-") and line.count("|") == 9)
    assert [cell[-1] for cell in rule.strip("|").split("|")] == [*"-----", *":::"]  # numbers to the right
    assert f"| **Net** | | 2×3×8×8 | 2×5 | | 920 | ≥{MACS:,} | 100.0% |" in text
    assert "| `body.0` | 2 layers |" in text
    assert "| Unsupported | toy.mystery: odd (no formula) |" in text
    assert "| Warning | mind the gap |" in text


def test_markdown_takes_the_options_of_the_table(report):
    assert "`body.0.fc`" in markdown(report, depth=3)
    assert "`stem`" not in markdown(report, depth=0)
    top = markdown(report, top=1)
    assert "`stem.conv`" in top and "`body.0.fc`" not in top
    assert "| MACs | FLOPs | Share |" in markdown(report, sort="flops")


def test_markdown_of_a_big_flat_net_is_cut_and_the_cut_is_told():
    specs = [TensorSpec((1, 2), "float32", f"t{i}") for i in range(501)]
    layers = [Layer(f"t{i + 1}", "relu", {"x": specs[i]}, {"y": specs[i + 1]}) for i in range(500)]
    report = engine.price(Graph("Net", "toy", (specs[0],), (specs[-1],), tuple(layers)), registry.build().formulas())
    assert "| Cut | 201 more rows:" in markdown(report)
    assert len(RENDER["md"](report).split("\n\n")[2].strip().split("\n")) == 2 + 300
    assert len(RENDER["md"](report, depth=1).split("\n\n")[2].strip().split("\n")) == 2 + 501


@pytest.mark.parametrize(
    "evil", ["a|b", "`code`", "[x](http://example.invalid)", "<img src=x>", "*b*_c_", "a\nb", "@team", "![i](x)"]
)
def test_markdown_shows_names_as_they_are(one_layer, evil):
    text = RENDER["md"](one_layer(evil, evil, model=evil, reason=evil), depth=1)
    lines = text.split("\n")
    safe = RENDER["md"](one_layer("s", "s", model="s", reason="s"), depth=1).split("\n")
    assert len(lines) == len(safe)
    for line, model in zip(lines, safe, strict=True):  # no bar more than a row of that table has
        assert line.replace("\\|", "").count("|") == model.count("|")
    outside = "".join(part for i, part in enumerate(text.split("`")) if i % 2 == 0)  # what is not code
    assert "<img" not in outside
    assert "](" not in outside.replace("\\]", "")
