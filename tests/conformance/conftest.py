"""Every route in a process of its own, two at a time; the matrix of networks and routes at the end.

A part of the matrix: ``-k "[torch:"`` (a route), ``-k ":bilstm]"`` (a network).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import multiprof

HERE = Path(__file__).parent
TIMEOUT = 900  # seconds for all networks of a route, on a busy machine


# its modules import one another by name, here as in the processes of the routes
sys.path.insert(0, str(HERE))
expected, routes, matrix = (importlib.import_module(name) for name in ("expected", "routes", "matrix"))
CELLS = pytest.StashKey[dict[tuple[str, str], Any]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Route by route, so that one route is judged while the next ones run."""
    if {"route", "network"} <= set(metafunc.fixturenames):
        pairs = [(route, network) for route in routes.ROUTES for network in expected.EXPECTED]
        metafunc.parametrize(("route", "network"), pairs, ids=[f"{route}:{network}" for route, network in pairs])


def run_route(name: str, folder: Path, networks: list[str]) -> str:
    """Analyse these networks on a route; why that failed as a whole, or nothing."""
    route = routes.ROUTES[name]
    scratch = folder / "scratch"  # for the files that routes export
    scratch.mkdir(parents=True)
    command = [sys.executable, "-W", "ignore", str(HERE / "run_networks.py"), route.module, str(folder), *networks]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": str(scratch)} | route.environment
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT, env=environment)
    except subprocess.TimeoutExpired:
        return f"not finished after {TIMEOUT} seconds"
    return done.stderr[-4000:] or f"exit code {done.returncode}" if done.returncode else ""


@pytest.fixture(scope="session")
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Any]]:
    """(route, network) -> the report, or the sentence that says why this route has no such network."""
    wanted: dict[str, dict[str, None]] = {}  # networks in order, each once whatever number of tests looks at it
    for item in request.session.items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if {"route", "network"} <= set(params):
            wanted.setdefault(params["route"], {})[params["network"]] = None
    folder = tmp_path_factory.mktemp("conformance")
    with ThreadPoolExecutor(2) as pool:
        runs: dict[str, Future[str]] = {
            route: pool.submit(run_route, route, folder / route, list(networks)) for route, networks in wanted.items()
        }

        def find(route: str, network: str) -> Any:
            failure = runs[route].result()
            here = folder / route
            if (here / f"{network}.json").exists():
                return multiprof.load(here / f"{network}.json")
            if (here / f"{network}.error").exists():
                pytest.fail((here / f"{network}.error").read_text(), pytrace=False)
            cannot = json.loads((here / "cannot.json").read_text()) if (here / "cannot.json").exists() else {}
            if network in cannot:
                return cannot[network]
            pytest.fail(failure or f"{routes.ROUTES[route].module} has no {network}", pytrace=False)

        yield find
        for run in runs.values():
            run.cancel()


@pytest.fixture(scope="session")
def differences() -> Callable[[str, str], list[Any]]:
    """(route, network) -> how this route differs."""

    def find(route: str, network: str) -> list[Any]:
        return list(importlib.import_module(routes.ROUTES[route].differences).DIFFERENCES.get((network, route), []))

    return find


@pytest.fixture
def cells(request: pytest.FixtureRequest) -> dict[tuple[str, str], Any]:
    """What the matrix shows, by (network, route)."""
    return request.config.stash.setdefault(CELLS, {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = matrix.lines(config.stash.get(CELLS, {}), expected.EXPECTED, routes.ROUTES)
    if lines:
        terminalreporter.section("one network, one answer: networks × routes")
        for line in lines:
            terminalreporter.write_line(line)
