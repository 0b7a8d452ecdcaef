"""The local bus on a core device: Greengrass's local publish/subscribe, over inter-process communication."""

import concurrent.futures
import contextlib
import functools
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from awscrt import io
from awsiot.eventstreamrpc import Connection, EventStreamOperationError, LifecycleHandler, MessageAmendment
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.client import (
    GreengrassCoreIPCClient,
    PublishToTopicOperation,
    SubscribeToTopicStreamHandler,
)

from pm_contracts import budgets
from pm_contracts.messages import MAXIMUM_MESSAGE_BYTES
from pm_edge.runtime.bus import GREENGRASS_VARIABLE, ROOM, STOP_SECONDS, BusError, Callback, TooLargeError, guarded
from pm_edge.runtime.callback_threads import keep_thread_state
from pm_edge.runtime.window import Window

_log = logging.getLogger(__name__)

#: Name of nucleus lite's socket (aws-greengrass-lite 2.6.0, `modules/recipe2unit/src/unit_file_generator.c`); that of
#: the classic nucleus is `ipc.socket` (aws-greengrass-nucleus 2.18.0, `UnixPlatform.java`).
LITE_SOCKET = "gg-ipc.socket"
#: Bytes of a frame at most, on nucleus lite, which closes the connection on a larger one (GGL_IPC_MAX_MSG_LEN in
#: aws-greengrass-lite 2.6.0, `modules/ggipcd/src/ipc_server.h`).
LITE_FRAME_BYTES = 10_000
#: Bytes of a frame beside topic and Base64 payload: 260 of a publish, fewer on the way to a subscriber, and some room.
_FRAME_OVERHEAD = 300
#: Bytes that a message takes in memory beside its topic and payload while it waits for its callback.
_HELD_OVERHEAD = 1_000
#: The token of this component, which the nucleus sets.
_TOKEN_VARIABLE = "SVCUID"  # noqa: S105 - the name of a variable

_ANSWER_SECONDS = 10.0
#: Seconds in which nucleus lite must answer at first.
_START_SECONDS = 60.0
#: Seconds, doubled with each vain attempt; the wait is a random part of it (full jitter).
_BACK_OFF = (0.5, 10.0)


class _Sent(NamedTuple):
    topic: str
    payload: bytes


