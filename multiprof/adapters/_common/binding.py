"""The caller's inputs matched to those a file declares; free axes take their sizes from shapes or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiprof.errors import InputsError
from multiprof.inputs import Inputs, is_shape
from multiprof.ir import TensorSpec

Dim = int | str | None


@dataclass(slots=True)
class Declared:
    """An input as a file declares it: a dimension is a size, the name of a free axis, or ``None`` for an unnamed one.

    ``shape`` is ``None`` where the file does not even give the rank. ``fixed`` says that the sizes given are binding;
    otherwise (TFLite, MXNet) they are only what the file was made with, and the caller may choose others. ``optional``
    inputs (labels) may stay away.
    """

    name: str
    shape: tuple[Dim, ...] | None
    dtype: str
    fixed: bool = True
    optional: bool = False


@dataclass(slots=True)
class Bound:
    """Every input with its shape, in the file's order; ``dims`` are the names of the free axes there are."""

    inputs: dict[str, TensorSpec]
    dims: tuple[str, ...]
    sizes: dict[str, int]  # name of a free axis -> its size
    given: frozenset[str] = frozenset()  # inputs whose shape the caller gave


def bind(
    declared: Sequence[Declared], given: Inputs | None, sizes: Mapping[str, int], *, what: str = "the model"
) -> Bound:
    """Match ``given`` (by position, or by name) and ``sizes`` (of free axes, by name) to the declared inputs.

    An unnamed free axis is called ``input[axis]``. A name that stands in several places must have one size. Raises
    `InputsError` for unknown or doubled inputs, a wrong rank, size or dtype, and for axes that stay free: it names
    them all. Optional inputs of unknown shape that were not given are left out of the result.
    """
    wanted = _assign(declared, given, what)
    found: dict[str, int] = {}
    origin: dict[str, str] = {}
    names: list[str] = []
    for item in declared:
        for axis, dim in enumerate(item.shape or ()):
            if not isinstance(dim, int):
                names.append(_axis_name(item, axis, dim))
    for name, size in sizes.items():
        if name in names:
            found[name], origin[name] = size, f"--dim {name}={size}"
    shapes: dict[str, tuple[int, ...]] = {}
    for item in declared:
        spec = wanted.get(item.name)
        if spec is not None:
            shapes[item.name] = _fit(item, spec, found, origin)
    bound: dict[str, TensorSpec] = {}
    free: list[str] = []
    for item in declared:
        spec = wanted.get(item.name)
        dtype = (spec.dtype if spec is not None else "") or item.dtype
        if item.name in shapes:
            bound[item.name] = TensorSpec(shapes[item.name], dtype, item.name)
            continue
        if item.shape is None:
            if not item.optional:
                free.append(f"{item.name!r} (its rank is not declared either)")
            continue
        dims: list[int] = []
        missing: list[str] = []
        for axis, dim in enumerate(item.shape):
            size_of = dim if isinstance(dim, int) else found.get(_axis_name(item, axis, dim))
            if size_of is None:
                missing.append(f"{_axis_name(item, axis, dim)} (axis {axis})")
            else:
                dims.append(size_of)
        if not missing:
            bound[item.name] = TensorSpec(tuple(dims), dtype, item.name)
        elif not item.optional:
            free.append(f"{item.name!r} {_written(item.shape)}: {', '.join(missing)}")
    if free:
        raise InputsError(_free_axes(what, free, declared, names))
    return Bound(bound, tuple(dict.fromkeys(names)), found, frozenset(shapes))


def _assign(declared: Sequence[Declared], given: Inputs | None, what: str) -> dict[str, TensorSpec]:
    """Which declared input each given one is for."""
    if given is None:
        return {}
    names = [item.name for item in declared]
    if len(given.args) > len(names):
        raise InputsError(f"{len(given.args)} inputs are given; {what} has {len(names)}: {', '.join(names) or 'none'}")
    found = {name: as_spec(value, name) for name, value in zip(names, given.args, strict=False)}
    for name, value in given.kwargs.items():
        if name not in names:
            from difflib import get_close_matches  # needed only to say what is wrong

            close = get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'}"
            raise InputsError(f"{what} has no input {name!r}; {hint}")
        if name in found:
            raise InputsError(f"the input {name!r} is given twice, by position and by name")
        found[name] = as_spec(value, name)
    return found


