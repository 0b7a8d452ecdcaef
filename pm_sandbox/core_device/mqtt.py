"""MQTT 3.1.1 packets as a broker needs them: take a byte stream apart, and put answers together.

Section numbers are those of the OASIS standard "MQTT Version 3.1.1".
"""

from collections.abc import Iterator
from typing import NamedTuple

from pm_contracts.budgets import PACKET_BYTES

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
PUBREC, PUBREL, PUBCOMP = 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

PINGRESP_PACKET = bytes((PINGRESP << 4, 0))
#: Return codes of a CONNACK (section 3.2.2.3).
ACCEPTED, WRONG_VERSION, WRONG_CLIENT_ID, UNAVAILABLE, NOT_AUTHORIZED = 0, 1, 2, 3, 5
REFUSED_FILTER = 0x80


class ProtocolViolation(ValueError):
    """Bytes that are no MQTT 3.1.1, or a part of it that this broker has not; the connection cannot go on."""


class ConnectRefused(ProtocolViolation):
    """A CONNECT that is answered with a return code before the connection ends."""

    def __init__(self, return_code: int, reason: str) -> None:
        super().__init__(reason)
        self.return_code = return_code


class Publish(NamedTuple):
    """A message; `packet_id` is 0 at quality of service 0."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int
    retain: bool = False


class Connect(NamedTuple):
    """The client that connects.

    Attributes:
        client_id: Its id.
        keep_alive: Its longest silence in seconds; 0 for ever.
        keep_session: Whether its session is kept.
        will: Its message for when it ends without a good-bye (section 3.1.2.5).
    """

    client_id: str
    keep_alive: int
    keep_session: bool
    will: Publish | None = None


class PacketReader:
    """Cuts a byte stream into packets."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield the (type, flags, body) of each packet that is complete with `data`.

        Raises:
            ProtocolViolation: if a packet is longer than `PACKET_BYTES`, or its length is no length.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        end = len(buffer)
        try:
            while True:
                length, shift, position = 0, 0, start + 1
                while position < end:
                    byte = buffer[position]
                    length |= (byte & 0x7F) << shift
                    position += 1
                    if byte < 0x80:
                        break
                    shift += 7
                    if shift > 21:
                        raise ProtocolViolation("a packet's length takes more than four bytes (section 2.2.3)")
                else:
                    return
                if length > PACKET_BYTES:
                    raise ProtocolViolation(f"a packet of {length} bytes; at most {PACKET_BYTES} are allowed")
                if position + length > end:
                    return
                first = buffer[start]
                body = bytes(buffer[position : position + length])
                start = position + length
                yield first >> 4, first & 0x0F, body
        finally:
            del buffer[:start]


def parse_connect(body: bytes) -> Connect:
    """The CONNECT in `body` (section 3.1).

    Raises:
        ConnectRefused: if it is of another version, or the client does not say who it is.
        ProtocolViolation: if it is none.
    """
    name, position = _text(body, 0)
    level = body[position : position + 1]
    if name in ("MQTT", "MQIsdp") and level and level != b"\x04":
        raise ConnectRefused(WRONG_VERSION, f"protocol level {level.hex()}; this broker speaks 3.1.1, which is 04")
    if name != "MQTT" or len(body) < position + 4:
        raise ProtocolViolation(f"protocol {name!r}; this broker speaks MQTT 3.1.1")
    flags = body[position + 1]
    client_id, end = _text(body, position + 4)
    if not client_id:
        raise ConnectRefused(WRONG_CLIENT_ID, "no client id: a client says who it is")
    will = None
    if flags & 0x04:
        topic, end = _text(body, end)
        if not is_topic(topic) or flags >> 3 & 3 > 2:
            raise ProtocolViolation(f"a will for {topic!r} at quality of service {flags >> 3 & 3} (section 3.1.2.6)")
        length = int.from_bytes(body[end : end + 2], "big")
        if len(body) < end + 2 + length:
            raise ProtocolViolation("a will that is longer than its packet (section 3.1.3.3)")
        will = Publish(topic, body[end + 2 : end + 2 + length], flags >> 3 & 3, 0, bool(flags & 0x20))
    return Connect(client_id, int.from_bytes(body[position + 2 : position + 4], "big"), not flags & 0x02, will)


def parse_publish(flags: int, body: bytes) -> Publish:
    """The PUBLISH in `body` (section 3.3).

    Raises:
        ProtocolViolation: if the topic or the quality of service is none.
    """
    qos, retain = flags >> 1 & 3, bool(flags & 1)
    if qos > 2:
        raise ProtocolViolation("a message at quality of service 3 (section 3.3.1.2)")
    topic, position = _text(body, 0)
    if not is_topic(topic):
        raise ProtocolViolation(f"a message for {topic!r}, which is no topic (section 3.3.2.1)")
    if not qos:
        return Publish(topic, body[position:], 0, 0, retain)
    return Publish(topic, body[position + 2 :], qos, _packet_id(body, position), retain)


