"""Loops and branches: read once, counted as often as they run."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import multiprof

OLD = jax.__version_info__ < (0, 5)
if jax.__version_info__ < (0, 6):
    from jax.experimental.shard_map import shard_map
else:
    from jax import shard_map


def test_scan_runs_its_length(analyze: Any) -> None:
    def model(params: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = jnp.tanh(x @ params["ih"] + h @ params["hh"])
            return h, h

        return lax.scan(step, jnp.zeros((2, 6)), xs)

    report = analyze(model, [{"ih": (4, 6), "hh": (6, 6)}, (10, 2, 4)])
    assert report.macs == 10 * 2 * 6 * (4 + 6)
    assert report.flops == 2 * report.macs + 10 * 2 * 6 * (1 + 1)  # an addition and a tanh a unit
    (region,) = report.graph.regions.values()
    assert (region.kind, region.trips, region.stateful) == ("loop", 10, True)
    assert {layer.op for layer in report.graph.layers if layer.region} == {
        "slice", "linear", "add", "tanh", "identity"
    }  # fmt: skip


def test_a_loop_without_state_is_not_recurrent(analyze: Any) -> None:
    report = analyze(lambda xs: lax.map(lambda x: x @ x, xs), (7, 4, 4))
    (region,) = report.graph.regions.values()
    assert (region.trips, region.stateful) == (7, False)
    assert report.macs == 7 * 4 * 4 * 4


def test_stacked_weights_are_weights_inside(analyze: Any) -> None:
    """One layer's weights of a stack at a time: a scan over layers is linear, and depth counts."""

    def model(params: Any, x: Any) -> Any:
        return lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), x, params)[0]

    report = analyze(model, [(12, 8, 8), (2, 8)])
    assert [layer.op for layer in report.graph.layers if layer.op in ("linear", "matmul")] == ["linear"]
    assert report.macs == 12 * 2 * 8 * 8
    assert report.params == 12 * 8 * 8


def test_a_learned_first_state_makes_no_weights(analyze: Any) -> None:
    """What is carried depends on the inputs from the second trip on: its products are no preparation."""

    def model(params: Any, xs: Any) -> Any:
        return lax.scan(lambda h, x: (h @ params["w"] + x, None), params["h0"], xs)[0]

    report = analyze(model, [{"w": (4, 4), "h0": (1, 4)}, (5, 1, 4)])
    assert report.macs == 5 * 4 * 4
    assert [row.op for row in report.layers if row.state == "prepared"] == []


@pytest.mark.parametrize(("start", "stop", "trips"), [(0, 5, 5), (3, 5, 2), (5, 5, 0), (7, 5, 0)])
def test_counted_while_loops(analyze: Any, start: int, stop: int, trips: int) -> None:
    """fori_loop with bounds that are arrays is a while loop; its trips follow from the numbers."""

    def model(x: Any) -> Any:
        return lax.fori_loop(jnp.int32(start), jnp.int32(stop), lambda i, h: h @ h, x)

    assert analyze(model, (4, 4)).macs == trips * 4 * 4 * 4


@pytest.mark.parametrize(
    ("begin", "test", "step", "trips"),
    [
        (0, lambda i: i < 10, 3, 4),
        (0, lambda i: i <= 9, 3, 4),
        (10, lambda i: i > 0, -4, 3),
        (10, lambda i: i >= 2, -4, 3),
    ],
)
def test_steps_and_directions(analyze: Any, begin: int, test: Any, step: int, trips: int) -> None:
    def model(x: Any) -> Any:
        return lax.while_loop(lambda s: test(s[0]), lambda s: (s[0] + step, s[1] @ s[1]), (begin, x))

    counted, i = 0, begin
    while test(i):
        counted, i = counted + 1, i + step
    assert counted == trips
    assert analyze(model, (4, 4)).macs == trips * 64


def test_unknown_trips_are_asked_for(analyze: Any) -> None:
    def model(x: Any) -> Any:
        return lax.while_loop(lambda h: h.sum() < 10, lambda h: h @ h, x)

    report = analyze(model, (4, 4))
    assert all("--trips while=n" in row.reason for row in report.layers if row.state == "unsupported")
    assert analyze(model, (4, 4), trips={"while": 3}).macs == 3 * 64


def test_the_dearer_branch_counts(analyze: Any) -> None:
    def model(x: Any) -> Any:
        return lax.cond(x.sum() > 0, lambda h: h @ h, lambda h: 2 * h, x)

    report = analyze(model, (6, 6))
    assert report.macs == 6**3
    assert {region.kind for region in report.graph.regions.values()} == {"branch"}
    assert len({region.group for region in report.graph.regions.values()}) == 1
    assert any("dearest" in warning for warning in report.warnings)


