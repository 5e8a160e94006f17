"""The training form of a graph: weights change from step to step, so nothing folds, and dropout and norms do work."""

from __future__ import annotations

from dataclasses import replace

from multiprof.ir import PARAMETER, WRITE, Graph, Layer, TensorSpec
from multiprof.passes.prepared import mark_prepared


def training_form(graph: Graph) -> Graph:
    """The graph as it runs in training, from one that was read for training (``metadata["train"]``) or inference.

    Only what frozen weights make is prepared ahead of time. Read for inference, a batch norm that has trained weights
    takes its statistics from the batch, and moves the running ones; dropout becomes the product with a mask.
    """
    trained = {name for name, p in graph.parameters.items() if p.kind == PARAMETER and p.trainable is not False}
    # a Keras model on PyTorch is called for inference, whatever PyTorch's reader was asked for
    if not graph.metadata.get("train") or graph.framework != "torch":
        layers = [new for layer in graph.layers for new in _trained(layer, graph, trained)]
        note = (
            f"training: {graph.framework} was read as for inference; batch norms and dropout were turned to training, "
            "but dropout that leaves no trace at inference is not in the figures"
        )
        noted = [*graph.metadata.get("warnings", ()), note]
        graph = replace(graph, layers=tuple(layers), metadata={**graph.metadata, "train": True, "warnings": noted})
    return mark_prepared(graph, but=trained)


def _trained(layer: Layer, graph: Graph, trained: set[str]) -> list[Layer]:
    if layer.op == "dropout" and layer.attrs.get("p", 1):
        return _dropout(layer)
    if layer.op == "batch_norm" and not layer.attrs.get("batch_stats"):
        affine = [layer.inputs[role].name for role in ("weight", "bias") if role in layer.inputs]
        if not affine or any(name in trained for name in affine):
            return _batch_norm(layer)
    return [layer]


def _dropout(layer: Layer) -> list[Layer]:
    """y = x·(mask/(1 − p)), the mask drawn anew."""
    name, x = layer.name, layer.x
    mask = TensorSpec(x.shape, x.dtype, f"{name}:mask")
    scaled = replace(mask, name=f"{name}:scaled")
    where = (layer.scope, layer.source, layer.region)
    keep = 1 - layer.attrs["p"] if "p" in layer.attrs else None
    return [
        Layer(f"{name}/random", "random", {}, {"y": mask}, {"distribution": "bernoulli"}, *where),
        Layer(f"{name}/div", "div", {"x0": mask}, {"y": scaled}, {"scalar": keep}, *where),
        replace(layer, op="mul", inputs={"x0": x, "x1": scaled}, attrs={}, aliases=()),
    ]


def _batch_norm(layer: Layer) -> list[Layer]:
    """Statistics from the batch, and the running ones moved towards them."""
    inputs = {role: spec for role, spec in layer.inputs.items() if role not in ("mean", "var")}
    outputs = dict(layer.outputs)
    moves = []
    for role in ("mean", "var"):
        kept = layer.inputs.get(role)
        if kept is not None and f"batch_{role}" not in outputs:
            batch = replace(kept, name=f"{layer.name}:batch_{role}")
            outputs[f"batch_{role}"] = batch
            moved = replace(kept, name=f"{layer.name}:moved_{role}")
            moves.append(
                Layer(
                    f"{layer.name}/moving_{role}", "lerp", {"x0": kept, "x1": batch}, {"y": moved}, {}, layer.scope,
                    layer.source, layer.region, (("y", "x0", WRITE),),
                )
            )  # fmt: skip
    return [replace(layer, inputs=inputs, outputs=outputs, attrs={**layer.attrs, "batch_stats": True}), *moves]
