"""Model files of PyTorch, read without unpickling anything and without running their code."""

from multiprof.adapters.torch.files.opening import Opened, opened, scripted
from multiprof.adapters.torch.files.without import WithoutValues

__all__ = ["Opened", "WithoutValues", "opened", "scripted"]
