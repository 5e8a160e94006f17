"""Runs TorchScript's own language, which has Python's syntax, on tensors without values, within bounds.

Nothing of it reaches Python's own interpreter or torch's: each statement is one of the few that the language has, and a
call is one of torch's operators or of the file's own functions.
"""

from __future__ import annotations

import ast
import operator
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import torch

from multiprof.adapters.torch.files.primitives import Raised, call_operator, within_bounds
from multiprof.adapters.torch.files.source import Class, Code, Function, out_of_bounds, place
from multiprof.errors import ModelError

MOST = 2_000_000  # statements in one trace


class Instance:
    """An object of a class of the file that is no module."""

    def __init__(self, kind: Class, attributes: dict[str, Any] | None = None) -> None:
        self.kind = kind
        self.attributes = attributes if attributes is not None else {}


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Path(str):
    """A dotted name of the file or of torch, until it is called or read."""

    __slots__ = ()


class Language:
    """``constants`` are the tensors of the file's constant table, ``find_method`` looks up what an object can do."""

    def __init__(self, code: Code, constants: list[Any]) -> None:
        self.code = code
        self.constants = constants
        self.steps = 0
        self._tuples: dict[int, type] = {}

    def call(self, function: Function, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a function of the file; raises `Raised` where it raises, `ModelError` where it cannot be understood."""
        names = function.parameters
        local = dict(zip(names, args, strict=False))
        if len(args) > len(names) or kwargs.keys() - set(names):
            raise TypeError(f"{function.name}() takes the arguments {', '.join(names)}")
        local.update(kwargs)
        first = len(names) - len(function.defaults)
        for name, default in zip(names[first:], function.defaults, strict=True):
            if name not in local:
                local[name] = self._value(default, {})
        missing = [name for name in names if name not in local]
        if missing:
            raise TypeError(f"{function.name}() missing {len(missing)} required positional arguments: {missing}")
        try:
            self._block(function.node.body, local, function)
        except _Return as result:
            return result.value
        except RecursionError:
            raise out_of_bounds("calls within calls without end") from None
        return None

    def constant(self, value: ast.expr) -> Any:
        return self._value(value, {})

    # -- statements ------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], local: dict[str, Any], function: Function) -> None:
        for statement in body:
            self.steps += 1
            if self.steps > MOST:
                raise out_of_bounds(f"more than {MOST:,} statements are run")
            run = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if run is None:
                raise ModelError(f"{place(function, statement)}: a statement that TorchScript does not have")
            try:
                run(statement, local, function)
            except (KeyError, IndexError, AttributeError) as error:
                raise ModelError(f"{place(function, statement)} makes no sense: {error!r}") from error

    def _do_assign(self, node: ast.Assign, local: dict[str, Any], _: Function) -> None:
        value = self._value(node.value, local)
        for target in node.targets:
            self._store(target, value, local)

    def _do_annassign(self, node: ast.AnnAssign, local: dict[str, Any], _: Function) -> None:
        if node.value is not None:
            self._store(node.target, self._value(node.value, local), local)

    def _do_expr(self, node: ast.Expr, local: dict[str, Any], _: Function) -> None:
        self._value(node.value, local)

    def _do_pass(self, node: ast.Pass, local: dict[str, Any], _: Function) -> None: ...

    def _do_return(self, node: ast.Return, local: dict[str, Any], _: Function) -> None:
        raise _Return(None if node.value is None else self._value(node.value, local))

    def _do_if(self, node: ast.If, local: dict[str, Any], function: Function) -> None:
        self._block(node.body if self._truth(node.test, local) else node.orelse, local, function)

    def _do_while(self, node: ast.While, local: dict[str, Any], function: Function) -> None:
        while self._truth(node.test, local):
            self._count()
            self._block(node.body, local, function)

    def _do_for(self, node: ast.For, local: dict[str, Any], function: Function) -> None:
        for item in self._value(node.iter, local):
            self._count()
            self._store(node.target, item, local)
            self._block(node.body, local, function)

    def _do_with(self, node: ast.With, local: dict[str, Any], function: Function) -> None:
        for item in node.items:
            manager = self._value(item.context_expr, local)
            entered = self._method(manager, "__enter__", [], {}) if isinstance(manager, Instance) else manager
            if item.optional_vars is not None:
                self._store(item.optional_vars, entered, local)
        self._block(node.body, local, function)

    def _do_assert(self, node: ast.Assert, local: dict[str, Any], _: Function) -> None:
        if not self._truth(node.test, local):
            raise Raised("AssertionError: " + str(self._value(node.msg, local) if node.msg else ""))

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MOST:
            raise out_of_bounds(f"more than {MOST:,} statements are run")

    def _truth(self, node: ast.expr, local: dict[str, Any]) -> bool:
        return bool(self._value(node, local))

    def _store(self, target: ast.expr, value: Any, local: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            local[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            within_bounds(value)
            values = list(value)
            if len(values) != len(target.elts):
                raise ValueError(f"{len(values)} values for {len(target.elts)} names")
            for one, item in zip(target.elts, values, strict=True):
                self._store(one, item, local)
        elif isinstance(target, ast.Attribute):
            set_attribute(self._value(target.value, local), target.attr, value)
        elif isinstance(target, ast.Subscript):
            self._value(target.value, local)[self._value(target.slice, local)] = value
        else:
            raise ModelError("an assignment that TorchScript does not have")

    # -- expressions -----------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr, local: dict[str, Any]) -> Any:
        evaluate = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        if evaluate is None:
            raise ModelError(f"the code holds an expression that TorchScript does not have ({type(node).__name__})")
        return evaluate(node, local)

    def _of_constant(self, node: ast.Constant, local: dict[str, Any]) -> Any:
        return node.value

    def _of_name(self, node: ast.Name, local: dict[str, Any]) -> Any:
        if node.id in local:
            return local[node.id]
        if node.id in _NUMBERS:
            return _NUMBERS[node.id]
        if node.id not in _HOMES:
            raise ModelError(f"the code names {node.id}, which is not there")
        return _Path(node.id)

    def _of_attribute(self, node: ast.Attribute, local: dict[str, Any]) -> Any:
        owner = self._value(node.value, local)
        if not isinstance(owner, _Path):
            return get_attribute(owner, node.attr)
        if owner == "CONSTANTS" and node.attr[1:].isdecimal():
            return self.constants[int(node.attr[1:])]
        found = self.code.find(owner) if owner.startswith("__torch__") else None
        if isinstance(found, Class) and found.base == "Enum":
            return self._value(found.fields[node.attr], local)  # type: ignore[arg-type]  # an Enum's fields have values
        return _Path(f"{owner}.{node.attr}")

    def _of_tuple(self, node: ast.Tuple, local: dict[str, Any]) -> Any:
        return tuple(self._value(e, local) for e in node.elts)

    def _of_list(self, node: ast.List, local: dict[str, Any]) -> Any:
        return [self._value(e, local) for e in node.elts]

    def _of_dict(self, node: ast.Dict, local: dict[str, Any]) -> Any:
        keys = [self._value(k, local) for k in node.keys if k is not None]
        return dict(zip(keys, (self._value(v, local) for v in node.values), strict=True))

    def _of_subscript(self, node: ast.Subscript, local: dict[str, Any]) -> Any:
        return self._value(node.value, local)[self._value(node.slice, local)]

    def _of_ifexp(self, node: ast.IfExp, local: dict[str, Any]) -> Any:
        return self._value(node.body if self._truth(node.test, local) else node.orelse, local)

    def _of_unaryop(self, node: ast.UnaryOp, local: dict[str, Any]) -> Any:
        value = self._value(node.operand, local)
        return not value if isinstance(node.op, ast.Not) else +value if isinstance(node.op, ast.UAdd) else -value

    def _of_boolop(self, node: ast.BoolOp, local: dict[str, Any]) -> Any:
        decides = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self._value(part, local)
            if bool(value) == decides:
                break
        return value

    def _of_binop(self, node: ast.BinOp, local: dict[str, Any]) -> Any:
        name = _BINARY[type(node.op).__name__]
        return self._operator("aten", name, [self._value(node.left, local), self._value(node.right, local)], {})

    def _of_compare(self, node: ast.Compare, local: dict[str, Any]) -> Any:
        left, right = self._value(node.left, local), self._value(node.comparators[0], local)
        for operand in (left, right):
            within_bounds(operand)
        return _COMPARED[type(node.ops[0]).__name__](left, right)

    # -- calls -----------------------------------------------------------------------------------------------------

    def _of_call(self, node: ast.Call, local: dict[str, Any]) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id not in local:
            return self._special(node.func.id, node, local)
        if isinstance(node.func, ast.Attribute):
            owner = self._value(node.func.value, local)
            args, kwargs = self._arguments(node, local)
            if isinstance(owner, _Path):
                return self._named(f"{owner}.{node.func.attr}", args, kwargs)
            return self._method(owner, node.func.attr, args, kwargs)
        function = self._value(node.func, local)
        args, kwargs = self._arguments(node, local)
        if isinstance(function, _Path):  # _0 = __torch__.torch.nn.functional.relu; _0(x, )
            return self._named(function, args, kwargs)
        raise ModelError("the code calls what is no function")

    def _arguments(self, node: ast.Call, local: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        args = [self._value(a, local) for a in node.args]
        return args, {k.arg: self._value(k.value, local) for k in node.keywords if k.arg is not None}

    def _special(self, name: str, node: ast.Call, local: dict[str, Any]) -> Any:
        """What the language writes like a function of Python."""
        if name in ("annotate", "unchecked_cast"):
            return self._value(node.args[1], local)
        if name == "uninitialized":
            return None
        if name == "isinstance":
            return self._is_a(self._value(node.args[0], local), node.args[1])
        args, _ = self._arguments(node, local)
        for value in args:
            if name == "str":
                within_bounds(value)
        if name == "getattr":
            return get_attribute(args[0], args[1])
        if name in ("int", "float", "bool", "str"):
            return {"int": int, "float": float, "bool": bool, "str": str}[name](*args)
        if name == "range" and all(type(a) is int for a in args):
            return range(*args)
        if name in ("fork", "wait"):
            raise ModelError("the code forks, which is not read")
        raise ModelError(f"the code calls {name}, which TorchScript does not have")

    def _named(self, path: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if path == "torch.device":
            return torch.device(*args)
        if path.startswith("torch."):
            return self._operator("aten", path.removeprefix("torch."), args, kwargs)
        if path.startswith("ops."):
            namespace, _, name = path.removeprefix("ops.").partition(".")
            return self._operator(namespace, name, args, kwargs)
        found = self.code.find(path)
        if isinstance(found, Function):
            return self.call(found, args, kwargs)
        if isinstance(found, Class):
            return self._make(found, args, kwargs)
        raise ModelError(f"the code calls {path}, which the file does not define")

    def _operator(self, namespace: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        made = call_operator(namespace, name, args, kwargs)
        if type(made) in (list, str) and not (args and made is args[0]):
            self.steps += len(made) // 64  # a statement makes few items: what all of them take is bounded, too
        return made

    def _make(self, kind: Class, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if kind.base == "NamedTuple":
            made = self._tuples.get(id(kind))
            if made is None:
                made = self._tuples[id(kind)] = namedtuple(kind.name, list(kind.fields))
            return made(*args, **kwargs)
        instance = Instance(kind)
        if "__init__" in kind.methods:
            self.call(kind.methods["__init__"], [instance, *args], kwargs)
        return instance

    def _method(self, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        run: Callable[..., Any] | None = getattr(owner, "run_method", None)  # of a module, which has a scope
        if run is not None:
            return run(name, *args, **kwargs)
        if isinstance(owner, Instance) and name in owner.kind.methods:
            return self.call(owner.kind.methods[name], [owner, *args], kwargs)
        raise ModelError(f"the code calls {name} of what has no such method")

    def _is_a(self, value: Any, node: ast.expr) -> bool:
        """Whether a value is of a type, of which only the outermost part is looked at."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return any(self._is_a(value, one) for one in node.elts)
        head = node.value if isinstance(node, ast.Subscript) else node
        name = ast.unparse(head).rpartition(".")[2]
        if name == "Optional" and isinstance(node, ast.Subscript):
            return value is None or self._is_a(value, node.slice)
        known = _TYPES.get(name)
        if known is not None:
            return type(value) is known if known in (int, float, bool) else isinstance(value, known)
        return isinstance(value, Instance) and value.kind.name == name


def get_attribute(owner: Any, name: str) -> Any:
    if isinstance(owner, Instance):
        return owner.attributes[name] if name in owner.attributes else _declared(owner.kind, name)
    read = getattr(owner, "read_attribute", None)
    if read is not None:
        return read(name)
    fields = getattr(owner, "_fields", ())
    if name in fields:
        return getattr(owner, name)
    raise ModelError(f"the code reads the attribute {name} of a {type(owner).__name__}")


def _declared(kind: Class, name: str) -> Any:
    raise ModelError(f"an object of the class {kind.name} has no {name}")


def set_attribute(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, Instance):
        owner.attributes[name] = value
        return
    write = getattr(owner, "write_attribute", None)
    if write is None:
        raise ModelError(f"the code sets the attribute {name} of a {type(owner).__name__}")
    write(name, value)


_HOMES = frozenset(("torch", "ops", "CONSTANTS", "__torch__"))  # where dotted names begin
_NUMBERS = {"inf": float("inf"), "nan": float("nan")}
_TYPES: dict[str, Any] = {
    "Tensor": torch.Tensor, "int": int, "float": float, "bool": bool, "str": str, "NoneType": type(None),
    "List": list, "list": list, "Dict": dict, "dict": dict, "Tuple": tuple, "tuple": tuple, "complex": complex,
}  # fmt: skip
_BINARY = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "FloorDiv": "floordiv", "Mod": "remainder", "Pow": "pow",
    "MatMult": "matmul", "BitAnd": "__and__", "BitOr": "__or__", "BitXor": "__xor__", "LShift": "__lshift__",
    "RShift": "__rshift__",
}  # fmt: skip
_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt,
    "GtE": operator.ge, "Is": operator.is_, "IsNot": operator.is_not, "In": lambda a, b: a in b,
    "NotIn": lambda a, b: a not in b,
}  # fmt: skip

__all__ = ["MOST", "Instance", "Language", "get_attribute", "set_attribute"]
