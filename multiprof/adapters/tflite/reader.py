"""Reading a TFLite file: which entry, which input shapes, and the Graph of what runs then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiprof.adapters._common.binding import Bound, Declared, Dim, bind
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.tflite.model import Model, Signature, SubGraph
from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules import CUSTOM_RULES, RULES
from multiprof.adapters.tflite.walk import Given, Walker
from multiprof.errors import UsageError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph, TensorSpec

DEFAULT = "serving_default"
# Kernels of TensorFlow inside a TFLite file
FLEX = "Flex"


def read(
    model: Path | str, inputs: Inputs | None, *, leaves: frozenset[str], trace: Trace, options: ReadOptions
) -> Graph:
    """The Graph of a ``.tflite`` file for the inputs given; sizes in the file are defaults that the caller may change.

    Raises `ModelError` naming file and place where the file is not as the schema says, `InputsError` for inputs that do
    not fit, `UsageError` for a signature that is not there.
    """
    path = Path(model)
    opened = Model(path)
    try:
        return _read(opened, path, inputs, leaves, options)
    finally:
        opened.file.close()


def _read(model: Model, path: Path, inputs: Inputs | None, leaves: frozenset[str], options: ReadOptions) -> Graph:
    writer = GraphWriter(path.name, "tflite")
    entry, number = _entry(model, options.signature, writer)
    subgraph = model.subgraph(number, "model")
    names = _input_names(subgraph, entry)
    bound = _bound(subgraph, names, inputs, options, writer, path.name)
    walker = Walker(model, writer, RULES, _foreign(leaves))
    specs: list[TensorSpec] = []
    for index, name in zip(subgraph.inputs, names, strict=True):
        tensor = subgraph.tensors[index]
        spec = bound.inputs[name]
        specs.append(TensorSpec(spec.shape, tensor.dtype, writer.taken(name), tensor.quant))
    given = [Given(spec) for spec in specs]
    results = walker.run(number, given, "model")
    walker.finish()
    if any(tensor.kind == "STRING" for tensor in subgraph.tensors):
        writer.warnings.append("texts are counted as one byte each: how long they are shows only in the values")
    metadata: dict[str, Any] = {
        "rung": "file",
        "framework_version": _version(model),
        "format": "tflite",
        "dims": bound.dims,
    }
    if entry is not None:
        metadata["signature"] = entry.key
    batch = _batch(subgraph, specs)
    if batch is not None:
        metadata["batch"] = batch
    return writer.graph(specs, [result.spec for result in results], **metadata)


def _entry(model: Model, wanted: str | None, writer: GraphWriter) -> tuple[Signature | None, int]:
    """The signature asked for and its subgraph. Without a wish: the default one, the only one, or the first."""
    signatures = model.signatures()
    if wanted is not None:
        for signature in signatures:
            if signature.key == wanted:
                return signature, signature.subgraph
        have = ", ".join(s.key for s in signatures) or "none"
        raise UsageError(f"{model.file.name} has no signature {wanted!r}; it has {have}")
    if not signatures:
        return None, 0
    chosen = next((s for s in signatures if s.key == DEFAULT), signatures[0])
    if len(signatures) > 1:
        others = ", ".join(s.key for s in signatures if s is not chosen)
        writer.warnings.append(f"the signature {chosen.key!r} is read; --signature takes the others: {others}")
    return chosen, chosen.subgraph


def _input_names(subgraph: SubGraph, entry: Signature | None) -> list[str]:
    """What the inputs are called: by the signature, else by their tensors; made unique."""
    given = {index: name for name, index in entry.inputs} if entry is not None else {}
    found: list[str] = []
    for number, index in enumerate(subgraph.inputs):
        name = given.get(index) or subgraph.tensors[index].name or f"input{number}"
        found.append(name if name not in found else f"{name}_{number}")
    return found


def _bound(
    subgraph: SubGraph, names: list[str], inputs: Inputs | None, options: ReadOptions, writer: GraphWriter, file: str
) -> Bound:
    """Shapes of the inputs. A free axis has the size in the file for a default where that is not the 1 which stands
    for "unknown"; the first axis, a batch, has it always."""
    declared: list[Declared] = []
    sizes = dict(options.dims)
    named = set(names[: len(inputs.args)]) | set(inputs.kwargs) if inputs is not None else set()
    for name, index in zip(names, subgraph.inputs, strict=True):
        tensor = subgraph.tensors[index]
        shape: list[Dim] = []
        for axis, (size, sign) in enumerate(zip(tensor.shape, tensor.signature, strict=True)):
            shape.append(None if sign == -1 else size)
            free = f"{name}[{axis}]"
            if sign == -1 and free not in sizes and name not in named and (axis == 0 or size != 1):
                sizes[free] = size
                if size != 1:
                    writer.warnings.append(f"the free axis {free} has the size {size} that the file gives")
        declared.append(Declared(name, tuple(shape), tensor.dtype, fixed=False))
    return bind(declared, inputs, sizes, what=file)


def _version(model: Model) -> str:
    parts = [f"schema {model.version}"]
    runtime = model.runtime()
    if runtime:
        parts.append(f"needs TFLite {runtime}")
    text = f"schema {model.version}" if not runtime else ", ".join(parts)
    return f"{text} ({model.description[:60]})" if model.description else text


def _batch(subgraph: SubGraph, specs: list[TensorSpec]) -> int | None:
    """The size of the first axis, where every input declares it free."""
    sizes = set()
    for index, spec in zip(subgraph.inputs, specs, strict=True):
        signature = subgraph.tensors[index].signature
        if not signature or signature[0] != -1:
            return None
        sizes.add(spec.shape[0])
    return sizes.pop() if len(sizes) == 1 else None


def _foreign(leaves: frozenset[str]) -> Any:
    """The rule of what no rule knows: custom operators, those of TensorFlow, and codes newer than the schema."""

    def rule(node: Node) -> None:
        operator = node.operator
        if operator.custom.startswith(FLEX):
            node.foreign(f"tflite.flex.{operator.custom[len(FLEX) :]}")
        elif operator.code == "CUSTOM":
            name = f"tflite.custom.{operator.custom}"
            known = CUSTOM_RULES.get(operator.custom)
            if known is not None and name not in leaves:
                known(node)
            else:
                node.foreign(name)
        else:
            node.foreign(f"tflite.{operator.code or f'code_{operator.builtin}'}")

    return rule


__all__ = ["read"]
