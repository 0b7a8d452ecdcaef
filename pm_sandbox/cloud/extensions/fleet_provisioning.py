"""Fleet provisioning by a device's own request: `CreateCertificateFromCsr` over MQTT.

The emulator answers `CreateKeysAndCertificate` alone, with which the cloud makes the device's private key. Topics and
messages: "Device provisioning MQTT API", AWS IoT Core developer guide.
"""

import json
import secrets
import time
from typing import Any

from ministack.core import responses
from ministack.services import iot

from pm_sandbox.cloud import seams

_TOPIC = "$aws/certificates/create-from-csr/json"
_OPERATION = "create-from-csr"


def install() -> None:
    """Answer on the topic."""
    parse = seams.require(iot, "_parse_fleet_provisioning_topic", "topic")
    names = ("account_id", "region", "operation", "template_name", "payload", "connection")
    reply = seams.require(iot, "_fleet_provisioning_reply", *names)
    seams.require(iot, "_fleet_rejected", "code", "message", "status")
    seams.require(iot, "_create_certificate_from_csr", "payload", "qp")
    seams.require(iot, "_drop_expired", "store")
    for store in ("_certificates", "_ownership_tokens"):
        seams.require_value(iot, store, responses.AccountRegionScopedDict)

    def parse_topic(topic: str) -> tuple[str, str | None] | None:
        found: tuple[str, str | None] | None = (_OPERATION, None) if topic == _TOPIC else parse(topic)
        return found

    async def answer(
        account_id: str,
        region: str,
        operation: str,
        template_name: str | None,
        payload: bytes,
        connection: dict[str, Any],
    ) -> tuple[str, dict[str, Any]]:
        if operation == _OPERATION:
            with responses.request_scope(account_id, region):
                return _certificate(payload)
        found: tuple[str, dict[str, Any]] = await reply(
            account_id, region, operation, template_name, payload, connection
        )
        return found

    iot._parse_fleet_provisioning_topic = parse_topic
    iot._fleet_provisioning_reply = answer


def _certificate(payload: bytes) -> tuple[str, dict[str, Any]]:
    """A certificate for the request in `payload`, not active yet, and the token that proves whose it is."""
    try:
        request = json.loads(payload)["certificateSigningRequest"]
    except (ValueError, TypeError, KeyError):
        return _rejected("InvalidPayload", "Message cannot be parsed")
    status, _, body = iot._create_certificate_from_csr({"certificateSigningRequest": request}, {})
    made = json.loads(body)
    if status != 200:
        return _rejected("InvalidCertificateSigningRequest", made.get("message", "CSR violates constraints"))
    record = iot._certificates[made["certificateId"]]
    record["status"] = "PENDING_ACTIVATION"
    iot._certificates[made["certificateId"]] = record
    token = secrets.token_urlsafe(48)
    iot._drop_expired(iot._ownership_tokens)
    iot._ownership_tokens[token] = {
        "certificateId": made["certificateId"],
        "expiration": time.time() + iot._OWNERSHIP_TOKEN_SECONDS,
    }
    return "accepted", {
        "certificateId": made["certificateId"],
        "certificatePem": made["certificatePem"],
        "certificateOwnershipToken": token,
    }


def _rejected(code: str, message: str) -> tuple[str, dict[str, Any]]:
    answer: tuple[str, dict[str, Any]] = iot._fleet_rejected(code, message, 400)
    return answer
