"""TFLite files, read without TensorFlow and without the interpreter."""

from multiprof.adapters.tflite.reader import read

__all__ = ["read"]
