"""What a tensor of the program stands for while it is walked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from multiprof.adapters.tensorflow.dtypes import dtype_name
from multiprof.ir import Shape, TensorSpec


@dataclass(slots=True)
class Elements:
    """A list of tensors (TensorList, TensorArray): ``spec`` holds them all, one behind the other, once there are any.

    ``element`` is the shape of one, ``length`` how many there are.
    """

    dtype: str
    element: Shape | None = None
    length: int | None = None
    spec: TensorSpec | None = None

    @property
    def shape(self) -> Shape:
        return (self.length, *(self.element if self.element is not None else (None,)))


class Value:
    """A tensor: ``flat`` is its twin in the scratch graph, where TensorFlow infers shapes, made when it is asked for.

    ``spec`` is the tensor of the Graph once a layer has made or needed it. ``const`` are its contents where they are
    known and small, ``name`` what to call it if it must be declared. ``variable`` is set on the handle of a variable:
    the tensor that the variable holds now; ``elements`` on the handle of a list.
    """

    __slots__ = ("_flat", "const", "elements", "name", "spec", "variable")

    def __init__(
        self,
        flat: Any,
        spec: TensorSpec | None = None,
        const: np.ndarray[Any, Any] | None = None,
        name: str = "",
        variable: str = "",
        elements: Elements | None = None,
    ) -> None:
        self._flat = flat
        self.spec = spec
        self.const = const
        self.name = name
        self.variable = variable
        self.elements = elements

    @property
    def flat(self) -> Any:
        if callable(self._flat):
            self._flat = self._flat()
        return self._flat

    @flat.setter
    def flat(self, flat: Any) -> None:
        self._flat = flat


def shape_of(flat: Any) -> Shape:
    """The shape of a tensor of the scratch graph; one of unknown rank is a row of unknown length."""
    shape = flat.shape
    return (None,) if shape.rank is None else tuple(shape.as_list())


def dtype_of(flat: Any) -> str:
    return dtype_name(flat.dtype)


__all__ = ["Elements", "Value", "dtype_of", "shape_of"]
