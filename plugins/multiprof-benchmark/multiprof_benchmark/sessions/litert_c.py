"""The profiler of LiteRT, through the C interface of the library that ai-edge-litert brings.

The package's Python names do not reach it. What stands here follows the headers litert/c/*.h of LiteRT 2.3; nobody
promises that they stay as they are, so that the version is checked before anything is called, and whoever uses this
does it in a process that may crash.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from ctypes import byref, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from multiprof import MultiprofError

DISTRIBUTION = "ai-edge-litert"
KNOWN = ((2, 3), (2, 4))  # from this version on, below that one
LIBRARY = {"darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}.get(sys.platform, "libLiteRt.so")
CPU = 1  # LiteRtHwAccelerators, a bit each
WRITE = 1  # LiteRtTensorBufferLockMode
DIMENSIONS = 8  # LITERT_TENSOR_MAX_RANK


class ProfilerError(MultiprofError):
    """The profiler cannot be used here."""


class _Layout(ctypes.Structure):
    """LiteRtLayout: the rank in the low seven bits of the first word, and whether there are strides in the eighth."""

    _fields_ = (("rank", c_uint32), ("dimensions", c_int32 * DIMENSIONS), ("strides", c_uint32 * DIMENSIONS))


class _TensorType(ctypes.Structure):
    """LiteRtRankedTensorType."""

    _fields_ = (("element", c_int32), ("layout", _Layout))


class _Event(ctypes.Structure):
    """ProfiledEventData; a use of memory is the heap taken, the heap in use and the private pages."""

    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int),
        ("start", c_uint64),  # microseconds
        ("elapsed", c_uint64),  # microseconds
        ("memory_before", c_uint64 * 3),
        ("memory_after", c_uint64 * 3),
        ("node", c_uint64),
        ("graph", c_uint64),
        ("source", c_int),
    )


@dataclass(frozen=True, slots=True)
class Event:
    """What the profiler noted of one run: ``type`` is 1 for all of it, 2 for an operation, 8 for one inside a delegate;
    ``node`` and ``graph`` number it; ``start`` and ``elapsed`` are in microseconds.
    """

    tag: str
    type: int
    node: int
    graph: int
    start: int
    elapsed: int


def supported() -> str | None:
    """Why the profiler cannot be used here, or ``None``."""
    try:
        found = version(DISTRIBUTION)
    except PackageNotFoundError:
        return f"{DISTRIBUTION} is not installed"
    numbers = tuple(int(part) if part.isdigit() else 0 for part in found.split(".")[:2])
    if not KNOWN[0] <= numbers < KNOWN[1]:
        low, high = (".".join(map(str, bound)) for bound in KNOWN)
        return f"its interface is known for {DISTRIBUTION} from {low} to below {high}, not for {found}"
    return None if _library_path().is_file() else f"{DISTRIBUTION} {found} has no {LIBRARY} on this system"


def _library_path() -> Path:
    spec = find_spec("ai_edge_litert")
    places = (spec.submodule_search_locations if spec else None) or [""]
    return Path(next(iter(places))) / LIBRARY


class CompiledModel:
    """A .tflite file, compiled for the CPU with XNNPACK and with the profiler on.

    ``values`` are the arrays of its inputs by the number of their tensor; inputs are resized to them.
    """

    def __init__(self, path: str, threads: int, values: Mapping[int, Any]) -> None:
        why = supported()
        if why:
            raise ProfilerError(why)
        self._library = ctypes.CDLL(str(_library_path()))
        self._kept: list[Any] = []  # what the library points to
        self._environment = self._made("LiteRtCreateEnvironment", c_int(0), None)
        self._model = self._made("LiteRtCreateModelFromFile", self._environment, c_char_p(path.encode()))
        self._compiled = self._made("LiteRtCreateCompiledModel", self._environment, self._model, self._options(threads))
        self._profiler = self._made("LiteRtCompiledModelGetProfiler", self._compiled)
        if not self._profiler:
            raise ProfilerError("the runtime gives no profiler")
        self._signature = self._made("LiteRtGetModelSignature", self._model, c_size_t(0))
        self._inputs = self._buffers("Input", values)
        self._outputs = self._buffers("Output", {})

    def __enter__(self) -> CompiledModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for buffer in (*self._inputs, *self._outputs):
            self._library.LiteRtDestroyTensorBuffer(c_void_p(buffer))
        self._library.LiteRtDestroyCompiledModel(self._compiled)
        self._library.LiteRtDestroyModel(self._model)
        self._library.LiteRtDestroyEnvironment(self._environment)

    def run(self) -> None:
        self._call(
            "LiteRtRunCompiledModel", self._compiled, c_size_t(0), c_size_t(len(self._inputs)), self._inputs,
            c_size_t(len(self._outputs)), self._outputs,
        )  # fmt: skip

    def profiled(self) -> list[Event]:
        """The events of one run, in the order they began."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self.run()
        self._call("LiteRtStopProfiler", self._profiler)
        number = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(number))
        if number.value <= 0:
            return []
        events = (_Event * number.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, number, events)
        return [
            Event(
                (item.tag or b"").decode(errors="replace"), item.type, item.node, item.graph, item.start, item.elapsed
            )
            for item in events
        ]

    def _options(self, threads: int) -> c_void_p:
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, c_int(CPU))
        # each set of options travels as lines of TOML under its name
        for name, line in (
            ("xnnpack", f"num_threads = {threads}"),
            ("runtime_options_string", "enable_profiling = true"),
        ):
            text = ctypes.create_string_buffer(line.encode())
            release = ctypes.CFUNCTYPE(None, c_void_p)(_nothing)
            self._kept += [text, release]
            opaque = self._made("LiteRtCreateOpaqueOptions", c_char_p(name.encode()), text, release)
            self._call("LiteRtAddOpaqueOptions", options, opaque)
        return options

    def _buffers(self, kind: str, values: Mapping[int, Any]) -> Any:
        """A buffer for every input or output of the model's signature, holding those of ``values``."""
        count = c_size_t()
        self._call(f"LiteRtGetNumSignature{kind}s", self._signature, byref(count))
        buffers = (c_void_p * count.value)()
        types = [_TensorType() for _ in range(count.value)]
        numbers = []
        for at, kept in enumerate(types):
            tensor = self._made(f"LiteRtGetSignature{kind}TensorByIndex", self._signature, c_size_t(at))
            self._call("LiteRtGetRankedTensorType", tensor, byref(kept))
            number = c_uint32()
            self._call("LiteRtGetTensorIndex", tensor, byref(number))
            numbers.append(number.value)
            if number.value in values:
                self._resize(at, kept.layout, values[number.value].shape)
        if kind == "Output" and count.value:
            layouts = (_Layout * count.value)()
            self._call(
                "LiteRtGetCompiledModelOutputTensorLayouts", self._compiled, c_size_t(0), count, layouts,
                ctypes.c_bool(True),
            )  # fmt: skip
            for kept, layout in zip(types, layouts, strict=True):
                kept.layout = layout
        for at, kept in enumerate(types):
            needs = self._made(
                f"LiteRtGetCompiledModel{kind}BufferRequirements", self._compiled, c_size_t(0), c_size_t(at)
            )
            buffers[at] = self._made(
                "LiteRtCreateManagedTensorBufferFromRequirements", self._environment, byref(kept), needs
            )
            if kind == "Input":
                self._fill(c_void_p(buffers[at]), values[numbers[at]])
        return buffers

    def _resize(self, at: int, layout: _Layout, shape: Sequence[int]) -> None:
        known = tuple(layout.dimensions[: layout.rank & 0x7F])
        if known == tuple(shape):
            return
        dims = (c_int * len(shape))(*shape)
        self._call(
            "LiteRtCompiledModelResizeInputTensorNonStrict", self._compiled, c_size_t(0), c_size_t(at), dims,
            c_size_t(len(shape)),
        )  # fmt: skip
        for axis, size in enumerate(shape):
            layout.dimensions[axis] = size

    def _fill(self, buffer: c_void_p, values: Any) -> None:
        place = c_void_p()
        self._call("LiteRtLockTensorBuffer", buffer, byref(place), c_int(WRITE))
        packed = np.ascontiguousarray(values)
        size = c_size_t()
        self._call("LiteRtGetTensorBufferPackedSize", buffer, byref(size))
        if size.value != packed.nbytes:
            raise ProfilerError(f"an input takes {size.value} bytes where {packed.nbytes} were expected")
        ctypes.memmove(place, packed.ctypes.data, packed.nbytes)
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def _made(self, name: str, *arguments: Any) -> c_void_p:
        """What a function puts where its last argument points."""
        found = c_void_p()
        self._call(name, *arguments, byref(found))
        return found

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise ProfilerError(f"{LIBRARY} has no {name}")
        status = function(*arguments)
        if status:
            raise ProfilerError(f"{name} failed with status {status}")


def _nothing(_: Any) -> None:
    """Release no memory: Python does."""


__all__ = ["CompiledModel", "Event", "ProfilerError", "supported"]
