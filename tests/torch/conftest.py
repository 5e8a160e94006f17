"""The networks that the tests here share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """The module ``nets.py`` beside this file."""
    spec = importlib.util.spec_from_file_location("nets", Path(__file__).with_name("nets.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
