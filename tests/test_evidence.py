"""Which of two loaded frameworks a plain callable is written for: its inputs tell, else its code, else nothing."""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

import pytest

import multiprof
from multiprof import Adapter, Inputs
from multiprof.adapters.matching import find_adapter
from multiprof.evidence import written_for

PACKAGES = {"alpha": "alpha", "alphalib": "alpha", "beta": "beta"}


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    return made


def function_in(name: str, source: str, **names: Any) -> Any:
    """The function ``f`` of ``source``, as if a module ``name`` defined it."""
    space = {"__name__": name, **names}
    exec(source, space)
    return space["f"]


class Model:
    """A class of alpha, as that of an array or a layer would be."""

    __module__ = "alphalib.nn"

    def __call__(self, x: Any) -> Any:
        return x

    def forward(self, x: Any) -> Any:
        return x


class Array:
    __module__ = "beta.core"


class Own(Model):
    """The user's own, on top of it."""


alpha, beta = module("alpha", relu=function_in("alpha.nn", "def f(x): return x")), module("beta.functions")
helpers = module("helpers", net=function_in("helpers", "def f(x): return alpha.relu(x)", alpha=alpha))
model, own, listed = Model(), Own(), [Array()]


def helper(x: Any) -> Any:
    return beta.relu(x)


def closing(over: Any) -> Any:
    return lambda x: over


def decorated(function: Any) -> Any:
    """As a library does: its own code around the user's, under the user's name."""
    around = function_in("alpha.decorators", "def f(*args): return g(*args)")
    return functools.update_wrapper(around, function)


class Callable:
    def __init__(self, held: Any) -> None:
        self.held = held

    def __call__(self, x: Any) -> Any:
        return self.held(x)


class UsesBeta:
    def __call__(self, x: Any) -> Any:
        return beta.relu(x)


CASES = {
    "a module": (lambda x: alpha.relu(x), {"alpha"}),
    "an array": (lambda x: x @ listed[0], {"beta"}),
    "a model that is named": (lambda x: model(x), {"alpha"}),
    "a subclass": (lambda x: own(x), {"alpha"}),
    "a class": (lambda x: Own()(x), {"alpha"}),
    "code inside code": (lambda xs: [beta.relu(x) for x in xs], {"beta"}),
    "a helper": (lambda x: helper(x), {"beta"}),
    "a helper of a module": (lambda x: helpers.net(x), {"alpha"}),
    "nearer goes first": (lambda x: helper(alpha.relu(x)), {"alpha"}),
    "a closure": (closing(model), {"alpha"}),
    "a closure over a dict": (closing({"w": [Array()]}), {"beta"}),
    "a default": (lambda x, w=model: x, {"alpha"}),
    "a keyword's default": (function_in("user", "def f(x, *, w=w0): return x", w0=Array()), {"beta"}),
    "a bound method": (model.forward, {"alpha"}),
    "a partial application": (functools.partial(lambda w, x: x, Array()), {"beta"}),
    "a partial of a helper": (functools.partial(helper), {"beta"}),
    "a decorated one": (decorated(lambda x: x), {"alpha"}),
    "a callable object": (Callable(alpha.relu), {"alpha"}),
    "a callable object's code": (UsesBeta(), {"beta"}),
    "a function of the framework": (alpha.relu, {"alpha"}),
    "an import inside": (function_in("user", "def f(x):\n    import beta\n    return beta.relu(x)"), {"beta"}),
    "both": (lambda x: alpha.relu(beta.relu(x)), {"alpha", "beta"}),
    "neither": (lambda x: x @ x, set()),
    "only its name": (function_in("alphabet.beta", "def f(alpha): return alpha.beta"), set()),
    "a function in C": (len, set()),
}


@pytest.mark.parametrize("case", CASES)
def test_code_tells(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "beta", module("beta"))
    function, expected = CASES[case]
    assert written_for(function, None, PACKAGES) == expected


def test_inputs_go_before_code() -> None:
    for inputs in (Inputs(Array()), Inputs((2, 3), w=[{"a": Array()}])):
        assert written_for(lambda x: alpha.relu(x), inputs, PACKAGES) == {"beta"}
    assert written_for(lambda x: alpha.relu(x), Inputs((2, 3), multiprof.TensorSpec((1,), "int8")), PACKAGES) == {
        "alpha"
    }


def test_what_refers_to_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    function = closing(endless)
    assert written_for(function, Inputs(), PACKAGES) == set()


def test_a_cell_that_is_not_filled_yet() -> None:
    def outer() -> Any:
        def inner(x: Any) -> Any:
            return later(x)

        found = written_for(inner, None, PACKAGES)
        later = alpha.relu
        return found, written_for(inner, None, PACKAGES)

    assert outer() == (set(), {"alpha"})


ALPHA = Adapter("alpha", "nowhere:read", requires=("sys",), callables=True, packages=("alpha", "alphalib"))
BETA = Adapter("beta", "nowhere:read", requires=("os",), callables=True, packages=("beta",))


def neither(x: Any) -> Any:
    return x


def test_the_adapter_of_a_callable_when_both_are_loaded() -> None:
    assert find_adapter(lambda x: alpha.relu(x), [ALPHA, BETA]) is ALPHA
    assert find_adapter(lambda x: beta.relu(x), [ALPHA, BETA]) is BETA
    assert find_adapter(lambda x: x, [ALPHA, BETA], None, Inputs(Array())) is BETA
    assert find_adapter(lambda x: beta.relu(x), [ALPHA]) is ALPHA  # the only one loaded
    assert find_adapter(lambda x: beta.relu(x), [ALPHA, BETA], "alpha") is ALPHA
    with pytest.raises(multiprof.UsageError) as caught:
        find_adapter(neither, [ALPHA, BETA])
    assert str(caught.value) == (
        "the function neither could be read by alpha or beta, and neither its inputs nor its code tell by which: "
        "say which, with framework='alpha' (--framework alpha on the command line)"
    )
