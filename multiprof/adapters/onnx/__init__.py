"""ONNX files, with the onnx package's own parser and shape inference; weights are left where they are."""

from multiprof.adapters.onnx.reader import read

__all__ = ["read"]
