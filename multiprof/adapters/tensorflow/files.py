"""SavedModel folders and frozen graphs, parsed as the messages they are: no variable is loaded, no operation run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2, variable_pb2
from tensorflow.core.protobuf import saved_model_pb2

from multiprof.adapters.tensorflow import slim
from multiprof.adapters.tensorflow.dtypes import dtype_name
from multiprof.adapters.tensorflow.program import Feed, Program, Variable
from multiprof.errors import ModelError, UsageError
from multiprof.inputs import ReadOptions

_DEFAULT = "serving_default"
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")
MAX_BYTES = 2**31 - 1  # of a message
_INPUTS = frozenset(("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"))
_VARIABLES = frozenset(("VarHandleOp", "VariableV2", "Variable"))
# What makes a result that is none of the network's: variables, and what reads and writes files.
_NO_RESULTS = _VARIABLES | {"Const", "NoOp", "RestoreV2", "SaveV2"}
_SWITCHES = frozenset(("Switch", "RefSwitch"))
_CONTROL = _SWITCHES | {"Enter", "Exit", "Merge", "NextIteration", "LoopCond", "TensorArrayV3"}


def read_file(path: Path, options: ReadOptions) -> Program:
    """A SavedModel (its folder or its ``saved_model.pb``), or a GraphDef in a ``.pb``."""
    if path.is_dir():
        inner = path / "saved_model.pb"
        if not inner.is_file():
            text = path / "saved_model.pbtxt"
            why = (
                "is written as text: save it again" if text.is_file() else "has no saved_model.pb: it is no SavedModel"
            )
            raise ModelError(f"{path.name} {why}")
        return saved_model(inner, path.name, options)
    if path.name == "saved_model.pb" or _is_saved_model(path):
        return saved_model(path, path.parent.name if path.name == "saved_model.pb" else path.name, options)
    graph = graph_pb2.GraphDef()
    _parse(graph, _bytes(path, "GraphDef"), path.name)
    if not graph.node:
        raise ModelError(f"{path.name}: no graph of TensorFlow: it has no nodes")
    program = of_graph_def(graph, path.name, options)
    program.metadata |= {"rung": "file", "format": "GraphDef"}
    return program


def _bytes(path: Path, message: str) -> bytes:
    """The file without the contents of large constants, which are looked at by nobody."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path.name}: a message of more than 2 GB cannot be parsed")
        return slim.read(path, message)
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read: {error.strerror or error}") from None


def _is_saved_model(path: Path) -> bool:
    """A SavedModel begins with its version, a number; a GraphDef with a node, a message."""
    try:
        with path.open("rb") as file:
            return file.read(1) == b"\x08"
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read: {error.strerror or error}") from None


def _parse(message: Any, data: bytes, name: str) -> None:
    try:
        with warnings.catch_warnings():
            # before protobuf 4 what is no message was read up to there, with a RuntimeWarning
            warnings.simplefilter("error")
            message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, ValueError, RecursionError, SystemError, RuntimeWarning) as error:
        reason = error.__cause__ or error  # a SystemError has the warning as its cause
        raise ModelError(f"{name}: cannot be parsed as a {type(message).__name__} of TensorFlow: {reason}") from None


def saved_model(path: Path, name: str, options: ReadOptions) -> Program:
    message = saved_model_pb2.SavedModel()
    _parse(message, _bytes(path, "SavedModel"), f"{name}/saved_model.pb" if name != path.name else name)
    graphs = list(message.meta_graphs)
    if not graphs:
        raise ModelError(f"{name}: the SavedModel holds no graph")
    meta = next((g for g in graphs if "serve" in g.meta_info_def.tags), graphs[0])
    entries = {key: s for key, s in meta.signature_def.items() if key not in _INTERNAL}
    key = choose_signature(entries, name, options.signature)
    signature = entries[key]
    feeds = [_feed(item, info, name) for item, info in sorted(signature.inputs.items())]
    fetches = {item: info.name for item, info in sorted(signature.outputs.items()) if info.name}
    if not fetches:
        raise ModelError(f"{name}: the signature {key!r} has no results")
    program = Program(name, meta.graph_def, feeds, fetches)
    program.variables = _variables(meta)
    program.stateful = any(n.op in _VARIABLES for n in meta.graph_def.node)
    program.frozen = not program.stateful
    version = meta.meta_info_def.tensorflow_version
    program.metadata = {
        "rung": "file", "format": "SavedModel", "signature": key,
        "framework_version": tf.__version__ + (f" (written by {version})" if version else ""),
    }  # fmt: skip
    return program


def choose_signature(entries: Mapping[str, Any], name: str, wanted: str | None) -> str:
    """The entry asked for, else the default one, else the only one."""
    if wanted is not None:
        if wanted not in entries:
            raise UsageError(f"{name} has no signature {wanted!r}; it has {', '.join(sorted(entries)) or 'none'}")
        return wanted
    if _DEFAULT in entries:
        return _DEFAULT
    if len(entries) == 1:
        return next(iter(entries))
    if entries:
        raise UsageError(f"{name} has the signatures {', '.join(sorted(entries))}: say which, with --signature NAME")
    raise ModelError(
        f"{name} has no signature, so that nothing says what goes in: save it with signatures=, "
        "or load it with tf.saved_model.load and give a function of it"
    )


def _feed(item: str, info: Any, name: str) -> Feed:
    if not info.name:
        raise ModelError(f"{name}: the input {item} is made of several tensors, which is not supported here")
    shape = None if info.tensor_shape.unknown_rank else tuple(_size(d) for d in info.tensor_shape.dim)
    return Feed(item, info.name, dtype_name(info.dtype), shape)


