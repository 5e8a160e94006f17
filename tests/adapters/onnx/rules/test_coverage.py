"""Every operator of ONNX has a rule, or stands in a short list; ONNX's own test models have no other foreign layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
from onnx import defs

import multiprof
from multiprof.adapters.onnx import control, sequences
from multiprof.adapters.onnx.rules._table import table
from multiprof.adapters.onnx.rules.unsupported import UNSUPPORTED
from multiprof.ops import OPS

# onnx 1.16 knows opsets to 21 alone, without these operators of later ones, and has fewer tests.
OLDEST = defs.onnx_opset_version() <= 21
AFTER_21 = {
    *("Attention", "BitCast", "CausalConvWithState", "CumProd", "LinearAttention", "RMSNormalization"),
    *("RotaryEmbedding", "SwiGLU", "Swish", "TensorScatter"),
}
# Operators that the walk knows without a rule, or whose body it expands.
WALKED = {"Constant", *control.OPERATORS, *sequences.OPERATORS}
EXPANDED = {"LinearAttention", "SequenceMap"}


def standard() -> set[str]:
    """Every operator of any opset, deprecated ones included."""
    return {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}


def test_every_operator_is_translated_expanded_or_listed() -> None:
    rules = {op_type for domain, op_type in table().rules if domain == ""}
    assert standard() - rules - WALKED - EXPANDED == set(UNSUPPORTED)


def test_what_is_expanded_has_a_body() -> None:
    for schema in map(defs.get_schema, EXPANDED - (AFTER_21 if OLDEST else set())):
        assert schema.has_function or schema.has_context_dependent_function


def test_no_rule_is_for_an_operator_that_is_not_there() -> None:
    rules = {op_type for domain, op_type in table().rules if domain == ""}
    # ONNX Runtime keeps this one in the standard domain.
    later = AFTER_21 - EXPANDED if OLDEST else set()
    assert rules - standard() == {"SimplifiedLayerNormalization"} | later


def test_every_operator_of_onnx_runtime_with_a_rule_has_its_shapes_inferred() -> None:
    found = table()
    own = {key for key in found.rules if key[0] == "com.microsoft"}
    assert own == {key for key in found.infer if key[0] == "com.microsoft"}
    assert len(own) > 60


def foreign(report: multiprof.Report) -> set[str]:
    return {layer.op for layer in report.graph.layers if "." in layer.op}


# Text, which nothing is computed of (onnx 1.16 tests casts of it too), and sequences whose elements nobody knows.
TEXT = {"onnx.Equal"} | ({"onnx.Cast", "onnx.CastLike"} if OLDEST else set())
SEQUENCES = {
    f"onnx.{name}"
    for name in (
        *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceLength", "SplitToSequence"),
        *("Optional", "OptionalGetElement", "OptionalHasElement"),
    )
}


def test_the_test_models_of_onnx_have_no_foreign_layers_but_the_listed(
    backend_cases: Mapping[str, onnx.ModelProto], tmp_path: Path
) -> None:
    """One node of every operator, with all the combinations of attributes that ONNX tests."""
    unsupported = {f"onnx.{name}" for name in UNSUPPORTED}
    path = tmp_path / "case.onnx"
    seen: set[str] = set()
    odd: dict[str, set[str]] = {}
    unknown: dict[str, set[str]] = {}
    for name, model in backend_cases.items():
        nodes = model.graph.node
        if len(nodes) != 1 or nodes[0].domain not in ("", "ai.onnx"):
            continue
        path.write_bytes(model.SerializeToString())
        try:
            report = multiprof.analyze(path)
        except multiprof.InputsError:
            assert "sequence" in name  # sequences of tensors with free axes
            continue
        seen.add(nodes[0].op_type)
        left = foreign(report) - unsupported - TEXT
        if left - SEQUENCES:
            odd[name] = left
        unknown_ops = {layer.op for layer in report.graph.layers if "." not in layer.op} - OPS.keys()
        if unknown_ops:
            unknown[name] = unknown_ops
    assert odd == {}
    assert unknown == {}
    assert len(seen) > (160 if OLDEST else 180)


def test_an_operator_costs_the_macs_of_its_own_definition(
    backend_cases: Mapping[str, onnx.ModelProto], tmp_path: Path
) -> None:
    """ONNX defines many operators by a body of simpler ones, and tests both forms: they form the same products."""
    path = tmp_path / "case.onnx"
    compared = contractions = 0
    for name, model in backend_cases.items():
        body = backend_cases.get(f"{name}_expanded")
        if body is None or name.startswith("test_sequence_map"):  # sequences of tensors with free axes
            continue
        reports = []
        for one in (model, body):
            path.write_bytes(one.SerializeToString())
            reports.append(multiprof.analyze(path))
        if any(report.unsupported() for report in reports):
            continue  # a size that only the values tell
        assert reports[0].macs == reports[1].macs, name
        compared += 1
        contractions += reports[0].macs > 0
    assert compared > (150 if OLDEST else 350)
    assert contractions > 60 or OLDEST  # what has both forms and products came with Attention, in opset 23


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_the_reasons_are_sentences(name: str) -> None:
    assert len(UNSUPPORTED[name].split()) > 3
