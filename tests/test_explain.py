"""How a figure comes about, of an op and of a layer, with the arithmetic written out."""

from __future__ import annotations

import re

import pytest

import multiprof
from multiprof import Cost, Counts, Graph, Layer, Parameter, Report, TensorSpec, engine, passes, registry
from multiprof.explain import explain_layer, explain_op
from multiprof.formulas import multiprof_formulas
from multiprof.mathematics import terms
from multiprof.reporters.text import Terminal


@pytest.fixture(scope="module")
def formulas():
    return registry.build().formulas()


def spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32", name)


def net(formulas) -> Report:
    """The 3×3 convolution of a ResNet's first stage, 64 → 64 on 56×56, with a bias; then norm, relu, view, mystery."""
    x, y = spec("x", 1, 64, 56, 56), spec("conv", 1, 64, 56, 56)
    weight, bias = spec("w", 64, 64, 3, 3), spec("b", 64)
    stats = {role: spec(role, 64) for role in ("mean", "var")}
    attrs = {
        "kernel_size": (3, 3), "stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1,
        "in_channels": 64, "out_channels": 64,
    }  # fmt: skip
    layers = (
        Layer("conv", "conv", {"x": x, "weight": weight, "bias": bias}, {"y": y}, attrs, "conv", "conv2d"),
        Layer("norm", "batch_norm", {"x": y, **stats}, {"y": spec("norm", 1, 64, 56, 56)}, {"channels": 64}, "norm"),
        Layer(
            "flat", "reshape", {"x": spec("norm", 1, 64, 56, 56)}, {"y": spec("flat", 1, 200704)}, {"shape": (1, -1)}
        ),
        Layer("odd", "toy.mystery", {"x": spec("flat", 1, 200704)}, {"y": spec("odd", 1, 200704)}),
    )
    parameters = {
        s.name: Parameter(s, "parameter" if s in (weight, bias) else "buffer") for s in (weight, bias, *stats.values())
    }
    graph = Graph("Net", "toy", (x,), (spec("odd", 1, 200704),), layers, parameters)
    for apply in passes.default_passes:
        graph = apply(graph)
    return engine.price(graph, formulas)


def test_an_op_with_roles_attributes_mathematics_symbols_source_and_supplier(formulas):
    text = explain_op("conv", formulas)
    for part in (
        "conv (convolution): convolution of any rank",
        "x, weight, bias (optional)",
        "groups: required: G",
        "mathematics  dot: |y|·K·C_i/G macs, |y| dots; bias: |y| adds",
        "|y|: elements of y",
        "K: elements of the kernel\n",
        "A guide to convolution arithmetic",
        "supplied by  multiprof",
    ):
        assert part in text


@pytest.mark.parametrize("item", [f for f in multiprof_formulas() if not f.free], ids=lambda item: item.ops[0])
def test_every_symbol_has_a_meaning(formulas, item):
    text = explain_op(item.ops[0], formulas)
    symbols = {
        symbol
        for _, pairs in terms(item.mathematics)
        for expression, _ in pairs
        for symbol in re.split(r"[·/+−() ]+", expression)
        if symbol and not symbol.isdecimal()
    }
    assert symbols
    for symbol in symbols:
        assert re.search(rf"^  (?:symbol)? +{re.escape(symbol)}: \w{{3}}", text, re.MULTILINE), symbol


def test_a_long_line_of_mathematics_has_each_term_on_a_line_of_its_own(formulas):
    lines = explain_op("attention", formulas).split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("  mathematics"))
    assert [line[len("  mathematics  ") :].partition(":")[0] for line in lines[at : at + 5]] == [
        "dot",
        "scale",
        "cap",
        "mask",
        "softmax",
    ]


@pytest.mark.parametrize("op", ["attention", "lstm", "resize", "conv", "toy.scan"])
def test_it_keeps_to_the_terminal_and_loses_no_word(formulas, op):
    def price(layer):
        """scan: 3·|x| muls"""

    own = {**formulas, "toy.scan": [multiprof.formula("toy.scan", source="a long source " * 9)(price)]}
    narrow = explain_op(op, own, Terminal(60))
    assert max(len(line) for line in narrow.split("\n")) <= 60
    assert narrow.split() == explain_op(op, own).split()


def test_without_a_word_on_its_symbols_a_formula_is_shown_all_the_same(formulas):
    def price(layer):
        """scan: 3·|x|·Q muls"""

    def prose(layer):
        """Sizes; Q is one. Not: a legend."""

    for symbols in (lambda layer: {}, prose, None):
        item = multiprof.formula("toy.scan", symbols=symbols)(price)
        text = explain_op("toy.scan", {"toy.scan": [item]})
        assert "scan: 3·|x|·Q muls" in text
        assert "Q:" not in text and "legend" not in text
        assert ("|x|: elements of x" in text) == (symbols is not None)


