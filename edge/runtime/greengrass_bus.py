"""The local bus on a core device: Greengrass's local publish/subscribe, over inter-process communication."""

import concurrent.futures
from typing import Any

import awsiot.greengrasscoreipc
from awsiot.eventstreamrpc import LifecycleHandler
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2

from edge.runtime.bus import WINDOW, BusError, Callback, guarded
from edge.runtime.window import Window

_ANSWER_SECONDS = 30.0


class GreengrassBus:
    """A `Bus` on the nucleus that started this process.

    When the nucleus goes, nothing can be published any more: the component then ends, and the nucleus starts it anew.
    It has two connections, for the reason that `MqttBus` has two.
    """

    def __init__(self) -> None:
        """Connect to the socket that the nucleus names in the environment.

        Raises:
            BusError: where it does not answer.
        """
        self._window = Window(WINDOW)
        lifecycle = _Lifecycle(self._window)
        self._publisher = _connect(lifecycle)
        self._subscriber = _connect(lifecycle)

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish`."""
        try:
            self._window.enter()
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        message = model.PublishMessage(binary_message=model.BinaryMessage(message=payload))
        self._publisher.publish_to_topic_async(topic=topic, publish_message=message).add_done_callback(self._published)

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """See `Bus.subscribe`."""
        call = guarded(callback)

        def arrived(event: model.SubscriptionResponseMessage) -> None:
            message = event.binary_message
            if message is not None and message.context is not None:
                call(message.context.topic, bytes(message.message or b""))

        future, _ = self._subscriber.subscribe_to_topic_async(topic=topic_filter, on_stream_event=arrived)
        try:
            future.result(_ANSWER_SECONDS)
        except Exception as error:
            raise BusError(
                f"the nucleus does not let us subscribe to {topic_filter}: {error or 'no answer'}"
            ) from error

    def flush(self, seconds: float) -> bool:
        """See `Bus.flush`."""
        return self._window.wait_until_empty(seconds)

    def close(self) -> None:
        """See `Bus.close`."""
        self._window.close(BusError("the bus is closed"))
        for client in (self._subscriber, self._publisher):
            client.close().result(_ANSWER_SECONDS)

    def _published(self, future: "concurrent.futures.Future[Any]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._window.close(error)
        self._window.leave()


class _Lifecycle(LifecycleHandler):
    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window

    def on_disconnect(self, reason: Exception | None, **_: Any) -> None:
        self._window.close(reason or BusError("the nucleus has closed the connection"))


def _connect(lifecycle: LifecycleHandler) -> GreengrassCoreIPCClientV2:
    try:
        client = awsiot.greengrasscoreipc.connect(lifecycle_handler=lifecycle)
    except Exception as error:
        raise BusError(f"the Greengrass nucleus does not answer: {error or type(error).__name__}") from error
    # No executor: the client's own would call back from several threads, and so out of order.
    return GreengrassCoreIPCClientV2(client=client, executor=None)
