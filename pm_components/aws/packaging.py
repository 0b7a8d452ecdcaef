"""Archives of code, from explicit lists of files, so that two runs over one tree register the same inputs."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

from pm_components.aws import archives

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "pm_components" / "functions"
#: The layer's wheels, unpacked: `setup.py` fetches them for the wheel of this project, and for `make setup`.
LAMBDA_LAYER = ROOT / "pm_components" / "lambda_layer"

#: Of a core device: its packages with their hashes, and what of them no component opens.
EDGE_PACKAGES, EDGE_UNUSED = ROOT / "pm_edge" / "requirements.txt", ROOT / "pm_edge" / "requirements.unused"

_NOT_CODE = frozenset({"__pycache__", "README.md"})
#: Files that pip, uv and their releases each write in their own way beside the files of a wheel.
_NOTES_OF_INSTALLERS = frozenset({".lock", "INSTALLER", "RECORD", "REQUESTED"})


def files_below(directory: Path, pattern: str = "**/*") -> dict[str, Path]:
    """The files of `directory` by their relative path (`/` between names), sorted, without caches and notes.

    Raises:
        FileNotFoundError: if there is no such directory, or no file in it.
    """
    found = {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.glob(pattern))
        if path.is_file() and _NOT_CODE.isdisjoint(path.relative_to(directory).parts)
    }
    if not found:
        raise FileNotFoundError(f"no files {pattern} in {directory}")
    return found


def patterns(file: Path) -> list[str]:
    """The paths and patterns that a file lists, one a line, without its comments."""
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def below(prefix: str, files: Mapping[str, Path]) -> dict[str, Path]:
    """`files` with `prefix/` before each path."""
    return {f"{prefix}/{path}": file for path, file in files.items()}


def archive(files: Mapping[str, Path]) -> pulumi.AssetArchive:
    """An archive of `files`, by path in the archive."""
    return pulumi.AssetArchive({path: pulumi.FileAsset(str(file)) for path, file in sorted(files.items())})


def function_files(package: str) -> dict[str, Path]:
    """The files of the Lambda function `pm_components/functions/{package}`, with the modules that functions share."""
    shared = [ROOT / "pm_components" / "__init__.py", *sorted(FUNCTIONS.glob("*.py"))]
    own = below(f"pm_components/functions/{package}", files_below(FUNCTIONS / package))
    return {path.relative_to(ROOT).as_posix(): path for path in shared} | own


def training_files() -> dict[str, Path]:
    """The files of a training container: `pm_ml`, the contracts, and the list of packages to install."""
    return {
        **below("pm_ml", files_below(ROOT / "pm_ml", "**/*.py")),
        **below("pm_ml", files_below(ROOT / "pm_ml", "**/*.j2")),
        **below("pm_contracts", files_below(ROOT / "pm_contracts", "**/*.py")),
        "requirements.txt": ROOT / "pm_ml" / "requirements.txt",
    }


def training_code_key(contents: Mapping[str, bytes]) -> str:
    """The key in the artifact bucket of the archive of these contents."""
    return f"training-code/{archives.version(contents)}/sourcedir.tar.gz"


def contracts_layer_files() -> dict[str, Path]:
    """The files of the Lambda layer: the locked wheels for Amazon Linux, and the contracts.

    The notes of whoever installed the wheels are left out, so that each machine makes the same layer to the byte.

    Raises:
        FileNotFoundError: if `make setup` has not fetched the wheels.
    """
    wheels = LAMBDA_LAYER / "python"
    if not wheels.is_dir():
        raise FileNotFoundError(f"{wheels} is missing: run `make setup`, which fetches the Lambda layer's wheels")
    contracts = files_below(ROOT / "pm_contracts", "**/*.py")
    installed = {path: file for path, file in files_below(wheels).items() if file.name not in _NOTES_OF_INSTALLERS}
    return below("python", installed) | below("python/pm_contracts", contracts)