def test_a_variadic_role_and_a_free_op(formulas):
    assert "x0, x1 …" in explain_op("concat", formulas)
    assert "mathematics  free: " in explain_op("reshape", formulas)


def test_every_op_of_the_vocabulary_can_be_explained(formulas):
    for op in multiprof.ops.OPS:
        assert "supplied by" in explain_op(op, formulas)


def test_a_foreign_op_of_a_plugin(formulas):
    def price(layer):
        """scan: 3·|x| muls

        Three for each element.
        """
        return Cost({"scan": Counts(muls=3 * layer.x.numel)})

    scan = multiprof.formula("toy.scan", source="a paper")(price).supplied_by("scan-plugin")
    text = explain_op("toy.scan", {**formulas, "toy.scan": [scan]})
    for part in ("not in the vocabulary", "scan: 3·|x| muls", "Three for each element.", "a paper", "scan-plugin"):
        assert part in text
    both = explain_op("toy.scan", {"toy.scan": [scan, scan.supplied_by("another")]})
    assert "scan-plugin" in both and "another" in both and "More than one formula" in both


def test_an_op_without_a_formula_says_so():
    assert "No formula: a layer of this op has no cost" in explain_op("conv", {})


def test_an_unknown_op_gets_near_names(formulas):
    with pytest.raises(multiprof.UsageError, match=r"no op 'sofmax'; did you mean softmax"):
        explain_op("sofmax", formulas)


def test_a_layer_with_its_own_numbers(formulas):
    text = explain_layer(net(formulas), "conv", formulas)
    # |y| = 64·56·56 = 200,704; 200,704 · 9 · 64 = 115,605,504
    for part in (
        "conv: conv (conv2d), in Net",
        "1×64×56×56 float32 x",
        "64×64×3×3 float32 w, parameter",
        "kernel_size   (3, 3)",
        "with         |y| = 200,704, K = 9, C_i = 64, G = 1",
        "dot: |y|·K·C_i/G = 200,704·9·64/1 = 115,605,504 macs",
        "dot: |y| = 200,704 dots",
        "bias: |y| = 200,704 adds",
        "state        priced",
        "macs         115,605,504",
        "flops        231,411,712",  # 2 · 115,605,504 + 200,704
        f"traffic      {4 * (200704 + 64 * 64 * 9 + 64):,} bytes read, {4 * 200704:,} bytes written",
        "supplied by  multiprof",
    ):
        assert part in text, part


def test_a_folded_layer_shows_both_costs(formulas):
    text = explain_layer(net(formulas), "norm", formulas)
    assert "state        folded" in text
    assert "flops        0\n" in text  # the convolution has a bias to fold into
    assert "unfolded     0 macs, 401,408 flops" in text  # |y| muls + |y| adds


def test_a_free_layer_and_one_without_a_cost_give_the_reason(formulas):
    report = net(formulas)
    assert "free: " in explain_layer(report, "flat", formulas)
    text = explain_layer(report, "odd", formulas)
    assert "no cost: no formula" in text
    assert "macs         unknown" in text
    assert "supplied by  nobody" in text


def test_a_formula_that_does_not_follow_the_grammar_is_shown_by_its_counts(formulas):
    def price(layer):
        """about three times the input"""
        return Cost({"scan": Counts(muls=7)})

    own = {**formulas, "toy.mystery": [multiprof.formula("toy.mystery")(price)]}
    graph = net(formulas).graph
    text = explain_layer(engine.price(graph, own), "odd", own)
    assert "about three times the input" in text
    assert "scan: 7 muls" in text


def test_the_code_is_believed_where_the_text_says_something_else(formulas):
    def price(layer):
        """scan: 2·|y| muls"""
        return Cost({"scan": Counts(muls=3 * layer.y.numel)})

    symbols = lambda layer: {"|y|": layer.y.numel}  # noqa: E731
    own = {**formulas, "toy.mystery": [multiprof.formula("toy.mystery", symbols=symbols)(price)]}
    text = explain_layer(engine.price(net(formulas).graph, own), "odd", own)
    assert "scan: 602,112 muls" in text
    assert "= 401,408" not in text


def test_an_unknown_layer_gets_near_names(formulas):
    with pytest.raises(multiprof.UsageError, match="no layer 'cnv'; did you mean conv"):
        explain_layer(net(formulas), "cnv", formulas)
