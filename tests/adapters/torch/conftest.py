"""A rule against torch's own kernels: the same call twice, once under the tracer, once without it."""

from __future__ import annotations

import random
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from multiprof.adapters.torch import read
from multiprof.adapters.torch import rules as _rules  # noqa: F401  # importing the rules fills the tables
from multiprof.adapters.torch.declared import Declarations, ModuleTree
from multiprof.adapters.torch.mode import OperatorMode, ShapeMode, map_tensors, tensors_in
from multiprof.adapters.torch.tracer import META, Tracer
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import ALIAS_ROLE, Graph, Layer, Parameter, TensorSpec
from multiprof.ops import OPS

Tensor = torch.Tensor


class Checked(Tracer):
    """The tracer of one compared call, with what the call returned (``result``) or raised (``error``)."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), real=False)
        self.result: Any = None
        self.error: Exception | None = None
        self.given: list[Tensor] = []  # the tensors the call was made with

    @property
    def by_rule(self) -> bool:
        """Whether rules alone answered, without any of torch's kernels."""
        return self.error is None and self.kernel_calls == 0

    @property
    def ops(self) -> list[str]:
        return [layer.op for layer in self.layers]

    @property
    def layer(self) -> Layer:
        """The only layer; fails where there are more, or none."""
        (layer,) = self.layers
        return layer


def copy_of(tensor: Tensor) -> Tensor:
    """A tensor of the same kind in memory of its own: a meta tensor by its strides, a real one by its values."""
    if tensor.is_meta:
        made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
    else:
        made = tensor.detach().clone()
    return torch.nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else made


def as_meta(tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)


def copies(value: Any, convert: Callable[[Tensor], Tensor] = copy_of) -> Any:
    """Nested arguments with every tensor converted, the same object each time it occurs."""
    done: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in done:
            done[id(tensor)] = convert(tensor)
        return done[id(tensor)]

    return map_tensors(once, value)


def outcome(function: Any, args: Any, kwargs: Any) -> tuple[Any, Exception | None]:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch gives some warnings once in a process, so only one run would see them
        try:
            return function(*args, **kwargs), None
        except Exception as error:
            return None, error


def message(error: Exception | None) -> str:
    """The text of an error without the C++ stack that torch puts into some."""
    return str(error).partition("\nException raised from")[0]


def introduce(tracer: Checked, tensors: list[Tensor]) -> None:
    """Make the arguments known: parameters are declared, real tensors carried with their values, the rest inputs."""
    for i, tensor in enumerate({id(t): t for t in tensors}.values()):
        if isinstance(tensor, torch.nn.Parameter):
            spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), f"weight{i}")
            tracer.declare(tensor, Parameter(spec, trainable=tensor.requires_grad))
        elif tensor.is_meta:
            tracer.give_input(tensor, f"input{i}")
        else:
            twin = as_meta(tensor)
            tracer.give_input(twin, f"input{i}")
            tracer.carry(tensor, twin)


def storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def assert_same(tracer: Checked, got: Any, expected: Any, given: Any, expected_given: Any) -> None:
    """Same structure, same shape, stride and dtype of every tensor, and the same sharing of storage."""
    ours, theirs = tensors_in(got), tensors_in(expected)
    assert len(ours) == len(theirs), f"{len(ours)} results instead of {len(theirs)}"
    if not isinstance(expected, Tensor):
        assert type(got) is type(expected)
        if isinstance(expected, tuple) and not theirs:
            assert got == expected
    elif not isinstance(got, Tensor):
        raise AssertionError(f"{type(got)} instead of a tensor")
    for mine, its in zip(ours, theirs, strict=True):
        found = (tuple(mine.shape), mine.stride(), mine.dtype)
        wanted = (tuple(its.shape), its.stride(), its.dtype)
        assert found == wanted, f"shape, stride, dtype {found} instead of {wanted}"
        spec = tracer.specs.get(id(tracer.twins.get(id(mine), mine)))
        assert spec is not None, "a result that the tracer does not know"
        assert spec.shape == tuple(mine.shape)
        assert spec.dtype == str(mine.dtype).removeprefix("torch.")
    for mine, its in zip(ours, theirs, strict=True):
        for all_mine, all_its in ((given, expected_given), (ours, theirs)):
            shared = [storage(mine) == storage(t) for t in all_mine]
            assert shared == [storage(its) == storage(t) for t in all_its], f"shares storage with {shared}"


def assert_role(op: str, role: str, allowed: tuple[str, ...]) -> None:
    for name in allowed:
        name = name.rstrip("?")
        if role == name or (name.endswith("*") and role.startswith(name[:-1]) and role[len(name) - 1 :].isdigit()):
            return
    raise AssertionError(f"{op} has no role {role!r}: {allowed}")


