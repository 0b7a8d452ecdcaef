"""The build of this project's wheel; all that is said and not done stands in `pyproject.toml`.

Beside the packages' own files the wheel has the Lambda layer, which `make setup` fetches into a checkout:
`python setup.py lambda_layer`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build_py import build_py

LOCK = Path("pm_components/functions/requirements.txt")
#: The place where `pm_components.aws.packaging` looks for it.
LAYER = Path("pm_components/lambda_layer")
#: The policy pack, which names its environment from its own folder: the checkout's, or the one that it is installed in.
PACK, ENVIRONMENT, INSTALLED = Path("pm_policies/PulumiPolicy.yaml"), "../.venv", "../../../.."
#: The program of the embedded factory, and where `pm_sandbox.factory` looks for it.
PROGRAM = ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.local.yaml")
FACTORY = Path("pm_sandbox/program")


def fetch_layer(folder: Path) -> None:
    """Unpack the locked wheels of the Lambda layer, for the platform of the functions whatever this machine is.

    By pip, since it finds the index, the proxy and the certificates that this machine's pip was given.
    """
    shutil.rmtree(folder, ignore_errors=True)
    index = {"PIP_INDEX_URL": os.environ["UV_DEFAULT_INDEX"]} if "UV_DEFAULT_INDEX" in os.environ else {}
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
            "--require-hashes", "--no-deps", "--only-binary", ":all:", "--platform", "manylinux2014_x86_64",
            "--implementation", "cp", "--python-version", "3.11", "--target", str(folder / "python"),
            "--requirement", str(LOCK),
        ],
        env={**index, **os.environ},
        check=True,
    )  # fmt: skip


class LambdaLayer(Command):
    """Fetch the layer into the checkout."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        """Take no options."""

    def finalize_options(self) -> None:
        """Take no options."""

    def run(self) -> None:
        """Fetch."""
        fetch_layer(LAYER)


class BuildPy(build_py):
    """The files of the wheel; an editable one finds the layer in the checkout."""

    def run(self) -> None:
        """Copy the packages, without what an earlier build of this checkout left, and add what lies outside them."""
        if self.editable_mode:
            super().run()
            return
        built = Path(self.build_lib)
        shutil.rmtree(built, ignore_errors=True)
        super().run()
        fetch_layer(built / LAYER)
        (built / PACK).write_text(PACK.read_text().replace(ENVIRONMENT, INSTALLED))
        (built / FACTORY).mkdir()
        for name in PROGRAM:
            shutil.copy(name, built / FACTORY)


setup(cmdclass={"build_py": BuildPy, "lambda_layer": LambdaLayer})
