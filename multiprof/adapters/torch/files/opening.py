"""Which kind of file of PyTorch a path is, and the model in it: looked into before anything is read from it."""

from __future__ import annotations

import io
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from multiprof.adapters.torch.files import archive, program, script, weights
from multiprof.adapters.torch.files.archive import Archive
from multiprof.adapters.torch.files.pickled import BadPickleError, look
from multiprof.errors import ModelError
from multiprof.inputs import Inputs

_ZIP = b"PK\x03\x04"
# What torch.save wrote before it wrote zip archives: five pickles, the first of them this number.
_LEGACY = 0x1950A86A20F9469CFC6C
_LONG = 200


@dataclass(frozen=True, slots=True)
class Opened:
    """A model out of a file, with the inputs to read it with, and what the report says of the file."""

    model: Any
    inputs: Inputs | None
    format: str
    trusted: bool = False


def opened(path: Path, inputs: Inputs | None, trust: bool) -> Opened:
    """The model in a file. Raises `ModelError` where there is none, or where reading it would run code of its own."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give a file that torch.export.save or torch.jit.save wrote")
    with _errors_of(path), path.open("rb") as file:
        head = file.read(4096)
        if head.startswith(_ZIP):
            return _in_archive(path, inputs, trust)
        if weights.is_safetensors(head):
            raise weights.refuse_safetensors(path)
        if head[:1] == b"\x80":
            return _in_pickle(path, file, inputs, trust)
    what = "it is empty" if not head else f"it begins with {head[:8]!r}"
    raise ModelError(f"{path} is no file of PyTorch that can be read: {what}")


def _in_archive(path: Path, inputs: Inputs | None, trust: bool) -> Opened:
    held = Archive(path)
    try:
        if held.kind == archive.EXPORTED:
            return Opened(*program.read(held, inputs), "torch.export")
        if held.kind == archive.SCRIPTED:
            return Opened(script.read(held), inputs, "TorchScript")
        if held.kind == archive.PICKLED:
            if trust:
                return Opened(*_unpickled(path, inputs), "pickle", True)
            raise weights.refuse_pickle(path, look(held.read("data.pkl")))
        if held.kind == archive.COMPILED:
            raise ModelError(
                f"{path} is a package of AOTInductor: machine code, which no longer says what is computed; give the "
                "program it was compiled from, written by torch.export.save"
            )
        if held.kind == archive.EXECUTORCH:
            raise ModelError(f"{path} holds a program of ExecuTorch, which cannot be read; give its exported program")
        raise ModelError(f"{path} is a zip archive, but of none of the kinds that PyTorch writes")
    finally:
        held.close()


def scripted(model: torch.jit.ScriptModule) -> torch.nn.Module:
    """A live TorchScript module, read as the file that torch.jit.save would write: its own code is not at hand."""
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
            torch.jit.save(model, stream)
    except Exception as error:
        raise ModelError(
            f"this TorchScript module cannot be saved, and so not be read: {str(error).strip().splitlines()[0][:_LONG]}"
        ) from error
    return script.read(Archive("this TorchScript module", stream))


def _in_pickle(path: Path, file: BinaryIO, inputs: Inputs | None, trust: bool) -> Opened:
    if trust:
        return Opened(*_unpickled(path, inputs), "pickle", True)
    file.seek(0)
    value = look(file)
    if value == _LEGACY:
        look(file)  # the version of the protocol
        look(file)  # the machine it was written on
        value = look(file)
    raise weights.refuse_pickle(path, value)


def _unpickled(path: Path, inputs: Inputs | None) -> tuple[Any, Inputs | None]:
    """What the caller trusts: an ``nn.Module`` or a program, by torch.load; a plain pickle by pickle itself."""
    try:
        with _importable(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its code runs, which was agreed to; that its classes have changed
            try:
                value = torch.load(path, map_location="cpu", weights_only=False)
            except (RuntimeError, pickle.UnpicklingError):
                with path.open("rb") as file:
                    value = pickle.load(file)
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        hint = ""
        if isinstance(error, (AttributeError, ImportError)):
            hint = "; its classes must be found where they were when it was saved: give the model as file.py:callable"
        raise ModelError(f"{path} cannot be unpickled: {text[:_LONG]}{hint}") from error
    if isinstance(value, torch.nn.Module) or callable(value) or _is_program(value):
        return value, inputs
    tensors = [v for v in value.values() if isinstance(v, torch.Tensor)] if isinstance(value, dict) else []
    if tensors:
        raise weights.weights_alone(path, len(tensors), sum(t.numel() for t in tensors))
    raise ModelError(f"{path} holds a {type(value).__module__}.{type(value).__qualname__}, which is no model")


def _is_program(value: Any) -> bool:
    exporter = sys.modules.get("torch.export.exported_program")
    return exporter is not None and isinstance(value, exporter.ExportedProgram)


@contextmanager
def _importable(path: Path) -> Iterator[None]:
    """Modules in the current folder and beside the file can be imported, as where the pickle was written."""
    before = sys.path[:]
    sys.path[:0] = [os.getcwd(), str(path.resolve().parent)]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except BadPickleError as error:
        raise ModelError(f"{path} cannot be read, its pickle is damaged: {error}") from error
    except (OSError, MemoryError) as error:
        raise ModelError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


__all__ = ["Opened", "opened", "scripted"]
