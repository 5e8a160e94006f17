"""A Report as plain JSON values, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiprof.ir import Graph

if TYPE_CHECKING:
    from multiprof.report import Report

SCHEMA_VERSION = 1


def dump(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    raise NotImplementedError


def parse(data: object) -> dict[str, Any]:
    """The stored fields of a report from JSON values."""
    raise NotImplementedError


def digest(graph: Graph) -> str:
    """SHA-256 over the structure of a graph."""
    raise NotImplementedError