def assert_vocabulary(layer: Layer) -> None:
    """A canonical layer has the roles and the attributes that the vocabulary says, and no others."""
    op = OPS.get(layer.op)
    if op is None:
        assert layer.op.startswith("torch."), f"{layer.op} is neither canonical nor foreign"
        return
    for specs, allowed in ((layer.inputs, op.inputs), (layer.outputs, op.outputs)):
        for role in specs:
            if not role.startswith(ALIAS_ROLE):
                assert_role(layer.op, role, allowed)
        for role in allowed:
            if not role.endswith(("?", "*")):
                assert role in specs, f"{layer.op} without {role}"
    for name in layer.attrs:
        assert name in op.attrs, f"{layer.op} has no attribute {name!r}: {tuple(op.attrs)}"
    for name, meaning in op.attrs.items():
        if meaning.startswith("required"):
            assert name in layer.attrs, f"{layer.op} without the attribute {name}"


def assert_linked(tracer: Tracer, names: set[str]) -> None:
    """Every tensor that a layer reads is an input, a parameter, or the output of a layer before it."""
    known = names | set(tracer.parameters)
    for layer in tracer.layers:
        for role, spec in layer.inputs.items():
            assert spec.name in known, f"{layer.name} reads {role} {spec.name!r}, which nothing makes"
        known |= {spec.name for spec in layer.outputs.values()}


def run(mode: Callable[[Tracer], Any], function: Any, args: Any, kwargs: Mapping[str, Any]) -> Checked:
    real = all(not t.is_meta for t in tensors_in((args, kwargs)))
    expected_args, expected_kwargs = copies((args, kwargs)) if real else copies((args, kwargs), as_meta)
    expected, expected_error = outcome(function, expected_args, expected_kwargs)
    tracer = Checked()
    given_args, given_kwargs = copies((args, kwargs))
    tracer.given = tensors_in((given_args, given_kwargs))
    if isinstance(function, torch.nn.Module):
        tree = ModuleTree(function)
        Declarations(tracer).declare(tree.modules, tree.paths)
    introduce(tracer, tracer.given)
    names = {spec.name for spec in tracer.specs.values()}
    with mode(tracer):
        tracer.result, tracer.error = outcome(function, given_args, given_kwargs)
    error = tracer.error
    if expected_error is not None or error is not None:
        assert (type(error), message(error)) == (type(expected_error), message(expected_error)), (
            f"raised {error!r} instead of {expected_error!r}"
        )
        return tracer
    expected_given = tensors_in((expected_args, expected_kwargs))
    assert_same(tracer, tracer.result, expected, tracer.given, expected_given)
    for layer in tracer.layers:
        assert_vocabulary(layer)
    assert_linked(tracer, names)
    return tracer


def compare_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Checked:
    """Call ``function`` under the rules and directly, and fail where the two differ.

    Tensors among the arguments are copied for each run; those on meta become inputs, an ``nn.Parameter`` a declared
    weight, a real tensor a carried one (the direct run is on meta, unless all of them are real). The weights of a
    module are taken as they are: give a module on meta. Compared are shape, stride, dtype and shared storage of every
    result, or type and text of the error. The layers must follow the vocabulary, and read nothing from nowhere.
    """
    return run(ShapeMode, function, args, kwargs)


