"""AWS IoT SQL of the rules of a stack, which hear its own sites, and hold what these say to its topic.

An IoT policy bounds the topics that a core device may publish on, and nobody bounds what it says there. So each
channel has two kinds of statement: `accepted` takes a message whose site and device are those of its topic, `refused`
all others of the same sites, and each message is taken by exactly one of them. The second is not the negation of the
first: what is missing is Undefined, and so is all that AWS IoT SQL makes of it but `isUndefined` ("Operators", AWS IoT
SQL reference).
"""

from collections.abc import Sequence
from typing import Optional

#: The fields that are to repeat a level of the topic, with its number, for topic filters of so many levels.
_HELD = {
    3: {"site": 2},
    4: {"site": 2, "device": 3},
}
_TYPE = "device_type"


def accepted(topic_filter: str, sites: Optional[Sequence[str]], device_type: str = "") -> str:
    """The statement that takes what is of its topic's site and device, as it came.

    Args:
        topic_filter: of a channel of any site.
        sites: whose messages are taken; None: of all.
        device_type: the type of device whose readings are taken; empty for a channel without types.
    """
    conditions = [f"{field} = topic({level})" for field, level in _held(topic_filter).items()]
    if device_type:
        conditions.append(f"{_TYPE} = '{device_type}'")
    return statement("*", topic_filter, sites, " AND ".join(conditions))


def refused(topic_filter: str, sites: Optional[Sequence[str]], device_types: Sequence[str] = ()) -> str:
    """The statement that takes what no `accepted` of the same channel takes, as a dead letter with the reason.

    It has the fields of a message that an error action sends, `topic` and `base64OriginalPayload`, so that who reads
    the queue reads both alike.

    Args:
        topic_filter: of a channel of any site.
        sites: whose messages are taken; None: of all.
        device_types: the types of device whose readings are accepted; none for a channel without types.
    """
    held = _held(topic_filter)
    fields = [*held, *([_TYPE] if device_types else [])]
    other = [f"{field} <> topic({level})" for field, level in held.items()]
    reason = f"{' and '.join(held)} must be {'that' if len(held) == 1 else 'those'} of the topic"
    if device_types:
        other.append("(" + " AND ".join(f"{_TYPE} <> '{device_type}'" for device_type in device_types) + ")")
        reason += f", {_TYPE} one of {', '.join(device_types)}"
    missing = " OR ".join(f"isUndefined({field})" for field in fields)
    letter = (
        f"'{reason}' AS reason, topic() AS topic, clientid() AS clientId, principal() AS principal, "
        "timestamp() AS refusedAt, encode(*, 'base64') AS base64OriginalPayload"
    )
    # Nothing is compared that is missing: AND and OR with something Undefined are Undefined, too, by their tables.
    condition = f"CASE ({missing}) WHEN true THEN true ELSE {' OR '.join(other)} END"
    return statement(letter, topic_filter, sites, condition)


def statement(selected: str, topic_filter: str, sites: Optional[Sequence[str]], condition: str = "") -> str:
    """The statement that takes the messages of `sites` alone, where `condition` is true of them.

    Rules of all stacks of an account and region hear the same topics: without it a stack would keep, count and tell
    what is another's. One site is named in the filter; of several the topic's second level is looked at.

    Args:
        selected: what follows SELECT.
        topic_filter: of topics of any site: its second level is `+`.
        sites: whose messages are taken; None: of all.
        condition: what follows WHERE; empty if there is none.
    """
    conditions = [condition] if condition else []
    if sites is not None and len(sites) == 1:
        root, _, rest = topic_filter.split("/", 2)
        topic_filter = f"{root}/{sites[0]}/{rest}"
    elif sites is not None:
        # Compared as a whole, since a pattern's `$` matches before a line break at the end, too.
        own = " OR ".join(f"topic(2) = '{site}'" for site in sorted(sites))
        conditions.insert(0, f"({own})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {selected} FROM '{topic_filter}'{where}"


def _held(topic_filter: str) -> dict[str, int]:
    return _HELD[len(topic_filter.split("/"))]
