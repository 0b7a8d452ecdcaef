"""The interpreter of an emulated core device: the packages of this environment, and nothing of this checkout.

The checkout is installed here in a way that any interpreter of the environment finds it, so that a component whose
script does not say where its code is would run all the same.
"""

import sys
import sysconfig
import venv
from pathlib import Path


def make_interpreter(directory: Path) -> str:
    """Make an interpreter in `directory`, which need not exist yet; its path."""
    venv.EnvBuilder(symlinks=True).create(directory)
    paths = sysconfig.get_paths("venv", {"base": str(directory), "platbase": str(directory)})
    # A folder that a .pth file adds has its own .pth files left alone: one of them is the checkout's.
    (Path(paths["purelib"]) / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return str(Path(paths["scripts"]) / Path(sys.executable).name)
