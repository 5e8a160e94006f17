"""Importing MXNet on a numpy of today, each time in a process of its own: what it changes, and what is left of that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest

import multiprof

COMPLETE = tuple(map(int, numpy.__version__.split(".")[:2])) < (1, 24)  # in the environment of the oldest versions

# with torch standing for one that is loaded: MXNet's import sets the number of threads behind its back
FAKE_TORCH = """
import sys, types
torch = types.ModuleType("torch")
torch.threads, torch.set = 7, []
torch.get_num_threads = lambda: 1 if "mxnet.gluon" in sys.modules and not torch.set else torch.threads
torch.set_num_threads = torch.set.append
sys.modules["torch"] = torch
"""
IMPORT = "from multiprof.adapters.mxnet.compat import import_mxnet\nmx = import_mxnet()\n"


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(multiprof.__file__).parents[1])
    code = f"import sys\nsys.path.insert(0, {root!r})\n{code}"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


def succeeds(code: str) -> str:
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numpy_is_left_as_it_was_found() -> None:
    """Every name and value; its random state and error handling; the filters of warnings."""
    succeeds(
        """
import types, warnings
import numpy
def fingerprint():
    names = {k: id(v) for k, v in vars(numpy).items() if not isinstance(v, types.ModuleType)}
    return names, repr(numpy.random.get_state()), numpy.geterr(), list(warnings.filters)
numpy.random.seed(3)
gone = [name for name in ("PZERO", "round_") if not hasattr(numpy, name)]
assert len(gone) == 2 or numpy.__version__ < "2"
before = fingerprint()
"""
        + IMPORT
        + """
assert fingerprint() == before
assert not any(hasattr(numpy, name) for name in gone)
"""
    )


def test_the_names_that_mxnet_copied_mean_what_they_meant() -> None:
    succeeds(
        IMPORT
        + """
import math, numpy
assert math.isnan(mx.np.NAN) and mx.np.PINF == math.inf and mx.np.NINF == -math.inf
assert math.copysign(1, mx.np.NZERO) == -1 and mx.np.PZERO == 0
from mxnet.numpy import fallback
assert fallback.in1d([1, 2, 3], [2]).tolist() == [False, True, False]
assert fallback.msort(numpy.array([[3, 1], [2, 4]])).tolist() == [[2, 1], [3, 4]]
assert not fallback.alltrue([True, False])
assert fallback.trapz([1.0, 3.0]) == 2
assert mx.nd.ones((2, 3)).sum().asscalar() == 6
try:
    fallback.pv(0.1, 2, 3)
except NotImplementedError as error:
    assert "numpy-financial" in str(error)
else:
    raise AssertionError
"""
    )


@pytest.mark.skipif(COMPLETE, reason="numpy before 1.24 has all the names that MXNet asks for: no import of it fails")
def test_after_an_import_that_failed_and_twice() -> None:
    """A plain import leaves half of MXNet in sys.modules; the next one starts afresh. A second call finds the first."""
    succeeds(
        """
try:
    import mxnet
except AttributeError:
    pass
else:
    raise AssertionError("this numpy has all that MXNet asks for")
"""
        + IMPORT
        + """
assert mx is import_mxnet() is sys.modules["mxnet"]
net = mx.gluon.nn.Dense(3)
net.initialize()
net.hybridize()
assert net(mx.nd.ones((2, 4))).shape == (2, 3)
"""
    )


def test_torch_keeps_its_number_of_threads() -> None:
    assert succeeds(FAKE_TORCH + IMPORT + "print(torch.set)") == "[7]\n"


def test_openmp_keeps_its_number_of_threads() -> None:
    """That a torch which is imported later asks."""
    openmp = "import ctypes\nopenmp = ctypes.CDLL('libgomp.so.1')\nopenmp.omp_set_num_threads(7)\n"
    assert succeeds(openmp + IMPORT + "print(openmp.omp_get_max_threads())") == "7\n"


def test_torch_without_threads_yet_is_left_alone() -> None:
    """In the midst of its own import."""
    succeeds("import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\n" + IMPORT)


def test_without_mxnet_it_is_one_line() -> None:
    done = run(
        """
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "mxnet":
            raise ModuleNotFoundError("No module named 'mxnet'", name=name)
sys.meta_path.insert(0, Block())
import numpy
before = set(vars(numpy))
import multiprof
from multiprof.adapters.mxnet.compat import import_mxnet
try:
    import_mxnet()
except multiprof.MultiprofError as error:
    print(type(error).__name__, error)
assert set(vars(numpy)) == before
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "MissingDependencyError mxnet cannot be imported (No module named 'mxnet'): pip install --no-deps mxnet==1.9.1 "
        "and pip install graphviz numpy requests, on Python 3.11 at most\n"
    )


def test_a_python_file_that_imports_mxnet_plainly_is_told_what_to_write(tmp_path: Path) -> None:
    plain, told = tmp_path / "plain.py", tmp_path / "told.py"
    body = "\ndef net():\n    return mx.gluon.nn.Dense(3, in_units=4), (2, 4)\n"
    line = "from multiprof.adapters.mxnet.compat import import_mxnet; mx = import_mxnet()"
    plain.write_text("import mxnet as mx" + body)
    told.write_text(line + body)
    code = "from multiprof.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run(code, "analyze", f"{plain}:net")
    if COMPLETE:
        assert done.returncode == 0, done.stderr
    else:
        assert (done.returncode, done.stdout) == (2, "")
        (said,) = done.stderr.splitlines()
        assert said.endswith(f"mxnet is older than this numpy: write {line}")
    done = run(code, "analyze", f"{told}:net")
    assert done.returncode == 0, done.stderr
    assert "MACs              24\n" in done.stdout  # 2·3·4


def test_another_missing_name_is_not_blamed_on_mxnet(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("import numpy\nnumpy.no_such_name\n")
    done = run("from multiprof.cli import main; sys.exit(main(sys.argv[1:]))", "analyze", f"{path}:net")
    assert done.returncode == 2 and "import_mxnet" not in done.stderr
