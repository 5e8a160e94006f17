"""TorchScript files: their modules, code and shapes of weights, without torch.jit.load, which would run their code."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

import torch

from multiprof.adapters.torch.files.archive import Archive
from multiprof.adapters.torch.files.language import Instance, Language
from multiprof.adapters.torch.files.pickled import Made, Name, Reference, entries, look
from multiprof.adapters.torch.files.source import Class, Code
from multiprof.adapters.torch.files.without import WithoutValues
from multiprof.adapters.torch.tracer import Tracer
from multiprof.errors import ModelError

_BAD = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
_OBJECTS = "__torch__.torch.classes."  # of C++: packed weights, tokenizers
SMALL = 65_536  # elements of an integer tensor whose values may be asked for
_DEEP = 8000  # a trace nests the calls of a sequence of modules in one expression


def read(archive: Archive) -> ScriptModel:
    """The module in a TorchScript file. Raises `ModelError` for a damaged file."""
    try:
        return _Loader(archive).model()
    except RuntimeError as error:  # torch, of sizes that cannot be
        raise archive.damaged((str(error) or type(error).__name__).splitlines()[0]) from error
    except _BAD as error:
        raise archive.damaged(f"its objects make no sense ({type(error).__name__}: {error})") from error


class ScriptBlock(WithoutValues):
    """A module of the file: tensors and modules as any module has them, other attributes in ``plain``."""

    sort = "the TorchScript file"

    def __init__(self, kind: Class, language: Language) -> None:
        super().__init__()
        self.kind = kind
        self.language = language
        self.plain: dict[str, Any] = {}
        self.eval()

    def forward(self, *args: Any, script_method: str = "forward", **kwargs: Any) -> Any:
        return self._run(script_method, args, kwargs)

    def run_method(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("forward"):
            return self(*args, script_method=name, **kwargs)
        return self._run(name, args, kwargs)

    def _run(self, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        method = self.kind.methods.get(name)
        if method is None:
            raise ModelError(f"the class {self.kind.name} of the file has no method {name}")
        return self.language.call(method, [self, *args], kwargs)

    def read_attribute(self, name: str) -> Any:
        if name == "training":  # the trace decides, whatever mode the file was saved in
            return self.training
        for home in (self._parameters, self._buffers, self._modules, self.plain):
            if name in home:
                return home[name]
        constant = self.kind.fields.get(name)
        if constant is not None:
            return self.language.constant(constant)
        raise ModelError(f"the class {self.kind.name} of the file has no attribute {name}")

    def write_attribute(self, name: str, value: Any) -> None:
        home: dict[str, Any] = self._buffers if name in self._buffers else self.plain
        home[name] = value


class ScriptModel(ScriptBlock):
    """The module that a file holds. Its forward's parameters name the inputs."""

    def attach(self, tracer: Tracer, classes: dict[str, str]) -> Callable[[], None]:
        self.language.steps = 0
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, _DEEP))
        return lambda: sys.setrecursionlimit(before)

    def name_inputs(self) -> None:
        method = self.kind.methods.get("forward")
        if method is None:
            raise ModelError(f"the class {self.kind.name} of the file has no method forward")
        parameters = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in method.parameters[1:]
        ]

        def forward(*args: Any, **kwargs: Any) -> Any:
            return ScriptModel.forward(self, *args, **kwargs)

        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        self.__dict__["forward"] = forward


