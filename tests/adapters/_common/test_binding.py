"""The caller's inputs against those a file declares."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from multiprof import Inputs, InputsError, TensorSpec
from multiprof.adapters._common.binding import Declared, bind

IMAGE = Declared("image", ("batch", 3, None, None), "float32")
IDS = Declared("ids", ("batch", "seq"), "int64")


def shapes(bound):
    return {name: spec.shape for name, spec in bound.inputs.items()}


def test_what_is_declared_in_full_needs_nothing():
    bound = bind([Declared("x", (1, 3), "float16"), Declared("s", (), "float32")], None, {})
    assert bound.inputs == {"x": TensorSpec((1, 3), "float16", "x"), "s": TensorSpec((), "float32", "s")}
    assert (bound.dims, bound.sizes, bound.given) == ((), {}, frozenset())


def test_free_axes_by_shape_and_by_name():
    by_shape = bind([IMAGE, IDS], Inputs((2, 3, 8, 9), ids=(2, 16)), {})
    by_name = bind([IMAGE, IDS], None, {"batch": 2, "seq": 16, "image[2]": 8, "image[3]": 9})
    mixed = bind([IMAGE, IDS], Inputs((2, 3, 8, 9)), {"seq": 16})
    assert shapes(by_shape) == shapes(by_name) == shapes(mixed) == {"image": (2, 3, 8, 9), "ids": (2, 16)}
    assert by_shape.dims == ("batch", "image[2]", "image[3]", "seq")
    assert mixed.given == {"image"}


def test_what_stays_free_is_named_with_the_ways_to_give_it():
    with pytest.raises(InputsError) as caught:
        bind([IMAGE, IDS], None, {"image[2]": 8}, what="net.onnx")
    text = str(caught.value)
    assert "net.onnx has free axes" in text
    assert "'image' batch×3×?×?: batch (axis 0), image[3] (axis 3)" in text
    assert "'ids' batch×seq: batch (axis 0), seq (axis 1)" in text
    assert "--input image:1x3x224x224 or --dim batch=1 --dim image[2]=224 --dim image[3]=224 --dim seq=128" in text


@pytest.mark.parametrize(
    ("given", "sizes", "said"),
    [
        (Inputs((1, 3, 8)), {}, "'image' is declared batch×3×?×?, of rank 4; 1×3×8 has rank 3"),
        (Inputs((1, 4, 8, 8)), {}, "'image' is declared batch×3×?×?; 1×4×8×8 is given"),
        (Inputs(TensorSpec((1, 3, 8, 8), "int8")), {}, "'image' is declared float32; int8 is given"),
        (Inputs((1, 3, 8, 8), ids=(2, 4)), {}, "'batch' would be 1 (input 'image') and 2 (input 'ids')"),
        (Inputs((1, 3, 8, 8)), {"batch": 5}, "'batch' would be 5 (--dim batch=5) and 1 (input 'image')"),
        (Inputs(imag=(1, 3, 8, 8)), {}, "has no input 'imag'; did you mean 'image'?"),
        (Inputs((1, 3, 8, 8), image=(1, 3, 8, 8)), {}, "'image' is given twice, by position and by name"),
        (Inputs((1, 3, 8, 8), (1, 2), (3,)), {}, "3 inputs are given; the model has 2: image, ids"),
        (Inputs(TensorSpec((1, 3, None, 8))), {}, "'image' is given with an unknown size on axis 2"),
        (Inputs("image.png"), {}, "'image' is a str; give a shape such as 1x3x224x224"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(given, sizes, said):
    with pytest.raises(InputsError, match=re.escape(said)):
        bind([IMAGE, IDS], given, sizes)


def test_sizes_that_are_only_what_the_file_was_made_with_may_change():
    made_with = Declared("x", (1, 224, 224, 3), "float32", fixed=False)
    assert shapes(bind([made_with], None, {})) == {"x": (1, 224, 224, 3)}
    assert shapes(bind([made_with], Inputs((8, 32, 32, 3)), {})) == {"x": (8, 32, 32, 3)}


def test_an_input_of_unknown_rank_takes_any_shape_and_must_be_given():
    unknown = Declared("data", None, "float32")
    assert shapes(bind([unknown], Inputs((1, 3, 8, 8)), {})) == {"data": (1, 3, 8, 8)}
    with pytest.raises(InputsError, match=r"'data' \(its rank is not declared either\); give --input NAME:1x3x224x224"):
        bind([unknown], None, {})


def test_an_optional_input_may_stay_away():
    label = Declared("label", None, "float32", optional=True)
    assert shapes(bind([Declared("x", (2,), "float32"), label], None, {})) == {"x": (2,)}
    assert shapes(bind([Declared("x", (2,), "float32"), label], Inputs(label=(2,)), {})) == {"x": (2,), "label": (2,)}


class Named:
    """As the types of TensorFlow and of numpy, whose own text is another."""

    name = "float32"


class float32:  # as the types of arrays of MXNet
    pass


@pytest.mark.parametrize("dtype", ["torch.float32", Named(), float32])
def test_an_array_stands_for_its_shape_and_dtype(dtype):
    array = SimpleNamespace(shape=(1, 3, 8, 8), dtype=dtype)
    assert bind([IMAGE], Inputs(array), {}).inputs["image"] == TensorSpec((1, 3, 8, 8), "float32", "image")
