"""Let tox find the interpreters that pyenv has installed, also those that are not active in this shell.

pyenv's shim `python3.10` exists as soon as any 3.10 is installed, but runs only where that version is active. The
real interpreters go to the end of PATH, where they are found when nothing before them answers.
"""

from __future__ import annotations

import os
from pathlib import Path

root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
interpreters = sorted(root.glob("versions/3.*/bin"))
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, interpreters)])
