"""One network, one answer, whatever framework it is written in and whatever file it is exported to.

The oracle is arithmetic: `expected` works every number out by hand, and the modules ``differences_*`` say where, by how
much and why a framework or an exporter makes a different network of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import expected
import families
import matrix
import pytest
import routes

from multiprof import Report


def summed(network: str, rows: list[Any]) -> dict[str, Any]:
    """The numbers of a network with the differences of a route added."""
    base = expected.EXPECTED[network]
    macs = dict(base.macs)
    for row in rows:
        for family, amount in row.macs.items():
            macs[family] = macs.get(family, 0) + amount
    return {
        "macs": {family: amount for family, amount in macs.items() if amount},
        "params": base.params + sum(row.params for row in rows),
        "buffers": base.buffers + sum(row.buffers for row in rows),
        "flops": 2 * sum(macs.values()) + sum(base.rest.values()) + sum(row.rest for row in rows),
    }


def unexplained(found: dict[str, Any], wanted: dict[str, Any], report: Report) -> str:
    """What no difference of the route explains, and where to look for it."""
    lines = [f"{key}: {found[key]}, expected {wanted[key]}" for key in found if found[key] != wanted[key]]
    lines += [f"  {key} {found[key] - wanted[key]:+,}" for key in ("params", "buffers", "flops")]
    lines.append(f"FLOPs besides 2·macs, by op: {families.rest_by_op(report)}")
    return "\n".join(lines)


def test_network(
    route: str,
    network: str,
    outcome: Callable[[str, str], Any],
    differences: Callable[[str, str], list[Any]],
    cells: dict[tuple[str, str], Any],
) -> None:
    cells[network, route] = matrix.Cell(matrix.WRONG)
    rows = differences(route, network)
    report = outcome(route, network)
    if isinstance(report, str):
        assert report.strip(), "a network that cannot be said needs a reason"
        assert not rows, "a network that cannot be said has no differences"
        cells[network, route] = matrix.Cell(matrix.CANNOT, {report: ""})
        return
    assert isinstance(report, Report)
    assert not report.unsupported()
    assert report.coverage == 1
    wanted = summed(network, rows)
    found = {
        "macs": families.macs_by_family(report),
        "params": report.params,
        "buffers": report.buffers,
        "flops": report.flops,
    }
    if found != wanted:
        pytest.fail(unexplained(found, wanted, report), pytrace=False)
    cells[network, route] = matrix.cell_of(rows)


@pytest.mark.parametrize("name", dict.fromkeys(route.differences for route in routes.ROUTES.values()))
def test_every_difference_is_of_a_network_and_says_why(name: str) -> None:
    for (network, route), rows in importlib.import_module(name).DIFFERENCES.items():
        assert network in expected.EXPECTED
        assert routes.ROUTES[route].differences == name
        for row in rows:
            assert row.reason.strip()
            assert any(row.macs.values()) or row.params or row.buffers or row.rest
