"""The broker of a site's local bus, as a process of its own: MQTT 3.1.1, quality of service 0 and 1, loopback only.

No message is ever its own: one at quality of service 1 is acknowledged to its publisher when each of its subscribers
has acknowledged it. Whoever stops or is killed, publisher, subscriber or broker, someone still has the message and
sends it again. A fast publisher is held to the pace of the slowest subscriber by its own window of unacknowledged
messages, so that nothing piles up. (amqtt 0.12 acknowledges at once, queues without bound, and gives a message up when
a subscriber has not acknowledged it within five seconds.)

A subscriber that asks for a session to be kept (clean session 0) may be away for `KEPT_SECONDS`: what is published
meanwhile waits for it, and its publishers with it. After that it is forgotten, and so is who is connected and has
acknowledged nothing for as long while messages wait: it is disconnected, and may come back as a new one. What waits is
bounded in bytes, for one subscriber and for all; past that the oldest messages go. All of this is in the log, and
counted in a file for the device's status. Which sessions are kept, with their
filters, is in a file, so that a broker that starts anew knows for whom to hold messages.

`python -m pm_sandbox.core_device.broker --port N` prints the port it listens on, and ends when its standard input does.
"""

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pm_contracts import budgets
from pm_contracts.logs import log_to
from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker_connection import Connection
from pm_sandbox.core_device.broker_session import Backlog, Delivery, Receipt, Session
from pm_sandbox.core_device.lifeline import until_stopped
from pm_sandbox.state_files import recovered, write_json

LOOPBACK = "127.0.0.1"
#: Seconds between looks at who has been silent or away for too long.
_CHECK = 5.0

log = logging.getLogger("broker")


