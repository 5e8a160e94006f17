"""The harness: what the matrix says, and what counts as a recurrent layer."""

from __future__ import annotations

import families
import matrix
from expected import Difference

from multiprof import Counts, Graph, Layer, Region, TensorSpec, formula
from multiprof.cost import Cost
from multiprof.engine import price


def test_the_matrix_of_a_part_of_the_routes() -> None:
    cells = {
        ("gru", "onnx-script"): matrix.cell_of([Difference("two biases", params=1024, rest=-5)]),
        ("gru", "torch"): matrix.cell_of([]),
        ("lenet", "torch"): matrix.cell_of([Difference("written out", rest=7)]),
        ("lenet", "onnx-script"): matrix.Cell(matrix.CANNOT, {"no such layer": ""}),
    }
    lines = matrix.lines(cells, ["lenet", "bilstm", "gru"], ["torch", "jax", "onnx-script"])
    assert [line.split() for line in lines[:4]] == [
        ["torch", "onnx"],
        ["script"],
        ["lenet", "✓", "1", "–", "2"],
        ["gru", "✓", "±", "3"],
    ]
    assert lines[-6:] == [
        "  1  written out",
        "       lenet (torch): other FLOPs +7",
        "  2  no such layer",
        "       lenet (onnx-script)",
        "  3  two biases",
        "       gru (onnx-script): params +1,024, other FLOPs -5",
    ]
    assert matrix.lines({}, ["lenet"], ["torch"]) == []


def test_products_in_a_loop_with_state_are_recurrent() -> None:
    """Six macs a layer: one outside, one in a loop of 5 that carries a state, one in a loop of 4 that carries none."""

    @formula("linear", "matmul")
    def six(layer: Layer) -> Cost:
        """dot: 6 macs"""
        return Cost({"dot": Counts(macs=6)})

    def layer(name: str, op: str, region: str | None) -> Layer:
        return Layer(
            name, op, {"x": TensorSpec((), "float32", "x")}, {"y": TensorSpec((), "float32", name)}, region=region
        )

    regions = {
        "steps": Region("steps", None, "loop", 5, stateful=True),
        "body": Region("body", "steps", "call"),
        "rows": Region("rows", None, "loop", 4),
    }
    x = TensorSpec((), "float32", "x")
    layers = (layer("a", "linear", None), layer("b", "linear", "body"), layer("c", "matmul", "rows"))
    report = price(Graph("net", "test", (x,), (), layers, regions=regions), {op: [six] for op in six.ops})
    assert families.macs_by_family(report) == {"linear": 6, "recurrent": 5 * 6, "attention": 4 * 6}
