"""The matrix network × route that the run prints at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from expected import Difference

EQUAL, DIFFERS, CANNOT, WRONG = "✓", "±", "–", "✗"
LEGEND = (
    f"{EQUAL} macs by family, parameters and buffers are the expected ones, and so are the FLOPs where no note follows",
    f"{DIFFERS} they differ by exactly what the notes say   {CANNOT} cannot be said   {WRONG} wrong, or failed",
)


@dataclass(frozen=True)
class Cell:
    """One network on one route: a sign, and for each reason the amounts it explains."""

    sign: str
    notes: Mapping[str, str] = field(default_factory=dict)


def cell_of(differences: Iterable[Difference]) -> Cell:
    """The cell of a network that came out as expected but for these."""
    rows = tuple(differences)
    # amounts that cancel out differ nevertheless: each has a reason of its own
    differs = any(row.macs or row.params or row.buffers for row in rows)
    return Cell(DIFFERS if differs else EQUAL, {row.reason: amounts(row) for row in rows})


def amounts(row: Difference) -> str:
    """``params +1,024, other FLOPs -512``, where other FLOPs are those besides 2·macs."""
    texts = [f"macs of {family} {amount:+,}" for family, amount in row.macs.items()]
    texts += [f"params {row.params:+,}"] if row.params else []
    texts += [f"buffers {row.buffers:+,}"] if row.buffers else []
    texts += [f"other FLOPs {row.rest:+,}"] if row.rest else []
    return ", ".join(texts)


def lines(cells: Mapping[tuple[str, str], Cell], networks: Iterable[str], routes: Iterable[str]) -> list[str]:
    """The matrix of the networks and routes that were run, and its notes."""
    if not cells:
        return []
    rows = [name for name in networks if any(network == name for network, _ in cells)]
    columns = [name for name in routes if any(route == name for _, route in cells)]
    numbers: dict[str, int] = {}
    body = []
    for network in rows:
        texts = [network]
        for route in columns:
            cell = cells.get((network, route), Cell(""))
            marks = [str(numbers.setdefault(reason, len(numbers) + 1)) for reason in cell.notes]
            texts.append(f"{cell.sign} {','.join(marks)}".rstrip())
        body.append(texts)
    # a route's name on two lines, so that twelve of them fit a terminal
    heads = [["", *(route.partition("-")[part] for route in columns)] for part in (0, 2)]
    widths = [max(len(line[i]) for line in (*heads, *body)) for i in range(len(columns) + 1)]
    table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in heads + body]
    return [*table, "", *LEGEND, *notes(cells, rows, columns, numbers)]


def notes(
    cells: Mapping[tuple[str, str], Cell], rows: list[str], columns: list[str], numbers: Mapping[str, int]
) -> list[str]:
    """Each reason once, and under it the amounts, with the routes that have the same ones."""
    text: list[str] = []
    for reason, number in numbers.items():
        text.append(f"{number:>3}  {reason}")
        for network in rows:
            routes_of: dict[str, list[str]] = {}
            for route in columns:
                amount = cells.get((network, route), Cell("")).notes.get(reason)
                if amount is not None:
                    routes_of.setdefault(amount, []).append(route)
            text += [
                f"       {network} ({', '.join(found)}): {amount}".removesuffix(": ")
                for amount, found in routes_of.items()
            ]
    return text
