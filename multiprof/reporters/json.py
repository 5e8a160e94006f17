"""The whole Report as JSON, which `multiprof.load` reads back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprof.report import Report


def render(report: Report) -> str:
    """The report as indented JSON in ASCII: names of a model cannot control the terminal that shows it."""
    return json.dumps(report.to_dict(), allow_nan=False, indent=1) + "\n"
