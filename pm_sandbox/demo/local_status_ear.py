"""An ear at the local bus: what the components of a core device report of themselves on the local bus."""

import threading
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt

from pm_contracts import topics
from pm_contracts.messages import Status, decode


class LocalStatusEar:
    """Keeps the latest status of each component of a site, as the local bus carries them."""

    def __init__(self, site: str, port: int) -> None:
        """Listen to a site's local broker on this machine."""
        self._latest: dict[str, Status] = {}
        self._news = threading.Condition()
        self._topic = topics.site_topic(site, topics.STATUS)
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "status-ear")
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=0)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        status = decode(bytes(message.payload), Status)
        with self._news:
            self._latest[status.component] = status
            self._news.notify_all()

    def counter(self, component: str, name: str) -> int:
        """The latest value of a component's counter; 0 until it has reported."""
        status = self._latest.get(component)
        return status.counters.get(name, 0) if status else 0

    def state(self, component: str) -> str:
        """The latest state of a component; empty until it has reported."""
        status = self._latest.get(component)
        return status.state if status else ""

    def wait_for_news(self, seconds: float) -> None:
        """Return when any component has reported, or after so many seconds."""
        with self._news:
            self._news.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
