"""What is recorded while a PyTorch model runs on shapes: tensors under names, layers under module scopes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.overwritten import OverwrittenValues
from multiprof.ir import ALIAS_ROLE, CONSTANT, LOOP, VIEW, WRITE, Layer, Parameter, Quant, Region, TensorSpec

META = torch.device("meta")
_empty = torch.empty
_empty_strided = torch.empty_strided
_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor

# References to a traced tensor that are ours: the list that keeps it alive, the family list, the loop variable and
# getrefcount's own argument. More means that the model still holds it.
_OUR_REFERENCES = 4


class ValueNeededError(Exception):
    """A rule needs the values of a tensor of which only the shape is known: the model has to run for real."""


class WrappedError(Exception):
    """A tensor under ``vmap`` or ``grad`` lacks dimensions: only the operators beneath have the true shapes."""


class RefusedError(RuntimeError):
    """What torch's CPU and GPU kernels refuse and its meta kernels let pass: a contraction of two dtypes."""


_CONTRACTIONS = frozenset(("conv", "conv_transpose", "linear", "matmul"))


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


class Tracer:
    """Names tensors, emits layers, and knows which tensor is a parameter, a view or a write of another.

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

    @contextmanager
    def region(self, id: str, kind: str, trips: int | None = 1, group: str = "") -> Iterator[None]:
        """What is recorded inside stands in a new region, itself inside the one that is open. Loops carry state."""
        outer = self.inside
        id = self.unique(id)
        self.regions[id] = Region(id, outer, kind, trips, group, kind == LOOP)
        self.inside = id
        try:
            yield
        except BaseException:
            del self.regions[id]
            raise
        finally:
            self.inside = outer

    # -- layers ----------------------------------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        inputs: Mapping[str, torch.Tensor | None],
        outputs: Mapping[str, torch.Tensor],
        attrs: dict[str, Any] | None = None,
        hint: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Record a layer; ``inputs`` that are ``None`` are absent. The layer is named after the running module.

        ``hint`` names the layers of a module that makes several (``l0``, ``in_proj``).
        """
        specs = self.specs
        declared, prepared = self.declared, self.prepared
        ins: dict[str, TensorSpec] = {}
        weights = True
        for role, tensor in inputs.items():
            if tensor is not None:
                key = id(tensor)
                known = specs.get(key)
                ins[role] = known if known is not None else self._adopt(tensor)
                if weights and key not in declared and key not in prepared:
                    weights = False
        frame = self.frames[-1]
        label = frame.label
        if op in _CONTRACTIONS:
            left, right, *_ = ins.values()
            if left.dtype != right.dtype and left.quant is None and right.quant is None:
                raise RefusedError(
                    f"expected both operands of {op} to have one dtype, but got {left.dtype} and {right.dtype}"
                )
            if left.dtype.startswith("complex"):
                self.note("a MAC of complex numbers counts as one; it takes four of real numbers")
        if label and frame.leaf and not frame.used and not hint:
            wanted = label
        else:
            short = hint or op.rpartition(".")[2]
            wanted = f"{label}/{short}" if label else short
        frame.used = True
        name = self.unique(wanted)
        if self.train and not torch.is_grad_enabled():
            self.outside.append(name)
        outs: dict[str, TensorSpec] = {}
        alive = self.alive
        for role, tensor in outputs.items():
            spec = TensorSpec(
                tuple(tensor.shape), NAMES[tensor.dtype], name if role == "y" else self.unique(f"{name}:{role}")
            )
            outs[role] = spec
            key = id(tensor)
            if key not in specs:  # once, or a write would make the tensor look as if the model still held it
                alive.append(tensor)
            specs[key] = spec
            if self.quantised:
                self._stay_quantised(inputs, tensor, spec)
            if weights and ins:
                prepared.add(key)
            elif key in prepared:  # written in place by something that depends on the inputs
                prepared.discard(key)
        attrs = attrs if attrs is not None else {}
        layer = Layer(name, op, ins, outs, attrs, frame.scope, self.source, self.inside, aliases)
        self.layers.append(layer)
        return layer

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

    def view(self, op: str, x: torch.Tensor, y: torch.Tensor, attrs: dict[str, Any] | None = None) -> torch.Tensor:
        """Record that ``y`` is a view of ``x``; a view of a parameter stays that parameter and is no layer."""
        if y is x:
            return y
        spec = self.spec(x)
        key = id(y)
        if id(x) in self.declared and spec.name in self.parameters:
            self.specs[key] = TensorSpec(tuple(y.shape), NAMES[y.dtype], spec.name)
            self.declared.add(key)
            self.alive.append(y)
            self.relate(x, y)
            return y
        self.emit(op, {"x": x}, {"y": y}, attrs, "", (("y", "x", VIEW),))
        self.relate(x, y)
        return y

    def same(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Record that ``y`` is another tensor object over exactly the elements of ``x``: it keeps the name."""
        if y is not x:
            self.specs[id(y)] = self.spec(x)
            if id(x) in self.quantised:
                self.quantised[id(y)] = self.quantised[id(x)]
            for known in (self.declared, self.prepared):
                if id(x) in known:
                    known.add(id(y))
            self.alive.append(y)
            self.relate(x, y)
        return y

    def views(self, op: str, x: torch.Tensor, pieces: Iterable[torch.Tensor], attrs: dict[str, Any]) -> None:
        """Record several views of ``x`` made by one call (split, unbind)."""
        pieces = list(pieces)
        spec = self.spec(x)
        if id(x) in self.declared and spec.name in self.parameters:
            for y in pieces:
                self.view(op, x, y)
            return
        outputs = {f"y{i}": y for i, y in enumerate(pieces)}
        self.emit(op, {"x": x}, outputs, attrs, "", tuple((role, "x", VIEW) for role in outputs))
        for y in pieces:
            self.relate(x, y)

    def rebase(self, x: torch.Tensor, onto: torch.Tensor) -> None:
        """Record that ``x`` now stands on the storage of ``onto`` instead of its own."""
        left = self.base.get(id(x), id(x))
        if left in self.families:
            self.families[left] = [tensor for tensor in self.families[left] if tensor is not x]
        self.relate(onto, x)

    def relate(self, x: torch.Tensor, y: torch.Tensor) -> None:
        root = self.base.get(id(x), id(x))
        self.base[id(y)] = root
        family = self.families.get(root)
        if family is None:
            self.families[root] = [x, y]
        else:
            family.append(y)

    def write(
        self,
        op: str,
        x: torch.Tensor,
        inputs: Mapping[str, torch.Tensor | None],
        attrs: dict[str, Any] | None = None,
        role: str = "x",
    ) -> torch.Tensor:
        """Record an operation that writes its result into ``x``, which stands in ``inputs`` under ``role``.

        The tensor, its base and every view of it that the model still holds get new names.
        """
        old = self.spec(x)
        root = self.base.get(id(x), id(x))
        others: list[torch.Tensor] = []
        family = self.families.get(root)
        if family is not None:
            live = [t for t in family if t is x or id(t) == root or sys.getrefcount(t) > _OUR_REFERENCES]
            others = [t for t in live if t is not x]
            self.families[root] = live  # a view that the model let go cannot come back
        ins: dict[str, torch.Tensor | None] = dict(inputs)
        ins.setdefault(role, x)
        outs: dict[str, torch.Tensor] = {"y": x}
        aliases = [("y", role, WRITE)]
        for i, tensor in enumerate(others):
            alias = f"{ALIAS_ROLE}{i}"
            ins[alias] = tensor
            outs[alias] = tensor
            aliases.append((alias, alias, WRITE))
        self.emit(op, ins, outs, attrs, "", tuple(aliases))
        written = (x, *others)
        if not self.twice:
            self.stale.update(map(id, written))
        if id(x) in self.declared:
            # From here on the tensors are computed ones; their declared values are no longer what they hold.
            self.declared.difference_update(map(id, written))
            if self.real and old.name in self.parameters:
                self.note(f"{old.name}: the model writes to it while it runs; it was put back")
        return x

    def overwritten(self, x: torch.Tensor, twin: torch.Tensor) -> None:
        """Record that ``x`` now holds what an operation wrote to its stand-in ``twin``."""
        self.specs[id(x)] = self.specs[id(twin)]
        self.declared.discard(id(x))
        (self.prepared.add if id(twin) in self.prepared else self.prepared.discard)(id(x))
        if not self.twice:
            self.stale.add(id(x))

    def rollback(self, mark: int) -> None:
        """Forget the layers recorded since ``mark``, and their names: their rule gave up halfway."""
        frame = self.frames[-1]
        for layer in self.layers[mark:]:
            self.taken.pop(layer.name, None)
            if layer.name == frame.label:
                frame.used = False
        del self.layers[mark:]