def test_switch_and_a_choice_known_while_reading(analyze: Any) -> None:
    branches = (lambda h: h, lambda h: h @ h, lambda h: h @ h @ h)

    def model(i: Any, x: Any) -> Any:
        return lax.switch(i, branches, x)

    index = jax.ShapeDtypeStruct((), "int32")
    assert analyze(model, [index, (4, 4)]).macs == 2 * 64
    known = analyze(jax.jit(model, static_argnums=0), multiprof.Inputs(1, (4, 4)))
    assert known.macs == 64
    assert known.graph.regions == {}


def test_loops_nest(analyze: Any) -> None:
    def model(x: Any) -> Any:
        return lax.fori_loop(0, 3, lambda i, h: lax.fori_loop(0, 5, lambda j, g: g @ g, h), x)

    report = analyze(model, (4, 4))
    assert report.macs == 3 * 5 * 64
    assert sorted(r.trips for r in report.graph.regions.values()) == [3, 5]


def test_what_a_loop_does_not_change_stays_outside(analyze: Any) -> None:
    """An unchanged part of the state is what it was; so is a result that nobody reads."""

    def model(x: Any, y: Any) -> Any:
        return lax.fori_loop(0, 3, lambda i, s: (s[0], s[1] + s[0]), (x, y))[1]

    report = analyze(model, [(4,), (4,)])
    assert [layer.op for layer in report.graph.layers] == ["add", "identity"]


def test_checkpoint_and_custom_rules_are_looked_through(analyze: Any) -> None:
    @jax.custom_vjp
    def f(x: Any) -> Any:
        return x @ x

    f.defvjp(lambda x: (f(x), x), lambda x, g: (g,))
    report = analyze(jax.checkpoint(lambda x: f(jax.jit(lambda y: y @ y)(x))), (4, 4))
    assert report.macs == 2 * 64
    assert [layer.op for layer in report.graph.layers] == ["matmul", "matmul"]


def test_a_program_on_every_device_of_a_mesh(analyze: Any) -> None:
    """One device here: looked through. The product of all is the same on any number."""
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("data",))
    spec = jax.sharding.PartitionSpec("data")
    model = shard_map(lambda x, w: lax.psum(x @ w, "data"), mesh=mesh, in_specs=(spec, spec), out_specs=spec)
    report = analyze(model, [(8, 4), (4, 4)])
    assert report.macs == 8 * 4 * 4
    assert report.unsupported() == {}


@pytest.mark.skipif(OLD, reason="before JAX 0.5 a mesh is of devices that exist, and here is one")
def test_collectives_between_several_devices(analyze: Any) -> None:
    """What only moves elements is read; who adds what in a sum over devices is theirs to choose."""
    mesh = jax.sharding.AbstractMesh((4,), ("data",))
    spec = jax.sharding.PartitionSpec("data")
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]

    def step(x: Any) -> Any:
        moved = lax.all_to_all(lax.ppermute(x, "data", ring), "data", 0, 1, tiled=True)
        return lax.all_gather(x, "data", axis=1, tiled=True), lax.all_gather(x, "data"), moved

    report = analyze(shard_map(step, mesh=mesh, in_specs=(spec,), out_specs=spec), (16, 3))
    assert report.unsupported() == {}
    assert report.flops == 0
    made = {layer.op: layer.y.shape for layer in report.graph.layers if layer.region and layer.op != "slice"}
    assert made == {"concat": (4, 12), "stack": (4, 4, 3), "copy": (1, 12)}
    total = shard_map(
        lambda x: lax.psum(x, "data"), mesh=mesh, in_specs=(spec,), out_specs=jax.sharding.PartitionSpec()
    )
    assert len(analyze(total, (16, 3)).unsupported()) == 1


def test_collectives_of_vmap_are_reductions(analyze: Any) -> None:
    def model(x: Any) -> Any:
        return lax.psum(x, "i"), lax.pmax(x, "i"), lax.pmean(x, "i")

    report = analyze(jax.vmap(model, axis_name="i"), (4, 3))
    assert report.unsupported() == {}
    assert report.flops == 3 * 3 + 3 * 3 + (3 * 3 + 3)


@pytest.mark.skipif(OLD, reason="before JAX 0.5 a mesh is of devices that exist, and here is one")
def test_shards_of_several_devices(analyze: Any) -> None:
    """Four devices, of which none need exist: each has a quarter of the rows."""
    mesh = jax.sharding.AbstractMesh((4,), ("data",))
    spec, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()
    model = shard_map(lambda x, w: x @ w, mesh=mesh, in_specs=(spec, whole), out_specs=spec)
    report = analyze(model, [(8, 4), (4, 4)])
    assert report.macs == 8 * 4 * 4
    (region,) = report.graph.regions.values()
    assert (region.trips, region.stateful) == (4, False)
