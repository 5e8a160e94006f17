"""The pipeline: model → adapter → Graph → passes → engine → Report. The only place that knows all the parts."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from multiprof import __version__, devices, engine, passes
from multiprof.adapters.matching import by_framework, find_adapter, is_installed, load_reader, match_type
from multiprof.cost import Formula
from multiprof.device import Device
from multiprof.errors import MissingDependencyError, ModelError, MultiprofError, UsageError
from multiprof.extensions import Adapter, Runner
from multiprof.inputs import Inputs, ReadOptions, as_inputs
from multiprof.installed import installed_plugins
from multiprof.ir import Graph
from multiprof.ops import OPS
from multiprof.python_target import Target, is_python_target, load_target
from multiprof.registry import Registry, build
from multiprof.report import Report

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

CAUSAL = ("full", "unmasked")
BENCHMARK = "multiprof_benchmark"  # the module of the plugin that measures
CALLER = "the caller"  # the provider of formulas given to analyze()


def analyze(
    model: Any,
    inputs: Any = None,
    *,
    framework: str | None = None,
    dims: Mapping[str, int] | None = None,
    trips: Mapping[str, int] | None = None,
    signature: str | None = None,
    convention: str = "default",
    formulas: Mapping[str, Formula] | Iterable[Formula] | None = None,
    strict: bool = False,
    train: bool = False,
    optimizer: str | None = None,
    causal: str = "full",
    trust: bool = False,
) -> Report:
    """Count what a model costs, layer by layer, without running it where that can be avoided.

    ``model`` is a live object of a supported framework, a path, or ``file.py:callable`` or ``package.module:callable``
    for Python. ``inputs`` is a tensor or array, a shape such as ``(1, 3, 224, 224)``, a `TensorSpec`, a list of those,
    a mapping for keyword arguments, or `Inputs` where both are needed. ``dims`` sizes free dimensions, ``trips`` gives
    loops their number of iterations, ``signature`` names the entry of a file that has several, ``trust`` allows files
    that run code when they are read. ``formulas`` (by op, or an iterable) go before those of any plugin.
    ``causal="unmasked"`` counts only the unmasked pairs of causal attention. Under ``strict`` a layer without a cost
    raises `UnsupportedOpError`.

    Everything that can go wrong with the call or the model raises a `MultiprofError` of one line.

    ``train`` analyses a training step whatever mode the model is in: the forward pass in its training form, and in
    `Report.training` the backward pass of every layer, what is kept for it, and, where ``optimizer`` names one (sgd,
    momentum, adam, adamw, adafactor), its states and its update.
    """
    _refuse_unoffered(convention, train, optimizer, causal)
    options = ReadOptions(train, _sizes("dims", dims, 1), _sizes("trips", trips, 0), signature, trust)
    with _collector_paused():
        supply = _supply()
        table = supply.formulas | _overrides(formulas) if formulas is not None else supply.formulas
        target = _resolve(model, inputs, supply.adapters)
        graph = _read(target, framework, supply, frozenset(table.keys() - OPS.keys()), options)
        warnings = [*supply.registry.warnings, *_unused(graph, options)]
        for apply in (passes.training_form,) if train else passes.default_passes:
            graph = apply(graph)
        if causal == "unmasked":
            graph = passes.count_unmasked_pairs(graph)
        report = engine.price(
            graph,
            table,
            strict=strict,
            convention=convention,
            trips=options.trips,
            tool={"name": "multiprof", "version": __version__},
            environment=_environment(graph),
            model=_provenance(target.model, graph),
            warnings=warnings,
        )
        if not train:
            return report
        step: ModuleType = import_module("multiprof.backward.step")  # most analyses never need it
        trained: Report = step.train(report, table, optimizer, strict)
        return trained


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Nearly all that an analysis makes is in use to its end: a collection meanwhile takes long and finds nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def load(path: str | os.PathLike[str]) -> Report:
    """The Report that `Report.save` wrote to ``path``; raises a `MultiprofError` when it is none."""
    return Report.load(path)


def predict(report: Report, *on: str | os.PathLike[str] | Device) -> Report:
    """The report with what each device would take for the model, by the roofline: a prediction, never a measurement.

    A device is the name of a known one (``multiprof devices`` lists them), a `Device`, or the path of a TOML file, all
    of whose devices are taken. Errors: `UsageError` for an unknown name or a file that describes none.
    """
    if not on:
        raise UsageError("predict: name at least one device; multiprof devices lists those that are known")
    from multiprof import roofline  # most analyses never need it

    found = [device for given in on for device in devices_named(given)]
    made = tuple(roofline.predict(report.graph, report.layers, device) for device in found)
    return replace(report, predictions=(*report.predictions, *made))


def runners() -> list[Runner]:
    """Everything installed that can time a model, in no order that matters."""
    return _supply().registry.runners()


def benchmark(model: Any, inputs: Any = None, *, on: str | Sequence[str] = ("cpu",), **options: Any) -> Report:
    """`analyze`, with times measured on the runtimes ``on`` joined to the report.

    The plugin multiprof-benchmark does it, and its own ``benchmark`` says which ``options`` there are; without it
    `MissingDependencyError` is raised.
    """
    if not is_installed(BENCHMARK):
        raise MissingDependencyError("multiprof.benchmark needs a plugin: pip install multiprof-benchmark")
    report: Report = import_module(BENCHMARK).benchmark(model, inputs, on=on, **options)
    return report


def devices_named(given: str | os.PathLike[str] | Device) -> list[Device]:
    """The devices that `predict` takes ``given`` for; `UsageError` where there are none."""
    if isinstance(given, Device):
        return [given]
    name = os.fspath(given)
    if name.endswith(devices.SUFFIX):
        return list(devices.read(Path(name).expanduser()))
    registry = _supply().registry
    device: Device | None = registry.named("multiprof_devices", name)
    if device is None:
        from difflib import get_close_matches

        close = get_close_matches(name, [known.name for known in registry.devices()], 1)
        hint = f"did you mean {close[0]}?" if close else "multiprof devices lists those that are known"
        raise UsageError(f"unknown device {name!r}; {hint}, and a .toml file describes others")
    return [device]


class _Supply(NamedTuple):
    """What the built-ins and the installed plugins supply, asked of a fresh registry once."""

    plugins: list[EntryPoint]
    registry: Registry
    adapters: list[Adapter]
    formulas: dict[str, list[Formula]]


_last: _Supply | None = None


def _supply() -> _Supply:
    """What the plugins installed now supply; asking them all again for every call would take a millisecond."""
    global _last
    plugins = installed_plugins()
    if _last is None or _last.plugins is not plugins:
        registry = build()
        _last = _Supply(plugins, registry, registry.adapters(), registry.formulas())
    return _last


def _resolve(model: Any, inputs: Any, adapters: list[Adapter]) -> Target:
    """The live object or path that ``model`` names, with the inputs: the caller's before the callable's."""
    if isinstance(model, str) and is_python_target(model):
        target = load_target(model, lambda found: bool(match_type(type(found), adapters)))
        return Target(target.model, as_inputs(target.inputs if inputs is None else inputs))
    if isinstance(model, (str, os.PathLike)):
        model = Path(os.fspath(model)).expanduser()
    return Target(model, as_inputs(inputs))


def _read(
    target: Target, framework: str | None, supply: _Supply, leaves: frozenset[str], options: ReadOptions
) -> Graph:
    """Let the adapter of the model read it; code of another framework inside goes to that one's adapter."""
    adapters = supply.adapters

    def read(adapter: Adapter, model: Any, inputs: Inputs | None) -> Graph:
        supply.registry.named("multiprof_adapters", adapter.framework)  # two of that name: refused here, naming both
        reader = load_reader(adapter)
        try:
            return reader(model, inputs, leaves=leaves, trace=trace, options=options)
        except MultiprofError:
            raise
        except (Exception, SystemExit) as error:  # the user's model, or the framework on its behalf
            from multiprof.blame import describe  # what it needs takes milliseconds to import

            raise ModelError(f"reading the model ({adapter.framework}) failed: {describe(error)}") from error

    def trace(framework: str, function: Callable[..., Any], inputs: Inputs) -> Graph:
        return read(by_framework(framework, adapters), function, inputs)

    return read(find_adapter(target.model, adapters, framework, target.inputs), target.model, target.inputs)


