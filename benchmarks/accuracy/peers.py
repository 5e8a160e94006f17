"""The counters of the package index: what each needs, its unit as documented, and how it is asked.

Each ``count(model, args, kwargs)`` imports its counter itself: it runs in a process that has that one alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Count = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], float]


@dataclass(frozen=True)
class Peer:
    """``packages`` are installed without what they require, which torch and multiprof's own environment have."""

    name: str
    unit: str
    count: Count
    packages: tuple[str, ...] = ()
    version: str = "torch"  # the distribution whose version is shown
    stand_ins: tuple[str, ...] = ()  # modules that its import asks for and that its counting never uses
    extras: bool = False  # its unit counts more than dot products and biases
    forks: bool = True  # False: it refuses to work in a forked process, so all its cases share one


class Bound(nn.Module):
    """A model with its keyword arguments, for counters that take positional ones alone."""

    def __init__(self, model: nn.Module, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.bound = kwargs
        self.training = model.training

    def forward(self, *args: Any) -> Any:
        return self.model(*args, **self.bound)


class Spread(nn.Module):
    """A model whose arguments come as one tuple, for a counter that gives one argument."""

    def __init__(self, model: nn.Module, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.bound = kwargs
        self.training = model.training

    def forward(self, args: Any) -> Any:
        return self.model(*args, **self.bound)


def _positional(model: nn.Module, kwargs: dict[str, Any]) -> nn.Module:
    return Bound(model, kwargs) if kwargs else model


def _multiprof(model: nn.Module, args: Any, kwargs: Any) -> float:
    import multiprof

    report = multiprof.analyze(model, multiprof.Inputs(*args, **kwargs), strict=True)
    return report.macs


def _thop(model: nn.Module, args: Any, kwargs: Any) -> float:
    from thop import profile

    macs, _ = profile(_positional(model, kwargs), inputs=args, verbose=False)
    return float(macs)


def _ptflops(backend: str) -> Count:
    def count(model: nn.Module, args: Any, kwargs: Any) -> float:
        from ptflops import get_model_complexity_info

        # By keyword, so that the total is not divided by the batch.
        options: Any = {"as_strings": False, "print_per_layer_stat": False, "backend": backend}
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            macs, _ = get_model_complexity_info(
                Spread(model, kwargs), (1,), input_constructor=lambda _: {"args": args}, **options
            )
        if macs is None:  # it prints why and returns nothing
            said = [line for line in out.getvalue().splitlines() if line.strip()]
            raise RuntimeError(next((line for line in said if line.startswith("<class")), said[-1] if said else "None"))
        return float(macs)

    return count


def _torchinfo(model: nn.Module, args: Any, kwargs: Any) -> float:
    import torchinfo

    device = next(
        (p.device for p in model.parameters()), args[0].device if isinstance(args[0], torch.Tensor) else "cpu"
    )
    data = list(args) if all(isinstance(a, torch.Tensor) for a in args) else None
    if data is None:
        return float(
            torchinfo.summary(
                Bound(Spread(model, kwargs), {"args": args}), [], device=device, verbose=0
            ).total_mult_adds
        )
    mode = "train" if model.training else "eval"
    result = torchinfo.summary(model, input_data=data, mode=mode, device=device, verbose=0, **kwargs)
    return float(result.total_mult_adds)


def _fvcore(model: nn.Module, args: Any, kwargs: Any) -> float:
    from fvcore.nn import FlopCountAnalysis

    logging.disable(logging.WARNING)
    return float(FlopCountAnalysis(_positional(model, kwargs), args).total())


def _calflops(model: nn.Module, args: Any, kwargs: Any) -> float:
    from calflops import calculate_flops

    options = {"print_results": False, "print_detailed": False, "output_as_string": False}
    return float(calculate_flops(model, args=list(args), kwargs=dict(kwargs), **options)[1])


def _deepspeed(model: nn.Module, args: Any, kwargs: Any) -> float:
    from deepspeed.profiling.flops_profiler import get_model_profile

    logging.disable(logging.WARNING)
    options: Any = {"print_profile": False, "detailed": False, "as_string": False, "warm_up": 0}
    return float(get_model_profile(model, args=list(args), kwargs=dict(kwargs), **options)[1])


def _torchlens(model: nn.Module, args: Any, kwargs: Any) -> float:
    import torchlens

    return float(torchlens.trace(model, list(args), dict(kwargs)).total_macs_forward)


def _flopth(model: nn.Module, args: Any, kwargs: Any) -> float:
    from flopth import flopth

    with contextlib.redirect_stdout(io.StringIO()):
        return float(flopth(_positional(model, kwargs), inputs=args, bare_number=True)[0])


def _torchprofile(model: nn.Module, args: Any, kwargs: Any) -> float:
    from torchprofile import profile_macs

    return float(profile_macs(_positional(model, kwargs), args))


def _flop_counter(model: nn.Module, args: Any, kwargs: Any) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(*args, **kwargs)
    return counter.get_total_flops() / 2


def _profiler(model: nn.Module, args: Any, kwargs: Any) -> float:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], with_flops=True) as run:
        model(*args, **kwargs)
    return sum(event.flops for event in run.key_averages()) / 2


