"""An alarm of CloudWatch as every component here makes one: as soon as a metric is above a threshold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

import pulumi
import pulumi_aws as aws

#: SNS topics that hear of an alarm; None: only the console shows it.
TopicArns = Optional[pulumi.Input[Sequence[pulumi.Input[str]]]]


class Metric(NamedTuple):
    """A metric, and the statistic of a period's values."""

    namespace: str
    name: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str


def alarm(
    name: str,
    physical_name: str,
    description: str,
    metric: Metric,
    threshold: float,
    topic_arns: TopicArns,
    *,
    parent: pulumi.Resource,
    period_seconds: int = 300,
) -> None:
    """The alarm `name`, which a metric without values does not raise.

    Args:
        name: logical name.
        physical_name: its name.
        description: what has happened, and what to do.
        metric: what is looked at.
        threshold: above which it is raised.
        topic_arns: SNS topics that hear of it.
        parent: the component that it belongs to.
        period_seconds: over which values are taken together.
    """
    aws.cloudwatch.MetricAlarm(
        name,
        name=physical_name,
        alarm_description=description,
        namespace=metric.namespace,
        metric_name=metric.name,
        dimensions=dict(metric.dimensions),
        statistic=metric.statistic,
        period=period_seconds,
        evaluation_periods=1,
        threshold=threshold,
        comparison_operator="GreaterThanThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=topic_arns,
        opts=pulumi.ResourceOptions(parent=parent),
    )
