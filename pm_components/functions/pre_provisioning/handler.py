"""AWS IoT's pre-provisioning hook: asked before a device that came with a claim becomes a thing.

Event and answer: "Pre-provisioning hooks", AWS IoT developer guide. AWS waits five seconds for the answer.
"""

import functools
import json
import logging
import os
from typing import Any

import boto3

from pm_components.functions.batches import count
from pm_components.functions.pre_provisioning.core import THING_NAME, decide
from pm_contracts.logs import one_line

log = logging.getLogger(__name__)


class _Enrolled(dict[str, bool]):
    """By thing name, whether it has a certificate; asked of AWS IoT when it is looked up."""

    def __missing__(self, thing_name: str) -> bool:
        return bool(_iot().list_thing_principals(thingName=thing_name)["principals"])


@functools.cache
def _iot() -> Any:
    return boto3.client("iot")


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    core_devices = json.loads(os.environ["CORE_DEVICES"])
    decision = decide(event.get("parameters", {}), event.get("certificatePem", ""), core_devices, _Enrolled())
    allowed = not decision.refusal
    count({"Provisioned" if allowed else "Refused": 1})
    if not allowed:
        claim = event.get("claimCertificateId", "unknown")
        client = one_line(str(event.get("clientId")))
        log.warning("refused (claim %s, client %s): %s", claim, client, one_line(decision.refusal))
        return {"allowProvisioning": False}
    return {"allowProvisioning": True, "parameterOverrides": {THING_NAME: decision.thing_name}}
