"""The CloudWatch dashboards: what came, what waits, what failed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pm_components.functions.batches import METRIC_NAMESPACE

_WIDTH, _HEIGHT = 12, 6

#: The alerting functions' metrics, by what they count.
_COUNTED = (
    ("detector", ("Taken", "Repeated", "Late", "Alerts", "Failed")),
    (
        "forwarder",
        (
            "Forwarded", "Gathered", "Digested", "Repeated", "Deduplicated", "Late", "Outdated", "Flapping", "Flapped",
            "Settled", "Unsettled", "Acknowledged", "Escalated", "Needless", "Failed",
        ),
    ),
    ("announcer", ("Announced", "Failed")),
)  # fmt: skip
#: The function that starts the making of models.
START = "start"
_STARTS = ("Started", "AlreadyRunning", "CoolingDown", "Ignored", "Failed")


def alerting_dashboard_body(
    region: str, topic: str, queues: Mapping[str, Sequence[str]], functions: Mapping[str, str]
) -> str:
    """The dashboard of the alerting, JSON: "Dashboard body structure and syntax", CloudWatch API reference.

    Args:
        region: of the metrics.
        topic: name of the alert topic.
        queues: name of the queue and of its dead letters, by who works it off.
        functions: names of the functions by what they do.
    """
    waiting = [
        _widget(
            f"Waiting for the {word}, and its dead letters",
            region,
            [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name] for name in names],
            "Maximum",
        )
        for word, names in sorted(queues.items())
    ]
    ages = [
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue] for _, (queue, _) in sorted(queues.items())
    ]
    told = [
        ["AWS/SNS", metric, "TopicName", topic]
        for metric in ("NumberOfMessagesPublished", "NumberOfNotificationsDelivered", "NumberOfNotificationsFailed")
    ]
    return _body(
        [
            *waiting,
            _widget("Seconds that the oldest message has waited", region, ages, "Maximum"),
            *(_counted(region, word, functions[word], counts) for word, counts in _COUNTED),
            _widget("Told by the topic", region, told, "Sum"),
            *_functions(region, functions),
        ]
    )


def pipeline_dashboard_body(region: str, state_machine_arn: str, functions: Mapping[str, str]) -> str:
    """The dashboard of the making of models, JSON; see `alerting_dashboard_body`."""
    executions = [
        ["AWS/States", metric, "StateMachineArn", state_machine_arn]
        for metric in (
            "ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted",
        )
    ]  # fmt: skip
    times = [["AWS/States", "ExecutionTime", "StateMachineArn", state_machine_arn]]
    return _body(
        [
            _widget("Models made", region, executions, "Sum"),
            _widget("Milliseconds that it took", region, times, "Maximum"),
            _counted(region, START, functions[START], _STARTS),
            *_functions(region, functions),
        ]
    )


def _functions(region: str, functions: Mapping[str, str]) -> list[dict[str, Any]]:
    def of(metric: str) -> list[list[str]]:
        return [["AWS/Lambda", metric, "FunctionName", name] for _, name in sorted(functions.items())]

    return [
        _widget("Errors of the functions", region, of("Errors"), "Sum"),
        _widget("Milliseconds of the functions", region, of("Duration"), "Maximum"),
    ]


def _counted(region: str, word: str, function: str, counts: Sequence[str]) -> dict[str, Any]:
    metrics = [[METRIC_NAMESPACE, count, "FunctionName", function] for count in counts]
    return _widget(f"What the {word} did", region, metrics, "Sum")


def _body(widgets: list[dict[str, Any]]) -> str:
    """The widgets in two columns."""
    for index, widget in enumerate(widgets):
        widget |= {"x": index % 2 * _WIDTH, "y": index // 2 * _HEIGHT, "width": _WIDTH, "height": _HEIGHT}
    return json.dumps({"widgets": widgets}, sort_keys=True)


def _widget(title: str, region: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {"title": title, "region": region, "metrics": metrics, "stat": statistic, "period": 300},
    }
