"""An MXNet symbol, bound once, as its engine runs it: hybridized Gluon blocks come here as their export."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from multiprof import ModelError
from multiprof.adapters.mxnet.compat import import_mxnet
from multiprof_benchmark import environment
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.subject import Options, Subject

mx: Any = import_mxnet()


class MXNetSession:
    """A ``-symbol.json`` with random weights: their values make no difference to the time."""

    def __init__(self, subject: Subject, options: Options) -> None:
        if options.precision not in ("", "fp32", "float32"):
            raise ModelError("mxnet: a symbol runs in the types of its variables: leave --precision out")
        self.threads = options.threads
        symbol = mx.sym.load_json(Path(subject.model).read_text(encoding="utf-8"))
        feed = arrays(subject.report)
        shapes, _, states = symbol.infer_shape(**{name: value.shape for name, value in feed.items()})
        if shapes is None:
            raise ModelError("mxnet cannot infer the shapes of this symbol's arguments")
        source = mx.nd.random
        arguments = {
            name: mx.nd.array(feed[name], dtype=feed[name].dtype) if name in feed else 0.05 * source.normal(shape=shape)
            for name, shape in zip(symbol.list_arguments(), shapes, strict=True)
        }
        auxiliary = {
            name: mx.nd.ones(shape) if name.endswith("var") else mx.nd.zeros(shape)
            for name, shape in zip(symbol.list_auxiliary_states(), states, strict=True)
        }
        self.executor = symbol.bind(mx.cpu(), arguments, aux_states=auxiliary, grad_req="null")

    def run(self) -> object:
        outputs = self.executor.forward(is_train=False)
        for output in outputs:
            output.wait_to_read()
        return outputs

    def per_layer(self, options: Options) -> Iterable[Part]:
        return []

    def facts(self) -> Facts:
        return Facts("cpu", self.threads, {"mxnet": mx.__version__, **environment.versions("numpy")})


__all__ = ["MXNetSession"]
