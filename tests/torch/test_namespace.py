"""Every class of ``torch.nn`` and every public function of ``torch.nn.functional``, ``special``, ``fft``, ``linalg``.

Each name is called once: it is priced, or free for the reason that its recipe gives, or on the short list of what is
unsupported, with why. A name without a recipe fails, so that what a new torch brings is noticed.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional

sys.path.insert(0, str(Path(__file__).with_name("namespace")))  # its modules import one another by name
modules, functions, special, algebra = (
    importlib.import_module(name) for name in ("nn_modules", "nn_functions", "special_functions", "algebra_and_spectra")
)


def classes(space: ModuleType) -> set[str]:
    found = {name: getattr(space, name) for name in dir(space)}
    return {name for name, item in found.items() if inspect.isclass(item) and issubclass(item, torch.nn.Module)}


def public(space: ModuleType) -> set[str]:
    """Functions whose names do not begin with an underscore, and that are torch's own."""
    found = {name: getattr(space, name) for name in dir(space) if not name.startswith("_")}
    own = {name: item for name, item in found.items() if callable(item) and not inspect.isclass(item)}
    return {name for name, item in own.items() if (getattr(item, "__module__", None) or "torch").startswith("torch")}


SPACES: tuple[tuple[ModuleType, set[str], dict[str, Any], dict[str, str]], ...] = (
    (torch.nn, classes(torch.nn), modules.MODULES, modules.NO_FORWARD),
    (torch.nn.functional, public(torch.nn.functional), functions.FUNCTIONS, functions.NO_OPERATION),
    (torch.special, public(torch.special), special.SPECIAL, {}),
    (torch.linalg, public(torch.linalg), algebra.LINALG, {}),
    (torch.fft, public(torch.fft), algebra.FFT, {}),
)
CASES = [
    pytest.param(getattr(space, name), table[name], id=f"{space.__name__.removeprefix('torch.')}.{name}")
    for space, names, table, _ in SPACES
    for name in sorted(names & set(table))
]


@pytest.mark.parametrize(("space", "names", "table", "aside"), SPACES, ids=[s[0].__name__ for s in SPACES])
def test_every_name_has_a_recipe(
    space: ModuleType, names: set[str], table: dict[str, Any], aside: dict[str, str]
) -> None:
    assert names - set(table) - set(aside) == set(), f"without a recipe in {space.__name__}"
    assert not set(table) & set(aside)
    assert all(aside.values())


@pytest.mark.filterwarnings("ignore")  # some names are deprecated
@pytest.mark.parametrize(("target", "how"), CASES)
def test_a_name_is_priced_or_free_with_a_reason_or_unsupported_with_why(target: Any, how: Any) -> None:
    if how.unsupported and not how.args:  # nothing that can be called here
        return
    report = how.report(target)
    if how.unsupported:
        assert report.unsupported()
        return
    assert not report.unsupported()
    assert report.coverage == 1
    assert bool(report.counts) is not bool(how.free)
    for layer in report.layers:
        if not layer.cost:
            assert layer.reason, f"{layer.name} costs nothing without a reason"


def test_what_is_unsupported_is_a_short_list() -> None:
    without = {name for _, _, table, _ in SPACES for name, how in table.items() if how.unsupported}
    polynomials = {name for name in without if "_polynomial_" in name}
    assert without - polynomials == {"ldl_factor", "ldl_factor_ex", "ldl_solve", "scaled_grouped_mm"}


def test_recipes_count_what_is_written_by_hand() -> None:
    """A few of them, so that a recipe that fails to reach its operation is noticed."""

    def counts(table: dict[str, Any], space: ModuleType, name: str) -> Any:
        return table[name].report(getattr(space, name)).counts

    # 2·6 output channels × 10 places × (3 kernel elements · 4 channels)
    assert counts(modules.MODULES, torch.nn, "Conv1d").macs == 2 * 6 * 10 * 3 * 4
    # (2, 5) and (2, 6) with a weight of (7, 5, 6): 2·7 results, each over 30 pairs
    bilinear = counts(modules.MODULES, torch.nn, "Bilinear")
    assert bilinear.macs + bilinear.muls >= 2 * 7 * 5 * 6
    # 24 differences, squares and 23 sums, 1 division
    loss = counts(functions.FUNCTIONS, torch.nn.functional, "mse_loss")
    assert (loss.adds, loss.muls, loss.divs, loss.flops) == (24 + 23, 24, 1, 24 + 24 + 23 + 1)
    # 12 lines of 8 complex numbers: 5·n·log₂ n real operations, of which half for a real signal
    assert counts(algebra.FFT, torch.fft, "fft2").flops > 0
