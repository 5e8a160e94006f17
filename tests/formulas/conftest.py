"""What the tests of the elementwise families, norms, pools and reductions share: a layer maker and one comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from multiprof.cost import Counts, Formula
from multiprof.ir import Layer, TensorSpec
from multiprof.mathematics import evaluate, terms
from multiprof.testing import Tally
from multiprof.testing.counting import nonzero

Shapes = Mapping[str, "tuple[int | None, ...]"]
Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]


@pytest.fixture(scope="session")
def make() -> Make:
    """``make(op, inputs, outputs, dtype=…, **attrs)``: a layer from shapes by role."""

    def make_layer(op: str, inputs: Shapes, outputs: Shapes, dtype: str = "float32", **attrs: Any) -> Layer:
        return Layer(
            op,
            op,
            {role: TensorSpec(shape, dtype, role) for role, shape in inputs.items()},
            {role: TensorSpec(shape, dtype, role) for role, shape in outputs.items()},
            attrs,
        )

    return make_layer


@pytest.fixture(scope="session")
def agree() -> Agree:
    """``agree(formula, layer, tally)``: the price is what the loops did, term by term, and the mathematics says so."""

    def check(formula: Formula, layer: Layer, tally: Tally) -> None:
        priced = formula.price(layer).terms
        assert nonzero(priced) == tally.terms
        symbols = formula.symbols(layer) if formula.symbols else {}
        written = {
            term: Counts(**{primitive: evaluate(expression, symbols) for expression, primitive in work})
            for term, work in terms(formula.mathematics)
            if term in priced
        }
        assert written == priced

    return check
