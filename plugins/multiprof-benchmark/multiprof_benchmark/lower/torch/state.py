"""The tensors a program starts from: weights given by the caller or drawn, inputs, states of loops."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from multiprof import InputsError, Parameter, TensorSpec

from multiprof_benchmark.lower.torch.table import WIDENED, Context, NotLoweredError, Tensor
from multiprof_benchmark.lower.values import CONSTANT, INTEGERS, NORMAL, Draw, Draws


class State:
    """Makes tensors. Equal seeds make equal numbers, whatever the device: they are drawn on the CPU."""

    def __init__(
        self, parameters: Mapping[str, Parameter], draws: Draws, context: Context, device: torch.device,
        values: Mapping[str, Any] | None, seed: int,
    ) -> None:  # fmt: skip
        self.parameters = parameters
        self.draws = draws
        self.context = context
        self.device = device
        self.values = values
        self.generator = torch.Generator().manual_seed(seed)
        self.drawn: list[str] = []  # parameters that the caller's values do not hold
        self._made: dict[str, Tensor] = {}
        self._pieces: dict[str, tuple[Tensor, int]] = {}  # owner → its values, and how many are handed out

    def weight(self, spec: TensorSpec) -> Tensor:
        """A declared tensor, or the next piece of one where the operand is smaller than what it names."""
        owner = self.parameters[spec.name]
        if owner.spec.shape == spec.shape:
            if spec.name not in self._made:
                self._made[spec.name] = self._declared(owner)
            return self._made[spec.name]
        shape = tuple(d for d in spec.shape if d is not None)
        whole, begin = self._pieces.get(spec.name, (None, 0))
        if whole is None:
            whole = self._made.get(spec.name)
            whole = (self._declared(owner) if whole is None else whole).reshape(-1)
        size = prod(shape)
        if begin + size > whole.numel():
            begin = 0
        if size > whole.numel():
            raise NotLoweredError(f"a piece {shape} of {spec.name}, which has {whole.numel()} elements")
        self._pieces[spec.name] = (whole, begin + size)
        return whole[begin : begin + size].reshape(shape)

    def _declared(self, owner: Parameter) -> Tensor:
        if self.values is not None:
            for key in (owner.source, owner.name, *owner.tied):
                if key in self.values:
                    return self._given(owner, self.values[key])
        self.drawn.append(owner.name)
        return self.draw(owner.spec, self.draws.of(owner.spec, weight=True))

    def _given(self, owner: Parameter, value: Any) -> Tensor:
        tensor = torch.as_tensor(value).detach()
        if tuple(tensor.shape) != tuple(owner.spec.shape):
            if tensor.numel() != owner.spec.numel:
                raise InputsError(
                    f"the values of {owner.source or owner.name} have the shape {tuple(tensor.shape)}, "
                    f"the model's {tuple(owner.spec.shape)}"
                )
            tensor = tensor.reshape(tuple(owner.spec.shape))  # type: ignore[arg-type]  # it has as many elements
        return tensor.to(self.device, self.context.type_of(owner.spec), copy=True)

    def input(self, spec: TensorSpec) -> Tensor:
        """Something to run on: as the layers need it that read it."""
        return self.draw(spec, self.draws.of(spec, weight=False))

    def draw(self, spec: TensorSpec, how: Draw) -> Tensor:
        if None in spec.shape:
            raise NotLoweredError(f"the shape {spec.shape} of {spec.name} is not known")
        shape = tuple(d for d in spec.shape if d is not None)
        kind = self.context.type_of(spec)
        if how.kind == CONSTANT:
            made = torch.full(shape, how.a)
        elif how.kind == INTEGERS:
            made = torch.randint(int(how.a), max(int(how.b), int(how.a) + 1), shape, generator=self.generator)
        elif how.kind == NORMAL:
            made = torch.empty(shape).normal_(how.a, how.b, generator=self.generator)
        else:
            made = torch.empty(shape).uniform_(how.a, how.b, generator=self.generator)
        if spec.dtype in WIDENED:
            made = made.clamp(-8, 15)
        return made.to(self.device, kind)
