"""The toy framework's adapter: a chain of linear, relu, dropout and foreign layers."""

import toyframe  # an adapter module imports its framework

from multiprof import Graph, InputsError, Layer, Parameter, TensorSpec


def read(model, inputs, *, leaves, trace, options):
    if inputs is None:
        raise InputsError("a toy net needs an input: --input 2x3")
    if callable(model):
        model = model()
    elif not isinstance(model, toyframe.Net):
        model = toyframe.Net(*(line.split() for line in model.read_text().splitlines()[1:]))
    if model.check:
        model.check()
    given = inputs.args[0] if inputs.args else inputs.kwargs["x"]
    current = start = TensorSpec(given.shape, given.dtype or "float32", "x")
    layers, parameters, taken = [], {}, set()
    for scope, op, *size in model.steps:
        name = scope or op
        while name in taken:
            name += "_again"
        taken.add(name)
        ins, attrs, shape = {"x": current}, {}, current.shape
        if op == "linear":
            shape = (*shape[:-1], int(size[0]))
            attrs = {"in_features": current.shape[-1], "out_features": shape[-1]}
            for role, dims in (("weight", (shape[-1], current.shape[-1])), ("bias", (shape[-1],))):
                spec = TensorSpec(dims, "float32", f"{scope}.{role}")
                parameters[spec.name] = Parameter(spec, trainable=True)
                ins[role] = spec
        current = TensorSpec(shape, current.dtype, name)
        layers.append(Layer(name, op, ins, {"y": current}, attrs, scope.rpartition("/")[0] if "/" in scope else scope))
    metadata = {"framework_version": "7.5", "rung": "by the book", "dims": ("batch",), "leaves": sorted(leaves)}
    if "batch" in options.dims:
        metadata["warnings"] = [f"the batch is {options.dims['batch']}"]
    return Graph("Toy", "toy", (start,), (current,), tuple(layers), parameters, {}, metadata)
