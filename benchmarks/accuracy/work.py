"""One counter over the whole battery: a process that has it alone, and a child of it for every case and mode."""

from __future__ import annotations

import importlib
import io
import json
import os
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from accuracy.battery import Case, cases
from accuracy.peers import BY_NAME, Peer
from accuracy.state import Snapshot

MODES = tuple((device, grad) for device in ("cpu", "meta") for grad in (True, False))


def mode_name(device: str, grad: bool) -> str:
    return f"{device}, {'grad' if grad else 'no_grad'}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160] if lines else ''}"


def one(peer: Peer, case: Case, device: str, grad: bool) -> dict[str, Any]:
    """The figure of ``peer`` for one case in one mode, and what it changed; or its error."""
    try:
        model, args, kwargs = case.on(device)
    except Exception as error:
        return {"error": f"not built: {_first_line(error)}", "changed": []}
    before = Snapshot.take(model)
    result: dict[str, Any]
    start = time.perf_counter()
    with torch.set_grad_enabled(grad):
        try:
            result = {"value": peer.count(model, args, kwargs)}
        except BaseException as error:  # SystemExit too: some counters end the process
            result = {"error": _first_line(error)}
    return {**result, "seconds": time.perf_counter() - start, "changed": before.changed(model)}


def apart(function: Callable[[], Any], limit: float) -> Any:
    """``function()`` in a forked child, as JSON; ``None`` when it takes longer than ``limit`` seconds or dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                answer = json.dumps(function()).encode()
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer)
        finally:  # whatever happens, the child must not go on as its parent
            os._exit(0)
    os.close(writing)
    chunks = []
    end = time.monotonic() + limit
    try:
        while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                break
            chunks.append(chunk)
        else:
            os.kill(child, signal.SIGKILL)
            return None
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    return json.loads(b"".join(chunks)) if chunks else None


def within(function: Callable[[], Any], limit: float) -> Any:
    """The same in this process, by an alarm."""

    def late(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return function()
    except TimeoutError:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _loaded(peer: Peer, case: Case) -> list[str]:
    """The modules that counting once imports: loading them beforehand makes the children fast, and changes nothing."""
    before = set(sys.modules)
    for device in ("cpu", "meta"):
        one(peer, case, device, False)
    return [name for name in sys.modules if name not in before and "__" not in name]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # multiprof itself, from its source
        return str(getattr(importlib.import_module(distribution), "__version__", "this source"))


def work(name: str, only: list[str], limit: float) -> dict[str, Any]:
    peer = BY_NAME[name]
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    importlib.import_module("torch._dynamo")  # meta kernels import it
    chosen = [case for case in cases() if not only or case.name in only]
    run = apart if peer.forks else within
    for module in (apart(lambda: _loaded(peer, chosen[0]), 60) or ()) if peer.forks else ():
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            try:
                importlib.import_module(module)
            except Exception:  # a part that only its own package can import; it will be, when it is needed
                continue
    results: dict[str, Any] = {}
    for case in chosen:
        rows = results[case.name] = {}
        for device, grad in MODES:
            if device == "meta" and case.cpu_only:
                continue
            start = time.monotonic()
            row = run(lambda case=case, device=device, grad=grad: one(peer, case, device, grad), limit)  # type: ignore[misc]
            took = time.monotonic() - start
            ended = f"no answer in {limit:.0f} s" if took >= limit else "its process died"
            rows[mode_name(device, grad)] = row or {"error": ended, "changed": []}
    return {"peer": name, "version": _version(peer.version), "torch": torch.__version__, "results": results}
