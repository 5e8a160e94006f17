"""Reads a live PyTorch module, any callable on tensors, or a file of either into a Graph."""

from __future__ import annotations

import copy
import os
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from multiprof.adapters.torch import prepacked as _prepacked  # noqa: F401  # importing the rules fills the tables
from multiprof.adapters.torch import rules as _rules  # noqa: F401
from multiprof.adapters.torch.arguments import Arguments, parameter_names
from multiprof.adapters.torch.declared import Declarations, ModuleTree, existing_tensors
from multiprof.adapters.torch.exported import unpacked
from multiprof.adapters.torch.files import WithoutValues, opened, scripted
from multiprof.adapters.torch.gradients import checkpoints, metadata, own_backward
from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.pruned import masked, sentence
from multiprof.adapters.torch.results import returned_tensors
from multiprof.adapters.torch.scopes import Scopes
from multiprof.adapters.torch.scripted import ScriptedCalls
from multiprof.adapters.torch.state import GlobalState, ModelState, spare_buffers
from multiprof.adapters.torch.tracer import RefusedError, Tracer, ValueNeededError
from multiprof.adapters.torch.wrappers import drop_gathering, original
from multiprof.errors import InputsError, ModelError, MultiprofError
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph

_ANY_DEVICE = ("cuda", "cpu", "mps", "xpu", "hpu")  # whose autocast a model without a device of its own may mean

RULES_RUNG = "shapes by rule"
KERNEL_RUNG = "shapes by rule and by torch's meta kernels"
REAL_RUNG = "run for real"

# A trace stands in front of nn.Module.__call__, turns the model to inference and puts back the process's generators of
# random numbers: two at once would undo each other. The same thread may analyse while it is being analysed.
_one_at_a_time = RLock()


def read(model: Any, inputs: Inputs | None, *, leaves: frozenset[str], trace: Any, options: ReadOptions) -> Graph:
    """Trace ``model`` on ``inputs`` and return its Graph; the model and torch's global state come back as they were.

    ``model`` may be the path of a file, which runs code of its own only where the options trust it. ``leaves`` are the
    foreign names some formula claims: a module of such a class becomes one layer. Raises `InputsError` when the model
    cannot run on the inputs and `ModelError` when it raises for another reason.
    """
    file = opened(model, inputs, options.trust) if isinstance(model, Path) else None
    if file is not None:
        model, inputs = file.model, file.inputs
    model, inputs = unpacked(original(model), inputs)
    if isinstance(model, torch.jit.ScriptModule):
        model = scripted(model)
    if inputs is None:
        raise InputsError(
            "a PyTorch model does not carry its input shapes: give inputs, e.g. (1, 3, 224, 224) or --input 1x3x224x224"
        )
    with _one_at_a_time:
        graph = _read(model, inputs, leaves, options.train)
    if file is not None:
        graph.metadata |= {"format": file.format, "trust": file.trusted}
    return graph


def _read(model: Any, inputs: Inputs, leaves: frozenset[str], train: bool) -> Graph:
    tree = ModuleTree(model)
    # Arguments that are no tensors (a key-value cache) may change too, and are the caller's.
    state = ModelState(tree.modules, (*tree.holders, *inputs.args, *inputs.kwargs.values()))
    scripted = [m for m in tree.modules if isinstance(m, torch.jit.ScriptModule) and m.training != train]
    process = GlobalState()
    try:
        if tree.lazy:
            model, tree = _materialised(model, inputs)
        for module in tree.modules:
            # Not .eval(): models override train() (to merge adapters, to freeze norms), and that would change them.
            module.__dict__["training"] = train
        for module in scripted:
            module.training = train
        drop_gathering(tree.modules)
        was_training = state.training_modes() or bool(scripted)
        try:
            return _Reading(model, tree, inputs, leaves, train, real=False).run(was_training)
        except _RunForReal as reason:
            state.restore()
            for module in tree.modules:
                module.__dict__["training"] = train
            return _Reading(model, tree, inputs, leaves, train, real=True, why=str(reason)).run(was_training)
    finally:
        state.restore()
        for module in scripted:
            module.training = not train
        process.restore()


