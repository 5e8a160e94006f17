"""Programs of torch.export in a ``.pt2`` file: the JSON that describes them, made into a module on meta.

torch's own loader unpickles what it finds (the example inputs, weights of odd kinds) and evaluates expressions out of
the file. Here neither is done: shapes are in the description, and values are not needed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.files import treespec
from multiprof.adapters.torch.files.archive import Archive
from multiprof.adapters.torch.files.interpret import Interpreter
from multiprof.adapters.torch.files.values import dtype_of, number, sizes, tensor_like
from multiprof.adapters.torch.files.without import WithoutValues
from multiprof.adapters.torch.tracer import Tracer
from multiprof.errors import InputsError, ModelError
from multiprof.inputs import Inputs
from multiprof.ir import TensorSpec

_BAD = (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration, RecursionError, OverflowError)
_OLD = "serialized_exported_program.json"  # to torch 2.6


def read(archive: Archive, inputs: Inputs | None) -> tuple[torch.nn.Module, Inputs]:
    """The program in an archive as a module without values, and its inputs: those it was exported with, or the given.

    Raises `ModelError` for a damaged file, `InputsError` for inputs that the program was not exported for.
    """
    try:
        description = json.loads(archive.read(_name(archive)))
        program = ExportedModule(archive.path, description, _shared(archive))
    except RuntimeError as error:  # torch, of sizes that cannot be
        raise archive.damaged(str(error).splitlines()[0]) from error
    except _BAD as error:
        raise archive.damaged(f"its program makes no sense ({type(error).__name__}: {error})") from error
    return program, program.complete(inputs)


def _name(archive: Archive) -> str:
    if _OLD in archive:
        return _OLD
    models = archive.names("models/", ".json")
    if len(models) > 1:
        names = ", ".join(name.removeprefix("models/").removesuffix(".json") for name in models)
        raise ModelError(f"{archive.path} holds several programs ({names}): save the one in question on its own")
    return models[0]


def _shared(archive: Archive) -> dict[str, tuple[Any, ...]]:
    """Parameter → what stands in the file for it; two of them over one piece of memory are one tied weight."""
    found = {}
    for name in archive.names("data/weights/", "_weights_config.json"):
        for parameter, entry in json.loads(archive.read(name))["config"].items():
            meta = entry.get("tensor_meta") or {}
            found[str(parameter)] = (
                entry["path_name"],
                *(repr(meta.get(part)) for part in ("sizes", "strides", "storage_offset")),
            )
    return found


class ExportedModule(WithoutValues):
    """A program as a module: its weights under their names, on meta; calling it computes node after node."""

    names: list[str]  # of the forward's parameters

    def __init__(self, path: Path | str, description: Mapping[str, Any], shared: Mapping[str, tuple[Any, ...]]) -> None:
        super().__init__()
        module = description["graph_module"]
        graph = module["graph"]
        self.path = path
        self.ranges = description.get("range_constraints") or {}
        self.interpreter = Interpreter(graph)
        self.title = self.interpreter.title or Path(path).stem
        self.bound: list[tuple[str, torch.Tensor]] = []  # placeholders of weights, with the weights
        self.user: list[tuple[str, Any]] = []  # of inputs: name, and shape and dtype or the constant
        made: dict[Any, torch.Tensor] = {}
        for spec in module["signature"]["input_specs"]:
            ((kind, entry),) = ((k, v) for k, v in spec.items() if v is not None)
            if kind == "user_input":
                self._add_input(graph, entry["arg"])
            elif kind == "constant_input":
                ((_, value),) = entry["value"].items()
                self.user.append((entry["name"], value))
            elif kind in ("parameter", "buffer", "tensor_constant"):
                name, full = entry["arg"]["name"], str(entry[f"{kind}_name"])
                key = (kind, shared.get(full, name))
                if key not in made:
                    made[key] = tensor_like(graph["tensor_values"][name], kind == "parameter")
                self._hold(full, made[key], kind, entry.get("persistent", True))
                self.bound.append((name, made[key]))
            else:  # an object of a class of its own: its operators will be foreign
                self.bound.append((entry["arg"]["name"], torch.empty(0, device="meta")))
        signature = next((e["signature"] for e in module["module_call_graph"] if e["fqn"] == ""), None)
        self.spec = treespec.parse(signature["in_spec"]) if signature else None
        names = (signature or {}).get("forward_arg_names") or [name for name, _ in self.user]
        _keep_signature(self, names)
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        values = dict(self.bound)
        given = self._flat(args, kwargs)
        values.update((name, value) for (name, _), value in zip(self.user, given, strict=True))
        return self.interpreter.run(values)

    def attach(self, tracer: Tracer, classes: dict[str, str]) -> Callable[[], None]:
        classes |= self.interpreter.classes
        return self.interpreter.attach(tracer)

    def complete(self, inputs: Inputs | None) -> Inputs:
        """The inputs of the trace: checked against what the program was exported for, dtypes filled in."""
        expected = [_spec(name, what) for name, what in self.user]
        if inputs is None:
            leaves = iter(expected)
        else:
            given = self._flat(inputs.args, inputs.kwargs)
            leaves = iter(self._fitting(given))
        if self.spec is None:
            return Inputs(*leaves)
        args, kwargs = treespec.build(self.spec, leaves)
        return Inputs(*args, **kwargs)

    def _add_input(self, graph: Mapping[str, Any], argument: Mapping[str, Any]) -> None:
        ((kind, value),) = argument.items()
        if kind == "as_tensor":
            self.user.append((value["name"], graph["tensor_values"][value["name"]]))
        elif isinstance(value, dict) and "as_name" in value:  # a number that may change
            table = {"as_sym_int": "sym_int_values", "as_sym_bool": "sym_bool_values"}.get(kind, "sym_float_values")
            self.user.append((value["as_name"], number(graph[table][value["as_name"]])))
        else:
            self.user.append((str(value.get("name", kind)) if isinstance(value, dict) else kind, value))

    def _hold(self, path: str, tensor: torch.Tensor, kind: str, persistent: bool) -> None:
        *parents, name = path.split(".")
        owner: torch.nn.Module = self
        for part in parents:
            if part not in owner._modules:
                owner._modules[part] = torch.nn.Module()
            owner = owner._modules[part]  # type: ignore[assignment]  # put there above
        if kind == "parameter":
            owner._parameters[name] = tensor  # type: ignore[assignment]
        elif kind == "buffer":
            owner._buffers[name] = tensor
            if not persistent:
                owner._non_persistent_buffers_set.add(name)
        else:
            owner.__dict__[name] = tensor

    def _flat(self, args: Any, kwargs: Mapping[str, Any]) -> list[Any]:
        """The arguments of a call in the order of the placeholders."""
        if self.spec is None:
            return [*args, *kwargs.values()]
        positional, keywords = self.spec["children_spec"]
        names = treespec.keys(keywords)
        given = [*args]
        rest = dict(kwargs)
        for name in self.names[len(given) : len(positional["children_spec"])]:  # by name what stands in order
            if name in rest:
                given.append(rest.pop(name))
        if len(given) != len(positional["children_spec"]) or set(rest) != set(names):
            raise self._unfit(f"{len(args)} positional and {', '.join(kwargs) or 'no'} keyword arguments were given")
        flat = treespec.flatten(positional, tuple(given), "inputs", self._unfit)
        return flat + treespec.flatten(keywords, rest, "inputs", self._unfit)

    def _fitting(self, given: list[Any]) -> list[Any]:
        if len(given) != len(self.user):
            raise self._unfit(f"{len(given)} were given")
        symbols: dict[str, int] = {}
        found = []
        for (name, what), value in zip(self.user, given, strict=True):
            if isinstance(what, dict) and isinstance(value, (torch.Tensor, TensorSpec)):
                shape = tuple(value.shape)
                self._check(name, what, shape, symbols)
                if isinstance(value, TensorSpec) and not value.dtype:
                    value = TensorSpec(shape, NAMES[dtype_of(what["dtype"])], value.name)
            elif isinstance(what, dict) and hasattr(value, "shape"):
                self._check(name, what, tuple(value.shape), symbols)
            elif isinstance(what, dict) != isinstance(value, (torch.Tensor, TensorSpec)):
                raise self._unfit(f"for {name} a {type(value).__name__} was given")
            found.append(value)
        return found

    def _check(self, name: str, what: Mapping[str, Any], shape: tuple[Any, ...], symbols: dict[str, int]) -> None:
        expected = what["sizes"]
        if len(shape) != len(expected):
            raise self._unfit(f"{name} has the shape {list(shape)}")
        for size, declared in zip(shape, expected, strict=True):
            if "as_int" in declared:
                if size != declared["as_int"]:
                    raise self._unfit(f"{name} has the shape {list(shape)}")
                continue
            text = str(declared["as_expr"]["expr_str"])
            if symbols.setdefault(text, size) != size:
                raise self._unfit(f"{name} has the shape {list(shape)}, where one of another size was given before")
            for symbol, bounds in self.ranges.items():
                if text in (symbol, f"Symbol('{symbol}', positive=True, integer=True)", f"Symbol('{symbol}')"):
                    least, most = bounds.get("min_val"), bounds.get("max_val")
                    if (least is not None and size < least) or (most is not None and size > most):
                        raise self._unfit(f"a size of {size} in {name} is outside of {least} to {most}")

    def _unfit(self, what: str) -> InputsError:
        takes = ", ".join(f"{name} {_shape_text(value)}" for name, value in self.user if isinstance(value, dict))
        return InputsError(f"{self.path} was exported for other sizes or inputs: {what}; it takes {takes or 'none'}")


def _keep_signature(module: ExportedModule, names: list[Any]) -> None:
    """Let the inputs be called what the exported forward called them."""
    module.names = [str(name) for name in names]
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for name in dict.fromkeys(module.names)
        if name.isidentifier()
    ]

    def forward(*args: Any, **kwargs: Any) -> Any:
        return ExportedModule.forward(module, *args, **kwargs)

    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    module.__dict__["forward"] = forward


def _spec(name: str, what: Any) -> Any:
    if isinstance(what, dict):
        return TensorSpec(tuple(sizes(what["sizes"])), NAMES[dtype_of(what["dtype"])], name)
    return what


def _shape_text(what: Mapping[str, Any]) -> str:
    shown = ["?" if "as_expr" in size else str(size.get("as_int")) for size in what["sizes"]]
    return f"[{', '.join(shown)}]"


__all__ = ["ExportedModule", "read"]
