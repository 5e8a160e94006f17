"""A model out of a file: its weights have shapes and names, and no values."""

from __future__ import annotations

from collections.abc import Callable

import torch

from multiprof.adapters.torch.tracer import Tracer


class WithoutValues(torch.nn.Module):
    """Base of modules made from files. ``title`` is the model's name, ``sort`` what a message calls it."""

    title: str = ""
    sort: str = "the file"

    def attach(self, tracer: Tracer, classes: dict[str, str]) -> Callable[[], None]:
        """Record in ``tracer`` while the model is called, and the class of every module in ``classes``.

        The function that is returned ends that.
        """
        raise NotImplementedError


__all__ = ["WithoutValues"]
