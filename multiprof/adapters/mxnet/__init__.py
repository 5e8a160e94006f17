"""The MXNet adapter: ``-symbol.json`` files of every age, without MXNet, and live models. Shapes are inferred by rules
of our own."""

from multiprof.adapters.mxnet.reader import read

__all__ = ["read"]
