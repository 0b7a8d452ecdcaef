"""CloudWatch log groups and streams, alarms and dashboards."""

from sandbox.provider.inputs import Inputs, json_text, tag_list
from sandbox.provider.registry import ON_DELETION, Context, Made, handles


@handles("aws:cloudwatch/logGroup:LogGroup", skipDestroy=ON_DELETION)
def log_group(inputs: Inputs, context: Context) -> Made:
    """A log group with its retention."""
    client, name = context.client("logs"), inputs.need("name")
    client.create_log_group(
        logGroupName=name,
        tags=inputs.get("tags", {}),
        **inputs.renamed(kmsKeyId="kmsKeyId", logGroupClass="logGroupClass"),
    )
    if days := inputs.get("retentionInDays"):
        client.put_retention_policy(logGroupName=name, retentionInDays=days)
    return name, {"arn": context.arn("logs", f"log-group:{name}")}


@handles("aws:cloudwatch/logStream:LogStream")
def log_stream(inputs: Inputs, context: Context) -> Made:
    """A stream of a log group."""
    group, name = inputs.need("logGroupName"), inputs.need("name")
    context.client("logs").create_log_stream(logGroupName=group, logStreamName=name)
    return name, {"arn": context.arn("logs", f"log-group:{group}:log-stream:{name}")}


@handles("aws:cloudwatch/metricAlarm:MetricAlarm")
def metric_alarm(inputs: Inputs, context: Context) -> Made:
    """An alarm on one metric."""
    name = inputs.need("name")
    dimensions = [{"Name": key, "Value": value} for key, value in sorted(inputs.get("dimensions", {}).items())]
    context.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Dimensions=dimensions,
        Tags=tag_list(inputs),
        **inputs.renamed(
            actionsEnabled="ActionsEnabled",
            alarmActions="AlarmActions",
            alarmDescription="AlarmDescription",
            comparisonOperator="ComparisonOperator",
            datapointsToAlarm="DatapointsToAlarm",
            evaluationPeriods="EvaluationPeriods",
            extendedStatistic="ExtendedStatistic",
            insufficientDataActions="InsufficientDataActions",
            metricName="MetricName",
            namespace="Namespace",
            okActions="OKActions",
            period="Period",
            statistic="Statistic",
            threshold="Threshold",
            treatMissingData="TreatMissingData",
            unit="Unit",
        ),
    )
    return name, {"arn": context.arn("cloudwatch", f"alarm:{name}")}


@handles("aws:cloudwatch/dashboard:Dashboard")
def dashboard(inputs: Inputs, context: Context) -> Made:
    """A dashboard; it is kept, and nothing draws it."""
    name = inputs.need("dashboardName")
    context.client("cloudwatch").put_dashboard(
        DashboardName=name, DashboardBody=json_text(inputs.need("dashboardBody"))
    )
    arn = f"arn:aws:cloudwatch::{context.account_id}:dashboard/{name}"
    return name, {"dashboardArn": arn}
