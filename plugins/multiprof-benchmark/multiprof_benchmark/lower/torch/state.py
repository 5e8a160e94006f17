"""The tensors a program starts from: weights given by the caller or drawn, inputs, states of loops."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch

from multiprof import InputsError, Parameter, TensorSpec
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.torch.table import WIDENED, Context, Prepare, Tensor
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
        self._begin: dict[str, int] = {}  # owner → where its next part begins
        self._read: dict[str, int] = {}  # owner → elements of all its parts that operands are
        for name, readers in draws.readers.items():
            sizes = [layer.inputs[role] for layer, role in readers]
            self._read[name] = sum(spec.numel for spec in sizes if None not in spec.shape)

    def weight(self, spec: TensorSpec) -> Tensor:
        """A declared tensor, or the part of one that an operand of another shape is."""
        if spec.name not in self._made:
            self._made[spec.name] = self._declared(self.parameters[spec.name])
        whole = self._made[spec.name]
        take = self.part(spec, tuple(whole.shape))
        return whole if take is None else take(whole)

    def part(self, spec: TensorSpec, given: tuple[int, ...]) -> Prepare | None:
        """How an operand comes out of the tensor that it names, which has the shape ``given``; ``None``: it is that.

        A Graph names the owner of such a part, not where in it the part lies. A larger operand is the owner broadcast,
        one of as many elements the owner reshaped; either is transposed first where the sizes say so. Smaller ones
        follow one another where together they are the whole owner, as the thirds of an attention's input projection
        are; else each begins at the front, as the positions for a short sentence do.
        """
        shape = tuple(d for d in spec.shape if d is not None)
        if given == shape or len(shape) < spec.rank:
            return None
        size, whole = prod(shape), prod(given)
        if size == whole:
            if len(given) == 2 and shape == given[::-1]:
                return lambda t: t.t()
            return lambda t: t.reshape(shape)
        if size > whole:
            if len(given) == 2 and shape[-2:] == given[::-1] != given:
                return lambda t: t.t().expand(shape)
            if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(given[::-1], shape[::-1], strict=False)):
                raise NotLoweredError(f"{spec.name} {given} as an operand {shape}")
            return lambda t: t.expand(shape)
        if self._read.get(spec.name, 0) % whole == 0:
            begin = self._begin.get(spec.name, 0)
            self._begin[spec.name] = (begin + size) % whole
            if begin + size <= whole:
                return lambda t: t.reshape(-1)[begin : begin + size].reshape(shape)
        if len(given) == len(shape) and all(n <= m for n, m in zip(shape, given, strict=True)):
            front = tuple(slice(0, n) for n in shape)
            return lambda t: t[front]
        return lambda t: t.reshape(-1)[:size].reshape(shape)

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
