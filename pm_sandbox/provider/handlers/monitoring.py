"""CloudWatch log groups and streams, alarms and dashboards."""

from typing import Any

from pm_sandbox.provider.changes import CAMEL_MAP, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_list, tags_given, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, deletes, handles, puts, reads, updates

#: Pulumi's input of an alarm -> the argument of PutMetricAlarm, which is also the member of what describes it.
_ALARM = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}


@handles("aws:cloudwatch/logGroup:LogGroup", skipDestroy=ON_DELETION)
def log_group(inputs: Inputs, context: Context) -> Made:
    """A log group with its retention."""
    client, name = context.client("logs"), inputs.need("name")
    client.create_log_group(
        logGroupName=name,
        **tags_given(inputs),
        **inputs.renamed(kmsKeyId="kmsKeyId", logGroupClass="logGroupClass"),
    )
    if days := inputs.get("retentionInDays"):
        client.put_retention_policy(logGroupName=name, retentionInDays=days)
    return name, {"arn": context.arn("logs", f"log-group:{name}")}


@reads("aws:cloudwatch/logGroup:LogGroup")
def read_log_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A log group; 0 days of retention are for ever."""
    client = context.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=id_):
        for found in page["logGroups"]:
            if found["logGroupName"] == id_:
                tags = client.list_tags_for_resource(resourceArn=state["arn"])["tags"]
                settings = told(found, kmsKeyId="kmsKeyId", logGroupClass="logGroupClass")
                return {"name": id_, **settings, "retentionInDays": found.get("retentionInDays", 0), "tags": tags}
    return None


@updates("aws:cloudwatch/logGroup:LogGroup")
def update_log_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A log group's retention, key and tags."""
    client = context.client("logs")
    if changed(olds, news, "retentionInDays"):
        if days := news.get("retentionInDays"):
            client.put_retention_policy(logGroupName=id_, retentionInDays=days)
        else:
            client.delete_retention_policy(logGroupName=id_)
    if changed(olds, news, "kmsKeyId"):
        if key := news.get("kmsKeyId"):
            client.associate_kms_key(logGroupName=id_, kmsKeyId=key)
        else:
            client.disassociate_kms_key(logGroupName=id_)
    update_tags(olds, news, client.untag_resource, client.tag_resource, CAMEL_MAP, resourceArn=olds["arn"])
    return {}


@deletes("aws:cloudwatch/logGroup:LogGroup")
def delete_log_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A log group with what it holds, unless the program has it kept."""
    if not state.get("skipDestroy"):
        context.client("logs").delete_log_group(logGroupName=id_)


@handles("aws:cloudwatch/logStream:LogStream")
def log_stream(inputs: Inputs, context: Context) -> Made:
    """A stream of a log group."""
    group, name = inputs.need("logGroupName"), inputs.need("name")
    context.client("logs").create_log_stream(logGroupName=group, logStreamName=name)
    return name, {"arn": context.arn("logs", f"log-group:{group}:log-stream:{name}")}


@reads("aws:cloudwatch/logStream:LogStream")
def read_log_stream(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A stream, if its group has it."""
    group = state["logGroupName"]
    answer = context.client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=id_)
    names = {found["logStreamName"] for found in answer["logStreams"]}
    return {"logGroupName": group, "name": id_} if id_ in names else None


@deletes("aws:cloudwatch/logStream:LogStream")
def delete_log_stream(id_: str, state: dict[str, Any], context: Context) -> None:
    """A stream with what it holds."""
    context.client("logs").delete_log_stream(logGroupName=state["logGroupName"], logStreamName=id_)


@handles("aws:cloudwatch/metricAlarm:MetricAlarm")
def metric_alarm(inputs: Inputs, context: Context) -> Made:
    """An alarm on one metric."""
    name = inputs.need("name")
    context.client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=tag_list(inputs), **_alarm(inputs))
    return name, {"arn": context.arn("cloudwatch", f"alarm:{name}")}


def _alarm(inputs: Inputs) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in sorted(inputs.get("dimensions", {}).items())]
    return {"Dimensions": dimensions, **inputs.renamed(**_ALARM)}


@reads("aws:cloudwatch/metricAlarm:MetricAlarm")
def read_metric_alarm(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """An alarm with its tags."""
    client = context.client("cloudwatch")
    for found in client.describe_alarms(AlarmNames=[id_], AlarmTypes=["MetricAlarm"])["MetricAlarms"]:
        dimensions = {one["Name"]: one["Value"] for one in found.get("Dimensions", [])}
        tags = tags_of(client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"])
        return {"name": id_, **told(found, **_ALARM), "dimensions": dimensions, "tags": tags}
    return None


@updates("aws:cloudwatch/metricAlarm:MetricAlarm")
def update_metric_alarm(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """An alarm's settings, all at once; its tags are not set by that."""
    client = context.client("cloudwatch")
    if changed(olds, news, "dimensions", *_ALARM):
        client.put_metric_alarm(AlarmName=id_, **_alarm(news))
    update_tags(olds, news, client.untag_resource, client.tag_resource, ResourceARN=olds["arn"])
    return {}


@deletes("aws:cloudwatch/metricAlarm:MetricAlarm")
def delete_metric_alarm(id_: str, state: dict[str, Any], context: Context) -> None:
    """An alarm."""
    context.client("cloudwatch").delete_alarms(AlarmNames=[id_])


@puts("aws:cloudwatch/dashboard:Dashboard")
def dashboard(inputs: Inputs, context: Context) -> Made:
    """A dashboard; it is kept, and nothing draws it."""
    name = inputs.need("dashboardName")
    context.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=json_text(inputs.need("dashboardBody"))
    )
    arn = f"arn:aws:cloudwatch::{context.account_id}:dashboard/{name}"
    return name, {"dashboardArn": arn}


@reads("aws:cloudwatch/dashboard:Dashboard")
def read_dashboard(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A dashboard."""
    found = context.client("cloudwatch").get_dashboard(DashboardName=id_)
    return {"dashboardName": id_, "dashboardBody": found["DashboardBody"]}


@deletes("aws:cloudwatch/dashboard:Dashboard")
def delete_dashboard(id_: str, state: dict[str, Any], context: Context) -> None:
    """A dashboard."""
    context.client("cloudwatch").delete_dashboards(DashboardNames=[id_])
