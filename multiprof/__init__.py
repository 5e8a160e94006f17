"""Parameters, MACs, FLOPs and memory of neural networks, layer by layer, from any framework.

The public names and nothing else; each is imported from its module when it is first asked for, so that
``import multiprof`` costs next to nothing and loads no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from multiprof import testing
    from multiprof.api import analyze, benchmark, load, predict, runners
    from multiprof.cost import Cost, Counts, Formula, elementwise, formula, free
    from multiprof.device import Device, Energy
    from multiprof.errors import (
        FormulaClashError,
        FormulaError,
        InputsError,
        MissingDependencyError,
        ModelError,
        MultiprofError,
        PluginError,
        ReportError,
        UnknownDimensionError,
        UnknownFrameworkError,
        UnsupportedOpError,
        UsageError,
    )
    from multiprof.extensions import Adapter, Command, Convention, Reporter, Runner
    from multiprof.hookspecs import hookimpl
    from multiprof.inputs import Inputs
    from multiprof.ir import Graph, Layer, Parameter, Region, TensorSpec
    from multiprof.measurement import Measurement
    from multiprof.report import Report

# Where each public name lives. The imports above say the same to type checkers; a test holds the two together.
_HOME = {
    "api": ("analyze", "benchmark", "load", "predict", "runners"),
    "cost": ("Cost", "Counts", "Formula", "elementwise", "formula", "free"),
    "errors": (
        "FormulaClashError",
        "FormulaError",
        "InputsError",
        "MissingDependencyError",
        "ModelError",
        "MultiprofError",
        "PluginError",
        "ReportError",
        "UnknownDimensionError",
        "UnknownFrameworkError",
        "UnsupportedOpError",
        "UsageError",
    ),
    "device": ("Device", "Energy"),
    "extensions": ("Adapter", "Command", "Convention", "Reporter", "Runner"),
    "hookspecs": ("hookimpl",),
    "inputs": ("Inputs",),
    "ir": ("Graph", "Layer", "Parameter", "Region", "TensorSpec"),
    "measurement": ("Measurement",),
    "report": ("Report",),
}
_MODULE_OF = {name: f"multiprof.{module}" for module, names in _HOME.items() for name in names}

__all__ = [
    "Adapter",
    "Command",
    "Convention",
    "Cost",
    "Counts",
    "Device",
    "Energy",
    "Formula",
    "FormulaClashError",
    "FormulaError",
    "Graph",
    "Inputs",
    "InputsError",
    "Layer",
    "Measurement",
    "MissingDependencyError",
    "ModelError",
    "MultiprofError",
    "Parameter",
    "PluginError",
    "Region",
    "Report",
    "ReportError",
    "Reporter",
    "Runner",
    "TensorSpec",
    "UnknownDimensionError",
    "UnknownFrameworkError",
    "UnsupportedOpError",
    "UsageError",
    "__version__",
    "analyze",
    "benchmark",
    "elementwise",
    "formula",
    "free",
    "hookimpl",
    "load",
    "predict",
    "runners",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name == "testing":  # a package of its own: helpers for tests of formulas
        return import_module("multiprof.testing")
    try:
        module = _MODULE_OF[name]
    except KeyError:
        raise AttributeError(f"module 'multiprof' has no attribute {name!r}") from None
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