def compare_operators(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Checked:
    """The same with the table of aten operators alone: what a call becomes when no rule answers it."""
    return run(OperatorMode, function, args, kwargs)


@pytest.fixture(scope="session")
def compare() -> Callable[..., Checked]:
    return compare_call


@pytest.fixture(scope="session")
def compare_aten() -> Callable[..., Checked]:
    return compare_operators


def trace_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Checked, list[Tensor]]:
    """Call ``function`` under the rules alone, for what torch's meta kernels cannot do; the tensors it returned.

    Of real floating-point arguments only the shapes are passed on, as in a reader; integers keep their values.
    """

    def shapes_only(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or isinstance(tensor, torch.nn.Parameter):
            return copy_of(tensor)
        return as_meta(tensor)

    args, kwargs = copies((args, kwargs), shapes_only)
    tracer = Checked()
    tracer.given = tensors_in((args, kwargs))
    if isinstance(function, torch.nn.Module):
        tree = ModuleTree(function)
        Declarations(tracer).declare(tree.modules, tree.paths)
    introduce(tracer, tracer.given)
    names = {spec.name for spec in tracer.specs.values()}
    with torch.no_grad(), ShapeMode(tracer):
        tracer.result = function(*args, **kwargs)
    for layer in tracer.layers:
        assert_vocabulary(layer)
    assert_linked(tracer, names)
    results = tensors_in(tracer.result)
    for tensor in results:
        spec = tracer.specs[id(tracer.twins.get(id(tensor), tensor))]
        assert (spec.shape, spec.dtype) == (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    return tracer, results


@pytest.fixture(scope="session")
def trace_shapes() -> Callable[..., tuple[Checked, list[Tensor]]]:
    return trace_call


class RandomTensors:
    """Random meta tensors of small shapes, from a fixed seed: plain ones, and with any strides a tensor may have."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)

    def shape(self, rank: int | None = None, empty: float = 0.03) -> tuple[int, ...]:
        """Sizes 1 to 4, many of them 1, a few 0."""
        rank = self.rng.randint(0, 4) if rank is None else rank
        return tuple(0 if self.rng.random() < empty else self.rng.choice((1, 1, 2, 3, 4)) for _ in range(rank))

    def axis(self, rank: int) -> int:
        """An axis, counted from either end; now and then one that does not exist."""
        return self.rng.randint(-rank - (self.rng.random() < 0.04), max(rank - 1, 0) + (self.rng.random() < 0.04))

    def broadcasting(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to ``shape``, or is it."""
        if self.rng.random() < 0.4:
            return shape
        sizes = tuple(1 if self.rng.random() < 0.25 else size for size in shape)
        return sizes[self.rng.randint(0, len(sizes)) :] if self.rng.random() < 0.3 else sizes

    def plain(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=META)

    def permuted(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Dense, its dimensions in any order in memory."""
        order = list(range(len(shape)))
        self.rng.shuffle(order)
        back = [order.index(i) for i in range(len(shape))]
        return torch.empty([shape[i] for i in order], dtype=dtype, device=META).permute(back)

    def strided(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Any strides: permuted, with gaps, expanded, odd ones where a size of 1 allows them."""
        rng = self.rng
        order = list(range(len(shape)))
        if rng.random() < 0.6:
            rng.shuffle(order)
        strides = [0] * len(shape)
        step = 1
        for i in reversed(order):
            strides[i] = step
            step *= max(shape[i], 1)
            if rng.random() < 0.15:
                step *= rng.choice((2, 3))
            if rng.random() < 0.08:
                strides[i] = 0
            if shape[i] == 1 and rng.random() < 0.25:
                strides[i] = rng.choice((1, 2, 5, step))
        return torch.empty_strided(shape, strides, dtype=dtype, device=META)

    def sample(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """The first of several positions, as ``x[:, 0]`` is: contiguous where it is a single sample."""
        if not shape:
            return self.plain(shape, dtype)
        return torch.empty((shape[0], self.rng.randint(1, 3), *shape[1:]), dtype=dtype, device=META)[:, 0]

    def tensor(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """Plain in most of the cases, permuted, cut out or with any strides in the others."""
        make = self.rng.choice((self.plain, self.plain, self.plain, self.permuted, self.sample, self.strided))
        return make(shape, dtype)


@pytest.fixture
def random_tensors() -> RandomTensors:
    return RandomTensors()


@pytest.fixture
def sweep(random_tensors: RandomTensors) -> Callable[..., None]:
    """Compare many random calls of one kind.

    ``make`` gets the random tensors and returns a function and its arguments; what torch refuses must be refused, and
    of the rest the given share must be answered by rule, with layers of the given ops alone.
    """

    def compare_many(
        make: Callable[[RandomTensors], Any], ops: Iterable[str], *, share: float = 1.0, times: int = 200
    ) -> None:
        allowed = set(ops)
        answered = by_rule = 0
        for _ in range(times):
            function, *args = make(random_tensors)
            checked = compare_call(function, *args)
            if checked.error is None:
                answered += 1
                by_rule += checked.by_rule
                assert set(checked.ops) <= allowed
        assert answered > times / 4
        assert by_rule >= share * answered, f"{by_rule} of {answered} by rule"

    return compare_many


@pytest.fixture
def trace() -> Callable[..., Graph]:
    """Read a model or function whole, as `multiprof.analyze` does, on shapes, specs or tensors."""

    def read_it(model: Any, *args: Any, **kwargs: Any) -> Graph:
        inputs = Inputs(*args, **kwargs)
        return read(model, inputs, leaves=frozenset(), trace=None, options=ReadOptions())

    return read_it


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[..., Path]:
    """``rewritten(path, entry, old, new)``: a copy of a zip archive with bytes of one entry replaced."""

    def copy(path: Path, entry: str, old: bytes, new: bytes) -> Path:
        to = tmp_path / f"rewritten-{path.name}"
        found = 0
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(to, "w") as target:
            for info in source.infolist():
                data = source.read(info)
                if info.filename.endswith(entry):
                    found += data.count(old)
                    data = data.replace(old, new)
                target.writestr(info.filename, data)
        assert found, f"{entry} holds no {old!r}"
        return to

    return copy