MACS = "MACs"
PEERS = (
    Peer("multiprof", "MACs: multiply-adds of dot products alone", _multiprof, version="multiprof"),
    Peer("thop", f"{MACS}; norms, softmax, pooling too", _thop, ("thop==0.1.1.post2209072238",), "thop",
         extras=True),
    Peer("ultralytics-thop", f"{MACS}; norms, activations, pooling too", _thop, ("ultralytics-thop==2.2.3",),
         "ultralytics-thop", extras=True),
    Peer("ptflops pytorch", f"{MACS}; biases, norms, activations too", _ptflops("pytorch"), ("ptflops==0.7.5",),
         "ptflops", extras=True),
    Peer("ptflops aten", f"{MACS}; biases too", _ptflops("aten"), ("ptflops==0.7.5",), "ptflops"),
    Peer("torchinfo", "mult-adds: parameters times positions", _torchinfo, ("torchinfo==1.8.0",), "torchinfo",
         extras=True),
    Peer("fvcore", "flops, one a multiply-add; norms too", _fvcore,
         ("fvcore==0.1.5.post20221221", "iopath==0.1.10", "yacs==0.1.8", "portalocker==4.4.2", "termcolor==3.3.0",
          "tabulate==0.10.0"), "fvcore", extras=True),
    Peer("calflops", "MACs, beside its FLOPs", _calflops, ("calflops==0.3.2", "accelerate==1.15.0", "psutil==7.2.2"),
         "calflops"),
    Peer("DeepSpeed", "MACs, beside its FLOPs", _deepspeed,
         ("deepspeed==0.19.8", "einops==0.8.2", "hjson==3.1.0", "msgpack==1.2.4", "ninja==1.13.2", "psutil==7.2.2",
          "py-cpuinfo==9.0.0"), "deepspeed"),
    Peer("torchlens", "MACs, beside its FLOPs", _torchlens, ("torchlens==2.36.1", "graphviz==0.21"), "torchlens",
         forks=False),
    Peer("flopth", "FLOPs, one a multiply-add; biases, norms, activations too", _flopth,
         ("flopth==0.1.6", "tabulate==0.10.0"), "flopth", ("torchvision", "torchvision.models"), extras=True),
    Peer("torchprofile", "MACs; norms, pooling too", _torchprofile, ("torchprofile==0.1.0",), "torchprofile",
         extras=True),
    Peer("FlopCounterMode", "FLOPs, two a multiply-add", _flop_counter),
    Peer("torch.profiler", "FLOPs, two a multiply-add; elementwise sums and products too", _profiler,
         extras=True),
)  # fmt: skip
BY_NAME = {peer.name: peer for peer in PEERS}
