"""TensorFlow's threads, which can be set only before it does anything."""

from __future__ import annotations

import contextlib

import tensorflow as tf

from multiprof_benchmark.environment import usable_cores


def set_threads(threads: int) -> int:
    """Limit TensorFlow to so many threads; returns how many it uses, which are others where it has begun to work."""
    with contextlib.suppress(RuntimeError):  # it has: its pools are made
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    return int(tf.config.threading.get_intra_op_parallelism_threads()) or usable_cores()


__all__ = ["set_threads"]
