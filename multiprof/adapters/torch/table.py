"""The two tables of the PyTorch adapter: rules by torch callable, and rules by aten operator.

A rule has the signature of the torch function it stands for, with the `Tracer` put first. It makes the result with
`Tracer.new` (or a view with torch's own C++ view), emits canonical layers, and returns what torch would return; no
kernel runs. On anything it is not sure of it returns ``NotImplemented`` *before emitting*, and torch's own meta kernel
does the work, recorded at the level of aten operators.

An aten rule runs after torch's meta kernel and is called with the same arguments; `Tracer.new` hands it the kernel's
results one by one instead of making tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

Rule = Callable[..., Any]

RULES: dict[Any, Any] = {}
# Calls that move a tensor to a device -> what is done instead to values that are kept at hand on the CPU.
STAYING: dict[Any, Callable[..., Any]] = {}
# Keyed by "namespace.operator" without the overload: looking an operator up in torch.ops costs 30 µs, a string nothing.
ATEN: dict[str, Rule] = {}
# Operators that torch takes apart before an operator mode sees them, under the same keys: where a model calls such an
# operator itself, as exported programs do, the torch function's rule answers.
WHOLE: dict[str, Rule] = {}

_ROOTS: dict[str, Any] = {
    "torch": torch,
    "F": F,
    "Tensor": torch.Tensor,
    "_VF": torch._VF,
    "linalg": torch.linalg,
    "special": torch.special,
    "nn": torch._C._nn,
    "sparse": torch.sparse,
}


def passthrough(*args: Any, **kwargs: Any) -> Any:
    """Marks calls that touch no data: torch answers them itself, and nothing is recorded."""
    raise AssertionError("never called: the mode runs the function itself")


class Direct:
    """A rule that sees the call as the model made it, real tensors included, and does all of it: see `direct`."""

    __slots__ = ("answer",)

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.answer = answer


def lookup(name: str) -> Any:
    """``"Tensor.add"`` → the function object a function mode receives; ``None`` where this torch has none.

    Reading an attribute arrives as ``"Tensor.data.__get__"``, setting it as ``"Tensor.data.__set__"``.
    """
    root, _, path = name.partition(".")
    target = _ROOTS[root]
    for part in path.split("."):
        target = getattr(target, part, None)
    return target


def direct(*functions: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a rule that is called as ``rule(tracer, function, *args, **kwargs)``, whatever the arguments are.

    For questions about a tensor (its device, its values) and for what changes a tensor object itself.
    """

    def register(answer: Callable[..., Any]) -> Callable[..., Any]:
        for name in functions:
            target = lookup(name)
            if target is not None:
                RULES[target] = Direct(answer)
        return answer

    return register


def let_pass(form: str, names: str) -> None:
    """Register calls that touch no data; ``form`` says how each of the ``names`` is looked up (``"Tensor.{}"``)."""
    for name in names.split():
        target = lookup(form.format(name))
        if target is not None:
            RULES[target] = passthrough


def rule(*functions: str, aten: tuple[str, ...] | str = (), whole: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule for torch callables by name (``torch.conv2d``, ``F.relu``, ``Tensor.add`` …), aliases included.

    ``aten`` names the aten operators with the same signature, for which the rule serves as well; ``whole`` says that
    a model's own call of one is to be answered before torch takes it apart.
    """

    def register(function: Rule) -> Rule:
        for name in functions:
            target = lookup(name)
            if target is not None:
                if RULES.get(target, function) is not function:
                    raise AssertionError(f"two rules for {name}: {RULES[target].__name__}, {function.__name__}")
                RULES[target] = function
        for name in (aten,) if isinstance(aten, str) else aten:
            if f"aten.{name}" in ATEN:
                raise AssertionError(f"two rules for aten.{name}")
            ATEN[f"aten.{name}"] = function
            if whole:
                WHOLE[f"aten.{name}"] = function
        return function

    return register
