"""The backward pass: a rule for every op of the vocabulary, and what a training step takes and keeps.

An op without a rule is unsupported in the backward pass, and said to be: it never counts as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.backward import attention, contraction, elementwise, movement, norm, recurrent, window
from multiprof.backward.rule import Rule

RULES: Mapping[str, Rule] = {
    **contraction.RULES,
    **recurrent.RULES,
    **attention.RULES,
    **norm.RULES,
    **window.RULES,
    **elementwise.RULES,
    **movement.RULES,
}
