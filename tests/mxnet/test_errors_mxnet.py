"""What cannot be read, in one clear line: what is wrong, where, what to do; on the command line, exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import multiprof
from multiprof import InputsError, ModelError, TensorSpec
from multiprof.adapters.mxnet.compat import import_mxnet

mx = import_mxnet()
Cli = Callable[..., tuple[int, str, str]]
Refusal = Callable[..., tuple[type, str]]
Told = Callable[..., str]
IMPORT = "from multiprof.adapters.mxnet.compat import import_mxnet\nmx = import_mxnet()\n"


def symbol() -> Any:
    return mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")


def test_a_symbol_without_the_shapes_of_its_inputs(cli: Cli, refusal: Refusal, told: Told, tmp_path: Path) -> None:
    path = str(tmp_path / "net-symbol.json")
    symbol().save(path)
    asked = "a symbol carries no shapes of its inputs; give that of 'data', as in --input data:1x3x224x224"
    for model, where in ((symbol(), "fc"), (mx.mod.Module(symbol(), label_names=None), "fc"), (path, path)):
        assert refusal(model) == (InputsError, f"{where}: {asked}")
    assert told(path) == f"{path}: {asked}"
    assert refusal(path, TensorSpec((None, 4), "float32")) == (
        InputsError,
        "the input 'data' is given with an unknown size on axis 0",
    )
    assert refusal(symbol(), {"image": (2, 4)}) == (InputsError, "this Symbol has no input 'image'; it has data")
    code, out, _ = cli("analyze", path, "--input", "data:2x4")
    assert code == 0
    assert f"MACs              {2 * 4 * 3}\n" in out


def test_a_block_without_inputs(cli: Cli, refusal: Refusal, told: Told, tmp_path: Path) -> None:
    kind, message = refusal(mx.gluon.nn.Dense(3))
    assert kind is InputsError
    assert message.endswith("needs inputs: a block does not say what goes in; give a shape such as 1x3x224x224")
    script = tmp_path / "net_of_mxnet.py"
    script.write_text(f"{IMPORT}def net():\n    return mx.gluon.nn.Dense(3, prefix='net_')\n")
    assert told(f"{script}:net").startswith("net needs inputs: a block does not say what goes in; give a shape")
    code, out, _ = cli("analyze", f"{script}:net", "--input", "2x4")
    assert code == 0
    assert f"MACs              {2 * 4 * 3}\n" in out


@pytest.mark.parametrize("initialized", [False, True])
def test_a_block_whose_weights_are_not_made_is_read_all_the_same(initialized: bool) -> None:
    """Not initialised, or deferred until its first call: shapes follow from the inputs, and stay unknown to it."""
    block = mx.gluon.nn.HybridSequential()
    block.add(mx.gluon.nn.Dense(3), mx.gluon.nn.Dense(2))
    if initialized:
        block.initialize()
    report = multiprof.analyze(block, (2, 4))
    assert (report.macs, report.params) == (2 * (4 * 3 + 3 * 2), (4 * 3 + 3) + (3 * 2 + 2))
    assert [parameter.shape for parameter in block.collect_params().values()] == [(3, 0), (3,), (2, 0), (2,)]
    with pytest.raises((mx.gluon.parameter.DeferredInitializationError, RuntimeError)):
        block[0].weight.data()


def test_shapes_that_do_not_fit(refusal: Refusal) -> None:
    kind, message = refusal(mx.gluon.nn.Dense(3, in_units=5, prefix="fc_"), (2, 4))
    assert kind is ModelError
    assert message == "fc: node fc_fwd (FullyConnected): input 1 'fc_weight' has the shape 3×5; 3×4 is needed"


def test_a_block_that_needs_values(refusal: Refusal) -> None:
    class Values(mx.gluon.Block):
        def forward(self, x: Any) -> Any:
            return mx.nd.relu(x).asnumpy()

    kind, message = refusal(Values(prefix="net_"), (2, 3))
    assert kind is ModelError
    assert message.startswith(
        "net cannot be traced: it is called with symbols, as hybridize() does, and does what they"
    )
    assert "test_errors_mxnet.py" in message
