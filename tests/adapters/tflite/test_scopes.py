"""Scopes out of tensor names, as Keras, TensorFlow and MediaPipe write them."""

from __future__ import annotations

import pytest

from multiprof.adapters.tflite.scopes import common_head, split_name


@pytest.mark.parametrize(
    ("tensor", "operator", "expected"),
    [
        ("", "ADD", ("", "")),
        ("conv2d_1", "CONV_2D", ("", "conv2d_1")),
        ("net/block1/conv/BiasAdd", "CONV_2D", ("net.block1.conv", "BiasAdd")),
        ("net/bn/FusedBatchNormV3;net/conv/Conv2D", "CONV_2D", ("net.conv", "Conv2D")),
        ("net/relu/Relu;net/dw/depthwise;net/conv/Conv2D", "DEPTHWISE_CONV_2D", ("net.dw", "depthwise")),
        ("net/relu/Relu;net/fc/MatMul", "FULLY_CONNECTED", ("net.fc", "MatMul")),
        ("net/relu/Relu;net/fc/MatMul", "ADD", ("net.relu", "Relu")),
        ("StatefulPartitionedCall:0", "FULLY_CONNECTED", ("", "")),
        ("StatefulPartitionedCall_1:3", "FULLY_CONNECTED", ("", "")),
        ("serving_default_x:0", "ADD", ("", "serving_default_x")),
        ("net/lstm/while/body/_1/net/lstm/while/cell/MatMul", "FULLY_CONNECTED", ("net.lstm.while.cell", "MatMul")),
        ("net/lstm/while/LoopCond/_2", "WHILE", ("net.lstm", "while")),
    ],
)
def test_names(tensor: str, operator: str, expected: tuple[str, str]) -> None:
    assert split_name(tensor, operator) == expected


def test_a_name_without_end_is_split_in_one_pass() -> None:
    # a million letters: a search that begins anew at each of them would not come to an end
    assert split_name("n" * 1_000_000, "RELU") == ("", "n" * 1_000_000)
    assert split_name("a/" * 500_000 + "Relu", "RELU") == (".".join(["a"] * 500_000), "Relu")


@pytest.mark.parametrize(
    ("scopes", "head"),
    [
        (["net.a", "net.b.c", ""], "net"),
        (["net.a", "other.b"], ""),
        (["net.a", "net"], ""),
        ([], ""),
    ],
)
def test_the_model_s_own_name_is_what_all_share(scopes: list[str], head: str) -> None:
    assert common_head(scopes) == head
