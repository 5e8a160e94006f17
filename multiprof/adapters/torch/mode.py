"""The function mode that stands between the model and torch, and the dispatch mode beneath it.

Every torch call of the model arrives in `ShapeMode`. A rule answers it from shapes alone; what no rule answers runs
through torch's own meta kernels under `OperatorMode`, which records the aten operators inside. Tensors whose values
matter are *carried*: they stay real, and every operation on them is done twice, on the meta twin for the record and
for real for the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch._ops import OpOverload, OpOverloadPacket
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from multiprof.adapters.torch import autocast
from multiprof.adapters.torch.foreign import emit_foreign, foreign_name
from multiprof.adapters.torch.table import ATEN, RULES, STAYING, WHOLE, Direct, passthrough
from multiprof.adapters.torch.tracer import META, RefusedError, Tracer, ValueNeededError
from multiprof.errors import ModelError

Tensor = torch.Tensor

CPU = torch.device("cpu")

# Real tensors up to this size may be computed for real while everything else has only shapes.
SMALL = 65_536


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply ``function`` to every tensor in nested lists, tuples, named tuples and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    kind = type(value)
    if kind is tuple or kind is list:
        return kind([map_tensors(function, v) for v in value])
    if kind is dict:
        return {k: map_tensors(function, v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):  # not by calling it: a PackedSequence checks its arguments
        return kind._make([map_tensors(function, v) for v in value])
    if isinstance(value, tuple) and kind is not torch.Size:
        # torch's own result types (torch.return_types.max …) take one iterable
        return kind([map_tensors(function, v) for v in value])
    return value


def tensors_in(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_tensors(found.append, value)
    return found


class ShapeMode(TorchFunctionMode):
    """Answers torch calls by rule; see the module's text."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if kwargs is None:
            kwargs = {}
        try:
            rule = RULES.get(func)
        except TypeError:  # an unhashable callable
            rule = None
        if rule is passthrough:
            return func(*args, **kwargs)
        tracer = self.tracer
        if rule is None:
            if type(func) is OpOverload:
                rule = WHOLE.get(f"{func.namespace}.{func._opname}")
            elif type(func) is OpOverloadPacket:
                rule = WHOLE.get(func._qualified_op_name.replace("::", "."))
        elif type(rule) is Direct:
            return rule.answer(tracer, func, *args, **kwargs)
        if autocast.is_enabled():
            args, kwargs = self._autocast(func, args, kwargs)
        tracer.source = getattr(func, "__name__", "") or type(func).__name__
        if tracer.real or (tracer.twins and self._carries(args, kwargs)):
            return self._with_values(func, rule, args, kwargs)
        return self._by_shape(func, rule, args, kwargs)

    def _autocast(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments as autocast would hand them to a kernel; a weight is cast once."""
        tracer = self.tracer
        dtype = autocast.cast_for(tracer.devices, func)
        if dtype is None:
            return args, kwargs

        def cast(tensor: Tensor) -> Tensor:
            if not autocast.needs_cast(tensor, dtype):
                return tensor
            key = (id(tensor), dtype)
            made = tracer.casts.get(key)
            if made is None:
                made = self.__torch_function__(Tensor.to, (), (tensor, dtype))
                if id(tensor) in tracer.declared:
                    tracer.casts[key] = made
            return made

        return map_tensors(cast, args), map_tensors(cast, kwargs)

    def _by_shape(self, func: Any, rule: Any, args: Any, kwargs: Any) -> Any:
        tracer = self.tracer
        if kwargs and "out" in kwargs:
            if kwargs["out"] is None:  # as torch's own Python wrappers pass it on
                kwargs = {name: value for name, value in kwargs.items() if name != "out"}
            else:
                rule = None
        if rule is not None:
            mark = len(tracer.layers)
            try:
                result = rule(tracer, *args, **kwargs)
            except (ValueNeededError, RefusedError):
                raise
            except Exception:
                # Arguments the rule cannot handle: torch's own kernel gives the meaning, or the error's true text.
                tracer.rollback(mark)
                result = NotImplemented
            if result is not NotImplemented:
                return result
        return self._by_kernel(func, args, kwargs)

    def _by_kernel(self, func: Any, args: Any, kwargs: Any) -> Any:
        lifted: dict[int, tuple[Tensor, Tensor]] = {}

        def lift(tensor: Tensor) -> Tensor:
            if tensor.is_meta or is_functorch_wrapped_tensor(tensor):  # what is wrapped is lifted beneath
                return tensor
            if id(tensor) not in lifted:
                lifted[id(tensor)] = tensor, self._lift(tensor)
            return lifted[id(tensor)][1]

        lifted_args, lifted_kwargs = map_tensors(lift, args), map_tensors(lift, kwargs)
        if "device" in lifted_kwargs:
            lifted_kwargs = {**lifted_kwargs, "device": META}
        mark = len(self.tracer.layers)
        try:
            with OperatorMode(self.tracer):
                result = func(*lifted_args, **lifted_kwargs)
        except Exception:
            self.tracer.rollback(mark)
            raise
        return self._lower(result, lifted) if lifted else result

    def _lower(self, result: Any, lifted: dict[int, tuple[Tensor, Tensor]]) -> Any:
        """Pass on what a kernel wrote to a stand-in, and return the real tensor where it returned the stand-in."""
        tracer = self.tracer
        real = {}
        for tensor, twin in lifted.values():
            real[id(twin)] = tensor
            if tracer.specs[id(twin)] is not tracer.specs[id(tensor)]:
                tracer.overwritten(tensor, twin)
        return map_tensors(lambda t: real.get(id(t), t), result)

    def _lift(self, tensor: Tensor) -> Tensor:
        """A meta stand-in, known under the same name, for a real tensor that a meta kernel would refuse."""
        if tensor.is_meta:
            return tensor
        tracer = self.tracer
        spec = tracer.spec(tensor)
        if tensor.layout is not torch.strided:  # a dense stand-in would be counted as what it is
            raise ModelError(
                f"{spec.name} is a sparse tensor ({str(tensor.layout).removeprefix('torch.')}); of these, products of "
                f"a matrix and a dense one are counted, by @, torch.mm and torch.sparse.mm, and no {tracer.source}"
            )
        twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
        made = twin
        while True:  # under vmap and grad it is made with a wrapper around it, and operators beneath see what is inside
            tracer.specs[id(made)] = spec
            if id(tensor) in tracer.declared:
                tracer.declared.add(id(made))
            tracer.alive.append(made)
            if not is_functorch_wrapped_tensor(made):
                return twin
            made = get_unwrapped(made)

    # -- tensors with values ---------------------------------------------------------------------------------------

    def _carries(self, args: Any, kwargs: Any) -> bool:
        twins = self.tracer.twins
        for a in args:
            if id(a) in twins:
                return True
            if type(a) in (tuple, list) and any(id(t) in twins for t in tensors_in(a)):
                return True
        return any(id(t) in twins for v in kwargs.values() for t in tensors_in(v))

    def _runnable(self, tensor: Tensor) -> bool:
        """Whether the value of this argument is at hand, without reading large parameters when only shapes are run."""
        tracer = self.tracer
        twin = tracer.twins.get(id(tensor))
        if twin is not None:
            return id(twin) not in tracer.stale
        if tensor.is_meta or id(tensor) in tracer.stale:
            return False
        return tracer.real or (tensor.numel() <= SMALL and not isinstance(tensor, torch.nn.Parameter))

    def _with_values(self, func: Any, rule: Any, args: Any, kwargs: Any) -> Any:
        if all(self._runnable(t) for t in tensors_in((args, kwargs))):
            return self._twice(func, rule, args, kwargs)
        swap = self._swap
        return self._by_shape(func, rule, map_tensors(swap, args), map_tensors(swap, kwargs))

    def _swap(self, tensor: Tensor) -> Tensor:
        tracer = self.tracer
        twin = tracer.twins.get(id(tensor))
        if twin is None and tracer.real and id(tensor) not in tracer.specs and not tensor.is_meta:
            tracer.spec(tensor)  # makes it a constant, or an untraced layer's output with a twin
            twin = tracer.twins.get(id(tensor))
        return tensor if twin is None else twin

    def _twice(self, func: Any, rule: Any, args: Any, kwargs: Any) -> Any:
        """Do the operation on the twins for the record and for real for the values."""
        tracer = self.tracer
        swap = self._swap
        twin_args, twin_kwargs = map_tensors(swap, args), map_tensors(swap, kwargs)
        mark = len(tracer.layers)
        tracer.twice = True
        try:
            shapes = self._by_shape(func, rule, twin_args, twin_kwargs)
        except (RuntimeError, NotImplementedError, ValueNeededError, TypeError):
            # No meta kernel, or a result whose shape depends on values: the real result has the shape.
            tracer.rollback(mark)
            shapes = None
        finally:
            tracer.twice = False
        tracer.values_before.keep(func, args)
        tracer.real_calls += 1
        real = func(*args, **kwargs) if tracer.real else self._here(func, args, kwargs)
        if shapes is None:
            return self._record_real(func, twin_args, twin_kwargs, args, kwargs, real)
        self._pair(real, shapes)
        return real

    @staticmethod
    def _here(func: Any, args: Any, kwargs: Any) -> Any:
        """Call ``func`` with the values on the CPU, where carried tensors stay while all others have only shapes."""
        func = STAYING.get(func, func)
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": CPU}
        return func(*args, **kwargs)

    def _pair(self, real: Any, shapes: Any) -> None:
        tracer = self.tracer
        for r, s in zip(tensors_in(real), tensors_in(shapes), strict=False):
            if r is not s and id(r) not in tracer.declared:
                known = tracer.twins.get(id(r))
                if known is not s and id(s) not in tracer.twins:
                    tracer.carry(r, s)

    def _record_real(self, func: Any, twin_args: Any, twin_kwargs: Any, args: Any, kwargs: Any, real: Any) -> Any:
        tracer = self.tracer
        known = {id(t): t for t in tensors_in((args, kwargs))}
        fresh: list[Tensor] = []

        def twin(tensor: Tensor) -> Tensor:
            if id(tensor) in known:
                return self._swap(tensor)
            made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=META)
            tracer.carry(tensor, made)
            fresh.append(made)
            return made

        shapes = map_tensors(twin, real)
        record(tracer, foreign_name(func), func, twin_args, twin_kwargs, shapes)
        return real


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__ has no types
    """Records aten (and other) operators that torch's own code calls, while its meta kernels run."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tracer = tracer
        self.lift = ShapeMode(tracer)._lift

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True makes torch import torch._dynamo on the first operator (0.9 s) to wrap a handler it never compiles.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tracer = self.tracer
        mixed = [t.is_meta for t in tensors_in((args, kwargs))]
        if any(mixed) and not all(mixed):  # the weights of scripted modules and functorch's closures come in unlifted
            args, kwargs = map_tensors(self.lift, args), map_tensors(self.lift, kwargs)
        out = func(*args, **kwargs)
        tracer.kernel_calls += 1
        record(tracer, f"{func.namespace}.{func._opname}", func, args, kwargs, out)
        return out


def record(tracer: Tracer, name: str, func: Any, args: Any, kwargs: Any, out: Any) -> None:
    """Emit the layer of an operator whose results are at hand: canonical by the aten table, else foreign."""
    results = tensors_in(out)
    if not results and not getattr(getattr(func, "_schema", None), "is_mutable", False):
        return
    rule = ATEN.get(name)
    if rule is passthrough:
        return
    if rule is not None:
        mark = len(tracer.layers)
        tracer.forced = list(results)
        into = kwargs.get("out") if len(results) == 1 else None
        if into is not None:  # made elsewhere, and copied there
            kwargs = {name: value for name, value in kwargs.items() if name != "out"}
            tracer.forced = [torch.empty_like(into, device=META)]
        made = list(tracer.forced)
        try:
            if rule(tracer, *args, **kwargs) is not NotImplemented:
                if into is not None:
                    tracer.write("copy", into, {"x": made[0], "dest": into}, {}, "dest")
                return
        except (ValueNeededError, RefusedError):
            raise
        except Exception:
            pass  # an overload or argument the rule does not know: recorded as a foreign layer below
        finally:
            tracer.forced = None
        tracer.rollback(mark)
    emit_foreign(tracer, name, func, args, kwargs, results)
