"""Attributes of a queue as SQS tells them, and not as they were sent.

A redrive policy comes back without white space and with a number for its `maxReceiveCount`; an empty key is none; and a
queue without a key of KMS is under SQS's own ("Encryption at rest", Amazon SQS developer guide).
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import sqs

from pm_sandbox.cloud import seams

_Action = Callable[[dict[str, Any], str], dict[str, Any]]
_KEY, _OWN_KEY, _REDRIVE = "KmsMasterKeyId", "SqsManagedSseEnabled", "RedrivePolicy"


def _told(queue: dict[str, Any]) -> dict[str, str]:
    """The effect of the attributes that a queue was given."""
    attributes = queue["attributes"]
    if not attributes.get(_KEY):
        attributes.pop(_KEY, None)
    changed = {_OWN_KEY: "false" if attributes.get(_KEY) else str(attributes.get(_OWN_KEY, "true"))}
    if attributes.get(_REDRIVE):
        policy = json.loads(attributes[_REDRIVE])
        policy["maxReceiveCount"] = int(policy["maxReceiveCount"])
        changed[_REDRIVE] = json.dumps(policy, separators=(",", ":"), sort_keys=True)
    return changed


def _as_kept(get: _Action) -> _Action:
    def got(data: dict[str, Any], url: str) -> dict[str, Any]:
        queue = sqs._get_q(data.get("QueueUrl", url), "sqs:GetQueueAttributes")
        queue["attributes"].update(_told(queue))
        return get(data, url)

    return got


def install() -> None:
    """Bring a queue's attributes into their form before they are told."""
    seams.require(sqs, "_get_q", "url", "action")
    handlers = seams.require_value(sqs, "_HANDLERS", dict)
    handlers["GetQueueAttributes"] = _as_kept(seams.require(sqs, "_act_get_queue_attributes", "data", "qurl"))