def _refuse_unoffered(convention: str, train: bool, optimizer: str | None, causal: str) -> None:
    if not isinstance(train, bool):
        raise UsageError(f"train is {train!r}: give True or False")
    if optimizer is not None:
        if not train:
            raise UsageError("optimizer concerns a training step: give train=True (--train) as well")
        import_module("multiprof.backward.optimizers").optimizer(optimizer)
    if convention != "default":
        raise UsageError(f"this version has only the 'default' convention, not {convention!r}")
    if causal not in CAUSAL:
        raise UsageError(f"causal is {causal!r}; one of {', '.join(CAUSAL)}")


def _sizes(name: str, given: Mapping[str, int] | None, least: int) -> dict[str, int]:
    """``dims`` or ``trips`` as a checked dict."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"{name} is a {type(given).__name__}; give a mapping such as {{'batch': 8}}")
    for key, value in given.items():
        if not isinstance(key, str) or type(value) is not int or value < least:
            raise UsageError(f"{name}: {key!r}: {value!r} is not a name with an integer of at least {least}")
    return dict(given)


def _overrides(formulas: Mapping[str, Formula] | Iterable[Formula] | None) -> dict[str, list[Formula]]:
    """The caller's formulas by op."""
    if formulas is None:
        return {}
    if isinstance(formulas, Formula):
        formulas = [formulas]
    pairs = (
        list(formulas.items()) if isinstance(formulas, Mapping) else [(op, f) for f in formulas for op in _ops_of(f)]
    )
    table: dict[str, list[Formula]] = {}
    for op, item in pairs:
        if op in table:
            raise UsageError(f"formulas: two of them price {op!r}; give one")
        _ops_of(item)
        table[op] = [item if item.provider else item.supplied_by(CALLER)]
    return table


