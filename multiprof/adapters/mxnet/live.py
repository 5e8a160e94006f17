"""Live models: blocks are traced with symbols, as ``hybridize`` does; symbols and modules have theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mxnet as mx

from multiprof.adapters.mxnet.source import Source
from multiprof.adapters.mxnet.symbol import loads
from multiprof.adapters.mxnet.tracing import trace_block
from multiprof.errors import InputsError, ModelError
from multiprof.inputs import Inputs, is_shape
from multiprof.ir import BUFFER, Shape, TensorSpec


def read_live(model: Any, inputs: Inputs | None) -> tuple[Source, Inputs | None]:
    """What there is to read of a live model, and the inputs that are left to be bound to its symbol."""
    if inputs is not None:
        inputs = Inputs(*map(_plain, inputs.args), **{name: _plain(value) for name, value in inputs.kwargs.items()})
    if isinstance(model, mx.gluon.Block):
        return _of_block(model, inputs)
    if isinstance(model, mx.sym.Symbol):
        return _source(model, model.name or "symbol", f"this {type(model).__name__}"), inputs
    if isinstance(model, mx.mod.BaseModule):
        return _of_module(model, inputs)
    raise ModelError(f"a {type(model).__name__} is no model of MXNet: give a Block, a Symbol or a Module")


def _source(sym: Any, name: str, what: str) -> Source:
    """A symbol as it would be saved: both ways are read by the same code."""
    try:
        # casts that mixed precision put in stay: they are what runs, though export() drops them
        text = sym.tojson(remove_amp_cast=False)
    except mx.MXNetError as error:
        raise ModelError(f"{name}: its symbol cannot be written: {str(error).splitlines()[0][:200]}") from error
    found = loads(text, name)
    source = Source(found, name, what, name)
    source.kinds = dict.fromkeys(sym.list_auxiliary_states(), BUFFER)
    source.metadata = {"rung": "symbol", "framework_version": found.version_text}
    source.infer = lambda shapes: _inferred(sym, shapes)
    return source


def _inferred(sym: Any, given: Mapping[str, Shape]) -> dict[str, Shape]:
    """Shapes of internal tensors by name, as far as MXNet infers them; names that stand twice are left out."""
    internals = sym.get_internals()
    names = [*internals.list_outputs(), *internals.list_arguments(), *internals.list_auxiliary_states()]
    try:
        arguments, made, states = internals.infer_shape_partial(**given)
    except (mx.MXNetError, ValueError, TypeError):  # it cannot say; what is missing is complained about
        return {}
    found: dict[str, Shape] = {}
    for name, shape in zip(names, [*(made or ()), *(arguments or ()), *(states or ())], strict=False):
        if shape and all(dim > 0 for dim in shape):
            found[name] = tuple(shape) if found.get(name, tuple(shape)) == tuple(shape) else ()
    return {name: shape for name, shape in found.items() if shape}


# -- blocks -----------------------------------------------------------------------------------------------------------


def _of_block(block: Any, inputs: Inputs | None) -> tuple[Source, Inputs]:
    name = block.name or type(block).__name__
    if inputs is None:
        raise InputsError(f"{name} needs inputs: a block does not say what goes in; give a shape such as 1x3x224x224")
    sym, given = trace_block(block, inputs, name)
    source = _source(sym, name, f"this {type(block).__name__}")
    source.data = tuple(given)
    parameters = block.collect_params()
    source.learned = frozenset(parameters.keys())
    unknown = []
    read = set(sym.list_inputs())
    for key, parameter in parameters.items():
        shape = parameter.shape
        if shape is not None and all(dim > 0 for dim in shape):
            source.stored[key] = TensorSpec(tuple(int(dim) for dim in shape), _dtype(parameter.dtype), key)
        elif key not in read:
            unknown.append(key)
        source.trainable[key] = parameter.grad_req != "null"
        if isinstance(parameter, mx.gluon.Constant):
            source.kinds[key] = "constant"
    if unknown:
        source.notes.append(f"not read, and of a shape that nothing tells, so not counted: {', '.join(unknown[:5])}")
    # a file holds no trace of inputs that nothing reads
    return source, Inputs(**{name: spec for name, spec in given.items() if name in read})


# -- modules ----------------------------------------------------------------------------------------------------------


def _of_module(module: Any, inputs: Inputs | None) -> tuple[Source, Inputs | None]:
    """A Module, bound or not; of a BucketingModule the bucket in use, or else the default one."""
    if isinstance(module, mx.mod.BucketingModule):
        if not module.binded:
            sym, data, labels = module._call_sym_gen(module._default_bucket_key)
            module = mx.mod.Module(sym, data, labels, fixed_param_names=module._fixed_param_names)
        else:
            module = module._curr_module
    if not isinstance(module, mx.mod.Module):
        raise ModelError(f"a {type(module).__name__} has no symbol of its own: give the modules it is made of")
    sym = module._symbol
    source = _source(sym, sym.name or "module", "this Module")
    source.data = (*module._data_names, *module._state_names, *module._label_names)
    fixed = set(module._fixed_param_names)
    arrays = {**(module._arg_params or {}), **(module._aux_params or {})}
    source.learned = frozenset((*module._param_names, *module._aux_names))
    for name in source.learned:
        if name in arrays:
            source.stored[name] = TensorSpec(tuple(arrays[name].shape), _dtype(arrays[name].dtype), name)
        request = module._grad_req
        request = request.get(name, "null") if isinstance(request, dict) else request
        source.trainable[name] = name not in fixed and name not in module._aux_names and request != "null"
    if inputs is None and module.binded:
        rows = [*module.data_shapes, *(module.label_shapes or ())]
        read = set(sym.list_inputs())
        shapes = {row.name: TensorSpec(tuple(row.shape), _dtype(row.dtype), row.name) for row in rows}
        inputs = Inputs(**{name: spec for name, spec in shapes.items() if name in read})
    return source, inputs


# -- values -----------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Shape and type alone of what the caller gave; nests of lists stay, and other Python values."""
    if isinstance(value, TensorSpec) or value is None or is_shape(value):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return TensorSpec(tuple(int(dim) for dim in value.shape), _dtype(value.dtype), "")
    return value


def _dtype(dtype: Any) -> str:
    """The name of a type, which MXNet gives as a text, as numpy's class, or (bfloat16) as a record of one field."""
    if isinstance(dtype, str):
        return dtype
    names = getattr(dtype, "names", None)
    if names:
        return str(names[0])
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2]
    return str(name).rstrip("_")


__all__ = ["read_live"]
