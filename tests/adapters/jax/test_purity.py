"""Reading computes nothing and leaves everything as it was."""

from __future__ import annotations

import gc
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import multiprof


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.out = nnx.Linear(4, 3, rngs=rngs)
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return self.out(self.drop(self.norm(x)))


def test_an_nnx_module_comes_back_as_it_was() -> None:
    module = Net(nnx.Rngs(0))
    module.train()
    structure, state = nnx.split(module)
    before = [(path, np.asarray(leaf)) for path, leaf in _values(state)]
    call = nnx.Linear.__call__, nnx.BatchNorm.__call__, Net.__call__
    report = multiprof.analyze(module, (2, 4))
    assert any("training mode" in warning for warning in report.warnings)
    assert "batch_norm" in [layer.op for layer in report.graph.layers]
    after_structure, after = nnx.split(module)
    assert after_structure == structure
    for (path, old), (same, new) in zip(before, _values(after), strict=True):
        assert path == same
        assert np.array_equal(old, np.asarray(new))
    assert module.calls == 0
    assert not module.drop.deterministic
    assert (nnx.Linear.__call__, nnx.BatchNorm.__call__, Net.__call__) == call


def _values(state: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [
        (jax.tree_util.keystr(path), jax.random.key_data(v) if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else v)
        for path, v in leaves
    ]


def test_nnx_classes_are_restored_when_the_model_raises() -> None:
    class Broken(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.inner = nnx.Linear(4, 3, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            self.inner(x)
            raise RuntimeError("broken")

    call = nnx.Linear.__call__
    try:
        multiprof.analyze(Broken(nnx.Rngs(0)), (2, 4))
    except multiprof.ModelError as error:
        assert "broken" in str(error)
    assert nnx.Linear.__call__ is call


def test_nothing_is_computed_and_nothing_compiled() -> None:
    """A model of a terabyte is read; no array is made on a device, and no program is compiled."""
    compiled: list[str] = []

    def listen(event: str, *_: Any, **__: Any) -> None:
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        gc.collect()
        live = len(jax.live_arrays())
        huge = 2**19
        report = multiprof.analyze(nn.Dense(huge), (1, huge))
        assert report.macs == huge * huge
        assert report.weight_bytes == 4 * (huge * huge + huge)
        assert len(jax.live_arrays()) == live
    finally:
        if hasattr(jax.monitoring, "unregister_event_duration_listener"):  # from JAX 0.8 on
            jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []


def test_settings_and_constants_stay() -> None:
    settings = dict(jax.config.values)
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    kept = table.copy()
    first = multiprof.analyze(lambda x: x @ table, (2, 3), framework="jax")
    second = multiprof.analyze(lambda x: x @ table, (2, 3), framework="jax")
    assert first == second
    assert np.array_equal(table, kept)
    assert dict(jax.config.values) == settings


def test_a_call_inside_a_trace_of_the_caller() -> None:
    """Analysing while the caller's own function is being traced disturbs neither."""
    found = []

    def outer(x: Any) -> Any:
        found.append(multiprof.analyze(lambda y: y @ y, (4, 4), framework="jax").macs)
        return x + 1

    assert jax.jit(outer)(1.0) == 2.0
    assert found == [64]
