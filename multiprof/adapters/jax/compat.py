"""What Flax names otherwise in its older versions, each line with the last version it is for.

JAX itself needs nothing here from 0.4.30 on: what its older jaxprs say otherwise stands with the rule that reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def flat_state(nnx: Any, state: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The variables of a state, each with its path."""
    if hasattr(nnx, "to_flat_state"):
        return list(nnx.to_flat_state(state))
    return list(state.flat_state().items())  # Flax 0.10.2


def from_flat_state(nnx: Any, pairs: Sequence[tuple[tuple[Any, ...], Any]]) -> Any:
    """The state that `flat_state` took apart."""
    if hasattr(nnx, "from_flat_state"):
        return nnx.from_flat_state(pairs)
    return nnx.State.from_flat_path(dict(pairs))  # Flax 0.10.2


def variable_class(variable: Any) -> type:
    """The class of a variable in a state: Param, BatchStat …"""
    cls = type(variable)
    return variable.type if cls.__name__ == "VariableState" else cls  # Flax 0.10.7: a state holds stand-ins


__all__ = ["flat_state", "from_flat_state", "variable_class"]
