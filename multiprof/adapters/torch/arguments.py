"""What the caller gave as inputs, turned into the tensors a model is traced or run with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import BY_NAME, NAMES
from multiprof.adapters.torch.tracer import META, Tracer
from multiprof.errors import InputsError
from multiprof.inputs import Inputs
from multiprof.ir import TensorSpec

# Integer tensors and masks up to this size keep their values: lengths, batch sizes, ids, positions.
SMALL_INTEGERS = 65_536
_SEED = 0


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """Names of the positional parameters of a forward, for naming the graph's inputs."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


DEPTH = 6  # how deep tensors are looked for in an argument: a cache of two caches of layers, each with its keys


class Arguments:
    """Builds the arguments of one trace; ``made_up`` names inputs whose values nobody gave in a real run."""

    def __init__(self, tracer: Tracer, float_dtype: torch.dtype, names: list[str]) -> None:
        self.tracer = tracer
        self.float_dtype = float_dtype
        self.names = names
        self.specs: list[TensorSpec] = []
        self.made_up: list[str] = []
        self.trained: list[str] = []  # inputs that require a gradient
        self._given: dict[int, torch.Tensor] = {}  # a tensor given twice is one input
        self._generator: torch.Generator | None = None

    def build(self, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        args = []
        for i, value in enumerate(inputs.args):
            name = self.names[i] if i < len(self.names) else f"input{i}" if len(inputs.args) > 1 else "input"
            args.append(self._convert(value, name))
        kwargs = {name: self._convert(value, name) for name, value in inputs.kwargs.items()}
        return args, kwargs

    def _convert(self, value: Any, name: str) -> Any:
        if isinstance(value, torch.Tensor):
            return self._tensor(value, name)
        if isinstance(value, TensorSpec):
            return self._from_spec(value, name)
        kind = type(value)
        if kind is list or kind is tuple:
            return kind(self._convert(v, f"{name}.{i}") for i, v in enumerate(value))
        if kind is dict:
            return {k: self._convert(v, f"{name}.{k}") for k, v in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):  # PackedSequence and other named tuples
            fields = type(value)._fields
            return kind(*(self._convert(v, f"{name}.{f}") for f, v in zip(fields, value, strict=True)))
        if hasattr(value, "__array_interface__") and not isinstance(value, (int, float, complex)):
            return self._tensor(torch.from_numpy(_writable(value)), name)
        if isinstance(value, dict):  # BatchEncoding and other mappings that a forward takes as one argument
            return kind({k: self._convert(v, f"{name}.{k}") for k, v in value.items()})
        self._held(value, name, DEPTH, set())
        return value

    def _held(self, value: Any, name: str, depth: int, seen: set[int]) -> None:
        """Tensors that an object holds (a cache of keys and values) are inputs too, where they lie."""
        if isinstance(value, torch.Tensor):
            if value.layout is torch.strided and value.dtype in NAMES and id(value) not in self.tracer.specs:
                self.specs.append(self.tracer.give_input(value, name))
        elif depth and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                items: Any = value.items()
            elif isinstance(value, (list, tuple)):
                items = enumerate(value)
            else:
                items = () if isinstance(value, (torch.nn.Module, type)) else getattr(value, "__dict__", {}).items()
            for key, item in list(items):
                self._held(item, f"{name}.{key}", depth - 1, seen)

    def _tensor(self, given: torch.Tensor, name: str) -> torch.Tensor:
        known = self._given.get(id(given))
        if known is not None:
            return known
        if given.dtype not in NAMES:
            raise InputsError(f"input {name!r} has dtype {given.dtype}, which multiprof does not know")
        if given.layout is not torch.strided:
            raise InputsError(f"input {name!r} has the layout {given.layout}; give a dense tensor")
        detached = given.detach()
        twin = torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=META)
        self.specs.append(self.tracer.give_input(twin, name))
        if given.requires_grad:
            self.trained.append(self.specs[-1].name)
        tensor = twin
        # Models ask masks questions too: whether one is causal decides how attention is computed.
        asked = given.dtype not in _FLOATING or "mask" in name
        small = asked and given.numel() <= SMALL_INTEGERS
        if not given.is_meta and (self.tracer.real or small):
            # The model may write to its input: it gets a copy.
            tensor = self.tracer.carry(detached.clone(), twin)
        elif self.tracer.real:
            tensor = self.tracer.carry(self._values(tuple(given.shape), given.dtype, name), twin)
        self._given[id(given)] = tensor
        self.tracer.alive.append(given)
        return tensor

    def _from_spec(self, spec: TensorSpec, name: str) -> torch.Tensor:
        name = spec.name or name
        if None in spec.shape:
            raise InputsError(f"input {name!r} has the shape {spec.shape}: give every dimension a size")
        dtype = BY_NAME.get(spec.dtype, self.float_dtype) if spec.dtype else self.float_dtype
        if spec.dtype and spec.dtype not in BY_NAME:
            raise InputsError(f"input {name!r}: this torch has no dtype {spec.dtype!r}")
        shape: tuple[int, ...] = spec.shape  # type: ignore[assignment]  # no None in it, checked above
        twin = torch.empty(shape, dtype=dtype, device=META)
        self.specs.append(self.tracer.give_input(twin, name))
        if not self.tracer.real:
            return twin
        return self.tracer.carry(self._values(shape, dtype, name), twin)

    def _values(self, shape: tuple[int, ...], dtype: torch.dtype, name: str) -> torch.Tensor:
        """Values for a real run of an input of which only the shape was given: normal numbers, ones, True."""
        self.made_up.append(name)
        if dtype in _FLOATING:
            if self._generator is None:
                self._generator = torch.Generator("cpu").manual_seed(_SEED)
            kind = torch.float64 if dtype is torch.float64 else torch.float32
            values = torch.randn(shape, generator=self._generator, dtype=kind, device="cpu")
            return values.to(self.tracer.device, dtype)
        return torch.ones(shape, dtype=dtype, device=self.tracer.device)


_FLOATING = frozenset(dtype for dtype, name in NAMES.items() if name.startswith(("float", "bfloat", "complex")))


def _writable(array: Any) -> Any:
    """The array itself, or a copy where numpy would not let torch share its memory."""
    return array if getattr(array.flags, "writeable", False) else array.copy()
