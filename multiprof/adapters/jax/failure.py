"""What goes wrong while a callable is traced, in one line, with what to do."""

from __future__ import annotations

import os
import sys
import traceback

import jax

from multiprof.adapters.jax.program import INPUT, Program
from multiprof.errors import InputsError, ModelError, MultiprofError

_LONG = 200  # characters of an error that are quoted
# Code that is not the user's; Flax stands there where it is loaded.
_LIBRARIES = (os.path.dirname(jax.__file__), os.path.dirname(__file__))

_NEEDS_VALUES = (
    jax.errors.ConcretizationTypeError,  # and with it the conversion to bool
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
_VALUE_NEEDED = (
    "the code asks for a value that only running it would give, and so cannot be jitted either: "
    "use jnp.where, lax.cond or lax.fori_loop, or give the argument as a Python value"
)


def failed(error: Exception, program: Program | None) -> MultiprofError:
    """The error to raise instead of what JAX, Flax or the user's code raised."""
    place = _place(error)
    first = _first_line(error)
    shapes = _shapes(program)
    if isinstance(error, _NEEDS_VALUES):
        return ModelError(f"the function cannot be traced{place}: {_VALUE_NEEDED} ({first})")
    if type(error).__name__ == "TraceContextError":
        return ModelError(
            f"the function cannot be traced{place}: it changes a module that it closes over; "
            f"give the module itself as the model ({first})"
        )
    kind = InputsError if _blames_inputs(error) else ModelError
    return kind(f"the model raised {type(error).__name__}{place}: {first}{shapes}")


def _blames_inputs(error: Exception) -> bool:
    text = str(error)
    if isinstance(error, TypeError) and ("positional argument" in text or "unexpected keyword" in text):
        return True
    return any(sign in text for sign in ("shape", "dtype", "dimension", "size"))


def _shapes(program: Program | None) -> str:
    if program is None:
        return ""
    inputs = [
        f"{leaf.name} {list(struct.shape)} {struct.dtype}"
        for leaf, struct in zip(program.leaves, program.structs(), strict=True)
        if leaf.kind == INPUT
    ]
    return f" (inputs: {', '.join(inputs) or 'none'})"


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[0] if len(lines[0]) <= _LONG else f"{lines[0][:_LONG]}…"


def _place(error: Exception) -> str:
    """Where the user's own code raised: the innermost frame outside JAX, Flax and multiprof."""
    flax = getattr(sys.modules.get("flax"), "__file__", None)
    folders = tuple(os.path.join(f, "") for f in (*_LIBRARIES, *((os.path.dirname(flax),) if flax else ())))
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(("<", *folders)):
            place = f" at {frame.filename}:{frame.lineno}"
    return place


__all__ = ["failed"]
