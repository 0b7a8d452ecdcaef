"""`FaultAlerting`: faults, and forecasts that left the acceptable range, reach people as mail and as speech."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional

import msgspec
import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.alarms import Metric, alarm
from pm_components.aws.buckets import Expiry, PrivateBucket, private_bucket
from pm_components.aws.checking import checked
from pm_components.aws.dashboard import alerting_dashboard_body
from pm_components.aws.lambda_function import contracts_layer, lambda_function
from pm_components.aws.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM
from pm_components.aws.permissions import Statement, allow, policy_document, service_role
from pm_components.aws.plain import plain_texts
from pm_components.aws.queues import WorkQueue, dead_letter_queue, work_queue
from pm_components.aws.rule_statements import accepted, refused
from pm_components.aws.settings import converted, with_defaults
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.aws.topic_rules import SQL_VERSION, QueueAction, refusing_rule
from pm_components.fault_alerting.alarm_life_cycle import alarm_life_cycle
from pm_components.fault_alerting.alert_topic import alert_topic
from pm_components.fault_alerting.settings import (
    DetectorArgs,
    DetectorSettings,
    FaultAlertingSettings,
    FaultAlertingSettingsArgs,
)
from pm_components.functions.alarm_keeper.core import ESCALATION
from pm_components.functions.announcer.core import PREFIX
from pm_components.functions.spoken_digest import DIGEST
from pm_contracts import topics
from pm_contracts.messages import Alert
from pm_contracts.site_devices import thing_name

#: Seconds that an alert may wait before that is an alarm itself.
ALERT_AGE_SECONDS = 300

_TIMEOUT_SECONDS = 30
# The words in the names of the resources, as stacks have them. Another physical name would replace table, queue and log
# group with all that they hold; an alias keeps a logical name alone.
_FORECAST_QUALITY = "detector"
_ALARM_KEEPER = "forwarder"


class FaultAlertingArgs(FaultAlertingSettingsArgs):
    """Arguments of `FaultAlerting`."""

    emails: NotRequired[Sequence[str]]
    """Addresses that get each alert; plain, since each makes a subscription that is named after it. By default none:
    who is to hear subscribes to `topic_arn`."""
    escalation_emails: NotRequired[Sequence[str]]
    """Addresses that get only what was escalated; plain, as `emails`. By default none: it goes to `emails` alone."""
    sites: NotRequired[Sequence[str]]
    """Names of the sites whose alerts and outcomes it hears, known while the program runs. By default all that the
    account and region has, which are those of other stacks, too."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class FaultAlerting(pulumi.ComponentResource):
    """Alerts of the sites and of the measured forecast quality -> SNS -> mail and announcements, each alert once."""

    topic_arn: pulumi.Output[str]
    """The SNS topic of all alerts; alarms on queues may use it too."""
    announcements_bucket: pulumi.Output[str]
    """The bucket with the recordings, below `announcements/{site}/{yyyy}/{mm}/{dd}/`."""
    detector_table: pulumi.Output[str]
    """The DynamoDB table with the forecast quality by device."""
    alarm_table: pulumi.Output[str]
    """The DynamoDB table with the alarms: state, severity, who has acknowledged."""
    alarm_queue_url: pulumi.Output[str]
    """The queue for acknowledgements: {site, dedupe_key, by, note}, with the message attribute `kind`."""
    dead_letter_queue_urls: pulumi.Output[list[str]]
    """The dead-letter queues."""

    def __init__(self, name: str, args: FaultAlertingArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:FaultAlerting", name, None, tagged_options(opts, "FaultAlerting", args.get("ownership"))
        )
        self._name = name
        self._options = pulumi.ResourceOptions(parent=self)
        args = with_defaults(args, FaultAlertingSettings())

        self._topic, self._key = alert_topic(
            name,
            plain_texts(args.get("emails", []), "FaultAlerting.emails"),
            plain_texts(args.get("escalation_emails", []), "FaultAlerting.escalation_emails"),
            [ESCALATION],
            parent=self,
        )
        self._layer = contracts_layer(f"{name}-alert", parent=self)
        self._functions: dict[str, pulumi.Output[str]] = {}
        queues = {word: self._queue(word) for word in (_FORECAST_QUALITY, _ALARM_KEEPER, "announcer")}
        sites = plain_texts(args["sites"], "FaultAlerting.sites") if "sites" in args else None
        rule_dead_letters = self._rules(queues, sites)
        detector_table = self._forecast_quality(queues[_FORECAST_QUALITY], args["detector"])
        alarm_table = self._alarm_keeper(queues[_ALARM_KEEPER], args)
        announcements = self._announcer(queues["announcer"], args)
        self._alarms(queues)
        self._dashboard(queues)

        self.topic_arn = self._topic.arn
        self.announcements_bucket = announcements.bucket
        self.detector_table = detector_table.name
        self.alarm_table = alarm_table.name
        self.alarm_queue_url = queues[_ALARM_KEEPER].queue.url
        self.dead_letter_queue_urls = pulumi.Output.all(
            rule_dead_letters.url, *(queue.dead_letters.url for queue in queues.values())
        )
        self.register_outputs({output: getattr(self, output) for output in FaultAlerting.__annotations__})

    def _queue(self, word: str) -> WorkQueue:
        return work_queue(f"{self._name}-{word}", _TIMEOUT_SECONDS, parent=self, alarm_topic_arns=[self._topic.arn])

    def _rules(self, queues: Mapping[str, WorkQueue], sites: Optional[Sequence[str]]) -> aws.sqs.Queue:
        """Outcomes to forecast quality, the sites' alerts to the alarm keeper."""
        fed = {
            _FORECAST_QUALITY: topics.device_topic("+", "+", topics.OUTCOME),
            _ALARM_KEEPER: topics.site_topic("+", topics.ALERT),
        }
        dead_letters = dead_letter_queue(f"{self._name}-alert-rules", parent=self, alarm_topic_arns=[self._topic.arn])
        role = service_role(
            f"{self._name}-alert-rules",
            "iot.amazonaws.com",
            [allow(["sqs:SendMessage"], [*(queues[word].queue.arn for word in fed), dead_letters.arn])],
            parent=self,
        )
        letters = QueueAction(dead_letters, role)
        for word, topic_filter in fed.items():
            aws.iot.TopicRule(
                f"{self._name}-{word}-rule",
                name=naming.topic_rule_name(self._name, word),
                description=f"Messages on {topic_filter} to the {word}",
                enabled=True,
                sql=accepted(topic_filter, sites),
                sql_version=SQL_VERSION,
                sqs=[QueueAction(queues[word].queue, role).action],
                error_action=letters.error_action,
                opts=self._options,
            )
            refusing_rule(self._name, word, refused(topic_filter, sites), letters, parent=self)
        return dead_letters

    def _work_off(
        self,
        word: str,
        package: str,
        queue: WorkQueue,
        *,
        description: str,
        statements: Sequence[Statement],
        environment: Mapping[str, pulumi.Input[str]],
        batch_size: int,
        batching_window_seconds: int,
        reserved_concurrency: Optional[pulumi.Input[int]] = None,
    ) -> None:
        """The function that works off `queue`; it makes dead letters of what it refuses, and what fails comes again."""
        receive = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue.queue.arn])
        made = lambda_function(
            f"{self._name}-{word}",
            package,
            parent=self,
            description=description,
            statements=[receive, allow(["sqs:SendMessage"], [queue.dead_letters.arn]), *statements],
            environment={**environment, "DEAD_LETTERS_URL": queue.dead_letters.url},
            layers=[self._layer.arn],
            timeout_seconds=_TIMEOUT_SECONDS,
            reserved_concurrency=reserved_concurrency,
        )
        self._functions[word] = made.function.name
        aws.lambda_.EventSourceMapping(
            f"{self._name}-{word}-source",
            event_source_arn=queue.queue.arn,
            function_name=made.function.arn,
            batch_size=batch_size,
            maximum_batching_window_in_seconds=batching_window_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximum_concurrency": SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM},
            opts=self._options,
        )

    def _forecast_quality(self, queue: WorkQueue, detector: pulumi.Input[DetectorArgs]) -> aws.dynamodb.Table:
        table = aws.dynamodb.Table(
            f"{self._name}-{_FORECAST_QUALITY}-table",
            name=naming.physical_name(self._name, _FORECAST_QUALITY),
            billing_mode="PAY_PER_REQUEST",
            hash_key="detector",
            attributes=[{"name": "detector", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            opts=self._options,
        )
        told = [
            naming.arn("iot", f"topic/{topic}", self)
            for topic in (topics.site_topic("*", topics.ALERT), topics.drift_topic("*"))
        ]
        self._work_off(
            _FORECAST_QUALITY,
            "forecast_quality",
            queue,
            description="Says when too many forecasts of a device left the acceptable range",
            statements=[
                allow(["dynamodb:GetItem", "dynamodb:PutItem"], [table.arn]),
                allow(["iot:Publish"], told),
                self._of_the_registry(),
            ],
            environment={
                "FORECAST_QUALITY_TABLE": table.name,
                "FORECAST_QUALITY_RULE": checked(detector, rule_text),
            },
            batch_size=500,
            batching_window_seconds=5,
        )
        return table

    def _alarm_keeper(self, queue: WorkQueue, args: FaultAlertingArgs) -> aws.dynamodb.Table:
        life_cycle = alarm_life_cycle(self._name, queue.queue, args["alarms"], parent=self)
        sent = aws.dynamodb.Table(
            f"{self._name}-sent-table",
            name=naming.physical_name(self._name, "sent-alerts"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="message_id",
            attributes=[{"name": "message_id", "type": "S"}],
            ttl={"attribute_name": "expires_at", "enabled": True},
            opts=self._options,
        )
        self._work_off(
            _ALARM_KEEPER,
            "alarm_keeper",
            queue,
            description="Keeps the alarms, and brings each alert to the alert topic, alone or in a digest",
            statements=[
                allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], [sent.arn]),
                allow(["sns:Publish"], [self._topic.arn]),
                allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._key.arn]),
                self._of_the_registry(),
                *life_cycle.statements,
            ],
            environment={"SENT_TABLE": sent.name, "TOPIC_ARN": self._topic.arn, **life_cycle.environment},
            # About 0.1 s each: a storm is through in minutes, and a batch ends long before the function's time does.
            batch_size=50,
            batching_window_seconds=1,
            reserved_concurrency=args.get("reserved_concurrency"),
        )
        return life_cycle.table

    def _of_the_registry(self) -> Statement:
        """The grant to look the sites' devices up."""
        return allow(["iot:DescribeThing"], [naming.arn("iot", f"thing/{thing_name('*', '*')}", self)])

    def _announcer(self, queue: WorkQueue, args: FaultAlertingArgs) -> PrivateBucket:
        bucket = private_bucket(
            f"{self._name}-announcements",
            self._name,
            "announcements",
            parent=self,
            expiries=[Expiry(PREFIX, f"{PREFIX}/", args["announcement_days"])],
            disposable=args["disposable"],
        )
        from_topic: Statement = {
            "Sid": "AlertTopic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.queue.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self._topic.arn}},
        }
        policy = aws.sqs.QueuePolicy(
            f"{self._name}-announcer-queue-policy",
            queue_url=queue.queue.url,
            policy=policy_document([from_topic]),
            opts=self._options,
        )
        aws.sns.TopicSubscription(
            f"{self._name}-announcer-subscription",
            topic=self._topic.arn,
            protocol="sqs",
            endpoint=queue.queue.arn,
            raw_message_delivery=True,
            # CloudWatch alarms come by the same topic, and are not for the floor.
            filter_policy=pulumi.Output.json_dumps({"kind": [Alert.kind, DIGEST]}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self._work_off(
            "announcer",
            "announcer",
            queue,
            description="Speaks each alert and digest into a recording for the floor",
            statements=[
                allow(["polly:SynthesizeSpeech"], ["*"]),
                allow(["s3:PutObject"], [pulumi.Output.concat(bucket.arn, f"/{PREFIX}/*")]),
            ],
            environment={
                "VOICE": args["voice"],
                "VOICE_ENGINE": args["voice_engine"],
                "VOICE_LANGUAGE": args["voice_language"],
                "ANNOUNCEMENTS_BUCKET": bucket.bucket,
            },
            batch_size=5,
            batching_window_seconds=0,
        )
        return bucket

    def _dashboard(self, queues: Mapping[str, WorkQueue]) -> None:
        names = {word: pulumi.Output.all(queue.queue.name, queue.dead_letters.name) for word, queue in queues.items()}
        body = pulumi.Output.all(
            naming.region(self), self._topic.name, pulumi.Output.all(**names), pulumi.Output.all(**self._functions)
        )
        aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            dashboard_name=naming.physical_name(self._name, "alerts"),
            dashboard_body=body.apply(lambda known: alerting_dashboard_body(*known)),
            opts=self._options,
        )

    def _alarms(self, queues: Mapping[str, WorkQueue]) -> None:
        """The alarms on silent failures: alerts that wait, and mails that are not delivered."""
        queue = {"QueueName": queues[_ALARM_KEEPER].queue.name}
        self._alarm(
            "waiting",
            "Alerts have waited for minutes and nobody was told: look at the forwarder's log.",
            Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", queue, "Maximum"),
            ALERT_AGE_SECONDS,
        )
        self._alarm(
            "not-delivered",
            "A notification did not reach a subscriber of the alert topic: look at its subscriptions.",
            Metric("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": self._topic.name}, "Sum"),
        )
        for word, name in self._functions.items():
            self._alarm(
                f"{word}-errors",
                f"The {word} has failed: read its log.",
                Metric("AWS/Lambda", "Errors", {"FunctionName": name}, "Sum"),
            )

    def _alarm(self, word: str, description: str, metric: Metric, threshold: int = 0) -> None:
        alarm(
            f"{self._name}-{word}-alarm",
            naming.physical_name(self._name, word),
            description,
            metric,
            threshold,
            [self._topic.arn],
            parent=self,
        )


def rule_text(detector: Mapping[str, Any]) -> str:
    """The rule of forecast quality as JSON: what is given, and the defaults for the rest.

    Raises:
        ValueError: if it is no rule; the text names the key, what was found and what is allowed.
    """
    return msgspec.json.encode(converted(detector, DetectorSettings, "detector")).decode()
