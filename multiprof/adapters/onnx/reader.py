"""Reads an ONNX file into a Graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import IR_VERSION, ModelProto, ValueInfoProto, defs

from multiprof.adapters._common.binding import Bound, Declared, Dim, bind
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.onnx.frame import Frame
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.source import Source, initializer_names
from multiprof.adapters.onnx.types import Sequence, Type, Value, from_proto
from multiprof.adapters.onnx.walk import Walker
from multiprof.errors import ModelError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import CONSTANT, Graph, TensorSpec

# Domains whose versions onnx itself knows; others are their owners' affair.
_NEWEST = {"": defs.onnx_opset_version(), "ai.onnx.ml": defs.onnx_ml_opset_version()}


def read(model: Path, inputs: Inputs | None, *, leaves: frozenset[str], trace: Trace, options: ReadOptions) -> Graph:
    """The Graph of an ONNX file. The values of weights are not read.

    Raises `ModelError` naming the file and the node or tensor that is wrong, and `InputsError` where the inputs given
    do not fit or axes stay free.
    """
    with Source(model) as source:
        return _read(source, inputs, leaves, options)


def _read(source: Source, inputs: Inputs | None, leaves: frozenset[str], options: ReadOptions) -> Graph:
    proto = source.model
    opsets = _opsets(source)
    graph = proto.graph
    writer = GraphWriter(source.path.stem, "onnx")
    writer.file = source.path.name
    if not graph.node and not graph.output and not graph.input:
        raise ModelError(f"{source.name} holds no graph")
    stored = initializer_names(graph)
    wanted = [info for info in graph.input if info.name not in stored]
    types = {info.name: from_proto(info.type, f"{source.name}: the input {info.name!r}") for info in wanted}
    bound = bind(
        [_declared(info.name, types[info.name]) for info in wanted if _is_tensor(types[info.name])],
        inputs, options.dims, what=source.name,
    )  # fmt: skip
    walker = Walker(source, writer, leaves, bound.sizes, options.trips)
    frame = Frame(opsets, own=True)
    for name in _names(proto):
        writer.taken(name)
    specs = _inputs(wanted, types, bound, frame)
    values = walker.graph(graph, frame)
    outputs = _outputs(walker, values)
    if walker.deferred:
        _settle_outputs(walker, outputs)
    _tables(walker)
    missing = source.missing()
    writer.warnings += [*source.warnings[:20], *([missing] if missing else [])]
    known: dict[str, Any] = {}
    batch = _batch(wanted, types, bound)
    if batch is not None:
        known["batch"] = batch
    if source.external:
        known["file_bytes"] = source.file_bytes
        known["format"] = "onnx"
    return writer.graph(
        specs, outputs, rung="file", dims=bound.dims, framework_version=_version(proto, opsets), **known
    )  # fmt: skip


def _opsets(source: Source) -> dict[str, int]:
    """Opset version by domain; `ModelError` for a file newer than the onnx package installed."""
    proto = source.model
    if proto.ir_version > IR_VERSION:
        raise ModelError(
            f"{source.name} has IR version {proto.ir_version}, newer than the onnx package here knows ({IR_VERSION}): "
            "pip install --upgrade onnx"
        )
    opsets: dict[str, int] = {}
    for item in proto.opset_import:
        domain = "" if item.domain == "ai.onnx" else item.domain
        newest = _NEWEST.get(domain)
        if newest is not None and item.version > newest:
            raise ModelError(
                f"{source.name} uses opset {item.version} of {domain or 'ai.onnx'}, newer than the onnx package here "
                f"knows ({newest}): pip install --upgrade onnx"
            )
        if item.version < 1:
            raise ModelError(f"{source.name} uses opset {item.version} of {domain or 'ai.onnx'}, which there is not")
        opsets[domain] = item.version
    opsets.setdefault("", 1)
    return opsets


def _names(proto: ModelProto) -> list[str]:
    """Every tensor name of the main graph, once."""
    graph = proto.graph
    found = dict.fromkeys(info.name for info in graph.input)
    found.update(dict.fromkeys(initializer_names(graph)))
    for node in graph.node:
        found.update(dict.fromkeys(node.output))
    found.pop("", None)
    for name in found:
        if not isinstance(name, str):
            raise ModelError(f"a tensor has the name {name!r}, which is no text")
    return list(found)


def _is_tensor(declared: Type) -> bool:
    """Tensors, and optional ones: one that the caller does not give, and whose shape is not fixed, is absent."""
    if declared.kind == "optional" and declared.item is not None:
        return declared.item.kind == "tensor"
    return declared.kind in ("tensor", "")


def _declared(name: str, declared: Type) -> Declared:
    """An input for `bind`: free axes by their names."""
    optional = declared.kind == "optional"
    if optional and declared.item is not None:
        declared = declared.item
    shape: tuple[Dim, ...] | None = None
    if declared.shape is not None:
        names = declared.names or ("",) * len(declared.shape)
        shape = tuple(n or None if d is None else d for d, n in zip(declared.shape, names, strict=True))
    return Declared(name, shape, declared.dtype or "float32", optional=optional)


def _inputs(wanted: list[ValueInfoProto], types: dict[str, Type], bound: Bound, frame: Frame) -> list[TensorSpec]:
    """Put the graph's inputs into the frame; their specs."""
    specs: list[TensorSpec] = []
    for info in wanted:
        name = info.name
        if name in bound.inputs:
            spec = bound.inputs[name]
            frame.values[name] = Tensor(spec)
        else:
            kind = types[name]
            item = kind.item
            spec = TensorSpec((None,), item.dtype if item is not None and item.dtype else "float32", name)
            absent = kind.kind == "optional"
            frame.values[name] = Sequence(spec, [] if absent else None, item, absent)
        specs.append(spec)
    return specs


