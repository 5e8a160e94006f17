"""What is traced: a function of a flat list of arrays, and what each of them is.

**What is a parameter and what an input.** A parameter is what the callable brings along: arrays that it closes over,
the arguments bound by ``functools.partial`` or `jax.tree_util.Partial`, the leaves of a callable pytree, the variables
of a Flax module. Of the arguments given, these are parameters too: one called ``params``, ``parameters``, ``weights``,
``variables`` or, as in Keras, ``trainable_variables``; a mapping with a key ``params``, which is a set of Flax's
collections (``params`` are parameters, every other collection holds buffers); and, where there is none of those, a
first argument that is a dict or a nested container of arrays with more arguments after it (a note says that it was
taken so). One called ``batch_stats``, ``running_stats`` or ``non_trainable_variables`` holds buffers. Everything else
is an input. Integers and bools are constants, and so are scalars that nothing declares as learned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from multiprof.adapters.jax.values import dtype_name
from multiprof.errors import InputsError
from multiprof.ir import BUFFER, CONSTANT, INTEGER_DTYPES, PARAMETER, TensorSpec

INPUT = "input"

# The last of each are those of Keras's stateless_call.
_PARAMETERS = frozenset(("params", "parameters", "weights", "variables", "trainable_variables"))
_BUFFERS = frozenset(("batch_stats", "running_stats", "non_trainable_variables"))
# Names under which a first argument is data, however it is nested.
_DATA = frozenset(("batch", "data", "inputs", "features", "example", "examples", "x", "xs", "carry", "state"))

Struct: Any = jax.ShapeDtypeStruct


@dataclass(slots=True)
class Leaf:
    """An array that the function takes: ``kind`` is ``input`` or the kind of a `Parameter`."""

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: Any  # None where the caller left it open
    trainable: bool | None = None
    identity: int = 0  # of the caller's array: two leaves of one array are tied
    source: str = ""
    sharding: Any = None  # over the devices of a mesh, where the caller's array has one


@dataclass(slots=True)
class Program:
    """A function of as many arrays as there are ``leaves``; ``notes`` tell how the call was understood."""

    name: str
    function: Callable[[list[Any]], Any]
    leaves: list[Leaf]
    notes: list[str] = field(default_factory=list)
    root: str = ""  # the first part of every scope, which is no part of a path
    modules: dict[str, str] = field(default_factory=dict)
    closure: Any = None  # the user's function, where closed-over arrays may be found by name

    def structs(self) -> list[Struct]:
        """The leaves as shapes and dtypes; an open dtype is that of the first floating-point parameter, or float32."""
        floats = [leaf.dtype for leaf in self.leaves if leaf.kind == PARAMETER and leaf.dtype is not None]
        default = next((d for d in floats if "float" in str(d)), np.dtype("float32"))
        return [
            Struct(leaf.shape, _canonical(default if leaf.dtype is None else leaf.dtype), sharding=leaf.sharding)
            for leaf in self.leaves
        ]


@dataclass(slots=True)
class Argument:
    """One argument of a call; ``bound`` ones the callable brings along. ``key`` is its position or its keyword."""

    key: int | str
    name: str
    value: Any
    bound: bool = False


def is_leaf(value: Any) -> bool:
    """Whether a value stands for an array."""
    if isinstance(value, TensorSpec):
        return True
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def path_text(path: Iterable[Any], separator: str) -> str:
    parts = []
    for entry in path:
        for attribute in ("key", "idx", "name"):
            if hasattr(entry, attribute):
                parts.append(str(getattr(entry, attribute)))
                break
        else:
            parts.append(str(entry).strip(".[]'\""))
    return separator.join(parts)


def parameter_names(function: Any) -> tuple[list[str], bool]:
    """Names of the positional parameters of a function, and whether it takes more than those."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [], True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds], any(p.kind == p.VAR_POSITIONAL for p in parameters)


def arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], bound: int = 0) -> list[Argument]:
    """The arguments of a call by name; the first ``bound`` of them the callable brings along."""
    names, _ = parameter_names(function)
    found = []
    for i, value in enumerate(args):
        name = names[i] if i < len(names) else f"x{i}"
        found.append(Argument(i, name, value, i < bound))
    return [*found, *(Argument(key, key, value) for key, value in kwargs.items())]


