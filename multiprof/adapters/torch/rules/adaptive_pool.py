"""Pooling to a given size, whatever the input's."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, is_regular
from multiprof.adapters.torch.rules._images import check_image, counts, data_format, new_image, resized
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer


def _adaptive(t: Tracer, rank: int, x: Tensor, output_size: Any) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Shape of the result and attributes; in a tuple for images or volumes ``None`` is the input's size."""
    layout = data_format(x, rank)
    check_image(t, x)
    given = tuple(x.shape[-rank:])
    sizes = (output_size,) * rank if type(output_size) is int else tuple(output_size)
    if rank > 1:
        sizes = tuple([n if size is None else size for size, n in zip(sizes, given, strict=True)])
    wanted = counts(sizes, rank)
    if min(wanted) < 1:
        raise Unsure
    return resized(x, rank, wanted), {"input_size": given, "output_size": wanted, "data_format": layout}


def _mean(rank: int) -> Rule:
    def apply(t: Tracer, input: Tensor, output_size: Any) -> Any:
        shape, attrs = _adaptive(t, rank, input, output_size)
        if rank == 3 and t.forced is None and not is_regular(input):
            return NotImplemented  # another kernel serves the size 1, with other strides
        y = new_image(t, rank, input, shape, input.dtype)
        t.emit("adaptive_avg_pool", {"x": input}, {"y": y}, attrs)
        return y

    return apply


def _maximum(rank: int, with_indices: bool) -> Rule:
    def apply(t: Tracer, input: Tensor, output_size: Any, return_indices: bool = with_indices) -> Any:
        shape, attrs = _adaptive(t, rank, input, output_size)
        y = new_image(t, rank, input, shape, input.dtype)
        outputs = {"y": y}
        if with_indices or return_indices:
            outputs["indices"] = new_image(t, rank, input, shape, torch.int64)
        t.emit("adaptive_max_pool", {"x": input}, outputs, attrs)
        return tuple(outputs.values()) if len(outputs) > 1 else y

    return apply


for _rank in (1, 2, 3):
    _name = f"adaptive_avg_pool{_rank}d"
    rule(f"F.{_name}", f"torch.{_name}", f"nn.{_name}", aten=(_name, f"_{_name}"))(_mean(_rank))
    _name = f"adaptive_max_pool{_rank}d"
    rule(f"F.{_name}")(_maximum(_rank, False))
    # Beneath torch.nn.functional these return the positions as well.
    rule(f"F.{_name}_with_indices", f"torch.{_name}", f"nn.{_name}", aten=_name)(_maximum(_rank, True))
