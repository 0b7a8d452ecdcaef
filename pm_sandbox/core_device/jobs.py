"""The device's side of AWS IoT jobs, over MQTT with its certificate: hears of the next job, and reports on it.

Topics and messages are those of "Jobs MQTT API operations", AWS IoT Core developer guide
(https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html).
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from pm_sandbox.core_device.identity import Identity

#: Seconds.
_KEEP_ALIVE = 20
_RECONNECT_AFTER = (0.25, 4.0)
#: Characters that one value of `statusDetails` may have; "AWS IoT job limits", job execution status details value.
_DETAIL_LENGTH = 1024

log = logging.getLogger("jobs")


class JobClient:
    """Connects as the thing, and keeps connecting.

    Attributes:
        connected: Whether it is connected now.
    """

    def __init__(
        self, thing_name: str, identity: Identity, host: str, port: int, on_job: Callable[[dict[str, Any]], None]
    ) -> None:
        """Prepare it.

        Args:
            thing_name: The thing, and the client id.
            identity: Its certificate and key.
            host: Host of the broker.
            port: Port of the broker.
            on_job: Called in the event loop's thread with each job execution that the cloud says is next.
        """
        self.connected = False
        self._base = f"$aws/things/{thing_name}/jobs"
        self._address = (host, port)
        self._on_job = on_job
        self._loop = asyncio.get_running_loop()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=thing_name, protocol=mqtt.MQTTv311)
        self._identity = identity
        self._tls = ssl.create_default_context(cafile=str(identity.root_certificate))
        self._tls.load_cert_chain(identity.certificate, identity.private_key)
        self._client.tls_set_context(self._tls)
        self._client.reconnect_delay_set(*_RECONNECT_AFTER)  # type: ignore[arg-type]  # fractions are waited for as well
        self._client.on_pre_connect = self._connecting
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = lambda *_: self._ask()
        self._client.on_message = self._heard

    def start(self) -> None:
        """Connect now, or as soon as the broker can be reached."""
        self._client.connect_async(*self._address, keepalive=_KEEP_ALIVE)
        self._client.loop_start()

    def stop(self) -> None:
        """Say good-bye."""
        self._client.disconnect()
        self._client.loop_stop()

    def report(self, job_id: str, status: str, details: Mapping[str, str]) -> None:
        """Report on a job; while there is no connection, the report waits for one.

        Args:
            job_id: The job.
            status: `IN_PROGRESS`, `SUCCEEDED` or `FAILED`.
            details: Texts that say more; an empty one is left out and a long one cut, as AWS takes neither.
        """
        kept = {name: text[:_DETAIL_LENGTH] for name, text in details.items() if text}
        payload = json.dumps({"status": status, "statusDetails": kept})
        self._client.publish(f"{self._base}/{job_id}/update", payload, qos=1)

    def _ask(self) -> None:
        self._client.publish(f"{self._base}/$next/get", b"{}", qos=1)

    def _connecting(self, _client: mqtt.Client, _user: Any) -> None:
        """Show the certificate that is there now, for it may have been rotated."""
        try:
            self._tls.load_cert_chain(self._identity.certificate, self._identity.private_key)
        except OSError as error:  # an ssl.SSLError is one
            log.warning("the identity is not usable, the one before it stays: %s", error)

    def _connected(self, client: mqtt.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the cloud refuses the connection: %s", reason)
            return
        self.connected = True
        log.info("connected to the cloud")
        answers = ("notify-next", "$next/get/accepted", "+/update/rejected")
        client.subscribe([(f"{self._base}/{answer}", 1) for answer in answers])

    def _disconnected(self, _client: mqtt.Client, _user: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self.connected:
            log.info("disconnected from the cloud: %s", reason)
        self.connected = False

    def _heard(self, _client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        content = json.loads(message.payload)
        if message.topic.endswith("/rejected"):
            log.warning("the cloud refuses a report, %s: %s", message.topic, content.get("message"))
        elif "execution" in content:
            self._loop.call_soon_threadsafe(self._on_job, content["execution"])
