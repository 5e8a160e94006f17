"""A time is never said to be of another precision than the one that ran."""

from __future__ import annotations

import pytest
import torch
from multiprof_benchmark.own_precision import check
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.subject import NATIVE, Options, Subject
from torch import nn

import multiprof
from multiprof import ModelError


@pytest.mark.parametrize(("dtype", "names"), [("float32", ("fp32", "float32")), ("bfloat16", ("bf16", "bfloat16"))])
def test_a_precision_that_is_the_models_own(dtype, names):
    report = multiprof.analyze(nn.Linear(4, 4).to(getattr(torch, dtype)), multiprof.TensorSpec((2, 4), dtype))
    for name in ("", *names):
        check(report, name, "cpu")
    with pytest.raises(ModelError) as error:
        check(report, "fp16", "abacus")
    assert str(error.value) == (
        f"precision 'fp16': abacus runs a model as it is, in {dtype}; leave it out, or ask for another route"
    )


@pytest.mark.parametrize(("runner", "framework"), [("onnxruntime", "onnx"), ("tflite", "tflite"), ("cpu", "onnx")])
def test_a_file_is_not_run_in_another_one(runner, framework, tmp_path):
    multiprof.analyze(nn.Linear(4, 4), (2, 4)).save(tmp_path / "r.json")
    subject = Subject(tmp_path / "r.json", framework, "file", str(tmp_path / "none"))
    with pytest.raises(ModelError, match=r"precision 'fp16': \w+ runs a model as it is, in float32"):
        by_name(runner).prepare(subject, Options(precision="fp16"), NATIVE)
