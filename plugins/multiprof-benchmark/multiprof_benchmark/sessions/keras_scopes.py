"""Which Keras layer an operation belongs to: marks in the names of a trace, or the clock around every layer's call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import get_ident
from time import perf_counter
from typing import Any

import keras

_MARK = re.compile(r"multiprof_(\d+)(?=[/\"]|_\d+/)")


class Scopes:
    """While `active`, knows which layer runs, as the path of layer names that the model's graph has for scope.

    ``enter`` opens a scope of that name in the backend, so that what is traced there carries a mark; with ``clock``
    each layer's own time, that of the layers inside left out, is added up in ``taken``.
    """

    def __init__(
        self, model: Any, enter: Callable[[str], AbstractContextManager[Any]] | None = None, clock: bool = False
    ) -> None:
        self.model = model
        self.enter = enter
        self.clock = clock
        self.paths: list[str] = []  # by the number in the mark
        self.stack: list[str] = []
        self.inner = [0.0]
        self.taken: dict[str, float] = {}

    def path_of(self, name: str) -> str | None:
        """The layer that a name with marks in it belongs to."""
        marks = _MARK.findall(name)
        return self.paths[int(marks[-1])] if marks else None

    @contextmanager
    def active(self) -> Iterator[Scopes]:
        kind = keras.layers.Layer
        original, thread = kind.__call__, get_ident()

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if get_ident() != thread:
                return original(layer, *args, **kwargs)
            return self._call(layer, lambda: original(layer, *args, **kwargs))

        kind.__call__ = call
        try:
            yield self
        finally:
            kind.__call__ = original

    def _call(self, layer: Any, run: Callable[[], Any]) -> Any:
        outer = self.stack[-1] if self.stack else ""
        own = "" if layer is self.model else layer.name.replace(".", "_")  # as the adapter writes it in a path
        path = f"{outer}.{own}" if outer and own else own or outer
        self.stack.append(path)
        start = perf_counter()
        self.inner.append(0.0)
        try:
            if self.enter is None:
                return run()
            self.paths.append(path)
            with self.enter(f"multiprof_{len(self.paths) - 1}"):
                return run()
        finally:
            self.stack.pop()
            took = perf_counter() - start
            inside = self.inner.pop()
            self.inner[-1] += took
            if self.clock:
                self.taken[path] = self.taken.get(path, 0.0) + took - inside


__all__ = ["Scopes"]
