"""TensorFlow's threads, which can be set only before it does anything."""

from __future__ import annotations

import tensorflow as tf


def set_threads(threads: int) -> int:
    """Limit TensorFlow to so many threads; returns how many it says it uses."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return int(tf.config.threading.get_intra_op_parallelism_threads())


__all__ = ["set_threads"]
