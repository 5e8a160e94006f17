"""TensorFlow: functions, modules, graphs, SavedModels and frozen graphs, all read through their GraphDef."""

from multiprof.adapters.tensorflow.reader import read

__all__ = ["read"]
