"""Topics can be taken apart as they were put together; the lake's tables and rules follow from the messages.

Does not prove that IoT Core or the emulator evaluates the statements so; the end-to-end test does.
"""

import json

import pytest

from pm_contracts import site_devices, topics
from pm_contracts.messages import MESSAGE_TYPES, Command, Refused
from pm_contracts.tables import PARTITION_KEYS, TABLES, hive_type


@pytest.mark.parametrize("channel", topics.DEVICE_CHANNELS)
def test_a_device_topic_is_taken_apart(channel):
    topic = topics.parse_topic(topics.device_topic("lindau", "air-1", channel))
    assert (topic.site, topic.device, topic.channel) == ("lindau", "air-1", channel)
    assert topic.message_type == topics.DEVICE_CHANNELS[channel]


@pytest.mark.parametrize("channel", topics.SITE_CHANNELS)
def test_a_site_topic_is_taken_apart(channel):
    topic = topics.parse_topic(topics.site_topic("lindau", channel))
    assert (topic.site, topic.device, topic.channel) == ("lindau", "", channel)
    assert topic.message_type == topics.SITE_CHANNELS[channel]


def test_a_command_topic_names_its_command():
    topic = topics.parse_topic(topics.command_topic("lindau", "replay"))
    assert (topic.channel, topic.command, topic.message_type) == ("command", "replay", Command)


@pytest.mark.parametrize(
    "topic",
    [
        *("", "pm", "pm/lindau", "pm/lindau/air-1/gossip", "xx/lindau/alert", "pm/LINDAU/alert", "pm/a/b/c/reading"),
        *("pm/lindau\n/alert", "pm/lindau/air-1\n/reading", "pm/lindau/command/replay\n", "pm/lindau/alert\n"),
    ],
)
def test_a_foreign_topic_is_refused_with_what_is_allowed(topic):
    with pytest.raises(Refused, match="allowed are"):
        topics.parse_topic(topic)


def test_a_device_is_not_named_as_a_level_of_its_sites_own_topics():
    """`pm/SITE/command/reading` would be a command of that name."""
    with pytest.raises(ValueError, match="device 'command': allowed is a name that"):
        topics.device_topic("lindau", "command", topics.READING)
    listed = {"command": "machine", "air-1": "air_quality"}
    with pytest.raises(Refused, match="devices: found 'command', a level of the site's own topics"):
        site_devices.encode("lindau", listed)
    with pytest.raises(Refused, match="devices: found 'command'"):
        site_devices.decode(json.dumps({"site": "lindau", "devices": listed}).encode())
    deep = b'{"x": ' + b"[" * 60_000 + b"]" * 60_000 + b"}"
    for broken in (b"\xff", b'{"site": "\xff", "devices": {}}', deep):
        with pytest.raises(Refused, match="no list of a site's devices"):
            site_devices.decode(broken)


def test_an_unknown_channel_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match="allowed are reading"):
        topics.device_topic("lindau", "air-1", "gossip")


def test_the_originals_topics_have_become_topics_of_ours():
    for ours in topics.ALIASES.values():
        assert topics.parse_topic(ours.format(site="lindau", device="air-1"))


def test_tables_have_the_columns_of_their_messages_but_for_the_partition_keys():
    assert {table.name for table in TABLES} < {message.kind for message in MESSAGE_TYPES}
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert not set(names) & {name for name, _ in PARTITION_KEYS}
        assert set(names) | {"site"} == set(table.message_type.__struct_fields__)
    assert hive_type(list[int | None]) == "array<bigint>"
    with pytest.raises(TypeError, match="no type"):
        hive_type(dict[str, int])


def test_each_channel_that_is_stored_has_a_rule():
    stored = {topic_filter.rsplit("/", 1)[-1] for table in TABLES for topic_filter in table.topic_filters}
    not_stored = {topics.STATUS, topics.DEAD_LETTER}
    assert stored == (set(topics.DEVICE_CHANNELS) | set(topics.SITE_CHANNELS)) - not_stored
