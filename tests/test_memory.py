"""Peak and activation bytes against an allocator that runs the graph, and against graphs worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof import memory
from multiprof.ir import PREPARED, Graph, Layer, Mark, TensorSpec
from multiprof.testing.graphs import GraphBuilder, resnet50

# An execution: layer numbers in the order they run, those of loops several times. A loop's id is the end of a trip,
# with a + before it the start of the first.
Run = Sequence["int | str"]


class Allocator:
    """Runs a graph with explicit blocks of memory: the oracle.

    Every run of a layer makes new blocks; a block is freed when nothing that still runs reads it through any name.
    What is read after a loop is kept to the end of every trip, since nobody knows yet which is the last.
    """

    def __init__(self, graph: Graph, run: Run) -> None:
        self.graph = graph
        self.sizes: list[int] = []  # bytes of each block
        self.per_layer: dict[str, int] = {}  # the most bytes alive while a layer ran
        bound: dict[str, int | None] = dict.fromkeys(graph.parameters)
        for spec in graph.inputs:
            bound[spec.name] = self.block(spec)
        touched: list[set[int]] = []  # blocks that each step of the run reads or makes
        made_at = dict.fromkeys(range(len(self.sizes)), -1)
        for step, number in enumerate(run):
            if isinstance(number, str) and number.startswith("+"):  # a loop starts without the values of another run
                touched.append(set())
                for name in self.made(number[1:]):
                    bound.pop(name, None)
                continue
            if isinstance(number, str):
                touched.append({b for name in self.results(number) if (b := bound.get(name)) is not None})
                continue
            layer = graph.layers[number]
            now = {bound[spec.name] for spec in layer.inputs.values() if spec.name in bound}
            shared = {out: bound.get(layer.inputs[read].name) for out, read, _ in layer.aliases}
            prepared = layer.name in graph.marks
            for role, spec in layer.outputs.items():
                if role in shared:
                    bound[spec.name] = shared[role]
                elif prepared:
                    bound[spec.name] = None
                else:
                    bound[spec.name] = block = self.block(spec)
                    made_at[block] = step
                    now.add(block)
            touched.append({block for block in now if block is not None})
        touched.append({block for spec in graph.outputs if (block := bound.get(spec.name)) is not None})
        for step, number in enumerate(run):
            if isinstance(number, str) or graph.layers[number].name in graph.marks:
                continue
            layer = graph.layers[number]
            needed = set().union(*touched[step:])
            alive = sum(self.sizes[block] for block in needed if made_at[block] <= step)
            self.per_layer[layer.name] = max(alive, self.per_layer.get(layer.name, 0))

    def results(self, loop: str) -> set[str]:
        """What is made in a loop and read outside of it."""
        inside = self.inside(loop)
        read = {s.name for layer in self.graph.layers if layer.region not in inside for s in layer.inputs.values()}
        return self.made(loop) & (read | {spec.name for spec in self.graph.outputs})

    def made(self, loop: str) -> set[str]:
        inside = self.inside(loop)
        return {s.name for layer in self.graph.layers if layer.region in inside for s in layer.outputs.values()}

    def inside(self, loop: str) -> list[str]:
        return [loop, *(region.id for region in self.graph.regions.values() if region.parent == loop)]

    def block(self, spec: TensorSpec) -> int:
        self.sizes.append(spec.nbytes)
        return len(self.sizes) - 1


@st.composite
def random_graphs(draw: st.DrawFn, loops: bool = False) -> tuple[Graph, Run]:
    """Layers that read anything there is and make one or two tensors, views and in-place writes; or with loops, of
    which the inner stands in the outer, where a layer may also read what the loop makes later.
    """
    net = GraphBuilder(dtype="int8")  # a byte an element
    extents = st.integers(0, 9)
    there = [net.input((draw(extents),), f"in{n}") for n in range(draw(st.integers(1, 2)))]
    there.append(net.parameter("w", (draw(extents),)))
    count = draw(st.integers(1, 9))
    place: dict[int, str | None] = dict.fromkeys(range(count))
    run: list[int | str] = list(range(count))
    if loops:
        a, b, c, d = sorted(draw(st.lists(st.integers(0, count), min_size=4, max_size=4)))
        net.region("outer", "loop", trips=3)
        net.region("inner", "loop", trips=None, parent="outer")
        place |= dict.fromkeys(range(a, d), "outer") | dict.fromkeys(range(b, c), "inner")
        once = [*range(a, b), "+inner", *[*range(b, c), "inner"] * 3, *range(c, d), "outer"]
        run = [*range(a), *once * 3, *range(d, count)]
    prepared: set[str] = set()
    weights = {"w"}
    for number in range(count):
        reads = draw(st.lists(st.sampled_from(there), min_size=0, max_size=3))
        alias = draw(st.sampled_from(["", "", "view", "write"])) if reads else ""
        shapes = {"y": (draw(extents),)} | ({"z": (draw(extents),)} if draw(st.booleans()) else {})
        inputs = {f"x{n}": spec for n, spec in enumerate(reads)}
        net.layer("op", inputs, name=f"l{number}", outputs=shapes, alias=alias, region=place[number])
        made = net.layers[-1].outputs
        if reads and all(spec.name in weights for spec in reads) and draw(st.booleans()):
            prepared.add(f"l{number}")
            weights |= {spec.name for spec in made.values()}
        there += made.values()
    if loops:
        for number in range(count):  # values carried from one trip to the next
            later = [net.layers[k] for k in range(number, count) if shares_loop(place, number, k)]
            if later and f"l{number}" not in prepared and draw(st.booleans()):
                carried = draw(st.sampled_from([spec for layer in later for spec in layer.outputs.values()]))
                net.layers[number].inputs["carried"] = carried
    outputs = draw(st.lists(st.sampled_from(there), max_size=2))
    marks = {name: Mark(PREPARED, "") for name in prepared}
    return replace(net.graph(*outputs), marks=marks), run


def shares_loop(place: dict[int, str | None], a: int, b: int) -> bool:
    return place[a] is not None and place[b] is not None


@given(random_graphs())
def test_the_peak_is_what_an_allocator_sees(drawn: tuple[Graph, Run]) -> None:
    graph, run = drawn
    oracle = Allocator(graph, run)
    live = memory.storages(graph)
    peak = memory.peak(graph, live)
    assert peak is not None
    if oracle.per_layer:
        assert peak.bytes == max(oracle.per_layer.values())
        assert peak.layer == next(name for name, alive in oracle.per_layer.items() if alive == peak.bytes)
    else:
        assert peak.layer == ""
    assert sum(size for _, size, _ in peak.tensors) == peak.bytes
    assert memory.activation_bytes(live) == sum(oracle.sizes[len(graph.inputs) :])
    assert memory.activation_elements(live) == sum(oracle.sizes[len(graph.inputs) :])


@given(random_graphs(loops=True))
def test_the_peak_of_a_loop_is_that_of_its_trips_run_one_after_the_other(drawn: tuple[Graph, Run]) -> None:
    graph, run = drawn
    oracle = Allocator(graph, run)
    peak = memory.peak(graph, memory.storages(graph))
    assert peak is not None
    if oracle.per_layer:
        assert peak.bytes == max(oracle.per_layer.values())
        assert oracle.per_layer[peak.layer] == peak.bytes


def test_a_chain_by_hand() -> None:
    """x 40 → a 80 → b 120 → c 20 bytes; a and b are alive together: 200; at c b and c: 140."""
    net = GraphBuilder()
    x = net.input((10,))
    a = net.layer("op", {"x": x}, (20,), name="a")
    b = net.layer("op", {"x": a}, (30,), name="b")
    c = net.layer("op", {"x": b}, (5,), name="c")
    graph = net.graph(c)
    live = memory.storages(graph)
    assert memory.peak(graph, live) == memory.Peak(200, "b", (("a:y", 80, (20,)), ("b:y", 120, (30,))))
    assert memory.activation_bytes(live) == 80 + 120 + 20
    assert memory.activation_elements(live) == 20 + 30 + 5


def test_views_and_writes_take_no_memory_and_keep_their_storage_alive() -> None:
    """x 40, its view and the in-place relu are one storage, which lives to the add: 40 + 40 (sum) there."""
    net = GraphBuilder()
    x = net.input((10,))
    v = net.layer("reshape", {"x": x}, (2, 5), name="v", alias="view")
    r = net.layer("relu", {"x": v}, name="r", alias="write")
    net.layer("add", {"x0": r, "x1": r}, name="s")
    graph = net.graph()
    live = memory.storages(graph)
    assert memory.activation_bytes(live) == 40
    assert memory.peak(graph, live) == memory.Peak(80, "s", (("x", 40, (10,)), ("s:y", 40, (2, 5))))


def test_names_changed_by_a_write_elsewhere_stay_the_same_storage() -> None:
    """A write through a view renames the base too; reading the new name of the base keeps the one storage alive."""
    net = GraphBuilder()
    x = net.input((10,))
    base = net.layer("op", {"x": x}, (10,), name="base")
    view = net.layer("slice", {"x": base}, (5,), name="view", alias="view")
    made = {"y": TensorSpec((5,), name="w:y"), "alias0": TensorSpec((10,), name="w:alias0")}
    aliases = (("y", "x", "write"), ("alias0", "alias0", "write"))
    net.layers.append(Layer("w", "relu", {"x": view, "alias0": base}, made, aliases=aliases))
    net.layer("op", {"x": made["alias0"]}, (1,), name="end")
    graph = net.graph()
    live = memory.storages(graph)
    assert memory.activation_bytes(live) == 40 + 4
    peak = memory.peak(graph, live)
    assert peak is not None
    assert (peak.bytes, peak.layer) == (80, "base")  # x and base; then base alone, and at the end base and 4


def test_weights_their_views_and_what_is_prepared_from_them_stand_apart() -> None:
    net = GraphBuilder()
    x = net.input((1, 10))
    w = net.parameter("w", (10, 10))
    t = net.layer("transpose", {"x": w}, (10, 10), name="t", alias="view", perm=(1, 0))
    q = net.layer("mul", {"x0": t}, (10, 10), name="q")
    y = net.layer("linear", {"x": x, "weight": q}, (1, 10), name="fc")
    graph = net.graph(y)
    marked = replace(graph, marks={name: Mark(PREPARED, "") for name in ("t", "q")})
    live = memory.storages(marked)
    assert memory.peak(marked, live) == memory.Peak(80, "fc", (("x", 40, (1, 10)), ("fc:y", 40, (1, 10))))
    assert memory.activation_bytes(live) == 40
    assert memory.activation_bytes(memory.storages(graph)) == 440  # unmarked, q is an activation


def test_resnet50_by_hand() -> None:
    """The first stage's block input, conv output and norm output: 3 · 256·56·56·4 bytes = 9,633,792.

    In the first block, at the norm of the downsampling path: conv3's norm (kept for the sum), the downsampling conv's
    output and its norm. The stem's largest moment is smaller: conv1 and its norm, 2 · 64·112·112·4 = 6,422,528.
    """
    graph = resnet50()
    peak = memory.peak(graph, memory.storages(graph))
    assert peak is not None
    assert peak.bytes == 3 * 256 * 56 * 56 * 4 == 9_633_792
    assert peak.layer == "layer1.0.downsample_norm"
    assert [shape for _, _, shape in peak.tensors] == [(1, 256, 56, 56)] * 3


def test_an_outer_tensor_lives_as_long_as_the_loop_that_reads_it() -> None:
    """x (40) is read first in the body, and again on the next trip: it is alive beside the big tensor (400)."""
    net = GraphBuilder()
    x = net.input((10,))
    net.region("loop", "loop", trips=2)
    a = net.layer("op", {"x": x}, (1,), name="a", region="loop")
    net.layer("op", {"x": a}, (100,), name="b", region="loop")
    peak = memory.peak(net.graph(), memory.storages(net.graph()))
    assert peak is not None
    assert peak.bytes == 40 + 4 + 400
    net.region("loop", "loop", trips=1)
    peak = memory.peak(net.graph(), memory.storages(net.graph()))
    assert peak is not None
    assert peak.bytes == 4 + 400


def test_a_carried_state_is_there_twice_while_it_is_renewed() -> None:
    net = GraphBuilder()
    net.region("loop", "loop", trips=5)
    state = TensorSpec((10,), name="cell:y")
    net.layer("op", {"x": state}, (10,), name="cell", region="loop")
    live = memory.storages(net.graph())
    peak = memory.peak(net.graph(), live)
    assert peak is not None
    assert peak.bytes == 2 * 40
    assert memory.activation_bytes(live) == 40  # a loop's body counts once


def test_a_branch_not_taken_is_left_out() -> None:
    net = GraphBuilder()
    x = net.input((10,))
    a = net.layer("op", {"x": x}, (20,), name="a")
    b = net.layer("op", {"x": x}, (1000,), name="b")
    y = net.layer("op", {"x0": a, "x1": b}, (1,), name="y")
    graph = net.graph(y)
    live = memory.storages(graph, {"b"})
    assert memory.activation_bytes(live) == 80 + 4
    peak = memory.peak(graph, live, {"b"})
    assert peak is not None
    assert (peak.bytes, peak.layer) == (120, "a")


@pytest.mark.parametrize("place", ["input", "layer"])
def test_an_unknown_size_gives_no_figure_instead_of_a_wrong_one(place: str) -> None:
    net = GraphBuilder()
    x = net.input((None if place == "input" else 3,))
    y = net.layer("nonzero", {"x": x}, (None, 2) if place == "layer" else (1,))
    graph = net.graph(y)
    live = memory.storages(graph)
    assert memory.peak(graph, live) is None
    assert memory.activation_bytes(live) == (None if place == "layer" else 4)


def test_graphs_of_which_nothing_runs() -> None:
    net = GraphBuilder()
    x = net.input((10,))
    net.input((10,), "unused")
    graph = net.graph(x)
    assert memory.peak(graph, memory.storages(graph)) == memory.Peak(40, "", (("x", 40, (10,)),))
