"""The kernels in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from multiprof_benchmark.calibrate.device import Kernel


def prepared(kernel: Kernel, threads: int) -> Callable[[], object]:
    """A function that runs the kernel once. Nothing is differentiated in this process from here on."""
    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dtype = getattr(torch, kernel.dtype)
    s = kernel.sizes

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(shape).to(dtype)

    if kernel.family in ("gemm", "linear"):
        x, w = tensor(s[0], s[1]), tensor(s[2], s[1])
        return lambda: F.linear(x, w)
    if kernel.family == "matmul":
        x, w = tensor(s[0], s[1], s[2]), tensor(s[0], s[2], s[3])
        return lambda: torch.bmm(x, w)
    if kernel.family == "convolution":
        height, inner, outer, k, stride = s
        x, w = tensor(1, inner, height, height), tensor(outer, inner, k, k)
        return lambda: F.conv2d(x, w, None, stride, k // 2)
    if kernel.family == "depthwise":
        height, channels, k, stride = s
        x, w = tensor(1, channels, height, height), tensor(channels, 1, k, k)
        return lambda: F.conv2d(x, w, None, stride, k // 2, 1, channels)
    x = tensor(s[0])
    if kernel.family == "copy":
        y = torch.empty_like(x)
        return lambda: y.copy_(x)
    return lambda: torch.relu(x)


__all__ = ["prepared"]