def as_spec(value: Any, name: str) -> TensorSpec:
    """Shape and dtype of what the caller gave for an input: a shape, a `TensorSpec`, or anything that has both."""
    if isinstance(value, TensorSpec):
        return TensorSpec(value.shape, value.dtype, name)
    if is_shape(value):
        return TensorSpec(value, "", name)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", "")
    try:
        dims = tuple(int(d) for d in shape)  # type: ignore[union-attr]  # what is no shape raises, caught below
    except TypeError:
        raise InputsError(
            f"the input {name!r} is a {type(value).__name__}; give a shape such as 1x3x224x224, or an array"
        ) from None
    # TensorFlow's types say their name, as numpy's do; MXNet has numpy's class float32; torch.float32 is a text
    text = getattr(dtype, "__name__" if isinstance(dtype, type) else "name", None) or dtype
    return TensorSpec(dims, str(text).rpartition(".")[2], name)


def _fit(item: Declared, spec: TensorSpec, found: dict[str, int], origin: dict[str, str]) -> tuple[int, ...]:
    """The shape given for an input, checked against the declared one; sizes of free axes are noted in ``found``."""
    dims: list[int] = []
    if item.shape is not None and len(item.shape) != spec.rank:
        raise InputsError(
            f"the input {item.name!r} is declared {_written(item.shape)}, of rank {len(item.shape)}; "
            f"{_written(spec.shape)} has rank {spec.rank}"
        )
    if spec.dtype and item.dtype and spec.dtype != item.dtype:
        raise InputsError(f"the input {item.name!r} is declared {item.dtype}; {spec.dtype} is given")
    for axis, size in enumerate(spec.shape):
        if size is None:
            raise InputsError(f"the input {item.name!r} is given with an unknown size on axis {axis}")
        dims.append(size)
        dim = item.shape[axis] if item.shape is not None else None
        if isinstance(dim, int):
            if item.fixed and size != dim:
                raise InputsError(
                    f"the input {item.name!r} is declared {_written(item.shape)}; {_written(spec.shape)} is given"
                )
        elif item.shape is not None:
            name = _axis_name(item, axis, dim)
            if found.setdefault(name, size) != size:
                raise InputsError(
                    f"the free axis {name!r} would be {found[name]} ({origin[name]}) and {size} (input {item.name!r})"
                )
            origin.setdefault(name, f"input {item.name!r}")
    return tuple(dims)


def _axis_name(item: Declared, axis: int, dim: Dim) -> str:
    return dim if isinstance(dim, str) and dim else f"{item.name}[{axis}]"


def _written(shape: Sequence[Dim] | None) -> str:
    if not shape:
        return "scalar"
    return "×".join("?" if dim is None or dim == "" else str(dim) for dim in shape)


def _free_axes(what: str, free: Sequence[str], declared: Sequence[Declared], names: Sequence[str]) -> str:
    """The error for axes that stay free, with an example of each way to give them."""
    ways = []
    item = next((i for i in declared if i.shape and any(not isinstance(d, int) for d in i.shape)), None)
    if item is not None and item.shape is not None:
        ways.append(
            f"--input {item.name}:{'x'.join(str(_likely(item.shape, axis)) for axis in range(len(item.shape)))}"
        )
    else:
        ways.append("--input NAME:1x3x224x224")
    if names:
        likely = {
            _axis_name(i, axis, dim): _likely(i.shape, axis)
            for i in reversed(declared)
            for axis, dim in enumerate(i.shape or ())
            if i.shape is not None
        }
        ways.append(" ".join(f"--dim {name}={likely[name]}" for name in dict.fromkeys(names)))
    return f"{what} has free axes: input {'; input '.join(free)}; give {' or '.join(ways)}"


def _likely(shape: Sequence[Dim], axis: int) -> int:
    """The size of an axis in an example: its own, else one of a batch, 224 of an image, 128 of a sequence."""
    dim = shape[axis]
    if isinstance(dim, int):
        return dim
    return 1 if axis == 0 else 224 if len(shape) == 4 else 128


__all__ = ["Bound", "Declared", "Dim", "as_spec", "bind"]
