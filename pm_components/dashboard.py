"""The CloudWatch dashboard of the alerting: what came, what waits, what failed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pm_components.functions.batches import METRIC_NAMESPACE

_WIDTH, _HEIGHT = 12, 6

#: What the functions count, by the dimension that they count under.
_COUNTED = (
    ("detector", ("Taken", "Repeated", "Late", "Alerts", "Failed")),
    ("alert-forwarder", ("Forwarded", "Repeated", "Failed")),
    ("announcer", ("Announced", "Failed")),
)


def dashboard_body(region: str, queues: Mapping[str, Sequence[str]]) -> str:
    """The dashboard as JSON: "Dashboard body structure and syntax", CloudWatch API reference.

    Args:
        region: of the metrics.
        queues: name of the queue and of its dead letters, by who works it off.
    """
    widgets = []
    for word, (queue, dead_letters) in sorted(queues.items()):
        waiting = [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name] for name in (queue, dead_letters)
        ]
        widgets.append(_widget(f"Waiting for the {word}, and its dead letters", region, waiting, "Maximum"))
    for function, counts in _COUNTED:
        metrics = [[METRIC_NAMESPACE, count, "Function", function] for count in counts]
        widgets.append(_widget(f"What the {function} did", region, metrics, "Sum"))
    for index, widget in enumerate(widgets):
        widget |= {"x": index % 2 * _WIDTH, "y": index // 2 * _HEIGHT, "width": _WIDTH, "height": _HEIGHT}
    return json.dumps({"widgets": widgets}, sort_keys=True)


def _widget(title: str, region: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {"title": title, "region": region, "metrics": metrics, "stat": statistic, "period": 300},
    }
