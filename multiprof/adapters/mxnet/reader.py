"""Reading a symbol: inputs and parameters told apart, shapes inferred, layers written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from multiprof.adapters._common.binding import Bound, Declared, bind
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.mxnet import params, symbol
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.inference import Inference, Variable
from multiprof.adapters.mxnet.source import Source
from multiprof.adapters.mxnet.table import STATISTICS
from multiprof.adapters.mxnet.writing import Writing
from multiprof.errors import InputsError, ModelError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import BUFFER, CONSTANT, Graph, Shape, TensorSpec


def read(model: Any, inputs: Inputs | None, *, leaves: frozenset[str], trace: Trace, options: ReadOptions) -> Graph:
    """The Graph of a symbol file and the parameters beside it, or of a live model, for inputs of the shapes given."""
    if isinstance(model, Path):
        return _graph(_of_files(model), inputs, options)
    if "mxnet" not in sys.modules:  # then it is none of MXNet's objects
        raise ModelError(f"a {type(model).__name__} is no model of MXNet")
    from multiprof.adapters.mxnet import live  # files are read without mxnet

    source, bound = live.read_live(model, inputs)
    return _graph(source, bound, options)


def _of_files(path: Path) -> Source:
    found = symbol.load(path)
    source = Source(found, str(path), path.name, path.name.removesuffix(".json").removesuffix("-symbol"))
    source.metadata = {"rung": "file", "format": "MXNet symbol", "framework_version": found.version_text}
    beside = params.find(path)
    if beside is None:
        source.remedy = ", or put the .params file beside it"
        return source
    source.metadata["file_bytes"] = path.stat().st_size + beside.stat().st_size
    source.beside = beside.name
    for key, spec in params.load(beside).items():
        # arg: and aux: before a name say only which list MXNet keeps it in
        source.stored[key.partition(":")[2] if key.startswith(("arg:", "aux:")) else key] = spec
    return source


def _graph(source: Source, inputs: Inputs | None, options: ReadOptions) -> Graph:
    inference = Inference(source.symbol, source.where)
    known, unused = _split(source, inference)
    learned = {
        name
        for name, variable in inference.variables.items()
        if name not in source.data and (name in known or name in source.learned or variable.learned)
    }
    bound = _bind(inference, learned, inputs, options, source)
    _infer(inference, source, known, bound)
    needed = _needed(inference)
    _complain(inference, needed, learned, "" if known else source.remedy)
    writer = GraphWriter(source.name, "mxnet")
    to = Writing(writer, inference)
    read_by = {entry for call in needed for entry in _read(call)} | set(inference.heads)
    given = []
    for name, variable in inference.variables.items():
        spec = to.specs[variable.entry]
        if name in learned:
            to.weights.add(spec.name)
            kind = source.kinds.get(name) or _kind(variable)
            writer.declare(spec, kind, trainable=source.trainable.get(name))
        elif variable.entry in read_by or name in bound.given:
            given.append(spec)
    for name, spec in unused.items():
        made = TensorSpec(spec.shape, spec.dtype, writer.taken(name))
        writer.declare(made, source.kinds.get(name), source=name, trainable=source.trainable.get(name))
    for call in needed:
        if call.rule is None:
            to.foreign(call)
        else:
            call.rule.write(call, to)
    writer.warnings += [*source.notes, *_notes(inference, needed)]
    heads = [to.specs[entry] for entry in dict.fromkeys(inference.heads)]
    return writer.graph(given, heads, dims=bound.dims, **source.metadata)


def _split(source: Source, inference: Inference) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    """What is stored for the symbol's variables, and what is stored beside."""
    known: dict[str, TensorSpec] = {}
    unused: dict[str, TensorSpec] = {}
    for name, spec in source.stored.items():
        (known if name in inference.variables else unused)[name] = spec
    if unused and not known and source.beside:  # of another network, or named by block and not by variable
        source.notes.append(f"{source.beside} holds none of the symbol's parameters, so it was left aside")
        return {}, {}
    return known, unused


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


def _bind(
    inference: Inference, learned: set[str], inputs: Inputs | None, options: ReadOptions, source: Source
) -> Bound:
    """The caller's shapes: data by position or name, labels and whatever else has no shape yet by name or after it."""
    named = inputs.kwargs if inputs is not None else {}
    data: list[Declared] = []
    labels: list[Declared] = []
    for name, variable in inference.variables.items():
        if name not in learned or name in named:
            dtype = variable.attrs.dtype("__dtype__", "")
            row = Declared(name, variable.declared, dtype, fixed=False, optional=True)
            (labels if variable.is_label or name in learned else data).append(row)
    if source.data:
        place = {name: i for i, name in enumerate(source.data)}
        data.sort(key=lambda row: place.get(row.name, len(place)))
    return bind([*data, *labels], inputs, options.dims, what=source.what)


def _infer(inference: Inference, source: Source, stored: Mapping[str, TensorSpec], bound: Bound) -> None:
    known: dict[str, Shape] = {}
    for name, variable in inference.variables.items():
        dtype = variable.attrs.dtype("__dtype__", "")
        if name in stored:
            known[name], dtype = stored[name].shape, stored[name].dtype
        elif name in bound.inputs:
            known[name], dtype = bound.inputs[name].shape, bound.inputs[name].dtype
        inference.dtypes[variable.entry] = dtype
    inference.run(known)
    if source.infer is not None and any(_unknown(shape) for shape in inference.shapes):
        _ask_mxnet(inference, source.infer)
    inference.run_dtypes()


def _ask_mxnet(inference: Inference, infer: Callable[[Mapping[str, Shape]], Mapping[str, Shape]]) -> None:
    """Shapes behind operators that only MXNet knows, such as the user's own."""
    shapes = inference.shapes
    found = infer(
        {
            name: shape
            for name, variable in inference.variables.items()
            if (shape := shapes[variable.entry]) is not None and None not in shape
        }
    )
    for entry, name in enumerate(inference.names):
        if name in found and _unknown(shapes[entry]):
            inference.narrow(entry, found[name], None, "MXNet's shape of")
    inference.run()


def _complain(inference: Inference, needed: list[Call], learned: set[str], remedy: str) -> None:
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
            f"{inference.where}: a symbol carries no shapes of its inputs; give that of {shown}, as in {ways}"
        )
    raise InputsError(
        f"{inference.where}: the shape of {shown} follows from nothing in the symbol; give it by name{remedy}"
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


def _notes(inference: Inference, needed: list[Call]) -> list[str]:
    notes = []
    left = len(inference.calls) - len(needed)
    if left:
        notes.append(f"{left} operators are left out: they serve only labels or the layout of parameters")
    fixed = sum(1 for call in needed if call.op.startswith("BatchNorm") and call.attrs.flag("fix_gamma", True))
    if fixed:
        notes.append(f"fix_gamma: the gamma of {fixed} batch norms counts as 1, whatever is stored")
    return notes
