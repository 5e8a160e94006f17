"""Sizes that a file leaves open, and operators that nobody knows, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto, helper, save

Cli = Callable[..., tuple[int, str, str]]


def written(path: Path) -> str:
    """x (batch, 4) times w (4, 3), then an operator of somebody's own."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3), [1.0] * 12)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Acme", ["a"], ["y"], domain="acme")]
    domains = [helper.make_opsetid("", 13), helper.make_opsetid("acme", 1)]
    save(helper.make_model(helper.make_graph(nodes, "net", [x], [y], [weight]), opset_imports=domains), path)
    return str(path)


def test_sizes_that_are_not_given(cli: Cli, tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx")
    code, out, err = cli("analyze", path)
    assert (code, out) == (2, "")
    assert err == (
        "multiprof: error: net.onnx has free axes: input 'x' batch×4: batch (axis 0); "
        "give --input x:1x4 or --dim batch=1\n"
    )
    for given in (("--input", "x:2x4"), ("--dim", "batch=2")):
        code, out, _ = cli("analyze", path, *given)
        assert code == 0
        assert f"MACs              at least {2 * 4 * 3}\n" in out
        assert "Unsupported  onnx.acme.Acme: Acme:y" in out
