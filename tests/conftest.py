"""Hypothesis profiles: `--hypothesis-profile=long` for `tox -m full`, otherwise the default."""

from __future__ import annotations

from hypothesis import settings

# No deadline: a test must not fail because the machine was busy. Derandomised: the same commit gives the same result.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("default")
