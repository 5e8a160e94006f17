"""The tensors of one trace: what each is called, which hold values, which are weights, which stand for integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.overwritten import OverwrittenValues
from multiprof.ir import CONSTANT, Layer, Parameter, Quant, Region, TensorSpec

META = torch.device("meta")
_empty = torch.empty
_empty_strided = torch.empty_strided
_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


class ValueNeededError(Exception):
    """A rule needs the values of a tensor of which only the shape is known: the model has to run for real."""


class WrappedError(Exception):
    """A tensor under ``vmap`` or ``grad`` lacks dimensions: only the operators beneath have the true shapes."""


class RefusedError(RuntimeError):
    """What torch's CPU and GPU kernels refuse and its meta kernels let pass: a contraction of two dtypes."""


class Frame:
    """A module that is running: ``label`` names its layers, ``scope`` is its path.

    A ``leaf`` is one of torch's own modules without children: its first layer bears the module's name alone.
    """

    __slots__ = ("claimed", "label", "leaf", "module", "scope", "start", "used")

    def __init__(self, module: Any, scope: str, label: str, leaf: bool) -> None:
        self.module = module
        self.scope = scope
        self.label = label
        self.leaf = leaf
        self.used = False
        self.claimed = ""
        self.start = 0


def _memory(tensor: torch.Tensor) -> tuple[Any, ...] | None:
    """What tells a tensor's elements from others; ``None`` for a wrapper without memory of its own."""
    try:
        storage = tensor.untyped_storage()._cdata
        return (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
    except (RuntimeError, NotImplementedError):
        return None


class TracedTensors:
    """Names tensors, and knows which is a parameter, which stands for values and which for integers.

    ``specs`` maps ``id(tensor)`` to its current `TensorSpec`; traced tensors are kept alive so that ids stay unique.
    ``twins`` maps the id of a *carried* tensor (a real one whose values are needed) to its meta twin, under which it is
    known to the rules; ``values`` maps back.
    """

    def __init__(self, device: torch.device, real: bool) -> None:
        self.device = device
        self.devices: tuple[str, ...] = (device.type,)  # kinds of device whose autocast the tensors obey
        self.casts: dict[tuple[int, torch.dtype], torch.Tensor] = {}  # weights that autocast has cast
        self.real = real
        self.layers: list[Layer] = []
        self.parameters: dict[str, Parameter] = {}
        self.specs: dict[int, TensorSpec] = {}
        self.alive: list[Any] = []
        self.declared: set[int] = set()  # ids of parameters, buffers, constants and pieces of them
        self.prepared: set[int] = set()  # ids of tensors computed from declared ones alone
        self.originals: list[torch.Tensor] = []  # every declared tensor
        self.twins: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self.stale: set[int] = set()  # ids of tensors written to on shapes alone: the values they hold are old
        self.twice = False  # the operation at hand is done for real as well
        self.train = False  # the training form is read: what autograd would record matters
        self.outside: list[str] = []  # layers outside autograd's record
        self.own: list[str] = []  # layers of an autograd.Function, which has a backward pass of its own
        self.segments: list[list[str]] = []  # layers of each checkpointed call
        self.quantised: dict[int, TensorSpec] = {}  # id of a float tensor that stands for integers -> its spec
        self.packed: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}  # id of packed weights -> weight, bias
        self.cells: dict[int, list[torch.Tensor]] = {}  # id of the packed weights of a recurrent layer -> all of them
        self.base: dict[int, int] = {}  # id of a view -> id of the tensor whose storage it shares
        self.families: dict[int, list[torch.Tensor]] = {}  # id of a base -> it and its views that may still be in use
        self.taken: dict[str, int] = {}
        self.frames: list[Frame] = [Frame(None, "", "", False)]
        self.source = ""
        self.forced: list[torch.Tensor] | None = None
        self.existing: frozenset[int] = frozenset()  # ids of tensors that the model held before a real run
        self.escaped = False  # values left torch's sight (numpy), so an unknown tensor may depend on them
        self.places: dict[Any, torch.Tensor] = {}  # memory -> a tensor over it, of those in alive[:placed]
        self.placed = 0
        self.regions: dict[str, Region] = {}  # loops and branches
        self.inside: str | None = None  # the region that is open
        self.kernel_calls = 0  # operators that went through torch's meta kernels
        self.real_calls = 0
        self.notes: dict[str, None] = {}
        self.undo: list[Callable[[], None]] = []
        self.values_before = OverwrittenValues(self.originals, self.undo)

    # -- names -----------------------------------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """``name``, or ``name_1``, ``name_2`` … where it is taken."""
        count = self.taken.get(name)
        if count is None:
            self.taken[name] = 1
            return name
        while True:
            candidate = f"{name}_{count}"
            count += 1
            if candidate not in self.taken:
                self.taken[name] = count
                self.taken[candidate] = 1
                return candidate

    def note(self, sentence: str) -> None:
        """Add a sentence to the report's warnings, once."""
        self.notes[sentence] = None

    # -- tensors ---------------------------------------------------------------------------------------------------

    def declare(self, tensor: torch.Tensor, parameter: Parameter) -> None:
        """Make a parameter, buffer or constant of the model known; a second tensor object may stand for it too."""
        spec = parameter.spec
        self.parameters[spec.name] = parameter
        key = id(tensor)
        self.specs[key] = spec
        self.declared.add(key)
        self.originals.append(tensor)  # also keeps it alive

    def reserve_names(self) -> None:
        """Keep the names of declared tensors from being given to layers."""
        self.taken = dict.fromkeys(self.parameters, 1) | self.taken

    def give_input(self, tensor: torch.Tensor, name: str) -> TensorSpec:
        """Make a tensor known as an input of the graph."""
        spec = TensorSpec(tuple(tensor.shape), NAMES[tensor.dtype], self.unique(name))
        self.specs[id(tensor)] = spec
        self.alive.append(tensor)
        return spec

    def carry(self, real: torch.Tensor, twin: torch.Tensor) -> torch.Tensor:
        """Let ``real`` flow through the model in place of ``twin``, so that its values stay at hand."""
        self.twins[id(real)] = twin
        self.values[id(twin)] = real
        self.alive.append(real)
        return real

    def value(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor with its values; raises `ValueNeededError` where only the shape is known."""
        if id(self.twins.get(id(tensor), tensor)) in self.stale:
            raise ValueNeededError
        real = self.values.get(id(tensor))
        if real is not None:
            return real
        if tensor.device is META or tensor.is_meta:
            raise ValueNeededError
        return tensor

    def new(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A contiguous tensor for a rule's result; inside an aten rule, the next result of torch's meta kernel."""
        if self.forced is not None:
            return self.forced.pop(0)
        return _empty(shape, dtype=dtype, device=META)

    def new_strided(self, shape: Sequence[int], stride: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        if self.forced is not None:
            return self.forced.pop(0)
        return _empty_strided(shape, stride, dtype=dtype, device=META)

    def is_weight(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor is a parameter, buffer or constant, a piece of one, or computed from such alone."""
        key = id(tensor)
        return key in self.declared or key in self.prepared

    def spec(self, tensor: torch.Tensor) -> TensorSpec:
        """The current spec of a tensor; one never seen becomes a constant, or an untraced layer's output."""
        known = self.specs.get(id(tensor))
        return known if known is not None else self._adopt(tensor)

    def _adopt(self, tensor: torch.Tensor) -> TensorSpec:
        twin = self.twins.get(id(tensor))
        if twin is not None:
            return self.spec(twin)
        if _is_wrapped(tensor):
            if self.real:
                self.note("inside vmap or grad only one element's operations were seen: the count is too low")
            else:
                raise WrappedError
        scope = self.frames[-1].scope
        if tensor.is_meta or isinstance(tensor, torch.nn.Parameter):
            original = self._original(tensor)
            if original is not None and id(original) in self.specs:  # not one whose layer a claim replaced
                self.same(original, tensor)
                return self.specs[id(tensor)]
        if isinstance(tensor, torch.nn.Parameter):
            # Held in a plain list or another object: used, though the model does not declare it.
            name = self.unique(f"{scope}.unregistered" if scope else "unregistered")
            self.note(f"{name}: a parameter that no module registers is used and counted")
            spec = TensorSpec(tuple(tensor.shape), NAMES[tensor.dtype], name)
            self.declare(tensor, Parameter(spec, trainable=tensor.requires_grad))
            return spec
        if tensor.is_meta or ((self.escaped or self.real) and id(tensor) not in self.existing):
            return self.untraced(tensor)
        # Only values could tie a real tensor to the inputs, and no value has left torch's sight: it is a constant.
        name = self.unique(f"{scope}.constant" if scope else "constant")
        spec = TensorSpec(tuple(tensor.shape), NAMES[tensor.dtype], name)
        self.declare(tensor, Parameter(spec, CONSTANT, False))
        return spec

    def _original(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """A known tensor over exactly the same memory: ``nn.Parameter(x)`` and ``as_subclass`` make such in silence."""
        for known in self.alive[self.placed :]:
            if isinstance(known, torch.Tensor):
                self.places[_memory(known)] = self.twins.get(id(known), known)
        self.placed = len(self.alive)
        memory = _memory(tensor)
        return None if memory is None else self.places.get(memory)

    def untraced(self, tensor: torch.Tensor) -> TensorSpec:
        """A tensor that appears from nowhere is the output of an unsupported layer: it must not vanish."""
        known = tensor
        if not tensor.is_meta:
            known = _empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
            self.carry(tensor, known)
        self.emit("torch.untraced", {}, {"y": known}, {"why": "made out of torch's sight (numpy, a foreign kernel)"})
        return self.specs[id(known)]

    # -- quantised tensors, which are float ones under the name of integers ------------------------------------------

    def quantise(self, tensor: torch.Tensor, dtype: str, quant: Quant) -> torch.Tensor:
        """Record that the tensor stands for integers of ``dtype``."""
        spec = self.specs[id(tensor)]
        spec.dtype, spec.quant = dtype, quant
        self.quantised[id(tensor)] = spec
        return tensor

    def real_again(self, tensor: torch.Tensor) -> torch.Tensor:
        """Record that the tensor, made from quantised ones, holds real numbers."""
        spec = self.specs[id(tensor)]
        spec.dtype, spec.quant = NAMES[tensor.dtype], None
        self.quantised.pop(id(tensor), None)
        return tensor

    def _stay_quantised(
        self, inputs: Mapping[str, torch.Tensor | None], tensor: torch.Tensor, spec: TensorSpec
    ) -> None:
        """torch's operators on quantised tensors return tensors of the same type."""
        if tensor.dtype is not torch.float32:
            return
        for given in inputs.values():
            like = self.quantised.get(id(given))
            if like is not None:
                spec.dtype, spec.quant = like.dtype, like.quant
                self.quantised[id(tensor)] = spec
                return

    # -- what records layers (`Tracer`) ------------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        inputs: Mapping[str, torch.Tensor | None],
        outputs: Mapping[str, torch.Tensor],
        attrs: dict[str, Any] | None = None,
    ) -> Layer:
        raise NotImplementedError

    def same(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError
