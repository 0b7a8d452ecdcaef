"""Messages that AWS IoT's rules are held against, in the emulated cloud's SQL."""

from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened


def _rules(_folder: Path) -> Opened:
    from pm_components.aws import rule_statements
    from pm_contracts.messages import Refused, decode, encode
    from pm_contracts.tables import TABLES
    from pm_contracts.topics import parse_topic
    from pm_sandbox.cloud import rule_sql
    from resilience.samples import SITE, STATION, messages

    # By topic filter: the types of device whose messages have tables of their own; an empty one where they have not.
    types: dict[str, list[str]] = {}
    for table in TABLES:
        for topic_filter in table.topic_filters:
            types.setdefault(topic_filter, []).append(table.device_type)
    channels = []
    for topic_filter, device_types in types.items():
        topic = topic_filter.replace("+", SITE, 1).replace("+", STATION)
        for sites in (None, [SITE], [SITE, "gera"]):
            written = [rule_statements.accepted(topic_filter, sites, each) for each in device_types]
            refusal = rule_statements.refused(topic_filter, sites, [each for each in device_types if each])
            channels.append((topic, [rule_sql.parse(one) for one in written], rule_sql.parse(refusal)))

    def door(content: bytes) -> None:
        for topic, accepting, refusing in channels:
            message = rule_sql.Message.of(topic, content, "lindau-core-uplink")
            accepted = [statement for statement in accepting if statement.takes(message)]
            takers = [*accepted, *([refusing] if refusing.takes(message) else [])]
            assert len(takers) == 1, f"{len(takers)} rules take what comes on {topic}"
            takers[0].event(message)
            if accepted:
                try:
                    decoded: Any = decode(content, parse_topic(topic).message_type)
                except Refused:  # what reads the table or the queue refuses it
                    continue
                assert decoded.site == SITE, f"a message of {decoded.site} is taken on {topic}"
                assert getattr(decoded, "device", STATION) == STATION or topic.count("/") == 2, "another device's"

    return Opened(door, [encode(message) for message in messages()])


BOUNDARIES = (Boundary("iot_rules", _rules, 0.3),)