def _is_number(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 0 and not value.is_meta


class _Loader:
    """Makes modules, lists and tensors without values out of what the file's pickles describe."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.code = Code(archive)
        self.constants: list[Any] = []
        self.language = Language(self.code, self.constants)
        self._made: dict[int, Any] = {}  # by id of what a pickle describes
        self._described: list[Any] = []  # both pickles, kept so that no id is taken a second time
        self._tensors: dict[Any, torch.Tensor] = {}

    def model(self) -> ScriptModel:
        if "constants.pkl" in self.archive:
            self.folder = "constants"
            self._described.append(look(self.archive.read("constants.pkl")))
            constants = self._value(self._described[-1], True)
            # A single number, which a trace stores as a tensor, is a number again.
            self.constants.extend(c.item() if _is_number(c) else c for c in constants)
        self.folder = "data"
        top = look(self.archive.read("data.pkl"))
        self._described.append(top)
        if not isinstance(top, Made):
            raise ValueError("no module")
        made = self._value(top, True)
        if not isinstance(made, ScriptModel):
            raise ModelError(f"{self.archive.path} holds an object of {top.kind}, which is no module")
        made.title = made.kind.name
        made.name_inputs()
        return made

    def _value(self, value: Any, top: bool = False) -> Any:
        if isinstance(value, Made):
            if id(value) not in self._made:
                self._made[id(value)] = self._make(value, top)
            return self._made[id(value)]
        if isinstance(value, list):
            if id(value) not in self._made:
                self._made[id(value)] = [self._value(item) for item in value]
            return self._made[id(value)]
        if isinstance(value, tuple):
            if id(value) not in self._made:
                self._made[id(value)] = tuple(self._value(item) for item in value)
            return self._made[id(value)]
        if isinstance(value, dict):
            return {self._value(key): self._value(item) for key, item in value.items()}
        if isinstance(value, (Reference, Name)):
            raise ValueError(f"a {type(value).__name__.lower()} where a value belongs")
        return value

    def _make(self, made: Made, top: bool) -> Any:
        kind = made.kind
        if kind.startswith("torch._utils._rebuild"):
            return self._tensor(made)
        if kind.startswith("torch.jit._pickle."):
            return self._value(made.args[0])  # build_intlist and its like, restore_type_tag
        if kind.startswith(_OBJECTS):
            raise ModelError(
                f"{self.archive.path} holds packed weights or another object of C++ ({kind.removeprefix(_OBJECTS)}), "
                "which says nothing of its shapes: give the model before it was packed"
            )
        if kind == "torch.device":
            return torch.device("cpu")
        if kind in ("collections.OrderedDict", "collections.defaultdict"):
            return {self._value(key): self._value(item) for key, item in entries(made)}
        found = self.code.class_of(kind)
        if found.base == "NamedTuple":
            return self.language._make(found, [self._value(a) for a in made.args], {})
        if found.base == "Enum":
            return self._value(made.args[0])
        if found.base != "Module":
            instance = Instance(found)
            self._made[id(made)] = instance
            instance.attributes.update(self._state(made))
            return instance
        return self._module(found, made, top)

    def _state(self, made: Made) -> dict[str, Any]:
        state = made.state if made.state is not None else {}
        if not isinstance(state, dict):
            raise ModelError(
                f"{self.archive.path}: an object of {made.kind} restores itself by code of its own, which is not run: "
                "give the model it was made of"
            )
        return {str(name): self._value(value) for name, value in state.items()}

    def _module(self, kind: Class, made: Made, top: bool) -> ScriptBlock:
        cls = ScriptModel if top else ScriptBlock
        block = _named_after(made.kind, cls)(kind, self.language)
        self._made[id(made)] = block
        for name, value in self._state(made).items():
            if isinstance(value, torch.nn.Module):
                block._modules[name] = value
            elif not isinstance(value, torch.Tensor):
                block.plain[name] = value
            elif name in kind.parameters:
                block._parameters[name] = value  # type: ignore[assignment]  # one object wherever it stands
            elif name in kind.buffers:
                block._buffers[name] = value
            else:
                block.plain[name] = value
                block.__dict__[name] = value
        block.training = False
        return block

    def _tensor(self, made: Made) -> torch.Tensor:
        """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``, and the quantised one."""
        storage, offset, size, stride = made.args[:4]
        mark, kind, key, _device, count = storage.id
        if mark != "storage" or not isinstance(kind, Name):
            raise ValueError("a tensor without a storage")
        dtype = _DTYPE_OF[kind.text.removeprefix("torch.").removesuffix("Storage")]
        size, stride = tuple(size), tuple(stride)
        if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in (*size, *stride, offset, count)):
            raise ValueError(f"a tensor of the size {size}")
        if math.prod(size) > 1 << 62:
            raise ValueError(f"a tensor of the size {size}")
        place = (self.folder, key, offset, size, stride, dtype)
        if place not in self._tensors:
            tensor = self._with_values(str(key), offset, size, stride, dtype)
            if made.kind.endswith("tensor_v2") and made.args[4] is True and dtype.is_floating_point:
                tensor.requires_grad_()
            self._tensors[place] = tensor
        return self._tensors[place]

    def _with_values(self, key: str, offset: int, size: Any, stride: Any, dtype: torch.dtype) -> torch.Tensor:
        """A tensor without values, unless it is a small one of integers, whose values may decide about shapes."""
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else 0
        exact = dtype in _PLAIN_INTEGERS or (self.folder == "constants" and not size and dtype in _PLAIN_FLOATS)
        name = f"{self.folder}/{key}"
        if exact and 0 < count <= SMALL and last < SMALL and name in self.archive:
            data = self.archive.read(name)
            if (last + 1) * dtype.itemsize <= len(data):
                flat = torch.frombuffer(bytearray(data[: (last + 1) * dtype.itemsize]), dtype=dtype)
                return flat.as_strided(size, stride, offset).clone()
        return torch.empty_strided(size, stride, dtype=dtype, device="meta")


_DTYPE_OF = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128, "QInt8": torch.qint8,
    "QUInt8": torch.quint8, "QInt32": torch.qint32, "ComplexHalf": torch.complex32,
    "Float8_e4m3fn": torch.float8_e4m3fn, "Float8_e5m2": torch.float8_e5m2, "UInt16": torch.uint16,
    "UInt32": torch.uint32, "UInt64": torch.uint64,
}  # fmt: skip
_PLAIN_INTEGERS = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool))
_PLAIN_FLOATS = frozenset((torch.float64, torch.float32, torch.float16, torch.bfloat16))


def _named_after(qualified: str, base: type[ScriptBlock]) -> type[ScriptBlock]:
    """A class of the name and place that the module's had: a scope is shown by it, and torch's own are known by it."""
    home, _, name = qualified.removeprefix("__torch__.").rpartition(".")
    home = ".".join(part for part in home.split(".") if not part.startswith("___torch_mangle"))
    if home == "torch.nn.modules.rnn":  # which make their initial states before the layers that count
        home = "torch.jit.rnn"
    return type(name, (base,), {"__module__": home or "torch.jit"})


__all__ = ["ScriptBlock", "ScriptModel", "read"]
