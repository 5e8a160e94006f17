"""Tensors out of nothing: free, each with the reason. They are written, and nothing is read."""

from __future__ import annotations

from multiprof.cost import Traffic, free
from multiprof.ir import Layer


def only_writes(layer: Layer) -> Traffic:
    """The result is written; a tensor that gives its shape or is overwritten is not read."""
    return 0, layer.y.nbytes


def only_writes_a_value(layer: Layer) -> Traffic:
    """As `only_writes`; memory that is taken as it is (a value of None) is not even written."""
    if "value" in layer.attrs and layer.attrs["value"] is None:
        return 0, 0
    return only_writes(layer)


def stands_in_the_program(layer: Layer) -> Traffic:
    """The values are stored with the model; whoever uses them reads them."""
    return 0, 0


# Random numbers are no arithmetic of the network: how many integer operations one takes depends on the generator
# (Philox, Mersenne Twister …), which differs from device to device, and no definition of the network names it.
FORMULAS = (
    free("fill", reason="a constant, written", traffic=only_writes_a_value),
    free("arange", reason="a constant: positions, which depend on no value", traffic=only_writes),
    free("constant", reason="a constant of the program", traffic=stands_in_the_program),
    free("eye", reason="a constant, written", traffic=only_writes),
    free("prior_box", reason="a constant: anchors, which depend on shapes alone", traffic=only_writes),
    free("random", reason="the device's random generator, no arithmetic of the network", traffic=only_writes),
)
