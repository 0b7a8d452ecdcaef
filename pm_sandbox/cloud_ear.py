"""An ear at the cloud: hears topics of AWS IoT Core, as whoever has a certificate may."""

import json
import secrets
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt

from pm_sandbox.cloud import Cloud

_CONNECT_SECONDS = 30.0


class CloudEar:
    """A subscription to a topic filter; a context manager.

    It has a certificate of its own for as long as it listens, with a policy that lets it hear this and no more.
    """

    def __init__(self, cloud: Cloud, name: str, topic_filter: str, on_message: Callable[[str, bytes], None]) -> None:
        """Listen from now on.

        Args:
            cloud: Where.
            name: What its certificate's policy and client id begin with.
            topic_filter: What to hear.
            on_message: Called with topic and payload, on a thread of the connection.

        Raises:
            RuntimeError: if the cloud does not let it.
        """
        self._iot = cloud.client("iot")
        self._name = f"{name}-{secrets.token_hex(8)}"
        self._filter = topic_filter
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
        self._client.on_connect = lambda client, *_: client.subscribe(topic_filter, qos=0)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: on_message(message.topic, bytes(message.payload))
        self._client.connect(cloud.mqtt_host, cloud.mqtt_port)
        self._client.loop_start()
        if not subscribed.wait(_CONNECT_SECONDS):
            self.close()
            raise RuntimeError(f"no subscription to {topic_filter} in the cloud within {_CONNECT_SECONDS:.0f} s")

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
        topic = self._filter.replace("+", "*").replace("#", "*")
        allowed = {
            "iot:Connect": f"{prefix}:client/{self._name}",
            "iot:Subscribe": f"{prefix}:topicfilter/{self._filter}",
            "iot:Receive": f"{prefix}:topic/{topic}",
        }
        statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in allowed.items()]
        return {"Version": "2012-10-17", "Statement": statements}