class GreengrassBus:
    """A `Bus` on the nucleus that started this process.

    A classic nucleus that goes takes its components with it: nothing can be published any more, and the component ends.
    On nucleus lite the component outlives the process that serves it, and is given up for good after its fourth start
    within an hour. So there the bus connects again, as long as it takes, and sends again, in its order, what was not
    acknowledged.

    Messages that have come and wait for a callback are held in memory, for a nucleus has no way to be held back. What
    is more than `BUS_HELD_BYTES` is dropped, and counted.
    """

    def __init__(self, component: str) -> None:
        """Connect to the socket that the nucleus names in the environment, as `component`, its Greengrass name.

        Raises:
            BusError: if it does not answer.
        """
        socket_path = os.environ[GREENGRASS_VARIABLE]
        self._component = component
        self._is_lite = Path(socket_path).name == LITE_SOCKET
        self._window = Window(ROOM)
        #: By the window's ticket, in the order of publishing.
        self._under_way: dict[int, _Sent] = {}
        self._subscriptions: dict[str, Callback] = {}
        # Reentrant: the answer of an operation may be there before its sender has let go.
        self._lock = threading.RLock()
        self._is_connected = False
        self._is_receiving = True
        self._shows_token = True
        self._lost = threading.Event()
        self._ending = threading.Event()
        #: Of the messages that wait for their callbacks.
        self._held_bytes = 0
        self.dropped = 0
        # One thread: with more, callbacks would come out of order.
        self._callbacks = concurrent.futures.ThreadPoolExecutor(1, "bus-callbacks")
        threads = io.EventLoopGroup(1)
        options = io.SocketOptions()
        options.domain = io.SocketDomain.Local
        self._connection = Connection(
            host_name=socket_path,
            port=0,
            bootstrap=io.ClientBootstrap(threads, io.DefaultHostResolver(threads)),
            socket_options=options,
            connect_message_amender=self._introduction,
        )
        self._operations = GreengrassCoreIPCClient(self._connection)
        self._begin()
        if self._is_lite:
            threading.Thread(target=self._stay_connected, name="bus-connection", daemon=True).start()

    def largest_payload(self, topic: str) -> int:
        """See `Bus.largest_payload`."""
        if not self._is_lite:
            return MAXIMUM_MESSAGE_BYTES
        return (LITE_FRAME_BYTES - _FRAME_OVERHEAD - len(topic.encode())) // 4 * 3

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish`."""
        self._refuse_too_large(topic, payload)
        try:
            ticket = self._window.enter(len(payload))
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        self._publish(ticket, _Sent(topic, payload))

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """See `Bus.publish_at_most_once`; it is dropped while the nucleus is away or takes nothing."""
        self._refuse_too_large(topic, payload)
        try:
            ticket = self._window.enter_at_once(len(payload))
        except RuntimeError as error:
            raise BusError(f"cannot publish on {topic}: {error}") from error
        if ticket is not None:
            self._publish(ticket, _Sent(topic, payload))

    def subscribe(self, topic_filter: str, callback: Callback) -> None:
        """See `Bus.subscribe`."""
        with self._lock:
            self._subscriptions[topic_filter] = guarded(callback)
            if not self._is_connected:  # with the next connection, that of all subscriptions is made
                return
        try:
            self._listen(topic_filter)
        except Exception as error:
            raise BusError(f"the nucleus refuses a subscription to {topic_filter}: {_reason(error)}") from error

    def ready(self) -> None:
        """See `Bus.ready`: makes the component RUNNING on a classic nucleus.

        On nucleus lite it is RUNNING since its process is there, and an update of its state comes to nothing.
        """
        if self._is_lite:
            return
        try:
            operation = self._operations.new_update_state()
            operation.activate(model.UpdateStateRequest(state=model.ReportedLifecycleState.RUNNING))
            operation.get_response().result(_ANSWER_SECONDS)
        except Exception as error:  # the library's errors have no narrower common base
            raise BusError(f"the nucleus does not take that the component runs: {_reason(error)}") from error

    def flush(self, seconds: float) -> bool:
        """See `Bus.flush`."""
        return self._window.wait_for_earlier(seconds)

    def stop_receiving(self) -> None:
        """See `Bus.stop_receiving`."""
        if not self._is_receiving:
            return
        self._is_receiving = False
        last = self._callbacks.submit(int)
        self._callbacks.shutdown(wait=False)
        try:
            last.result(STOP_SECONDS)
        except TimeoutError:
            self._window.close(BusError(f"what came could not be answered within {STOP_SECONDS:.0f} s of the end"))
            self._callbacks.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """See `Bus.close`."""
        self.stop_receiving()
        self._window.close(BusError("the bus is closed"))
        self._ending.set()
        self._lost.set()
        try:
            self._connection.close().result(_ANSWER_SECONDS)
        except Exception as error:  # the library's errors have no narrower common base
            _log.warning("the nucleus was not told good-bye: %s", _reason(error))

    def _refuse_too_large(self, topic: str, payload: bytes) -> None:
        largest = self.largest_payload(topic)
        if len(payload) > largest:
            raise TooLargeError(f"{len(payload)} bytes on {topic}: the nucleus carries {largest} at most")

    def _publish(self, ticket: int, sent: _Sent) -> None:
        with self._lock:
            self._under_way[ticket] = sent
            if self._is_connected:
                self._send(ticket, sent)

    def _send(self, ticket: int, sent: _Sent) -> None:
        request = model.PublishToTopicRequest(
            topic=sent.topic,
            publish_message=model.PublishMessage(binary_message=model.BinaryMessage(message=sent.payload)),
        )
        try:
            operation = self._operations.new_publish_to_topic()
            operation.get_response().add_done_callback(functools.partial(self._answered, ticket, operation))
            operation.activate(request).add_done_callback(self._written)
        except Exception as error:  # raised at once where the connection is gone already
            self._lose(error)

    def _written(self, future: "concurrent.futures.Future[None]") -> None:
        error = future.exception()
        if error is not None:
            self._lose(error)

    def _answered(
        self, ticket: int, operation: PublishToTopicOperation, future: "concurrent.futures.Future[Any]"
    ) -> None:
        error = future.exception()
        if error is None:
            # Nucleus lite leaves the stream to the client, which would keep the operation. A classic one has ended the
            # stream with its answer, and nothing is sent then.
            operation.close()
        elif not isinstance(error, EventStreamOperationError) or (
            # The process behind lite's publish/subscribe is away.
            self._is_lite and isinstance(error, model.ServiceError)
        ):
            self._lose(error)
            return
        with self._lock:
            sent = self._under_way.pop(ticket)
        if error is not None:
            self._window.close(BusError(f"the nucleus refuses a publish on {sent.topic}: {_reason(error)}"))
        self._window.leave(ticket)

    def _listen(self, topic_filter: str) -> None:
        operation = self._operations.new_subscribe_to_topic(_Arrivals(self, self._subscriptions[topic_filter]))
        # As on a broker; with a wildcard a nucleus leaves a component's own messages out, as the uplink's status.
        mode = model.ReceiveMode.RECEIVE_ALL_MESSAGES
        operation.activate(model.SubscribeToTopicRequest(topic=topic_filter, receive_mode=mode))
        operation.get_response().result(_ANSWER_SECONDS)

    def arrived(self, call: Callback, message: model.BinaryMessage) -> None:
        """Have `call` called with a message from the nucleus, after those before it."""
        if not self._is_receiving or message.context is None:
            return
        topic, payload = message.context.topic, bytes(message.message or b"")
        size = len(topic) + len(payload) + _HELD_OVERHEAD
        with self._lock:
            if self._held_bytes + size > budgets.BUS_HELD_BYTES:
                if not self.dropped:
                    _log.error("more comes than this component can work off: what has no room is dropped")
                self.dropped += 1
                return
            self._held_bytes += size
        try:
            self._callbacks.submit(self._call, call, topic, payload, size)
        except RuntimeError:
            _log.debug("a message that came at the end is dropped")

    def _call(self, call: Callback, topic: str, payload: bytes, size: int) -> None:
        with self._lock:
            self._held_bytes -= size
        call(topic, payload)

    def _introduction(self) -> MessageAmendment:
        # A token is forgotten with the process of lite that gave it. There a component may give its name instead, for
        # which its systemd unit vouches (aws-greengrass-lite 2.6.0, `modules/ggipc-auth/src/auth.c`).
        words = (
            {"authToken": os.environ.get(_TOKEN_VARIABLE, "")}
            if self._shows_token
            else {"componentName": self._component}
        )
        return MessageAmendment(payload=json.dumps(words).encode())

    def _begin(self) -> None:
        """Connect; on nucleus lite, whose process for the bus may be starting anew, within `_START_SECONDS`.

        An end instead would be one of the few starts within an hour that lite allows.

        Raises:
            BusError: if the nucleus does not answer, with its first problem.
        """
        end = time.monotonic() + (_START_SECONDS if self._is_lite else 0.0)
        delay, longest = _BACK_OFF
        while (problem := self._begin_once()) is not None:
            if time.monotonic() >= end:
                raise BusError(f"the Greengrass nucleus does not answer: {_reason(problem)}") from problem
            if delay == _BACK_OFF[0]:
                _log.warning("the nucleus does not answer yet (%s); it is waited for", _reason(problem))
            time.sleep(random.uniform(0, delay))  # noqa: S311 - not for secrets
            delay = min(longest, delay * 2)

    def _begin_once(self) -> Exception | None:
        problem: Exception | None = None
        # A process of lite that has begun anew shows a token which may be of an earlier time.
        for shows_token in (True, False) if self._is_lite else (True,):
            self._shows_token = shows_token
            try:
                self._connect()
            except Exception as error:  # the library's errors have no narrower common base
                self._hang_up()
                problem = problem or error
            else:
                self._shows_token = False
                return None
        return problem

    def _hang_up(self) -> None:
        with contextlib.suppress(Exception):  # why it was lost is known already
            self._connection.close().result(_ANSWER_SECONDS)

    def _connect(self) -> None:
        self._connection.connect(_Lifecycle(self._lose)).result(_ANSWER_SECONDS)
        for topic_filter in list(self._subscriptions):
            self._listen(topic_filter)
        with self._lock:
            self._is_connected = True
            for ticket, sent in list(self._under_way.items()):
                self._send(ticket, sent)

    def _lose(self, error: BaseException | None) -> None:
        """Note that the connection is gone, or of no use any more."""
        self._lost.set()
        if not self._is_lite:
            self._window.close(BusError(f"the connection to the nucleus is gone: {_reason(error)}"))
        elif self._is_connected and not self._ending.is_set():
            self._is_connected = False
            _log.warning("the connection to the nucleus is gone (%s); it is sought until it is back", _reason(error))

    def _stay_connected(self) -> None:
        shortest, longest = _BACK_OFF
        delay = shortest
        while True:
            self._lost.wait()
            if self._ending.is_set():
                return
            self._is_connected = False
            self._hang_up()
            try:
                self._lost.clear()
                self._connect()
                _log.warning("the connection to the nucleus is back")
                delay = shortest
            except Exception as error:  # whatever it is: without this thread the component would be cut off for good
                _log.debug("the nucleus does not answer: %s", _reason(error))
                self._lost.set()
                # Not for secrets: it spreads the attempts of many components.
                self._ending.wait(random.uniform(0, delay))  # noqa: S311
                delay = min(longest, delay * 2)


class _Arrivals(SubscribeToTopicStreamHandler):
    def __init__(self, bus: GreengrassBus, call: Callback) -> None:
        super().__init__()
        self._bus, self._call = bus, call

    def on_stream_event(self, event: model.SubscriptionResponseMessage) -> None:
        if event.binary_message is not None:
            self._bus.arrived(self._call, event.binary_message)


class _Lifecycle(LifecycleHandler):
    def __init__(self, on_lost: Callable[[BaseException | None], None]) -> None:
        super().__init__()
        self._on_lost = on_lost

    def on_connect(self) -> None:
        keep_thread_state()

    def on_disconnect(self, reason: Exception | None, **_: Any) -> None:
        self._on_lost(reason)


def _reason(error: BaseException | None) -> str:
    """The words of the nucleus or the library; of an error of nucleus lite the library knows the kind alone."""
    if error is None:
        return "it was closed"
    return str(getattr(error, "message", None) or error).removesuffix("()") or type(error).__name__
