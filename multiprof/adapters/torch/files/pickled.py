"""Pickles, looked at and never unpickled: classes stay names, calls stay descriptions of calls.

Unpickling runs whatever the file says. The machine here knows the same instructions, but makes inert values of them,
from which the shapes of tensors and the names of classes can be read.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

MOST = 5_000_000  # instructions: a state_dict takes some thirty a tensor


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function: its module and its name, joined by a dot."""

    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands outside the pickle, such as a tensor's storage: ``("storage", type, key, device, count)``."""

    id: Any


@dataclass(eq=False, slots=True)
class Made:
    """An object that unpickling would make by calling ``kind``; ``state`` is what it would be given afterwards."""

    kind: str
    args: Any = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


class BadPickleError(ValueError):
    """The instructions do not fit together."""


class _Mark:
    pass


_MARK = _Mark()
_LITERALS = frozenset(
    (
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
        "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
        "BINBYTES8", "BYTEARRAY8",
    )
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def look(data: bytes | io.BytesIO | Any) -> Any:
    """The value of the first pickle in ``data`` (bytes or a binary file); raises `BadPickleError`."""
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST:
                raise BadPickleError(f"more than {MOST:,} instructions")
            machine.step(opcode.name, argument)
        return machine.stack[-1]
    except BadPickleError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadPickleError(str(error) or type(error).__name__) from error


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(argument)])
        else:
            getattr(self, f"_{name.lower()}", self._unknown)(argument or name)

    def _unknown(self, name: Any) -> None:
        raise BadPickleError(f"the instruction {name}")

    def _above_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise BadPickleError("a mark is missing")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def _take(self, n: int) -> list[Any]:
        if len(self.stack) < n:
            raise BadPickleError("the stack is empty")
        values = self.stack[-n:]
        del self.stack[-n:]
        return values

    def _proto(self, _: Any) -> None: ...

    _frame = _stop = _proto

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._above_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _empty_set(self, _: Any) -> None:
        self.stack.append([])

    def _list(self, _: Any) -> None:
        self.stack.append(self._above_mark())

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._above_mark()))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(tuple(self._above_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack.append(tuple(self._take(1)))

    def _tuple2(self, _: Any) -> None:
        self.stack.append(tuple(self._take(2)))

    def _tuple3(self, _: Any) -> None:
        self.stack.append(tuple(self._take(3)))

    def _dict(self, _: Any) -> None:
        values = self._above_mark()
        self.stack.append({})
        self._set(_pairs(values))

    def _append(self, _: Any) -> None:
        self._extend(self._take(1))

    def _appends(self, _: Any) -> None:
        self._extend(self._above_mark())

    def _additems(self, _: Any) -> None:
        self._extend(self._above_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        (target.items if isinstance(target, Made) else target).extend(values)

    def _setitem(self, _: Any) -> None:
        key, value = self._take(2)
        self._set([(key, value)])

    def _setitems(self, _: Any) -> None:
        self._set(_pairs(self._above_mark()))

    def _set(self, pairs: list[tuple[Any, Any]]) -> None:
        target = self.stack[-1]
        for key, value in pairs:
            if isinstance(target, Made):
                target.pairs.append((key, value))
            else:
                target[_key(key)] = value

    def _global(self, argument: Any) -> None:
        self.stack.append(Name(str(argument).replace(" ", ".")))

    def _stack_global(self, _: Any) -> None:
        module, name = self._take(2)
        self.stack.append(Name(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        function, args = self._take(2)
        self.stack.append(Made(_kind(function), args))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        function, args, _keywords = self._take(3)
        self.stack.append(Made(_kind(function), args))

    def _obj(self, _: Any) -> None:
        function, *args = self._above_mark()
        self.stack.append(Made(_kind(function), tuple(args)))

    def _inst(self, argument: Any) -> None:
        self.stack.append(Made(str(argument).replace(" ", "."), tuple(self._above_mark())))

    def _build(self, _: Any) -> None:
        (state,) = self._take(1)
        target = self.stack[-1]
        if isinstance(target, Made):
            target.state = state

    def _binpersid(self, _: Any) -> None:
        self.stack.append(Reference(self._take(1)[0]))

    def _persid(self, argument: Any) -> None:
        self.stack.append(Reference(argument))


def _kind(function: Any) -> str:
    if isinstance(function, Reference) and isinstance(function.id, tuple) and len(function.id) > 1:
        function = function.id[1]  # ("module", class, file, source): so torch once kept the code of a class
    return function.text if isinstance(function, Name) else type(function).__name__


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _key(key: Any) -> Any:
    """A key that can be hashed whatever stands in the file."""
    return key if isinstance(key, (str, int, float, bool, type(None), Name)) else id(key)


# -- tensors -----------------------------------------------------------------------------------------------------------

_TENSORS = frozenset(
    f"torch._utils._rebuild_{name}"
    for name in ("tensor", "tensor_v2", "tensor_v3", "qtensor", "meta_tensor_no_storage")
)
_AROUND = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")


def tensor_of(value: Any) -> Made | None:
    """The call that would make a tensor, if ``value`` is one; a parameter is looked through."""
    while isinstance(value, Made) and value.kind in _AROUND and value.args:
        value = value.args[0]
    return value if isinstance(value, Made) and value.kind in _TENSORS else None


def elements(tensor: Made) -> int:
    """How many elements the tensor has; raises `BadPickleError` where that is no list of sizes."""
    place = 1 if tensor.kind.endswith("no_storage") else 2
    shape = tensor.args[place] if isinstance(tensor.args, tuple) and len(tensor.args) > place else None
    if isinstance(shape, Made) and shape.kind == "torch.Size" and shape.args:
        shape = shape.args[0]
    if not isinstance(shape, (tuple, list)) or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape[:65]):
        raise BadPickleError("a tensor whose shape is no list of sizes")
    if len(shape) > 64:  # torch's own limit
        raise BadPickleError(f"a tensor of {len(shape):,} dimensions")
    return prod(shape)


DICTS = ("collections.OrderedDict", "collections.defaultdict")


def entries(value: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values of what would be a mapping."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, Made) and value.kind in DICTS:
        yield from value.pairs


__all__ = ["DICTS", "BadPickleError", "Made", "Name", "Reference", "elements", "entries", "look", "tensor_of"]
