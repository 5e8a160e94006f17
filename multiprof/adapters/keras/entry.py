"""What the entries for Keras 3 and Keras 2 do alike: match the inputs to the model's, say on the graph what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multiprof.adapters._common.binding import Bound, Declared, bind
from multiprof.errors import InputsError
from multiprof.inputs import Inputs
from multiprof.ir import Graph


def matched(
    model: Any, declared: Sequence[Declared] | None, inputs: Inputs | None, dims: Mapping[str, int]
) -> tuple[Bound | None, Inputs]:
    """The inputs of the call, and how they were matched to the declared ones, where every input is one tensor.

    Raises `InputsError` where neither the model nor the caller says what goes in.
    """
    if inputs is None:
        if declared is None:
            raise InputsError(
                f"nothing says what goes into the {type(model).__name__} {model.name!r}: "
                "give inputs, e.g. (1, 224, 224, 3) or --input 1x224x224x3"
            )
    elif declared is None or not _plain(inputs):
        return None, inputs
    bound = bind(declared, inputs, dims, what=f"the model {model.name!r}")
    return bound, Inputs(*(bound.inputs[item.name] for item in declared))


def _plain(inputs: Inputs) -> bool:
    """Whether every input is one tensor, so that they can be matched to declared ones."""
    return not any(isinstance(value, (list, tuple, dict)) for value in (*inputs.args, *inputs.kwargs.values()))


def described(graph: Graph, model: Any, framework: str, classes: Mapping[str, str], bound: Bound | None) -> None:
    """Name a graph after its model, and note in its metadata the version of ``framework`` (Keras's, and on what), the
    classes of its modules, its free axes and its batch.
    """
    graph.name = model.name
    graph.metadata["framework_version"] = f"{framework} {graph.metadata['framework_version']}"
    graph.metadata["modules"] = classes
    if bound is not None and bound.dims:
        graph.metadata["dims"] = bound.dims
        if "batch" in bound.sizes:
            graph.metadata["batch"] = bound.sizes["batch"]


__all__ = ["described", "matched"]
