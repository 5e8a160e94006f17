"""What the caller gives a model to run on, in one form that every adapter understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiprof.errors import UsageError
from multiprof.ir import BITS, STRING, TensorSpec


class Inputs:
    """The arguments of one call of the model: ``Inputs(x, (1, 3), mask=TensorSpec((1, 8), "bool"))``.

    An argument may be a tensor or array of the framework, a shape (a tuple of integers), a `TensorSpec`, any Python
    value the model takes as it is, or a list, tuple or dict of those.
    """

    __slots__ = ("args", "kwargs")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = tuple(_argument(a) for a in args)
        self.kwargs = {name: _argument(a) for name, a in kwargs.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inputs) and (self.args, self.kwargs) == (other.args, other.kwargs)

    __hash__ = None  # type: ignore[assignment]  # holds dicts and tensors

    def __repr__(self) -> str:
        parts = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"Inputs({', '.join(parts)})"


@dataclass(slots=True)
class ReadOptions:
    """What the caller asks of an adapter beside the inputs. ``dims`` and ``trips`` give free axes and loop lengths."""

    train: bool = False
    dims: Mapping[str, int] = field(default_factory=dict)
    trips: Mapping[str, int] = field(default_factory=dict)
    signature: str | None = None
    trust: bool = False


def is_shape(value: object) -> bool:
    """A tuple of at least one integer, none of them a bool."""
    return isinstance(value, tuple) and bool(value) and all(type(d) is int for d in value)


def as_inputs(value: Any) -> Inputs | None:
    """Turn the ``inputs`` argument of `multiprof.analyze` into `Inputs`; ``None`` stays ``None``.

    A list is several positional arguments (a list of integers is one shape), a mapping is keyword arguments,
    anything else is one positional argument.
    """
    if value is None or isinstance(value, Inputs):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(k, str) for k in value):
            raise UsageError(
                "inputs: a mapping gives keyword arguments, so its keys must be strings; "
                "a dict that is itself an argument goes into multiprof.Inputs({...})"
            )
        return Inputs(**value)
    if isinstance(value, list):
        if value and all(type(d) is int for d in value):
            return Inputs(tuple(value))
        return Inputs(*value)
    if isinstance(value, tuple) and not is_shape(value) and not hasattr(value, "_fields"):
        return Inputs(*value)
    return Inputs(value)


def _argument(value: Any) -> Any:
    if is_shape(value):
        if any(d < 0 for d in value):
            raise UsageError(f"inputs: the shape {value} has a negative dimension")
        return TensorSpec(value, "")
    if isinstance(value, TensorSpec):
        if value.dtype and value.dtype not in BITS and value.dtype != STRING:
            raise UsageError(f"inputs: unknown dtype {value.dtype!r}; one of {', '.join(sorted(BITS))}")
        return value
    if isinstance(value, list):
        return [_argument(v) for v in value]
    if type(value) is tuple:
        return tuple(_argument(v) for v in value)
    if type(value) is dict:
        return {k: _argument(v) for k, v in value.items()}
    return value
