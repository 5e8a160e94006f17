"""Networks out of the package gluoncv2, a family each: classifiers, segmentation, poses, detection."""

from __future__ import annotations

import warnings
from math import prod
from typing import Any

import pytest

import multiprof

MODELS = (
    "bninception", "preresnet10", "resnext14_16x4d", "seresnet10", "resnestabc14", "ibn_resnet50", "airnet50_1x64d_r2",
    "bam_resnet18", "cbam_resnet18", "sknet50", "diracnet18v2", "sharesnet18", "crunet56b",
    "condensenet74_c4_g4", "peleenet", "drnc26", "dpn68", "darknet53", "channelnet", "bagnet9", "dla34",
    "hrnet_w18_small_v1", "vovnet27s", "hardnet39ds", "sqnxt23_w1", "shufflenet_g1_w1", "shufflenetv2b_wd2",
    "menet108_8x1_g3", "mobilenetv3_small_w7d20", "igcv3_w1", "ghostnet", "darts", "fbnet_cb", "efficientnet_b0",
    "mixnet_s", "nin_cifar10", "octresnet10_ad2", "fcn8sd_resnetd50b_voc", "fastscnn_cityscapes",
    "ibppose_coco", "centernet_resnet18_voc", "lffd20x5s320v2_widerface",
)  # fmt: skip


@pytest.fixture(scope="module")
def zoo() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from gluoncv2 import model_provider
    return model_provider


@pytest.mark.filterwarnings("ignore")  # the package is of 2021
@pytest.mark.parametrize("name", MODELS)
def test_shapes_macs_and_parameters(checker: Any, zoo: Any, name: str) -> None:
    mx = checker.mx
    net = zoo.get_model(name)
    sym = net(mx.sym.var("data"))
    sym = mx.sym.Group(list(sym)) if isinstance(sym, (list, tuple)) else sym
    size = net.in_size if hasattr(net, "in_size") else (224, 224)
    shapes = {"data": (1, getattr(net, "in_channels", 3), *(size if isinstance(size, tuple) else (size,)))}
    path = checker.check(sym, shapes, name)
    report = multiprof.analyze(path, shapes, strict=True)
    products = sum(row.macs or 0 for row in report.layers if row.layer.op in ("matmul", "einsum"))
    assert report.macs - products == checker.macs(sym, shapes)
    inferred = checker.theirs(sym, shapes)
    assert report.params + report.buffers == sum(prod(inferred[key]) for key in sym.list_inputs() if key not in shapes)
