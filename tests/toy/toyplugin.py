"""The toy framework's plugin."""

import multiprof


@multiprof.hookimpl
def multiprof_adapters():
    return [
        multiprof.Adapter(
            "toy",
            "toyreader:read",
            types=("toyframe.Net",),
            suffixes=(".toy",),
            magic=((0, b"TOY\n"),),
            requires=("toyframe",),
            callables=True,
        )
    ]
