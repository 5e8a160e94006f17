"""Reads live PyTorch models."""

from multiprof.adapters.torch.reader import read

__all__ = ["read"]
