"""An ear at the cloud: what the components of all sites report of themselves, as whoever has a certificate hears it."""

import json
import secrets
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt

from pm_contracts import topics
from pm_contracts.messages import Status, decode
from pm_sandbox.cloud import Cloud

_FILTER = f"{topics.ROOT}/+/{topics.STATUS}"
_CONNECT_SECONDS = 30.0


class StatusEar:
    """Keeps the latest status of each component, as it came to AWS IoT Core; a context manager.

    It has a certificate of its own for as long as it listens, with a policy that lets it hear statuses and no more.
    """

    def __init__(self, cloud: Cloud) -> None:
        """Listen from now on.

        Raises:
            RuntimeError: if the cloud does not let it.
        """
        self._iot = cloud.client("iot")
        self._name = f"pm-status-{secrets.token_hex(8)}"
        self._latest: dict[tuple[str, str], Status] = {}
        self._news = threading.Condition()
        made = self._iot.create_keys_and_certificate(setAsActive=True)
        self._certificate_arn, self._certificate_id = made["certificateArn"], made["certificateId"]
        self._iot.create_policy(policyName=self._name, policyDocument=json.dumps(self._policy(cloud)))
        self._iot.attach_policy(policyName=self._name, target=self._certificate_arn)
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self._name)
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder) / "certificate.pem", Path(folder) / "private-key.pem"
            certificate.write_text(made["certificatePem"])
            key.write_text(made["keyPair"]["PrivateKey"])
            self._client.tls_set(str(cloud.certificate_authority), str(certificate), str(key))
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe(_FILTER, qos=0)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect(cloud.mqtt_host, cloud.mqtt_port)
        self._client.loop_start()
        if not subscribed.wait(_CONNECT_SECONDS):
            self.close()
            raise RuntimeError(f"no subscription to {_FILTER} in the cloud within {_CONNECT_SECONDS:.0f} s")

    def latest(self) -> dict[tuple[str, str], Status]:
        """The latest status by site and component."""
        with self._news:
            return dict(self._latest)

    def reason(self, site: str, component: str) -> str:
        """The latest reason that a component gave for not being well; empty if it gave none."""
        status = self.latest().get((site, component))
        return status.reason if status else ""

    def wait_for(self, components: set[tuple[str, str]], seconds: float) -> None:
        """Return when each of these, by site and component, has reported, or after so many seconds."""
        with self._news:
            self._news.wait_for(lambda: components <= self._latest.keys(), seconds)

    def close(self) -> None:
        """Listen no more, and leave nothing in the cloud."""
        self._client.disconnect()
        self._client.loop_stop()
        self._iot.detach_policy(policyName=self._name, target=self._certificate_arn)
        self._iot.update_certificate(certificateId=self._certificate_id, newStatus="INACTIVE")
        self._iot.delete_certificate(certificateId=self._certificate_id)
        self._iot.delete_policy(policyName=self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _policy(self, cloud: Cloud) -> dict[str, object]:
        prefix = f"arn:aws:iot:{cloud.region}:{cloud.account_id}"
        topic_filter = _FILTER.replace("+", "*")
        allowed = {
            "iot:Connect": f"{prefix}:client/{self._name}",
            "iot:Subscribe": f"{prefix}:topicfilter/{_FILTER}",
            "iot:Receive": f"{prefix}:topic/{topic_filter}",
        }
        statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in allowed.items()]
        return {"Version": "2012-10-17", "Statement": statements}

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        status = decode(bytes(message.payload), Status)
        with self._news:
            self._latest[status.site, status.component] = status
            self._news.notify_all()
