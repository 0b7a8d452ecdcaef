"""Devices' HTTPS requests with their certificates: discovery, the data plane of Greengrass, and shadows.

Discovery, connectivity and shadows have AWS's paths and bodies. How a core device publishes its certificate authority
and has a client device's certificate checked is not documented by AWS, so these two are in a form of our own:
`POST /greengrass/certificate-authorities` and `POST /greengrass/client-devices/verify`. The actions that a policy must
allow are AWS's for all of them.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from ministack.core import responses
from ministack.services import iot, iot_data

from pm_sandbox.cloud.client_devices import ClientDevices
from pm_sandbox.cloud.device_policies import https_allows
from pm_sandbox.cloud.modelled_service import ApiError

log = logging.getLogger("pm.cloud")

#: HTTP status and JSON body.
Answer = tuple[int, Any]


@dataclass(frozen=True)
class Caller:
    """The caller: the owner of an active certificate."""

    account_id: str
    region: str
    certificate_id: str
    things: tuple[str, ...]

    def authorize(self, thing: str, action: str, resource: str) -> None:
        """Check that the caller is `thing` and that the policies of its certificate allow an action.

        Raises:
            ApiError: if not.
        """
        if thing not in self.things:
            raise ApiError("ForbiddenException", f"the certificate is not attached to thing {thing}", 403)
        if not https_allows(self.account_id, self.region, self.certificate_id, action, resource):
            message = f"no policy of the certificate of {thing} allows {action} on {resource}"
            raise ApiError("ForbiddenException", message, 403)


class DeviceRequests:
    """Answers the requests of devices."""

    def __init__(self, devices: ClientDevices) -> None:
        """Answer from the records of `devices`."""
        self._devices = devices
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answer | Awaitable[Answer]]]] = [
            ("GET", re.compile(r"/greengrass/discover/thing/(?P<thing>[^/]+)"), self._discover),
            ("PUT", re.compile(r"/greengrass/things/(?P<thing>[^/]+)/connectivityInfo"), self._connectivity),
            ("POST", re.compile(r"/greengrass/certificate-authorities"), self._authorities),
            ("POST", re.compile(r"/greengrass/client-devices/verify"), self._verify),
            ("GET", re.compile(r"/things/(?P<thing>[^/]+)/shadow"), self._get_shadow),
            ("POST", re.compile(r"/things/(?P<thing>[^/]+)/shadow"), self._update_shadow),
        ]

    async def answer(self, certificate: bytes, method: str, path: str, body: bytes) -> Answer:
        """Answer one request.

        Args:
            certificate: what the caller has shown, DER.
            method: the HTTP method.
            path: the path, without a query.
            body: the body.
        """
        try:
            caller = _caller(certificate)
            for route_method, pattern, handler in self._routes:
                match = pattern.fullmatch(path)
                if match and method == route_method:
                    with responses.request_scope(caller.account_id, caller.region):
                        answer = handler(caller, body, **match.groupdict())
                        return await answer if isinstance(answer, Awaitable) else answer
            raise ApiError("ResourceNotFoundException", f"nothing is at {method} {path}", 404)
        except ApiError as error:
            log.info("a device's %s %s is refused: %s", method, path, error.message)
            return error.status or 400, {"message": error.message, "code": error.code}

    def _discover(self, caller: Caller, _: bytes, thing: str) -> Answer:
        caller.authorize(thing, "greengrass:Discover", f"thing/{thing}")
        found = self._devices.discovered(thing, iot._thing_arn(""))
        if found is None:
            raise ApiError("ResourceNotFoundException", f"thing {thing} is associated with no core device", 404)
        return 200, found

    def _connectivity(self, caller: Caller, body: bytes, thing: str) -> Answer:
        caller.authorize(thing, "greengrass:UpdateConnectivityInfo", f"thing/{thing}")
        self._devices.connectivity[thing] = [
            {key[0].lower() + key[1:]: value for key, value in entry.items()}
            for entry in _document(body).get("ConnectivityInfo", [])
        ]
        return 200, {"Message": "updated"}

    def _authorities(self, caller: Caller, body: bytes) -> Answer:
        document = _document(body)
        core = document.get("coreDeviceThingName", "")
        caller.authorize(core, "greengrass:PutCertificateAuthorities", "*")
        self._devices.authorities[core] = [str(pem) for pem in document.get("certificates", [])]
        return 200, {}

    def _verify(self, caller: Caller, body: bytes) -> Answer:
        """True if a certificate is an active one of a client device of the core device that asks."""
        document = _document(body)
        core, thing = document.get("coreDeviceThingName", ""), document.get("clientDeviceThingName", "")
        caller.authorize(core, "greengrass:VerifyClientDeviceIdentity", "*")
        caller.authorize(core, "greengrass:VerifyClientDeviceIoTCertificateAssociation", f"thing/{thing}")
        try:
            certificate = x509.load_pem_x509_certificate(str(document.get("clientDeviceCertificate", "")).encode())
        except ValueError as error:
            raise ApiError("ValidationException", f"no certificate: {error}", 400) from error
        device = _caller(certificate.public_bytes(serialization.Encoding.DER))
        if thing not in device.things:
            raise ApiError("NotAttached", f"the certificate is not attached to thing {thing}", 403)
        if core not in self._devices.cores_of(thing):
            raise ApiError("NotAssociated", f"thing {thing} is not associated with core device {core}", 403)
        return 200, {"certificateId": device.certificate_id}

    async def _get_shadow(self, caller: Caller, _: bytes, thing: str) -> Answer:
        return await self._shadow(caller, "GET", thing, b"", "iot:GetThingShadow")

    async def _update_shadow(self, caller: Caller, body: bytes, thing: str) -> Answer:
        return await self._shadow(caller, "POST", thing, body, "iot:UpdateThingShadow")

    @staticmethod
    async def _shadow(caller: Caller, method: str, thing: str, body: bytes, action: str) -> Answer:
        if not caller.things:
            raise ApiError("ForbiddenException", "the certificate is attached to no thing", 403)
        caller.authorize(caller.things[0], action, f"thing/{thing}")
        status, _, answer = await iot_data.handle_request(method, f"/things/{thing}/shadow", {}, body, {})
        return status, json.loads(answer) if answer else {}


def _caller(certificate: bytes) -> Caller:
    """The owner of a certificate, DER.

    Raises:
        ApiError: if it is unknown or not active.
    """
    scope = iot._mtls_resolve_identity(certificate) if certificate else None
    certificate_id = iot.hashlib.sha256(certificate).hexdigest()
    if scope is None or scope[2] is not None:
        reason = iot._mtls_refusal_reason(certificate_id)
        raise ApiError("NotActive", f"certificate {certificate_id}: {reason}", 403)
    account_id, region, _ = scope
    with responses.request_scope(account_id, region):
        record = iot._certificates.get(certificate_id) or {}
        things = tuple(arn.rsplit("/", 1)[-1] for arn in record.get("attachedThings", []))
    return Caller(account_id, region, certificate_id, things)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ApiError("ValidationException", f"the body is no JSON: {error}", 400) from error
    if not isinstance(document, dict):
        raise ApiError("ValidationException", "the body must be a JSON object", 400)
    return document
