"""TensorFlow: functions, modules, graphs, SavedModels and frozen graphs, all read through their GraphDef."""

import os

# TensorFlow writes notes on the processor to stderr when it is loaded, unless its log level, read then and only then,
# is raised; what the user has set stays.
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_quiet = _LEVEL not in os.environ
if _quiet:
    os.environ[_LEVEL] = "2"
try:
    from multiprof.adapters.tensorflow.reader import read
finally:
    if _quiet:
        del os.environ[_LEVEL]

__all__ = ["read"]
