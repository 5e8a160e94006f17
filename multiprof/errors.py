"""Every error multiprof raises on purpose; each message says what is wrong, where, and what to do."""

from __future__ import annotations

import re

# A message is read by people. What a hostile file calls its tensors may be a megabyte long.
LONG_NAME, LONG_MESSAGE = 300, 6000


class MultiprofError(Exception):
    """Base of all errors of multiprof; the command line prints it as one line and exits with 2.

    A message is one line: line breaks and other control characters are escaped in it. Names of more than `LONG_NAME`
    characters, and what goes beyond `LONG_MESSAGE`, are shortened.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(one_line(str(message))))


def one_line(text: str) -> str:
    """A text with line breaks and other characters that cannot be printed escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def shortened(message: str) -> str:
    """A message with its long names cut in their middle."""
    if len(message) <= LONG_NAME:
        return message
    message = re.sub(rf"\S{{{LONG_NAME},}}", lambda name: _cut(name.group()), message)
    return message if len(message) <= LONG_MESSAGE else f"{message[:LONG_MESSAGE]} … ({len(message):,} characters)"


def _cut(name: str) -> str:
    return f"{name[:60]}…({len(name):,} characters)…{name[-40:]}"


class UsageError(MultiprofError):
    """The call itself is wrong: an unknown option value, a missing argument, arguments that exclude each other."""


class InputsError(MultiprofError):
    """The model cannot be run on the inputs given: none, wrong shape, wrong dtype, wrong names."""


class ModelError(MultiprofError):
    """The model is not readable, or raised while it was being read."""


class UnknownFrameworkError(MultiprofError):
    """No adapter can read this object or file."""


class MissingDependencyError(MultiprofError):
    """The adapter exists but the package it needs is not installed; the message names the extra."""


class PluginError(MultiprofError):
    """A plugin breaks its contract: a misspelt hook, a wrong type, two formulas for one op."""


class FormulaClashError(PluginError):
    """Two plugins price the same op; the message names both."""


class UnknownDimensionError(MultiprofError):
    """A formula needs a dimension that is data-dependent (`None`); the engine turns it into reason ``shape``."""


class UnsupportedOpError(MultiprofError):
    """Raised under ``strict`` when at least one layer has no cost; the message lists the ops.

    A formula raises it for a layer that it cannot price, saying why; the engine turns it into the layer's reason.
    """


class FormulaError(PluginError):
    """A formula failed on a layer, or returned something that is no cost; the message names provider, op and layer."""


class ReportError(MultiprofError):
    """A saved report cannot be read or written; the message names the file and what is wrong with it."""
