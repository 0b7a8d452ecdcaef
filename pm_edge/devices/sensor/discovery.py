"""Discovery of a sensor's core devices by the Greengrass discovery API, with a cache of the last answer."""

import json
import logging
from pathlib import Path
from typing import NamedTuple

from awscrt import io
from awsiot.greengrass_discovery import DiscoverResponse, DiscoveryClient, DiscoveryException

from pm_edge.runtime.files import write_atomically

_log = logging.getLogger(__name__)

_SECONDS = 15.0


class DiscoveryError(RuntimeError):
    """Discovery gave no core device; the text says why."""


class DiscoveryRefused(DiscoveryError):
    """The cloud refuses this device; `status` is the HTTP status of its answer."""

    def __init__(self, thing: str, status: int) -> None:
        reasons = {
            403: "its certificate or the certificate's policy does not allow it",
            404: "it is associated with no core device",
        }
        super().__init__(f"{thing} may not discover ({status}): {reasons.get(status, 'the cloud did not say why')}")
        self.status = status


class Core(NamedTuple):
    """A core device: its thing, where its broker is, and the certificates (PEM) to trust that by."""

    thing: str
    addresses: list[tuple[str, int]]
    authorities: str


class Discovery:
    """Asks the cloud, and remembers the answer for when the cloud cannot be reached."""

    def __init__(self, host: str, port: int, identity: Path, thing: str, memory: Path) -> None:
        """Ask at `host` as `thing`.

        Args:
            host: of the discovery endpoint.
            port: 8443, or 443, on AWS.
            identity: folder of `certificate.pem`, `private-key.pem` and `root-ca.pem`.
            thing: the sensor's thing.
            memory: file for the latest answer.

        Raises:
            DiscoveryError: if the identity is not usable.
        """
        self._thing = thing
        self._memory = memory
        threads = io.EventLoopGroup(1)
        bootstrap = io.ClientBootstrap(threads, io.DefaultHostResolver(threads))
        context = tls_context(identity, (identity / "root-ca.pem").read_text())
        self._client = DiscoveryClient(bootstrap, io.SocketOptions(), context, "", host)
        self._client.port = port

    def cores(self) -> list[Core]:
        """The core devices of this sensor, those of the latest answer where the cloud does not answer.

        Raises:
            DiscoveryRefused: if the cloud refuses; what was remembered is forgotten then.
            DiscoveryError: if it does not answer, and nothing is remembered.
        """
        try:
            answer: DiscoverResponse = self._client.discover(self._thing).result(_SECONDS)
        except DiscoveryException as error:
            if 400 <= error.http_response_code < 500:
                self._memory.unlink(missing_ok=True)
                raise DiscoveryRefused(self._thing, error.http_response_code) from error
            return self._remembered(f"answer {error.http_response_code}")
        except Exception as error:  # the library's errors have no narrower common base
            return self._remembered(str(error))
        cores = [
            Core(
                core.thing_arn.rpartition("/")[2],
                [(entry.host_address, int(entry.port)) for entry in core.connectivity or []],
                "\n".join(group.certificate_authorities or []),
            )
            for group in answer.gg_groups or []
            for core in group.cores or []
        ]
        try:
            write_atomically(self._memory, json.dumps(cores).encode())
        except OSError as error:
            _log.warning("the answer is not remembered: %s", error)
        return cores

    def _remembered(self, reason: str) -> list[Core]:
        try:
            saved = json.loads(self._memory.read_bytes())
        except (FileNotFoundError, ValueError):
            raise DiscoveryError(f"the cloud does not answer ({reason}), and no core device is known yet") from None
        _log.warning("the cloud does not answer (%s): the core devices of the last time are taken", reason)
        return [
            Core(thing, [(host, port) for host, port in addresses], authorities)
            for thing, addresses, authorities in saved
        ]


def tls_context(identity: Path, authorities: str) -> io.ClientTlsContext:
    """TLS with the sensor's certificate, trusting `authorities` (PEM).

    Raises:
        DiscoveryError: if a file of the identity is missing or not usable.
    """
    try:
        options = io.TlsContextOptions.create_client_with_mtls(
            (identity / "certificate.pem").read_bytes(), (identity / "private-key.pem").read_bytes()
        )
        options.override_default_trust_store(authorities.encode())
        return io.ClientTlsContext(options)
    except Exception as error:  # OSError, and the library's own
        raise DiscoveryError(f"identity in {identity}: {error}") from error
