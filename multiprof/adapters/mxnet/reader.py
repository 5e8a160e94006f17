"""Reading a symbol file: inputs and parameters told apart, shapes inferred, layers written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiprof.adapters._common.binding import Bound, Declared, bind
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.mxnet import params, symbol
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.inference import Inference, Variable
from multiprof.adapters.mxnet.table import STATISTICS
from multiprof.adapters.mxnet.writing import Writing
from multiprof.errors import InputsError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import BUFFER, CONSTANT, Graph, Shape, TensorSpec


def read(model: Any, inputs: Inputs | None, *, leaves: frozenset[str], trace: Trace, options: ReadOptions) -> Graph:
    """The Graph of a symbol file and the parameters beside it, for inputs of the shapes given."""
    path = Path(model)
    found = symbol.load(path)
    inference = Inference(found, str(path))
    beside = params.find(path)
    stored = _matched(params.load(beside), inference) if beside is not None else _Stored()
    learned = {name for name, variable in inference.variables.items() if name in stored.known or variable.learned}
    bound = _bind(inference, learned, inputs, options, path.name)
    _infer(inference, stored, bound)
    needed = _needed(inference)
    _complain(inference, needed, learned, stored)
    writer = GraphWriter(path.name.removesuffix(".json").removesuffix("-symbol"), "mxnet")
    to = Writing(writer, inference)
    read_by = {entry for call in needed for entry in _read(call)} | set(inference.heads)
    given = []
    for name, variable in inference.variables.items():
        spec = to.specs[variable.entry]
        if name in learned:
            to.weights.add(spec.name)
            writer.declare(spec, _kind(variable))
        elif variable.entry in read_by or name in bound.given:
            given.append(spec)
    for name, spec in stored.unused.items():
        writer.declare(TensorSpec(spec.shape, spec.dtype, writer.taken(name)), source=name)
    for call in needed:
        if call.rule is None:
            to.foreign(call)
        else:
            call.rule.write(call, to)
    writer.warnings += _notes(inference, needed, stored, beside)
    files = {"file_bytes": path.stat().st_size + beside.stat().st_size} if beside is not None else {}
    return writer.graph(
        given,
        [to.specs[entry] for entry in dict.fromkeys(inference.heads)],
        rung="file",
        dims=bound.dims,
        format="MXNet symbol",
        framework_version=_version(found.version),
        **files,
    )


class _Stored:
    """What the file of parameters holds, by the names of the symbol's variables; ``unused``: those of no variable."""

    def __init__(self) -> None:
        self.known: dict[str, TensorSpec] = {}
        self.unused: dict[str, TensorSpec] = {}
        self.strangers = False


def _matched(arrays: Mapping[str, TensorSpec], inference: Inference) -> _Stored:
    """Arrays by variable: ``arg:`` and ``aux:`` before a name say only which list MXNet keeps it in."""
    stored = _Stored()
    for key, spec in arrays.items():
        name = key.partition(":")[2] if key.startswith(("arg:", "aux:")) else key
        (stored.known if name in inference.variables else stored.unused)[name] = spec
    if stored.unused and not stored.known:  # the parameters of another network, or named by block and not by variable
        stored.strangers = True
        stored.unused = {}
    return stored


def _needed(inference: Inference) -> list[Call]:
    """The calls that run at inference: what serves only labels does not."""
    wanted = {inference.makers[entry] for entry in inference.heads}
    for index in range(len(inference.calls) - 1, -1, -1):
        if index in wanted:
            wanted.update(inference.makers[entry] for entry in _read(inference.calls[index]))
    return [call for index, call in enumerate(inference.calls) if index in wanted]


def _read(call: Call) -> list[int]:
    """The entries that a call reads at inference."""
    rule = call.rule
    if rule is None:
        return call.ins
    if rule.reads is not None:
        return rule.reads(call)
    unread = rule.unread
    if not unread:
        return call.ins
    return [entry for i, entry in enumerate(call.ins) if i >= len(call.args) or call.args[i] not in unread]


# -- inputs -----------------------------------------------------------------------------------------------------------


def _bind(inference: Inference, learned: set[str], inputs: Inputs | None, options: ReadOptions, what: str) -> Bound:
    """The caller's shapes: data by position or name, labels and whatever else has no shape yet by name or after it."""
    named = inputs.kwargs if inputs is not None else {}
    data: list[Declared] = []
    labels: list[Declared] = []
    for name, variable in inference.variables.items():
        if name not in learned or name in named:
            dtype = variable.attrs.dtype("__dtype__", "")
            row = Declared(name, variable.declared, dtype, fixed=False, optional=True)
            (labels if variable.is_label or name in learned else data).append(row)
    return bind([*data, *labels], inputs, options.dims, what=what)


def _infer(inference: Inference, stored: _Stored, bound: Bound) -> None:
    known: dict[str, Shape] = {}
    for name, variable in inference.variables.items():
        dtype = variable.attrs.dtype("__dtype__", "")
        if name in stored.known:
            known[name], dtype = stored.known[name].shape, stored.known[name].dtype
        elif name in bound.inputs:
            known[name], dtype = bound.inputs[name].shape, bound.inputs[name].dtype
        inference.dtypes[variable.entry] = dtype
    inference.run(known)
    inference.run_dtypes()


def _complain(inference: Inference, needed: list[Call], learned: set[str], stored: _Stored) -> None:
    """Raise `InputsError` for variables without a shape: first for inputs, which the caller can give."""
    read = {entry for call in needed for entry in _read(call)} | set(inference.heads)
    missing = [
        variable
        for variable in inference.variables.values()
        if variable.entry in read and _unknown(inference.shapes[variable.entry])
    ]
    if not missing:
        return
    data = [variable.name for variable in missing if variable.name not in learned]
    names = data or [variable.name for variable in missing]
    shown = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    ways = f"--input {names[0]}:1x3x224x224"
    if data:
        raise InputsError(
            f"{inference.where}: a symbol file carries no shapes of its inputs; give that of {shown}, as in {ways}"
        )
    beside = "" if stored.known else ", or put the .params file beside it"
    raise InputsError(
        f"{inference.where}: the shape of {shown} follows from nothing in the symbol; give it by name{beside}"
    )


def _unknown(shape: Shape | None) -> bool:
    return shape is None or None in shape


# -- parameters and notes ---------------------------------------------------------------------------------------------


def _kind(variable: Variable) -> str | None:
    """Statistics are buffers, Gluon's Constants are constants; the rest by type and role."""
    if STATISTICS & variable.args():
        return BUFFER
    if "constant_" in variable.attrs.values.get("__init__", "")[:20].lower():
        return CONSTANT
    return None


def _notes(inference: Inference, needed: list[Call], stored: _Stored, beside: Path | None) -> list[str]:
    notes = []
    if stored.strangers and beside is not None:
        notes.append(f"{beside.name} holds none of the symbol's parameters, so it was left aside")
    left = len(inference.calls) - len(needed)
    if left:
        notes.append(f"{left} operators that serve only labels are left out: inference does not run them")
    fixed = sum(1 for call in needed if call.op.startswith("BatchNorm") and call.attrs.flag("fix_gamma", True))
    if fixed:
        notes.append(f"fix_gamma: the gamma of {fixed} batch norms counts as 1, whatever is stored")
    return notes


def _version(number: int) -> str:
    """10901 → 1.9.1; nothing is said before 0.9."""
    if not number:
        return "of unknown version"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
