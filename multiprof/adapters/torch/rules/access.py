"""Questions about tensors: sizes and flags (no data), the device, and values, which some tensors do not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import RULES, direct, let_pass, passthrough, rule
from multiprof.adapters.torch.tracer import Tracer, ValueNeededError

# -- no data -----------------------------------------------------------------------------------------------------------

let_pass(
    "Tensor.{}",
    "size dim ndimension numel nelement stride storage_offset element_size dim_order __len__ __hash__ __repr__ "
    "__format__ is_contiguous is_floating_point is_complex is_signed is_same_size is_set_to is_conj is_neg "
    "is_inference is_shared is_pinned is_distributed is_coalesced _is_view dense_dim sparse_dim qscheme __setstate__ "
    "__reduce_ex__ _nnz _dimI _dimV",
)
let_pass(
    "Tensor.{}.__get__",
    "shape ndim dtype layout itemsize nbytes requires_grad grad _grad grad_fn _grad_fn grad_dtype is_leaf retains_grad "
    "is_sparse is_sparse_csr is_quantized is_nested is_mkldnn is_vulkan output_nr _version _base _cdata name names "
    "volatile _backward_hooks _post_accumulate_grad_hooks",
)
let_pass("Tensor.{}.__set__", "_backward_hooks _post_accumulate_grad_hooks grad_dtype")
let_pass(
    "torch.{}",
    "numel is_floating_point is_complex is_signed is_same_size is_conj is_neg is_inference is_distributed is_tensor "
    "is_storage result_type can_cast promote_types sym_int sym_float sym_max sym_min sym_not sym_ite sym_sum sym_sqrt "
    "sym_fresh_size _is_zerotensor",
)
RULES[torch._C._set_grad_enabled] = passthrough  # what torch.no_grad() calls arrives in a function mode as well

# -- the device --------------------------------------------------------------------------------------------------------


@direct("Tensor.device.__get__")
def device(t: Tracer, function: Callable[..., Any], tensor: Tensor) -> Any:
    """The model's device, not that of the shapes: what a model does with it must not depend on how it is read."""
    return function(tensor) if t.real and not tensor.is_meta else t.device


def _answer_for(kind: str) -> None:
    @direct(f"Tensor.is_{kind}.__get__")
    def is_on(t: Tracer, function: Callable[..., Any], tensor: Tensor) -> Any:
        return device(t, torch.Tensor.device.__get__, tensor).type == kind


for _kind in ("cuda", "cpu", "meta", "xla", "xpu", "ipu", "mps", "mtia", "maia"):
    _answer_for(_kind)


@direct("Tensor.get_device", "torch.get_device")
def get_device(t: Tracer, function: Callable[..., Any], tensor: Tensor) -> Any:
    place = device(t, torch.Tensor.device.__get__, tensor)
    return -1 if place.type == "cpu" else place.index or 0


# -- values ------------------------------------------------------------------------------------------------------------


def must_hold(t: Tracer, tensor: Tensor) -> None:
    """Raise where a real tensor's values are no longer those the model would see."""
    if id(t.twins.get(id(tensor), tensor)) in t.stale and not tensor.is_meta:
        raise ValueNeededError


@direct(
    "Tensor.__bool__",
    "Tensor.__nonzero__",
    "Tensor.__float__",
    "Tensor.__int__",
    "Tensor.__long__",
    "Tensor.__index__",
    "Tensor.__complex__",
    "Tensor.item",
    "Tensor.is_nonzero",
    "torch.is_nonzero",
    "Tensor._local_scalar_dense",
)
def read(t: Tracer, function: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Answered by tensors that have values; of others torch says that they have none, and the model is run for real."""
    must_hold(t, tensor)
    return function(tensor, *args, **kwargs)


@direct("Tensor.tolist")
def tolist(t: Tracer, function: Callable[..., Any], tensor: Tensor) -> Any:
    must_hold(t, tensor)
    if tensor.is_floating_point() and not tensor.is_meta:
        leave(t, tensor)  # integers are lengths and positions; a list of real numbers may come back as a tensor
    return function(tensor)


def leave(t: Tracer, tensor: Tensor) -> None:
    """Note that values which depend on the inputs are now known outside torch."""
    x = t.twins.get(id(tensor), tensor)
    t.spec(x)
    if not t.is_weight(x):
        t.escaped = True


@direct("torch.equal", "Tensor.equal", "torch.allclose", "Tensor.allclose")
def same_values(
    t: Tracer, function: Callable[..., Any], input: Tensor, other: Tensor, *args: Any, **kwargs: Any
) -> Any:
    for tensor in (input, other):
        if tensor.is_meta:
            raise ValueNeededError
        must_hold(t, tensor)
    return function(input, other, *args, **kwargs)


@direct(
    "Tensor.numpy",
    "Tensor.__array__",
    "Tensor.__dlpack__",
    "Tensor.data_ptr",
    "Tensor.const_data_ptr",
    "Tensor.storage",
    "Tensor.untyped_storage",
    "Tensor._typed_storage",
    "Tensor.__cuda_array_interface__.__get__",
)
def escape(t: Tracer, function: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Values leave torch's sight: what comes back from there may depend on them."""
    if tensor.is_meta:
        raise ValueNeededError
    must_hold(t, tensor)
    leave(t, tensor)
    return function(tensor, *args, **kwargs)


@rule(
    "torch.nonzero",
    "Tensor.nonzero",
    "torch.argwhere",
    "Tensor.argwhere",
    "Tensor.apply_",
    "Tensor.map_",
    "Tensor.map2_",
    "Tensor.__contains__",
    "torch.unique_consecutive",
    "Tensor.unique",
    "Tensor.unique_consecutive",
    "torch.bincount",
    "Tensor.bincount",
)
def shaped_by_values(t: Tracer, *args: Any, **kwargs: Any) -> Any:
    """Results whose shape is in the values (or that call Python with them): only the real operation can tell."""
    raise ValueNeededError
