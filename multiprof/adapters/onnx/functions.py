"""Functions, those of the model and the bodies of onnx's own operators: their nodes stand in place of the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnx import AttributeProto, FunctionProto, NodeProto

from multiprof.adapters.onnx.call import Call
from multiprof.adapters.onnx.frame import MAX_DEPTH, Frame
from multiprof.adapters.onnx.infer import schema_of
from multiprof.adapters.onnx.scopes import joined, node_scope
from multiprof.adapters.onnx.types import value_type
from multiprof.errors import ModelError

if TYPE_CHECKING:
    from multiprof.adapters.onnx.walk import Walker


def call(walker: Walker, site: Call, function: FunctionProto) -> None:
    """Walk the body of a function with the operands and attributes of this call; refuses recursion."""
    key = (function.domain, function.name, function.overload)
    frame = site.frame
    if key in frame.calls:
        raise ModelError(f"{site.where}: the function {function.name!r} calls itself")
    if len(frame.calls) >= MAX_DEPTH:
        raise ModelError(f"{site.where}: functions call one another more than {MAX_DEPTH} deep")
    given: dict[str, AttributeProto] = {a.name: a for a in function.attribute_proto}
    for attribute in site.proto.attribute:
        if attribute.ref_attr_name:
            found = frame.given.get(attribute.ref_attr_name)
            if found is not None:
                given[attribute.name] = found
        else:
            given[attribute.name] = attribute
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in function.opset_import}
    inner = Frame(
        {**frame.opsets, **opsets}, None, given=given, calls=(*frame.calls, key), path=f"{site.name}/",
        scope=joined(frame.scope, _scope(site)), depth=frame.depth + 1,
    )  # fmt: skip
    for info in function.value_info:
        inner.declared[info.name] = info.type
    for name, value in zip(function.input, site.inputs, strict=False):
        if value is not None and name:
            inner.values[name] = value
    for inside, outside in zip(function.output, site.outputs, strict=False):
        if outside and inside not in inner.values and inside not in inner.names:
            inner.names[inside] = walker.named(outside, frame)
    walker.nodes(drop_absent(function, inner), inner, f"{walker.source.name}: the function {function.name!r}")
    for inside, outside in zip(function.output, site.outputs, strict=False):
        if outside:
            value = inner.find(inside)
            if value is None:
                raise ModelError(f"{site.where}: the function {function.name!r} does not make its output {inside!r}")
            frame.values[outside] = value


def drop_absent(function: FunctionProto, frame: Frame) -> list[NodeProto]:
    """The function's nodes; an optional operand that the call leaves out is left out inside too."""
    absent = {name for name in function.input if name not in frame.values}
    if not absent:
        return list(function.node)
    nodes = []
    for node in function.node:
        if any(name in absent for name in node.input):
            copy = NodeProto()
            copy.CopyFrom(node)
            for place, name in enumerate(copy.input):
                if name in absent:
                    copy.input[place] = ""
            node = copy
        nodes.append(node)
    return nodes


def expand(walker: Walker, site: Call) -> bool:
    """Walk the body that onnx gives for an operator, where it gives one; False otherwise."""
    schema = schema_of(site.op_type, site.version, site.domain)
    if schema is None or ("schema", site.domain, site.op_type) in site.frame.calls:
        return False
    proto = resolved(site.proto, site.frame.given)
    if schema.has_function:
        body = schema.function_body
        function = body if isinstance(body, FunctionProto) else FunctionProto.FromString(body)
    elif schema.has_context_dependent_function:
        types = [b"" if value is None else value_type(value) for value in site.inputs]
        try:
            raw = schema.get_context_dependent_function(proto.SerializeToString(), types)
        except RuntimeError:
            return False
        function = FunctionProto.FromString(raw)
    else:
        return False
    if not function.node:
        return False
    defaults = {a.name: a for a in function.attribute_proto}
    for name, declared in schema.attributes.items():
        if name not in defaults and declared.default_value.type:
            default = AttributeProto()
            default.CopyFrom(declared.default_value)
            function.attribute_proto.append(default)
    function.domain = "schema"
    function.name = f"{site.domain}.{site.op_type}" if site.domain else site.op_type
    call(walker, site, function)
    return True


def resolved(node: NodeProto, given: Mapping[str, AttributeProto]) -> NodeProto:
    """The node with attributes of the function call in place of references to them."""
    if not any(attribute.ref_attr_name for attribute in node.attribute):
        return node
    made = NodeProto()
    made.CopyFrom(node)
    del made.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            made.attribute.append(attribute)
            continue
        found = given.get(attribute.ref_attr_name)
        if found is not None:
            copy = AttributeProto()
            copy.CopyFrom(found)
            copy.name = attribute.name
            made.attribute.append(copy)
    return made


def _scope(site: Call) -> str:
    """The module path of a call: exporters that write modules as functions name the call after the module."""
    return node_scope(site.proto)


__all__ = ["call", "expand", "resolved"]
