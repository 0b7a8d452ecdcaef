"""Admission to the gateway: a device whose certificate the cloud has verified, now or not too long ago."""

import asyncio
import hashlib
import logging
import ssl
import time
from collections import Counter
from pathlib import Path

from pm_sandbox.core_device.client_devices.cloud import DeviceCloud, Refused, Unreachable
from pm_sandbox.state_files import recovered, write_json

log = logging.getLogger("client_devices")


class Admission:
    """Asks the cloud about certificates, and remembers its answers for when the uplink is cut.

    Attributes:
        counters: `verified`, `trusted` (by memory, without the cloud), and `refused_` with the reason.
    """

    def __init__(self, cloud: DeviceCloud, trust_seconds: float, file: Path) -> None:
        """Trust a verified certificate for `trust_seconds` without the cloud; the memory is kept in `file`."""
        self._cloud = cloud
        self._trust_seconds = trust_seconds
        self._file = file
        #: By thing and SHA-256 of the certificate: when the cloud has verified it, seconds since 1970.
        self._verified: dict[str, float] = {
            key: at for key, at in recovered(file).items() if isinstance(at, int | float)
        }
        self.counters: Counter[str] = Counter()

    async def check(self, thing: str, certificate: bytes) -> str:
        """The reason that a device may not connect, or may not stay; empty if it may.

        Args:
            thing: Who it says that it is.
            certificate: What it has shown, DER.
        """
        key = f"{thing} {hashlib.sha256(certificate).hexdigest()}"
        try:
            await asyncio.to_thread(self._cloud.verify, thing, ssl.DER_cert_to_PEM_cert(certificate))
        except Refused as refused:
            if self._verified.pop(key, None) is not None:
                self._save()
            return self.refuse(refused.code, str(refused))
        except Unreachable as unreachable:
            if key in self._verified and self._is_trusted(self._verified[key]):
                self.counters["trusted"] += 1
                return ""
            return self.refuse("Unverified", f"the cloud cannot be asked about its certificate: {unreachable}")
        self.counters["verified"] += 1
        self._verified[key] = time.time()
        self._save()
        return ""

    def refuse(self, code: str, reason: str) -> str:
        """Count a refusal by its code, and give back the reason."""
        self.counters[f"refused_{code}"] += 1
        return reason

    def _is_trusted(self, verified_at: float) -> bool:
        # A clock that was set back must not trust for ever.
        return abs(time.time() - verified_at) < self._trust_seconds

    def _save(self) -> None:
        self._verified = {key: at for key, at in self._verified.items() if self._is_trusted(at)}
        try:
            write_json(self._file, self._verified)
        except OSError as error:
            log.error("what the cloud has verified is not remembered: %s", error)
