"""torch's dtypes under the names of the representation."""

from __future__ import annotations

import torch

from multiprof.ir import BITS

NAMES: dict[torch.dtype, str] = {
    dtype: name for name in BITS if isinstance(dtype := getattr(torch, name, None), torch.dtype)
} | {
    torch.qint8: "int8",
    torch.quint8: "uint8",
    torch.qint32: "int32",
}
BY_NAME: dict[str, torch.dtype] = {
    name: dtype for name in BITS if isinstance(dtype := getattr(torch, name, None), torch.dtype)
}
