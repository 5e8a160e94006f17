"""The schema written as data, against the classes that the FlatBuffers compiler makes of it; the table is complete."""

from __future__ import annotations

import inspect
import re

import pytest
import tflite
from ai_edge_litert import schema_py_generated as newest

from multiprof.adapters.tflite.rules import RULES, UNSUPPORTED
from multiprof.adapters.tflite.schema import FIELDS, OPERATORS, TYPES, UNION, UNION2, fields, options_of
from multiprof.ir import BITS


def numbers(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int) and name[0].isupper()}


@pytest.mark.parametrize("source", [tflite, newest])
def test_operators_and_types_have_the_schema_s_numbers(source: object) -> None:
    operators = numbers(source.BuiltinOperator)
    assert {n: name for n, name in enumerate(OPERATORS) if n in operators} == operators
    types = numbers(source.TensorType)
    assert {n: name for n, (name, _) in enumerate(TYPES) if n in types} == types


def test_nothing_of_the_newest_schema_is_missing() -> None:
    assert dict(enumerate(OPERATORS)) == numbers(newest.BuiltinOperator)
    assert {n: name for n, (name, _) in enumerate(TYPES)} == numbers(newest.TensorType)
    assert all(dtype in BITS for _, dtype in TYPES if dtype)


def _slots(source: str, table: str) -> dict[str, tuple[int, str, str]]:
    """Field (without underscores, in small letters) -> slot, kind and default, from the functions that write it."""
    rows = re.findall(
        rf"def {table}Add(\w+)\(builder, \w+\):\s+builder\.Prepend(\w+)Slot\((\d+), .*, ([^,\n]+)\)\n", source
    )
    return {name.lower(): (int(slot), kind, default) for name, kind, slot, default in rows}


KINDS = {"Bool": "bool", "Int8": "i8", "Uint8": "u8", "Int32": "i32", "Uint32": "u32", "Int64": "i64", "Float32": "f32"}
NEWEST = inspect.getsource(newest)


@pytest.mark.parametrize("table", FIELDS)
def test_every_field_has_the_schema_s_slot(table: str) -> None:
    slots = _slots(NEWEST, f"{table}Options")
    assert fields(table)
    for name, slot, kind, default in fields(table):
        found = slots[name.replace("_", "")]
        assert found[0] == slot, name
        if found[1] == "UOffsetTRelative":
            reader = getattr(getattr(newest, f"{table}Options"), "".join(part.capitalize() for part in name.split("_")))
            text = inspect.getsource(reader)
            assert ("String" in text) == (kind == "string")
            if kind != "string":
                assert KINDS[re.search(r"number_types\.(\w+)Flags, a", text).group(1)] == kind[1:-1]
        else:
            assert KINDS[found[1]] == kind
            assert float(found[2] == "True" if found[2] in ("True", "False") else found[2]) == float(default), name


@pytest.mark.parametrize(("ours", "enum"), [(UNION, newest.BuiltinOptions), (UNION2, newest.BuiltinOptions2)])
def test_unions_have_the_schema_s_numbers(ours: dict[int, str], enum: type) -> None:
    theirs = {n: name.removesuffix("Options") for n, name in numbers(enum).items()}
    assert all(theirs[n] == name for n, name in ours.items())
    for number, name in theirs.items():  # what is left out has no fields
        if number not in ours and number:
            assert not _slots(NEWEST, f"{name}Options"), name


def test_every_options_table_belongs_to_an_operator() -> None:
    assert {options_of(name) for name in OPERATORS} - {""} == set(FIELDS)


def test_every_operator_has_a_rule_or_a_reason() -> None:
    for name in OPERATORS:
        assert (name in RULES) != (name in UNSUPPORTED), name
    assert len(OPERATORS) - len(UNSUPPORTED) > 190
