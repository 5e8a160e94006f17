"""JAX: any callable, Flax modules (linen and nnx), and jaxprs already made, read through the jaxpr of their call."""

from multiprof.adapters.jax.reader import read

__all__ = ["read"]
