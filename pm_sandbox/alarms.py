"""The alarms of a deployed environment: what a person sees of them, and taking one on."""

import json
from typing import Any, NamedTuple

from pm_components.functions.alarm_keeper.alarms import CLEARED
from pm_components.functions.alarm_keeper.core import ACKNOWLEDGEMENT
from pm_sandbox.cloud import Cloud


class AlarmRow(NamedTuple):
    """An alarm as the table has it."""

    site: str
    dedupe_key: str
    state: str
    severity: str
    raised_at: str
    acknowledged_by: str
    escalated: bool
    text: str

    @property
    def is_active(self) -> bool:
        """True if somebody should look after it: it is raised, or flaps and may be again at any moment."""
        return self.state != CLEARED


def alarms(cloud: Cloud, outputs: dict[str, Any]) -> list[AlarmRow]:
    """All alarms that are remembered: the active ones first, then by the time they were raised, the latest first."""
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=outputs["alarm_table"])
    rows = [_row(item) for page in pages for item in page["Items"]]
    rows.sort(key=lambda row: row.raised_at, reverse=True)
    return sorted(rows, key=lambda row: not row.is_active)


def acknowledge(cloud: Cloud, outputs: dict[str, Any], *, site: str, dedupe_key: str, by: str, note: str = "") -> None:
    """Say that someone has taken an alarm on; the others are told, and nobody is escalated to.

    Against AWS it is the same message: `aws sqs send-message`, by whoever may send to the queue.
    """
    body = {"site": site, "dedupe_key": dedupe_key, "by": by, "note": note}
    cloud.client("sqs").send_message(
        QueueUrl=outputs["alarm_queue_url"],
        MessageBody=json.dumps(body),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": ACKNOWLEDGEMENT}},
    )


def _row(item: dict[str, Any]) -> AlarmRow:
    site, _, dedupe_key = item["alarm"]["S"].partition("/")
    return AlarmRow(
        site=site,
        dedupe_key=dedupe_key,
        state=item["state"]["S"],
        severity=item["severity"]["S"],
        raised_at=item["raised_at"]["S"],
        acknowledged_by=item["acknowledged_by"]["S"],
        escalated=item["escalated"]["BOOL"],
        text=item["text"]["S"],
    )