def _outputs(walker: Walker, values: list[Value]) -> list[TensorSpec]:
    """The graph's outputs; of a sequence, the tensors in it."""
    specs: dict[str, TensorSpec] = {}
    for value in values:
        for tensor in [value] if isinstance(value, Tensor) or value.items is None else value.items:
            specs[tensor.spec.name] = tensor.spec
    return list(specs.values())


def _settle_outputs(walker: Walker, outputs: list[TensorSpec]) -> None:
    for spec in outputs:
        found = walker.deferred.pop(spec.name)
        if found is not None:
            walker.settle(found, len(walker.writer.layers), False)


def _tables(walker: Walker) -> None:
    """What nodes read as an attribute alone (scales of a Resize, limits of a Clip) is a constant, not a weight."""
    operands = {spec.name for layer in walker.writer.layers for spec in layer.inputs.values()}
    for name in walker.looked_up - operands:
        parameter = walker.writer.parameters.get(name)
        if parameter is not None:
            parameter.kind = CONSTANT


def _batch(wanted: list[ValueInfoProto], types: dict[str, Type], bound: Bound) -> int | None:
    """The batch size, where the first axis of an input is declared as the batch by denotation or by name."""
    for info in wanted:
        shape = info.type.tensor_type.shape
        if info.name not in bound.inputs or not shape.dim:
            continue
        first = shape.dim[0]
        if (
            first.denotation == "DATA_BATCH"
            or first.dim_param.lower() in ("n", "b")
            or "batch" in first.dim_param.lower()
        ):
            return bound.inputs[info.name].shape[0]
    return None


def _version(proto: ModelProto, opsets: dict[str, int]) -> str:
    """``ir_version 8, opset 17, com.microsoft 1 (producer pytorch 2.13)``."""
    others = "".join(f", {domain} {version}" for domain, version in opsets.items() if domain)
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    return f"ir_version {proto.ir_version}, opset {opsets['']}{others}" + (
        f" (producer {producer})" if producer else ""
    )


__all__ = ["read"]
