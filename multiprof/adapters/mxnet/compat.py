"""Importing MXNet 1.9.1, the last there is, on a numpy of today.

    from multiprof.adapters.mxnet.compat import import_mxnet; mx = import_mxnet()

MXNet 1.9.1 is of 2022 and copies names out of numpy while it is imported, ``mxnet.numpy.NAN = numpy.NAN`` and so on,
that numpy has removed since. It hardly uses them later. So they are supplied while it is being imported and taken away
after, and numpy is as it was found.
"""

from __future__ import annotations

import ctypes
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from multiprof.errors import MissingDependencyError

HOW = "pip install --no-deps mxnet==1.9.1 and pip install graphviz numpy requests, on Python 3.11 at most"
# Functions that moved to the package numpy-financial with numpy 1.20.
_FINANCIAL = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")


def import_mxnet() -> Any:
    """The module ``mxnet``, imported if it is not yet. Raises `MissingDependencyError` where it cannot be.

    numpy's names, its warnings and the number of threads are afterwards what they were: MXNet sets the number of OpenMP
    threads of the whole process while it is imported, and torch, loaded before or after, would go on with that.
    """
    loaded = sys.modules.get("mxnet")
    if hasattr(loaded, "gluon"):
        return loaded
    _forget_half_imported()
    try:
        with _numpy_of_old(), _threads_of_openmp(), _threads_of_torch(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own age: distutils, invalid escapes, numpy's names
            import mxnet
    except ImportError as error:
        _forget_half_imported()
        raise MissingDependencyError(f"mxnet cannot be imported ({error}): {HOW}") from error
    return mxnet


def _forget_half_imported() -> None:
    """An import that failed leaves the submodules it got to behind; another one must not find them."""
    if "mxnet" not in sys.modules or not hasattr(sys.modules["mxnet"], "gluon"):
        for name in [name for name in sys.modules if name.partition(".")[0] == "mxnet"]:
            del sys.modules[name]


@contextmanager
def _numpy_of_old() -> Iterator[None]:
    """The names that numpy has no more, for as long as the block runs; those it still has stay as they are."""
    import numpy

    added = {name: value for name, value in _removed(numpy).items() if name not in vars(numpy)}
    vars(numpy).update(added)
    try:
        yield
    finally:
        for name in added:
            vars(numpy).pop(name, None)


def _removed(numpy: Any) -> dict[str, Any]:
    """What numpy 1.24 and 2.x removed and MXNet asks for: what numpy's notes of those releases say to use instead."""
    return {
        "bool": bool,  # removed in 1.24; numpy 2 has one again
        "Inf": math.inf,
        "NAN": math.nan,
        "NINF": -math.inf,
        "NZERO": -0.0,
        "NaN": math.nan,
        "PINF": math.inf,
        "PZERO": 0.0,
        "alltrue": numpy.all,
        "in1d": lambda a, b, **options: numpy.isin(numpy.ravel(a), b, **options),
        "msort": lambda a: numpy.sort(a, axis=0),
        "product": numpy.prod,
        "round_": numpy.round,
        "sometrue": numpy.any,
        "trapz": getattr(numpy, "trapezoid", None),
        **{name: _gone(name) for name in _FINANCIAL},
    }


def _gone(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"numpy has no {name} since 1.20; numpy-financial has it")

    return refuse


@contextmanager
def _threads_of_openmp() -> Iterator[None]:
    """The number of threads of GNU's OpenMP afterwards what it was before: a torch that is imported later asks it."""
    try:
        library = ctypes.CDLL("libgomp.so.1")  # loaded already, or about to be: MXNet is linked to it
        threads = int(library.omp_get_max_threads())
    except (OSError, AttributeError):  # another system, another OpenMP
        yield
        return
    try:
        yield
    finally:
        library.omp_set_num_threads(threads)


@contextmanager
def _threads_of_torch() -> Iterator[None]:
    """torch's number of threads afterwards what it was before."""
    torch = sys.modules.get("torch")
    if not hasattr(torch, "get_num_threads"):  # not loaded, or in the midst of it
        yield
        return
    threads = torch.get_num_threads()  # type: ignore[union-attr]
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:  # type: ignore[union-attr]
            torch.set_num_threads(threads)  # type: ignore[union-attr]


__all__ = ["import_mxnet"]
