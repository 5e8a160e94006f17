"""Programs of `torch.export`: a graph of operators, and the inputs it was made with."""

from __future__ import annotations

import sys
from typing import Any

from multiprof.inputs import Inputs


def unpacked(model: Any, inputs: Inputs | None) -> tuple[Any, Inputs | None]:
    """The module that runs an exported program, with the inputs it was exported with unless others are given.

    Anything else comes back as it is. The module is a new one over the same weights.
    """
    exporter = sys.modules.get("torch.export.exported_program")  # not loaded: then this is no exported program
    if exporter is None or not isinstance(model, exporter.ExportedProgram):
        return model, inputs
    program = model.module()
    for module in program.modules():
        module.__dict__["training"] = False  # the mode was settled when the program was exported
    if inputs is None and model.example_inputs is not None:
        args, kwargs = model.example_inputs
        inputs = Inputs(*args, **kwargs)
    return program, inputs


__all__ = ["unpacked"]
