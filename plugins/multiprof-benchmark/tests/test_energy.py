"""Counters of energy, on files laid out as Linux does."""

from __future__ import annotations

from pathlib import Path

import pytest
from multiprof_benchmark.energy import Meter


def zone(folder: Path, name: str, title: str, microjoules: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "name").write_text(f"{title}\n")
    (folder / name / "energy_uj").write_text(f"{microjoules}\n")
    (folder / name / "max_energy_range_uj").write_text("262143328850\n")


def test_joules_of_every_package(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)  # within the package
    zone(tmp_path, "intel-rapl:1", "package-1", 262_143_000_000)
    meter = Meter(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 7_500_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 1_000_000)  # it has begun again: 0.32885 J to its limit, 1 J since
    assert meter.joules() == {"package-0": pytest.approx(2.5), "package-1": pytest.approx(1.32885)}


def test_where_there_is_no_counter(tmp_path):
    assert Meter(tmp_path).joules() == {}
    assert Meter(tmp_path, gpu=True).joules().keys() <= {"gpu"}  # where there is a GPU
