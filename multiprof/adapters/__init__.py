"""What multiprof itself can read: ONE table, a row per framework.

A row is data. Its reader is a module path that is imported only once a model has matched the row, so that no framework
is loaded before it is needed. To add a framework: write ``multiprof/adapters/<name>`` and add its row here.
"""

from __future__ import annotations

from multiprof.extensions import Adapter
from multiprof.hookspecs import hookimpl

ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "torch",
        "multiprof.adapters.torch:read",
        types=("torch.nn.modules.module.Module",),
        requires=("torch",),
        extra="torch",
        callables=True,
    ),
)


@hookimpl
def multiprof_adapters() -> tuple[Adapter, ...]:
    return ADAPTERS