def _ops_of(item: Any) -> tuple[str, ...]:
    if not isinstance(item, Formula):
        raise UsageError(f"formulas: {item!r} is no Formula; make one with @multiprof.formula('op')")
    return item.ops


def _unused(graph: Graph, options: ReadOptions) -> list[str]:
    """Refuse or mention options that did nothing for this model; an adapter notes in the metadata what it used."""
    known = sorted(graph.metadata.get("dims", ()))
    for name in options.dims:
        if name not in known:
            raise UsageError(f"the model has no free dimension {name!r}; it has {', '.join(known) or 'none'}")
    if options.signature is not None and graph.metadata.get("signature") != options.signature:
        raise UsageError(f"the model has no signature {options.signature!r}: it has a single entry")
    if options.trust and not graph.metadata.get("trust"):
        return ["trust had no effect: it concerns only files that run code of their own when they are read"]
    return []


def _environment(graph: Graph) -> dict[str, str]:
    """What the result may depend on besides the model."""
    found = {"python": sys.version.split()[0], "platform": _platform()}
    version = graph.metadata.get("framework_version")
    return found | ({graph.framework: str(version)} if version else {})


@cache
def _platform() -> str:
    """System, release and machine. `platform.platform` would start a process to find out the processor."""
    if hasattr(os, "uname"):
        system = os.uname()
        return f"{system.sysname}-{system.release}-{system.machine}"
    import platform

    return platform.platform()


def _provenance(model: Any, graph: Graph) -> dict[str, Any]:
    """Format and size of a file; a live object has neither. An adapter that read several files says so itself."""
    if not isinstance(model, Path):
        return {}
    known = graph.metadata
    return {
        "format": known.get("format") or model.suffix.lstrip(".") or "directory",
        "file_bytes": known.get("file_bytes") or _file_bytes(model),
    }


def _file_bytes(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


__all__ = ["analyze", "benchmark", "devices_named", "load", "predict", "runners"]
