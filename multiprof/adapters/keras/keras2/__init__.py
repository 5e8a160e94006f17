"""Keras 2: what `tf.keras` is in TensorFlow before 2.16, and what the package tf_keras is with any later one.

A layer there is a `tf.Module`, a weight a `tf.Variable`, a recurrent layer computes its loop in its ``call``; else all
is as in Keras 3, whose modules this shares: the scopes of calls, the description of recurrent layers, the rewriting.
"""
