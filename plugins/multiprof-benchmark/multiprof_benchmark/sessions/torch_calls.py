"""How long each call of a torch function takes inside a running model, joined to the layers of its graph.

A function mode sees the same calls, in the same modules and the same order, as the reader of PyTorch models records:
the n-th call of ``conv2d`` in a module is the n-th layer there that says it came from ``conv2d``. What a module does by
one fused kernel of torch's own (an encoder layer under inference_mode), and what has no Python inside (TorchScript,
torch.compile), is timed as a whole: under a mode it would run otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from threading import get_ident
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode, _pop_mode_temporarily

from multiprof import Report
from multiprof_benchmark.runners.base import Part

Call = tuple[str, str]  # the module's path; the function's name, empty for a module as a whole
FUSED = ("_transformer_encoder_layer_fwd", "_native_multi_head_attention")  # what torch's own modules call if they may
OTHERS = "other calls"
SMALL = 0.001  # the share of all time below which calls without a layer are not listed one by one


class Calls(TorchFunctionMode):
    """While active, times every outermost torch call of the model and every module that runs as a whole."""

    def __init__(self, model: nn.Module | None, wait: Callable[[], None], whole: frozenset[str] = frozenset()) -> None:
        super().__init__()
        named = model.named_modules(remove_duplicate=True) if model is not None else ()
        self.paths = {id(module): path for path, module in named}
        self.wait = wait
        self.whole = whole
        self.scopes = [""]
        self.inside = False  # of a module that is timed as a whole
        self.taken: list[tuple[Call, float]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        start = perf_counter()
        result = func(*args, **(kwargs or {}))
        self.wait()
        took = perf_counter() - start
        name = getattr(func, "__name__", "") or type(func).__name__
        self.taken.append(((self.scopes[-1], name.partition(".")[0]), took))  # without the overload of an operator
        return result

    def runs_whole(self, module: nn.Module, path: str) -> bool:
        return path in self.whole or isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")

    def as_a_whole(self, path: str, run: Callable[[], Any]) -> Any:
        """Run a module without looking inside, where the mode would change what runs."""
        self.inside = True
        try:
            active = _get_current_function_mode() is self  # type: ignore[no-untyped-call]
            with _pop_mode_temporarily() if active else nullcontext():
                start = perf_counter()
                result = run()
                self.wait()
                self.taken.append(((path, ""), perf_counter() - start))
        finally:
            self.inside = False
        return result


@contextmanager
def scopes(calls: Calls) -> Iterator[None]:
    """Tell ``calls`` which module runs. It stands in front of ``nn.Module.__call__``: hooks would keep torch's own
    modules from their fused kernels.
    """
    original, thread = nn.Module.__call__, get_ident()

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if calls.inside or get_ident() != thread:
            return original(module, *args, **kwargs)
        path = calls.paths.get(id(module), calls.scopes[-1])
        if calls.runs_whole(module, path):
            return calls.as_a_whole(path, lambda: original(module, *args, **kwargs))
        calls.scopes.append(path)
        try:
            return original(module, *args, **kwargs)
        finally:
            calls.scopes.pop()

    nn.Module.__call__ = call  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


def fused_modules(model: nn.Module, run: Callable[[], object]) -> frozenset[str]:
    """The paths of the modules that call a fused kernel of torch's own, found by running the model once."""
    seen: set[str] = set()
    calls = Calls(model, lambda: None)
    kept = {name: getattr(torch, name) for name in FUSED if hasattr(torch, name)}

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.add(calls.scopes[-1])
            return function(*args, **kwargs)

        return call

    try:
        for name, function in kept.items():
            setattr(torch, name, watched(function))
        with scopes(calls):  # without the mode: under it no module takes its fused kernel
            run()
    finally:
        for name, function in kept.items():
            setattr(torch, name, function)
    return frozenset(seen)


def joined(report: Report, runs: Sequence[Sequence[tuple[Call, float]]]) -> list[Part]:
    """A group of layers for every call, in the order of the last run; what has no layer is beside them, by its name.

    Runs that called other functions than the last one are left out.
    """
    shape = [call for call, _ in runs[-1]]
    alike = [run for run in runs if [call for call, _ in run] == shape]
    times: dict[tuple[str, ...] | str, list[float]] = {}
    for position, subject in enumerate(_subjects(report, shape)):
        spent = times.setdefault(subject, [0.0] * len(alike))
        for at, run in enumerate(alike):
            spent[at] += run[position][1]
    total = sum(sum(spent) for spent in times.values())
    parts, rest = [], [0.0] * len(alike)
    for subject, spent in times.items():
        if isinstance(subject, tuple):
            parts.append(Part(subject, tuple(spent)))
        elif sum(spent) >= SMALL * total:
            parts.append(Part((), tuple(spent), subject))
        else:
            rest = [a + b for a, b in zip(rest, spent, strict=True)]
    return [*parts, Part((), tuple(rest), OTHERS)] if any(rest) else parts


def _subjects(report: Report, calls: Sequence[Call]) -> list[tuple[str, ...] | str]:
    """For every call the layers that it ran, or its name where there are none.

    Of equally many calls and layers of one name in a module each call has its own; a function that makes several
    layers has them all; where the numbers do not fit, they are one group.
    """
    layers: dict[Call, list[str]] = {}
    below: dict[str, list[str]] = {}
    whole = {path for path, name in calls if not name}
    for row in report.layers:
        if row.trips == 0:
            continue  # what only prepares weights runs every time, too
        scope = row.scope.partition("#")[0]
        host = next((path for path in _upwards(scope) if path in whole), None)
        if host is None:
            layers.setdefault((scope, row.layer.source), []).append(row.name)
        else:
            below.setdefault(host, []).append(row.name)
    layers = _at_calls(layers, calls)
    count = Counter(calls)
    seen: Counter[Call] = Counter()
    found: list[tuple[str, ...] | str] = []
    for call in calls:
        path, name = call
        own = layers.get(call, []) if name else below.get(path, [])
        number, many = seen[call], count[call]
        seen[call] += 1
        if not own:
            found.append(name or path)
        elif not name or len(own) % many:
            found.append(tuple(own))
        else:
            share = len(own) // many
            found.append(tuple(own[number * share : (number + 1) * share]))
    return found


def _at_calls(layers: Mapping[Call, list[str]], calls: Sequence[Call]) -> dict[Call, list[str]]:
    """The layers by the calls they are looked for at: those of modules that no call was seen in are with the calls of
    their function that have no layer, as in an exported program, whose modules are names alone.
    """
    seen = set(calls)
    found = {call: names for call, names in layers.items() if call in seen}
    for call in dict.fromkeys(call for call in calls if call[1] and call not in found):
        strays = [name for (_, source), names in layers.items() if source == call[1] for name in names]
        if strays and not any(other[1] == call[1] for other in found):
            found[call] = strays
    return found


def _upwards(scope: str) -> Iterator[str]:
    """A path and those of the modules around it, the model itself last."""
    while scope:
        yield scope
        scope = scope.rpartition(".")[0]
    yield ""


__all__ = ["Call", "Calls", "fused_modules", "joined", "scopes"]