def build(name: str, function: Callable[..., Any], given: Sequence[Argument], root: str = "") -> Program:
    """The program of one call: arrays among the arguments become leaves, everything else stays as it is."""
    roles, notes = _roles(given)
    leaves: list[Leaf] = []
    positions: list[list[tuple[int, int]]] = []  # for each argument: (place among its tree's leaves, place in leaves)
    trees: list[tuple[list[Any], Any]] = []
    for argument, role in zip(given, roles, strict=True):
        flat, tree = jax.tree_util.tree_flatten_with_path(argument.value, is_leaf=is_leaf)
        places = []
        for place, (path, value) in enumerate(flat):
            if is_leaf(value):
                places.append((place, len(leaves)))
                leaves.append(_leaf(argument, role, path, value))
        positions.append(places)
        trees.append(([value for _, value in flat], tree))

    def call(arrays: list[Any]) -> Any:
        args: list[tuple[int, Any]] = []
        kwargs: dict[str, Any] = {}
        for argument, places, (values, tree) in zip(given, positions, trees, strict=True):
            filled = list(values)
            for place, number in places:
                filled[place] = arrays[number]
            rebuilt = jax.tree_util.tree_unflatten(tree, filled)
            if isinstance(argument.key, int):
                args.append((argument.key, rebuilt))
            else:
                kwargs[argument.key] = rebuilt
        return function(*(value for _, value in sorted(args, key=lambda pair: pair[0])), **kwargs)

    _unique(leaves)
    return Program(name, call, leaves, notes, root, closure=function)


_COLLECTIONS = "collections"


def _roles(given: Sequence[Argument]) -> tuple[list[str], list[str]]:
    """What each argument is: input, parameter, buffer, or a mapping of Flax's collections."""
    roles = []
    for argument in given:
        value = argument.value
        if isinstance(value, Mapping) and "params" in value and not is_leaf(value):
            roles.append(_COLLECTIONS)
        elif argument.bound or argument.name in _PARAMETERS:
            roles.append(PARAMETER)
        else:
            roles.append(BUFFER if argument.name in _BUFFERS else INPUT)
    notes: list[str] = []
    if given and all(role == INPUT for role in roles):
        first = given[0]
        if len(given) > 1 and first.key == 0 and first.name not in _DATA and _looks_like_parameters(first.value):
            roles[0] = PARAMETER
            notes.append(
                f"the first argument, {first.name}, is taken as the parameters: it is a dict or a nested container of "
                "arrays; call it batch, data or inputs where it is not"
            )
    return roles, notes


def _looks_like_parameters(value: Any) -> bool:
    if is_leaf(value) or not any(is_leaf(leaf) for leaf in jax.tree_util.tree_leaves(value, is_leaf=is_leaf)):
        return False
    if isinstance(value, Mapping):
        return True
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(value, is_leaf=is_leaf)[0]]
    return any(len(path) > 1 for path in paths)


def _leaf(argument: Argument, role: str, path: Sequence[Any], value: Any) -> Leaf:
    shape = value.shape
    if any(d is None for d in shape):
        raise InputsError(f"the input {argument.name!r} has the shape {shape}: give every dimension a size")
    dtype = (value.dtype or None) if isinstance(value, TensorSpec) else value.dtype
    kind = role
    trainable: bool | None = None
    if role == _COLLECTIONS:
        kind = PARAMETER if path_text(path[:1], "/") == "params" else BUFFER
        text = path_text(path, "/")
    elif role == INPUT:
        text = ".".join(part for part in (argument.name, path_text(path, ".")) if part)
        if isinstance(value, TensorSpec) and value.name:
            text = value.name
    else:
        text = "/".join(part for part in (argument.name, path_text(path, "/")) if part)
    if kind == PARAMETER:
        integer = dtype is not None and (dtype_name(dtype) in INTEGER_DTYPES or str(dtype).startswith("key<"))
        if integer or (role == PARAMETER and not shape and not path):
            kind = CONSTANT
        else:
            trainable = True
    identity = 0 if isinstance(value, (TensorSpec, Struct)) else id(value)
    sharding = getattr(value, "sharding", None)
    if not isinstance(sharding, jax.sharding.NamedSharding):
        sharding = None
    return Leaf(text, kind, tuple(int(d) for d in shape), dtype, trainable, identity, text, sharding)


def _unique(leaves: Sequence[Leaf]) -> None:
    """No two leaves of one name."""
    seen: dict[str, int] = {}
    for leaf in leaves:
        number = seen.get(leaf.name, 0)
        seen[leaf.name] = number + 1
        if number:
            leaf.name = f"{leaf.name}_{number}"


def _canonical(dtype: Any) -> Any:
    """The dtype JAX really uses: without x64, 64-bit types are 32 bits wide."""
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        return dtype
    return jax.dtypes.canonicalize_dtype(dtype)


__all__ = [
    "INPUT",
    "Argument",
    "Leaf",
    "Program",
    "Struct",
    "arguments",
    "build",
    "is_leaf",
    "parameter_names",
    "path_text",
]