def parse_acknowledgement(body: bytes) -> int:
    """The packet identifier that a PUBACK or a PUBREL names (sections 3.4 and 3.6)."""
    return _packet_id(body, 0)


def parse_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """The packet identifier of a SUBSCRIBE and its (filter, quality of service) (section 3.8)."""
    packet_id, position = _packet_id(body, 0), 2
    filters = []
    while position < len(body):
        topic_filter, position = _text(body, position)
        if position >= len(body):
            raise ProtocolViolation("a subscription without its quality of service (section 3.8.3)")
        filters.append((topic_filter, body[position] & 3))
        position += 1
    return packet_id, filters


def parse_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    """The packet identifier of an UNSUBSCRIBE and its filters (section 3.10)."""
    packet_id, position = _packet_id(body, 0), 2
    filters = []
    while position < len(body):
        topic_filter, position = _text(body, position)
        filters.append(topic_filter)
    return packet_id, filters


def connect(client_id: str) -> bytes:
    """A CONNECT for a clean session, without keep-alive (section 3.1)."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name
    return bytes((CONNECT << 4,)) + _length(len(body)) + body


def connack(return_code: int = 0, *, session_present: bool = False) -> bytes:
    """A CONNACK (section 3.2)."""
    return bytes((CONNACK << 4, 2, session_present, return_code))


def acknowledgement(packet_id: int, kind: int = PUBACK) -> bytes:
    """A PUBACK, or as `kind` a PUBREC or a PUBCOMP (sections 3.4, 3.5 and 3.7)."""
    return bytes((kind << 4, 2, packet_id >> 8, packet_id & 0xFF))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """A SUBACK: for each filter the granted quality of service, or `REFUSED_FILTER` (section 3.9)."""
    return bytes((SUBACK << 4,)) + _length(2 + len(codes)) + packet_id.to_bytes(2, "big") + bytes(codes)


def unsuback(packet_id: int) -> bytes:
    """An UNSUBACK (section 3.11)."""
    return bytes((UNSUBACK << 4, 2, packet_id >> 8, packet_id & 0xFF))


def publish_head(topic: str, payload_bytes: int, qos: int, *, again: bool = False, retained: bool = False) -> bytes:
    """A PUBLISH up to its packet identifier; at quality of service 1 two bytes of that follow, then the payload."""
    name = topic.encode()
    length = 2 + len(name) + 2 * qos + payload_bytes
    return (
        bytes((PUBLISH << 4 | again << 3 | qos << 1 | retained,))
        + _length(length)
        + len(name).to_bytes(2, "big")
        + name
    )


def is_topic(topic: str) -> bool:
    """True for a topic, which has no wildcards (section 3.3.2.1)."""
    return bool(topic) and "+" not in topic and "#" not in topic


def is_filter(topic_filter: str) -> bool:
    """True for a topic filter: wildcards fill a level, and `#` is the last one (section 4.7.1)."""
    levels = topic_filter.split("/")
    if not topic_filter or "#" in levels[:-1]:
        return False
    return all(level in ("+", "#") or not ("+" in level or "#" in level) for level in levels)


def matches(topic_filter: str, topic: str) -> bool:
    """True if a message of `topic` is for a subscription of `topic_filter` (section 4.7)."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    levels = topic.split("/")
    for index, wanted in enumerate(topic_filter.split("/")):
        if wanted == "#":
            return True
        if index >= len(levels) or wanted not in ("+", levels[index]):
            return False
    return topic_filter.count("/") + 1 == len(levels)


def _length(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        encoded.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(encoded)


def _packet_id(body: bytes, position: int) -> int:
    packet_id = int.from_bytes(body[position : position + 2], "big")
    if len(body) < position + 2 or not packet_id:
        raise ProtocolViolation("a packet without its packet identifier (section 2.3.1)")
    return packet_id


def _text(body: bytes, position: int) -> tuple[str, int]:
    end = position + 2 + int.from_bytes(body[position : position + 2], "big")
    if len(body) < position + 2 or end > len(body):
        raise ProtocolViolation("a text that is longer than its packet (section 1.5.3)")
    try:
        return body[position + 2 : end].decode(), end
    except UnicodeDecodeError as error:
        raise ProtocolViolation(f"a text that is not UTF-8: {error}") from error