def _materialised(model: Any, inputs: Inputs) -> tuple[Any, ModuleTree]:
    """A copy of a model with lazy modules, its unknown shapes filled in by a first trace; the original stays lazy."""
    if not isinstance(model, torch.nn.Module):
        raise ModelError("a callable over lazy modules cannot be read before they are initialised: call it once first")
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                memo[id(tensor)] = _on_meta(tensor)
    duplicate = copy.deepcopy(model, memo)
    arguments = Arguments(Tracer(torch.device("cpu"), False), _float_dtype(ModuleTree(duplicate)), [])
    args, kwargs = arguments.build(inputs)
    with torch.no_grad():
        try:
            duplicate(*args, **kwargs)
        except Exception as error:
            raise ModelError(
                f"lazy modules could not be initialised from shapes: {_first_line(error)}; call the model once first"
            ) from error
    return duplicate, ModuleTree(duplicate)


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    lazy: Any = type(tensor)  # torch's stubs know the constructors of lazy tensors as those of plain ones
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
        return lazy(requires_grad=tensor.requires_grad, device="meta", dtype=tensor.dtype)  # type: ignore[no-any-return]
    twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return torch.nn.Parameter(twin, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else twin


class _RunForReal(Exception):
    """Shapes alone do not say what the model computes."""


class _Reading:
    """One trace, on shapes alone or for real."""

    def __init__(
        self,
        model: Any,
        tree: ModuleTree,
        inputs: Inputs,
        leaves: frozenset[str],
        train: bool,
        real: bool,
        why: str = "",
    ) -> None:
        self.model = model
        self.tree = tree
        self.inputs = inputs
        self.real = real
        self.why = why
        self.tracer = Tracer(_device(tree), real)
        self.tracer.train = train
        if _on_meta_device(tree):
            self.tracer.devices = _ANY_DEVICE
        if real:
            spare_buffers(tree.modules)
        declarations = Declarations(self.tracer)
        declarations.declare(tree.modules, tree.paths)
        self.scopes = Scopes(self.tracer, tree, declarations, leaves)
        if isinstance(model, WithoutValues):
            self.tracer.undo.append(model.attach(self.tracer, self.scopes.classes))
        forward = model.forward if isinstance(model, torch.nn.Module) else model
        self.arguments = Arguments(self.tracer, _float_dtype(tree), parameter_names(forward))

    def run(self, was_training: bool) -> Graph:
        tracer = self.tracer
        args, kwargs = self.arguments.build(self.inputs)
        if self.real:
            self._check_runnable()
            tracer.existing = existing_tensors(self.model, self.tree.modules)
        try:
            with ExitStack() as stack:
                stack.enter_context(torch.set_grad_enabled(tracer.train))
                if tracer.train:
                    stack.enter_context(checkpoints(tracer))
                    stack.enter_context(own_backward(tracer))
                stack.enter_context(_eager_stance())
                if torch.get_default_device().type != "cpu":
                    # Under `with torch.device("meta")` the small tensors whose values are kept would have none.
                    stack.enter_context(self.tracer.device)
                stack.enter_context(self.scopes)
                mode = stack.enter_context(ShapeMode(tracer))
                stack.enter_context(ScriptedCalls(mode))
                result = self.model(*args, **kwargs)
                if isinstance(result, Generator):  # computes nothing before it is asked
                    result = list(result)
        except MultiprofError:
            raise
        except Exception as error:
            self._raised(error)
        finally:
            for undo in reversed(tracer.undo):
                undo()
        return self._graph(result, was_training)

    def _raised(self, error: Exception) -> None:
        if not self.real and _values_were_needed(error):
            raise _RunForReal(f"{_first_line(error)}{_place(error)}") from error
        where = _place(error)
        text = _first_line(error)
        scope = self.scopes.failed[1] if self.scopes.failed[0] is error else ""
        inside = f" in module {scope!r}" if scope else ""
        kind = InputsError if _blames_inputs(error) else ModelError
        raised = (
            "the model cannot run" if isinstance(error, RefusedError) else f"the model raised {type(error).__name__}"
        )
        raise kind(
            f"{raised}{inside}{where}: {text} "
            f"(inputs: {', '.join(f'{s.name} {list(s.shape)} {s.dtype}' for s in self.arguments.specs) or 'none'})"
        ) from error

    def _check_runnable(self) -> None:
        if isinstance(self.model, WithoutValues):
            raise ModelError(
                f"shapes alone do not say what {self.model.sort} computes ({self.why}), and a file is not run: load "
                "the model where you trust it and give it as file.py:callable"
            )
        if any(p.is_meta for m in self.tree.modules for p in m._parameters.values() if p is not None):
            raise ModelError(
                f"shapes alone do not say what this model computes ({self.why}), and its parameters are on the meta "
                "device, so it cannot be run for real: give a model with real parameters"
            )

    def _graph(self, result: Any, was_training: bool) -> Graph:
        tracer = self.tracer
        tracer.source = "return"
        outputs = tuple(tracer.spec(t) for t in returned_tensors(result))
        warnings = list(tracer.notes)
        zeros = masked(tracer)
        if zeros:
            warnings.append(sentence(zeros))
        if was_training and not tracer.train:
            warnings.insert(0, "the model is in training mode; it was analysed as for inference")
        if self.real:
            rung = f"{REAL_RUNG}, because shapes alone did not do: {self.why}"
            if self.arguments.made_up:
                warnings.append(
                    f"the model was run for real on made-up values of {', '.join(self.arguments.made_up)}: "
                    "where values decide what is computed, give real inputs for a count that holds for them"
                )
        else:
            rung = KERNEL_RUNG if tracer.kernel_calls else RULES_RUNG
        model = self.model
        if isinstance(model, WithoutValues):
            name = model.title
        elif isinstance(model, torch.nn.Module):
            name = type(model).__name__
        else:
            name = getattr(model, "__name__", "callable")
        return Graph(
            name,
            "torch",
            tuple(self.arguments.specs),
            outputs,
            tuple(tracer.layers),
            tracer.parameters,
            tracer.regions,
            {
                "rung": rung,
                "kernel_calls": tracer.kernel_calls,
                "framework_version": torch.__version__,
                "modules": self.scopes.classes,
                "warnings": warnings,
                **({"masked": zeros} if zeros else {}),
                **metadata(tracer, self.arguments.trained, not isinstance(model, WithoutValues)),
            },
        )


def _device(tree: ModuleTree) -> torch.device:
    """The device that tensors of the model report; a model on meta is read as if it were on the CPU."""
    for module in tree.modules:
        for tensor in module._parameters.values():
            if tensor is not None:
                return torch.device("cpu") if tensor.is_meta else tensor.device
    return torch.device("cpu")


def _on_meta_device(tree: ModuleTree) -> bool:
    return any(t is not None and t.is_meta for m in tree.modules for t in m._parameters.values())


def _float_dtype(tree: ModuleTree) -> torch.dtype:
    """The dtype of inputs given as bare shapes: that of the first floating-point parameter."""
    for module in tree.modules:
        for tensor in module._parameters.values():
            if tensor is not None and tensor.is_floating_point():
                return tensor.dtype
    return torch.get_default_dtype()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return lines[0] if len(lines[0]) <= _LONG else f"{lines[0][:_LONG]}…"


def _eager_stance() -> Any:
    """Inside a trace a compiled submodule runs its own Python code instead of being compiled on meta tensors."""
    stack = ExitStack()
    if "torch._dynamo" in sys.modules:
        stack.enter_context(warnings.catch_warnings())
        # Hooks that fire for the compiled module and once more for the original behind it: two frames, one scope each.
        warnings.filterwarnings("ignore", message="Using `torch.compile\\(module\\)` when there are global hooks")
        stack.enter_context(torch.compiler.set_stance("force_eager"))
    return stack


_NOT_THE_USERS = (os.path.join(os.path.dirname(torch.__file__), ""), os.path.join(os.path.dirname(__file__), ""))

_LONG = 200  # characters of an error that are quoted

# What torch says when a value is asked of a tensor that has only a shape.
_NO_VALUE = (
    "meta tensor",
    "'meta' backend",
    '"meta"',
    "on meta",
    "but got meta",
    "meta device",
    "device meta",
    "meta implementation",
    "Meta tensors",
    "data-dependent",
    "data-independent implementation does not exist",
    "device_type=meta",
    "FakeTensor",
    "does not require grad",  # a gradient inside the forward: no shape rule builds the graph for it
)


def _values_were_needed(error: BaseException) -> bool:
    while True:
        if isinstance(error, ValueNeededError):
            return True
        text = str(error)
        if isinstance(error, (RuntimeError, NotImplementedError, TypeError, ValueError)) and any(
            sign in text for sign in _NO_VALUE
        ):
            return True
        if error.__cause__ is None:
            return False
        error = error.__cause__


def _blames_inputs(error: Exception) -> bool:
    text = str(error)
    if isinstance(error, TypeError) and ("positional argument" in text or "unexpected keyword" in text):
        return True
    return any(sign in text for sign in ("shape", "size", "dtype", "scalar type", "channels", "dim"))


def _place(error: Exception) -> str:
    """Where the user's own code raised: the innermost frame outside torch and multiprof."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(_NOT_THE_USERS):
            place = f" at {frame.filename}:{frame.lineno}"
    return place
