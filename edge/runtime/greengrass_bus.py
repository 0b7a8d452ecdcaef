"""The local bus on a core device: Greengrass's local publish/subscribe, over inter-process communication."""

import concurrent.futures
import functools
import logging
from typing import Any

import awsiot.greengrasscoreipc
from awsiot.eventstreamrpc import LifecycleHandler
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2

from edge.runtime.bus import WINDOW, BusError, Callback, guarded
from edge.runtime.callback_threads import keep_thread_state
from edge.runtime.window import Window

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 30.0


class GreengrassBus:
    """A `Bus` on the nucleus that started this process.

    When the nucleus goes, nothing can be published any more: the component then ends, and the nucleus starts it anew.
    Messages that have come and wait for a callback are held in memory: a nucleus has no way to be held back.
    """

    def __init__(self) -> None:
        """Connect to the socket that the nucleus names in the environment.

        Raises:
            BusError: where it does not answer.
        """
        self._window = Window(WINDOW)
        try:
            connection = awsiot.greengrasscoreipc.connect(lifecycle_handler=_Lifecycle(self._window))
        except Exception as error:  # the library's errors have no narrower common base
            raise BusError(f"the Greengrass nucleus does not answer: {_reason(error)}") from error
        # One thread: with more, callbacks would come out of order.
        self._callbacks = concurrent.futures.ThreadPoolExecutor(1, "bus-callbacks")
        self._client = GreengrassCoreIPCClientV2(client=connection, executor=self._callbacks)

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish`."""
        try:
            ticket = self._window.enter()
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        message = model.PublishMessage(binary_message=model.BinaryMessage(message=payload))
        try:
            future = self._client.publish_to_topic_async(topic=topic, publish_message=message)
        except Exception as error:  # raised at once where the connection is gone already
            self._window.close(BusError(_reason(error)))
            self._window.leave(ticket)
            raise BusError(f"cannot publish on {topic}: {_reason(error)}") from error
        future.add_done_callback(functools.partial(self._published, ticket))

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish_at_most_once`; a nucleus waits for no subscriber as it is."""
        self.publish(topic, payload)

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """See `Bus.subscribe`."""
        call = guarded(callback)

        def arrived(event: model.SubscriptionResponseMessage) -> None:
            message = event.binary_message
            if message is not None and message.context is not None:
                call(message.context.topic, bytes(message.message or b""))

        future, _ = self._client.subscribe_to_topic_async(
            topic=topic_filter,
            on_stream_event=arrived,
            # As on a broker; with a wildcard a nucleus leaves a component's own messages out, as the uplink's status.
            receive_mode=model.ReceiveMode.RECEIVE_ALL_MESSAGES,
        )
        try:
            future.result(_ANSWER_SECONDS)
        except Exception as error:
            raise BusError(f"the nucleus refuses a subscription to {topic_filter}: {_reason(error)}") from error

    def flush(self, seconds: float) -> bool:
        """See `Bus.flush`."""
        return self._window.wait_for_earlier(seconds)

    def stop_receiving(self) -> None:
        """See `Bus.stop_receiving`."""
        # The client then drops what still comes, instead of failing on the executor that has ended.
        self._client.ignore_executor_exceptions = True
        self._callbacks.shutdown(wait=True)

    def close(self) -> None:
        """See `Bus.close`."""
        self.stop_receiving()
        self._window.close(BusError("the bus is closed"))
        try:
            self._client.close().result(_ANSWER_SECONDS)
        except Exception as error:  # the library's errors have no narrower common base
            _log.warning("the nucleus was not told good-bye: %s", _reason(error))

    def _published(self, ticket: int, future: "concurrent.futures.Future[Any]") -> None:
        error = future.exception()
        if error is not None:
            self._window.close(BusError(_reason(error)))
        self._window.leave(ticket)


class _Lifecycle(LifecycleHandler):
    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window

    def on_connect(self) -> None:
        keep_thread_state()

    def on_disconnect(self, reason: Exception | None, **_: Any) -> None:
        self._window.close(BusError(f"the connection to the nucleus is gone: {reason or 'it was closed'}"))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "message", None) or error) or type(error).__name__