def _size(dim: Any) -> int | None:
    return dim.size if dim.size >= 0 else None


def _variables(meta: Any) -> dict[str, Variable]:
    """What is known of each variable's node: its name in the model, and whether it is trained."""
    found: dict[str, Variable] = {}
    handles = {n.name: n for n in meta.graph_def.node if n.op == "VarHandleOp"}
    objects = meta.object_graph_def.nodes
    functions = meta.object_graph_def.concrete_functions
    for node in meta.graph_def.node:
        called = node.attr["f"].func.name if "f" in node.attr else ""
        if called not in functions:
            continue
        bound = list(functions[called].bound_inputs)
        captures = [text for text in node.input if not text.startswith("^")][-len(bound) :] if bound else []
        for text, number in zip(captures, bound, strict=False):
            if text not in handles or not 0 <= number < len(objects) or not objects[number].HasField("variable"):
                continue
            saved = objects[number].variable
            shape = None if saved.shape.unknown_rank else tuple(_size(d) for d in saved.shape.dim)
            found[text] = Variable(saved.name or text, shape, dtype_name(saved.dtype), bool(saved.trainable), text)
    for key, trainable in (("variables", False), ("trainable_variables", True)):  # TensorFlow 1
        if key in meta.collection_def:
            for data in meta.collection_def[key].bytes_list.value:
                definition = variable_pb2.VariableDef()
                _parse(definition, data, "a variable")
                name = definition.variable_name.partition(":")[0]
                found.setdefault(name, Variable(name, None, "float32")).trainable = trainable
    nodes = {n.name: n for n in meta.graph_def.node if n.op in _VARIABLES}
    for name, variable in list(found.items()):
        node = nodes.get(name)
        if variable.shape is None and node is not None:
            said = node.attr["shape"].shape
            variable.shape = None if said.unknown_rank else tuple(_size(d) for d in said.dim)
            variable.dtype = dtype_name(node.attr["dtype"].type)
    return found


def of_graph_def(graph: Any, name: str, options: ReadOptions) -> Program:
    """A GraphDef: its placeholders are the inputs, what nobody reads (or ``signature`` names) the results."""
    nodes = {node.name: node for node in graph.node}
    feeds = [_placeholder(node) for node in graph.node if node.op in _INPUTS]
    if options.signature is not None:
        wanted = [text.strip() for text in options.signature.split(",")]
        missing = [text for text in wanted if text.partition(":")[0] not in nodes]
        if missing:
            raise UsageError(f"{name} has no node {missing[0]!r} that could be its result; --signature names one")
        fetches = {text: text for text in wanted}
    else:
        fetches = {text: text for text in _sinks(graph)}
    if not fetches:
        raise ModelError(f"{name}: nothing in the graph follows from an input; name its results with --signature NODE")
    program = Program(name, graph, feeds, fetches)
    program.stateful = any(n.op in _VARIABLES for n in graph.node)
    program.frozen = not program.stateful
    if options.signature is not None:
        program.metadata["signature"] = options.signature
    needed = _reached(graph, [text.partition(":")[0] for text in fetches])
    program.feeds = [feed for feed in feeds if feed.ref.partition(":")[0] in needed]
    return program


def _placeholder(node: Any) -> Feed:
    said = node.attr["shape"].shape
    shape: tuple[int | None, ...] | None = None if said.unknown_rank else tuple(_size(d) for d in said.dim)
    if not shape and node.op == "Placeholder":
        # before version 24 of the format a placeholder without a shape was written as one of rank 0
        marked = node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()
        shape = tuple(_size(d) for d in marked[0].dim) if marked and not marked[0].unknown_rank else shape
        if "shape" not in node.attr:
            shape = None
    optional = node.op == "PlaceholderWithDefault"
    return Feed(node.name, f"{node.name}:0", dtype_name(node.attr["dtype"].type), shape, optional)


def _sources(node: Any) -> list[str]:
    return [text.lstrip("^").partition(":")[0] for text in node.input]


def _sinks(graph: Any) -> list[str]:
    """Nodes that follow from an input and that nobody reads, in the file's order; where there is no input, all."""
    readers: dict[str, list[str]] = {}
    read: set[str] = set()
    for node in graph.node:
        for text in node.input:
            source = text.lstrip("^").partition(":")[0]
            readers.setdefault(source, []).append(node.name)
            read.add(source)
    starts = [node.name for node in graph.node if node.op in _INPUTS]
    follows: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in follows:
            follows.add(name)
            waiting.extend(readers.get(name, ()))
    found = [
        node
        for node in graph.node
        if node.name not in read
        and (node.name in follows or not starts)
        and node.op not in _INPUTS | _NO_RESULTS
        and not node.op.startswith(("Assign", "Assert", "Print", "Save"))
    ]
    # a loop's counter leaves it unread, a choice's condition enters both arms: results only where there are no others
    ops = {node.name: node.op for node in graph.node}
    pivots = {
        node.name for node in found if node.op == "Identity" and ops.get(next(iter(_sources(node)), "")) in _SWITCHES
    }
    real = [node.name for node in found if node.op not in _CONTROL and node.name not in pivots]
    return real or [node.name for node in found]


def _reached(graph: Any, wanted: list[str]) -> set[str]:
    nodes = {node.name: node for node in graph.node}
    seen: set[str] = set()
    waiting = [name for name in wanted if name in nodes]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(source for source in _sources(nodes[name]) if source in nodes)
    return seen


__all__ = ["of_graph_def", "read_file"]
