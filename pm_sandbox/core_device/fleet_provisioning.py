"""A core device that enrols itself: it comes with a claim and a serial number, and leaves with an identity.

What the fleet provisioning of Greengrass nucleus lite does, and that of the nucleus with a request of its own: the
private key is made here, the certificate is asked for, and the template says which thing it becomes. Topics and
messages: "Device provisioning MQTT API", AWS IoT Core developer guide.
"""

import json
import queue
import ssl
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from pm_sandbox.core_device.identity import Identity, identity_in, make_request
from pm_sandbox.state_files import write_private

_CREATE = "$aws/certificates/create-from-csr/json"
#: Seconds for one answer; AWS's own devices wait about that long.
_ANSWER_LIMIT = 30.0


class Claim(NamedTuple):
    """The means of a new device to ask for an identity: files of a certificate, its key, and its authorities."""

    certificate: Path
    private_key: Path
    root_certificate: Path


class NotProvisioned(RuntimeError):
    """The cloud did not take the device; the text says what it answered."""


def enrol_by_claim(
    directory: Path, thing_name: str, claim: Claim, template: str, parameters: Mapping[str, str], host: str, port: int
) -> Identity:
    """Become the thing that the template makes of this device.

    Args:
        directory: where its identity is kept; made where missing, for its owner alone.
        thing_name: the name that its certificate is to bear.
        claim: the claim.
        template: name of the fleet provisioning template.
        parameters: what the template asks for.
        host: of AWS IoT Core.
        port: of AWS IoT Core, MQTT over TLS.

    Raises:
        NotProvisioned: if the claim, the request or the parameters are refused, or no answer comes.
    """
    identity = identity_in(directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    request = make_request(identity.private_key, thing_name)
    register = f"$aws/provisioning-templates/{template}/provision/json"
    connection = _Connection(claim, host, port)
    try:
        connection.subscribe([f"{topic}/{kind}" for topic in (_CREATE, register) for kind in ("accepted", "rejected")])
        made = connection.ask(_CREATE, {"certificateSigningRequest": request})
        token = made["certificateOwnershipToken"]
        become = connection.ask(register, {"certificateOwnershipToken": token, "parameters": dict(parameters)})
    finally:
        connection.close()
    if become.get("thingName") != thing_name:
        raise NotProvisioned(f"the template makes this device {become.get('thingName')}, not {thing_name}")
    write_private(identity.root_certificate, claim.root_certificate.read_bytes())
    write_private(identity.certificate, made["certificatePem"].encode())
    return identity


class _Connection:
    """An MQTT connection by the claim, on which one question is asked after the other."""

    def __init__(self, claim: Claim, host: str, port: int) -> None:
        self._heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=str(uuid.uuid4()), protocol=mqtt.MQTTv311)
        self._client.tls_set(
            ca_certs=str(claim.root_certificate),
            certfile=str(claim.certificate),
            keyfile=str(claim.private_key),
            cert_reqs=ssl.CERT_REQUIRED,
        )
        self._client.on_connect = lambda *heard: self._heard.put(
            ("refused" if heard[3].is_failure else "connected", {"errorMessage": str(heard[3])})
        )
        self._client.on_disconnect = lambda *heard: self._heard.put(("closed", {"errorMessage": str(heard[3])}))
        self._client.on_subscribe = lambda *heard: self._heard.put(
            ("refused" if any(code.is_failure for code in heard[3]) else "subscribed", {"errorMessage": "subscription"})
        )
        self._client.on_message = lambda _client, _user, message: self._heard.put(
            (message.topic, json.loads(message.payload))
        )
        self._client.connect(host, port)
        self._client.loop_start()
        self._await("connected")

    def subscribe(self, topics: list[str]) -> None:
        self._client.subscribe([(topic, 1) for topic in topics])
        self._await("subscribed")

    def ask(self, topic: str, question: Mapping[str, Any]) -> dict[str, Any]:
        self._client.publish(topic, json.dumps(question), qos=1)
        return self._await(f"{topic}/accepted")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _await(self, wanted: str) -> dict[str, Any]:
        try:
            event, content = self._heard.get(timeout=_ANSWER_LIMIT)
        except queue.Empty as error:
            raise NotProvisioned(f"no answer within {_ANSWER_LIMIT:.0f} s: {wanted}") from error
        if event != wanted:
            reason = content.get("errorMessage", content)
            raise NotProvisioned(f"the cloud does not take this device ({event}): {reason}")
        return content
