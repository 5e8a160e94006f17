"""Flax linen modules: their variables are made as shapes by ``init``, or come with the inputs, or are bound.

Nothing here imports Flax: a module that was given has loaded it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax

from multiprof.adapters.jax.program import Argument, Program, arguments, build, is_leaf
from multiprof.errors import InputsError, MultiprofError
from multiprof.inputs import Inputs

# Switches of a call between training and inference, and their setting for inference.
INFERENCE = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
}
_STREAMS = ("params", "dropout", "default")


def linen_program(module: Any, inputs: Inputs) -> Program:
    """``module.apply(variables, …)``; without variables, those that ``module.init`` would make."""
    args, kwargs = list(inputs.args), dict(inputs.kwargs)
    bound = module.scope is not None
    if bound:
        module, variables = module.unbind()
    elif args and _is_variables(args[0]):
        variables = args.pop(0)
    elif "variables" in kwargs:
        variables = kwargs.pop("variables")
    else:
        variables = None
    notes = set_inference(module, kwargs, len(args))
    call = arguments(module.__call__, args, kwargs)
    if variables is None:
        variables = _initialised(module, call)
    applied = _Applied(module)
    given = [Argument(0, "variables", variables, bound=True)]
    given += [Argument(a.key + 1 if isinstance(a.key, int) else a.key, a.name, a.value) for a in call]
    if not (isinstance(variables, Mapping) and "params" in variables):
        given[0] = Argument(0, "", variables, bound=True)
    program = build(type(module).__name__, applied, given, type(module).__name__)
    program.notes = notes
    program.modules = applied.modules
    return program


def set_inference(module: Any, kwargs: dict[str, Any], positional: int) -> list[str]:
    """Set the switches that caller and module left open to inference; a note for each that would be another."""
    notes = []
    try:
        parameters = list(inspect.signature(type(module).__call__).parameters.values())
    except (TypeError, ValueError):
        return []
    for place, parameter in enumerate(parameters):
        name = parameter.name
        given = name in kwargs or place <= positional or getattr(module, name, None) is not None  # 0 is self
        if name in INFERENCE and not given:
            wanted = INFERENCE[name]
            kwargs[name] = wanted
            if parameter.default is not inspect.Parameter.empty and parameter.default not in (wanted, None):
                notes.append(
                    f"the call has {name}={parameter.default} unless said; it was analysed with {name}={wanted}"
                )
    return notes


def _is_variables(value: Any) -> bool:
    return isinstance(value, Mapping) and not is_leaf(value) and "params" in value


class _Applied:
    """``apply`` for inference: it retries with what the module turns out to need, and notes the modules it meets."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.modules: dict[str, str] = {}

    def __call__(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        errors = sys.modules["flax.errors"]
        linen = sys.modules["flax.linen"]
        options: dict[str, Any] = {}
        with linen.intercept_methods(self._note):
            while True:
                try:
                    made = self.module.apply(variables, *args, **options, **kwargs)
                    return made[0] if "mutable" in options else made
                except errors.InvalidRngError:
                    if "rngs" in options:
                        raise
                    options["rngs"] = {stream: jax.random.key(0) for stream in _STREAMS}
                except errors.ModifyScopeVariableError:
                    if "mutable" in options:
                        raise
                    options["mutable"] = [name for name in variables if name != "params"]

    def _note(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__":
            path = ".".join(context.module.path)
            if path:
                cls = type(context.module)
                self.modules.setdefault(path, f"{cls.__module__}.{cls.__qualname__}")
        return call(*args, **kwargs)


def _initialised(module: Any, call: list[Argument]) -> Any:
    """The shapes of the variables that ``module.init`` makes; nothing is computed."""
    program = build("init", lambda *args, **kwargs: _init(module, args, kwargs), call)
    try:
        return jax.eval_shape(program.function, program.structs())
    except MultiprofError:
        raise
    except TypeError as error:
        if "missing" in str(error) and "argument" in str(error):
            raise InputsError(f"{type(module).__name__}: {_first_line(error)}") from error
        raise


def _init(module: Any, args: Any, kwargs: Any) -> Any:
    key = jax.random.key(0)
    return module.init(dict.fromkeys(_STREAMS[:2], key), *args, **kwargs)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


__all__ = ["INFERENCE", "linen_program", "set_inference"]
