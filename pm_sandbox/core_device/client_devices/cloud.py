"""The gateway's requests to the cloud, over HTTPS with the core device's certificate."""

import http.client
import json
import ssl
from typing import Any

from pm_sandbox.core_device.identity import Identity

_SECONDS = 10.0


class Unreachable(RuntimeError):
    """The cloud does not answer now."""


class Refused(RuntimeError):
    """The cloud says no; `code` is one word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DeviceCloud:
    """The endpoint of devices; its methods wait for the network, so call them off the event loop."""

    def __init__(self, host: str, port: int, identity: Identity, thing_name: str) -> None:
        """Ask as core device `thing_name`."""
        self._address = (host, port)
        self._thing_name = thing_name
        self._context = ssl.create_default_context(cafile=str(identity.root_certificate))
        self._context.load_cert_chain(identity.certificate, identity.private_key)

    def announce(self, host: str, port: int, authority: str) -> None:
        """Say where client devices reach this core device, and the authority (PEM) to trust its broker by."""
        entry = {"Id": "broker", "HostAddress": host, "PortNumber": port, "Metadata": ""}
        path = f"/greengrass/things/{self._thing_name}/connectivityInfo"
        self._ask("PUT", path, {"ConnectivityInfo": [entry]})
        document = {"coreDeviceThingName": self._thing_name, "certificates": [authority]}
        self._ask("POST", "/greengrass/certificate-authorities", document)

    def verify(self, thing: str, certificate: str) -> None:
        """Ask whether a certificate (PEM) is an active one of a client device `thing` of this core device.

        Raises:
            Refused: if it is not.
            Unreachable: if nobody answers.
        """
        document = {
            "coreDeviceThingName": self._thing_name,
            "clientDeviceThingName": thing,
            "clientDeviceCertificate": certificate,
        }
        self._ask("POST", "/greengrass/client-devices/verify", document)

    def shadow(self, thing: str) -> dict[str, Any]:
        """A thing's shadow; empty if it has none."""
        try:
            return self._ask("GET", f"/things/{thing}/shadow", None)
        except Refused as refused:
            if refused.code == "404":
                return {}
            raise

    def update_shadow(self, thing: str, state: dict[str, Any]) -> None:
        """Merge `state` into a thing's shadow."""
        self._ask("POST", f"/things/{thing}/shadow", {"state": state})

    def _ask(self, method: str, path: str, document: dict[str, Any] | None) -> dict[str, Any]:
        host, port = self._address
        connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=self._context)
        try:
            connection.request(method, path, json.dumps(document) if document is not None else None)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(str(error)) from error
        finally:
            connection.close()
        if response.status >= 500:
            raise Unreachable(f"{response.status}: {answer.get('message')}")
        if response.status >= 300:
            raise Refused(answer.get("code") or str(response.status), str(answer.get("message")))
        return answer
