"""Calls that touch no data: sizes, flags, and the questions a model asks about its tensors."""

from __future__ import annotations

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import RULES, passthrough, rule
from multiprof.adapters.torch.tracer import Tracer

_PASS = (
    "Tensor.size Tensor.dim Tensor.ndimension Tensor.numel Tensor.nelement Tensor.stride Tensor.storage_offset "
    "Tensor.is_contiguous Tensor.is_floating_point torch.is_floating_point Tensor.is_complex torch.is_complex Tensor.element_size "
    "Tensor.__len__ Tensor.__hash__ Tensor.is_same_size Tensor.is_set_to Tensor.__repr__ torch.numel Tensor.__format__ "
    "Tensor.__bool__ Tensor.__float__ Tensor.__int__ Tensor.__index__ Tensor.item Tensor.tolist Tensor.is_nonzero Tensor.__complex__"
).split()
for _name in _PASS:
    from multiprof.adapters.torch.table import lookup

    _target = lookup(_name)
    if _target is not None:
        RULES[_target] = passthrough
for _name in ("shape", "ndim", "dtype", "layout", "requires_grad", "grad", "grad_fn", "is_leaf", "names", "itemsize", "nbytes", "is_sparse", "is_quantized", "is_nested", "is_mkldnn", "output_nr", "_version", "_base", "retains_grad"):
    _descriptor = getattr(torch.Tensor, _name, None)
    if _descriptor is not None:
        RULES[_descriptor.__get__] = passthrough