class Broker:
    """The connected clients, their subscriptions, and the delivery of messages between them.

    Attributes:
        backlog: What waits for its clients.
        has_all: Whether wills, retained messages and quality of service 2 are taken, which a core device's bus has not.
    """

    has_all = False

    def __init__(
        self, sessions_file: Path | None = None, backlog: Backlog | None = None, counts_file: Path | None = None
    ) -> None:
        """A broker.

        Args:
            sessions_file: remembers its kept sessions, where one is given.
            backlog: bounds what waits; by default as the local bus does.
            counts_file: tells what was given up, where one is given.
        """
        self.backlog = backlog or Backlog(budgets.BROKER_SESSION_BYTES, budgets.BROKER_BYTES)
        self._sessions_file = sessions_file
        self._counts_file = counts_file
        self._counted: dict[str, int] = {}
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        self._subscribers: dict[str, list[tuple[Session, int]]] = {}
        for client_id, filters in (recovered(sessions_file) if sessions_file else {}).items():
            if isinstance(filters, dict):
                self._sessions[client_id] = Session(client_id, True, self.backlog, filters)

    async def serve(self, listening: socket.socket) -> asyncio.Server:
        """Serve the connections to `listening`, which is bound."""
        server = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=listening)
        self.watch()
        return server

    def watch(self) -> None:
        """Look after silent clients and kept sessions from now on."""
        asyncio.get_running_loop().call_later(_CHECK, self._check)

    def admit(self, connection: Connection, connect: mqtt.Connect) -> Coroutine[Any, Any, None] | None:
        """See `broker_connection.Broker`: on the bus everyone is welcome."""
        self.take_in(connection, connect)
        return None

    def take_in(self, connection: Connection, connect: mqtt.Connect) -> None:
        """Take a client in; an earlier connection of the same client gives way (section 3.1.4)."""
        session = self._sessions.get(connect.client_id)
        if session is None and len(self._sessions) >= budgets.SESSIONS:
            reason = f"there are {budgets.SESSIONS} clients already, and no more are taken in"
            connection.refuse(reason, mqtt.UNAVAILABLE)
            return
        if session is not None and session.connection is not None:
            session.connection.close("another connection took its client id over")
            session.detach()
        is_resumed = session is not None and session.is_kept and connect.keep_session
        if session is None or not is_resumed:
            if session is not None:
                self._forget(session)
            session = self._sessions[connect.client_id] = Session(connect.client_id, connect.keep_session, self.backlog)
        self._connections.add(connection)
        connection.accept(session, session_present=is_resumed)

    def gone(self, connection: Connection) -> None:
        """See `broker_connection.Broker`."""
        self._connections.discard(connection)
        session = getattr(connection, "session", None)
        if session is None or session.connection is not connection:
            return
        session.detach()
        log.info("%s is gone%s", session.client_id, f" with {session.pending} to come" if session.pending else "")
        if not session.is_kept:
            self._forget(session)

    def publish(self, publisher: Connection, message: mqtt.Publish) -> None:
        """See `broker_connection.Broker`."""
        receipt = Receipt(publisher, message.packet_id) if message.qos else None
        self.carry(message.topic, message.payload, receipt)
        if receipt is not None and not receipt.missing:
            receipt.acknowledge()

    def carry(self, topic: str, payload: bytes, receipt: Receipt | None) -> None:
        """Hand a message to its subscribers; `receipt` then waits for those at quality of service 1."""
        subscribers = self._subscribers.get(topic)
        if subscribers is None:
            subscribers = self._find_subscribers(topic)
        for session, granted in subscribers:
            if granted and receipt is not None:
                receipt.missing += 1
                session.deliver(Delivery(topic, payload, receipt))
            else:
                session.offer(topic, payload)

    def subscribe(self, connection: Connection, topic_filter: str, qos: int) -> int:
        """See `broker_connection.Broker`."""
        if not mqtt.is_filter(topic_filter):
            log.warning("%s asked for %r, which is no topic filter", connection.client_id, topic_filter)
            return mqtt.REFUSED_FILTER
        filters = connection.session.filters
        if len(topic_filter) > budgets.TOPIC_CHARACTERS or len(filters.keys() | {topic_filter}) > budgets.FILTERS:
            log.warning(
                "%s asked for one filter too many or too long: allowed are %d of %d characters",
                *(connection.client_id, budgets.FILTERS, budgets.TOPIC_CHARACTERS),
            )
            return mqtt.REFUSED_FILTER
        connection.session.filters[topic_filter] = min(qos, 1)
        self._subscriptions_changed(connection.session)
        return min(qos, 1)

    def unsubscribe(self, connection: Connection, topic_filter: str) -> None:
        """See `broker_connection.Broker`."""
        connection.session.filters.pop(topic_filter, None)
        self._subscriptions_changed(connection.session)

    def _find_subscribers(self, topic: str) -> list[tuple[Session, int]]:
        found = []
        for session in self._sessions.values():
            granted = [qos for topic_filter, qos in session.filters.items() if mqtt.matches(topic_filter, topic)]
            if granted:
                found.append((session, max(granted)))
        if len(topic) <= budgets.TOPIC_CHARACTERS:
            if len(self._subscribers) >= budgets.REMEMBERED_TOPICS:
                self._subscribers.clear()
            self._subscribers[topic] = found
        return found

    def _forget(self, session: Session) -> None:
        del self._sessions[session.client_id]
        given_up = session.end()
        if given_up:
            log.warning("%d messages do not reach %s, which is not there", given_up, session.client_id)
        self._subscriptions_changed(session)

    def _subscriptions_changed(self, session: Session) -> None:
        """Look the subscribers of each topic up anew, and note the kept sessions."""
        self._subscribers.clear()
        if self._sessions_file is None or not session.is_kept:
            return
        kept = {each.client_id: each.filters for each in self._sessions.values() if each.is_kept and each.filters}
        try:
            write_json(self._sessions_file, kept)
        except OSError as error:
            log.error("after a restart the broker will not know of all kept sessions: %s", error)

    def _check(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            if connection.keep_alive and now - connection.heard_at > 1.5 * connection.keep_alive:
                connection.close(
                    f"silent for more than one and a half times its keep-alive of {connection.keep_alive} s"
                )
        for session in list(self._sessions.values()):
            if reason := session.why_over(now):
                its_connection = session.connection
                session.detach()
                log.warning("%s is given up: %s", session.client_id, reason)
                if its_connection is not None:
                    its_connection.close(reason, logging.WARNING)
                self._forget(session)
        self._tell_counts()
        self.watch()

    def _tell_counts(self) -> None:
        counts = {"dropped": self.backlog.dropped, "forgotten": self.backlog.forgotten, "bytes": self.backlog.bytes}
        if self._counts_file is None or counts == self._counted:
            return
        try:
            write_json(self._counts_file, counts, durable=False)
        except OSError as error:
            log.error("what was given up is not told: %s", error)
        else:
            self._counted = counts


async def _main(port: int, sessions_file: Path | None, counts_file: Path | None) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        raise SystemExit(
            f"port {port} of {LOOPBACK} cannot be used ({error.strerror}): free it, or use another"
        ) from error
    server = await Broker(sessions_file, counts_file=counts_file).serve(listening)
    print(listening.getsockname()[1], flush=True)
    await until_stopped()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The broker of a site's local bus.")
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; any free one where left out")
    parser.add_argument("--sessions", type=Path, help="file that remembers the kept sessions")
    parser.add_argument("--counts", type=Path, help="file that tells what was given up")
    log_to(sys.stderr, "%(asctime)s %(levelname)s %(message)s")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.port, arguments.sessions, arguments.counts))
