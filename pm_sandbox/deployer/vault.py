"""The secrets of deployments, encrypted beside what is told of them: the next update compares with them."""

import json
import os
from pathlib import Path
from typing import Any, Self

from cryptography.fernet import Fernet, InvalidToken

from pm_sandbox.deployer.records import DeploymentError

_KEY_FILE = "deployment.key"
_OWNER_ONLY = 0o600


class Vault:
    """Encrypts with a cloud's key.

    Args:
        key: As `Fernet.generate_key` makes it.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def of(cls, directory: Path) -> Self:
        """The vault of the cloud in a directory. Its key is made where there is none, in a file for its owner alone."""
        file = directory / _KEY_FILE
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        except FileExistsError:
            return cls(file.read_bytes())
        key = Fernet.generate_key()
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(key)
        return cls(key)

    def sealed(self, values: dict[str, Any]) -> str:
        """The values as a text that only this vault opens."""
        return self._fernet.encrypt(json.dumps(values).encode()).decode()

    def opened(self, text: str) -> dict[str, Any]:
        """The values of a text.

        Raises:
            DeploymentError: if it was sealed with another key.
        """
        try:
            values: dict[str, Any] = json.loads(self._fernet.decrypt(text.encode()))
        except InvalidToken:
            raise DeploymentError(f"a deployment's secrets were not encrypted with the key in {_KEY_FILE}") from None
        return values
