"""`FaultAlerting`: faults, and forecasts that left the acceptable range, reach people as mail and as speech."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional, TypedDict

import msgspec
import pulumi
import pulumi_aws as aws

from pm_components import naming
from pm_components.buckets import Expiry, private_bucket
from pm_components.checking import checked
from pm_components.dashboard import dashboard_body
from pm_components.functions.announcer.core import PREFIX
from pm_components.functions.detector.core import Rule
from pm_components.lambda_function import contracts_layer, lambda_function
from pm_components.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM, TOPIC_RULE_NAME_LENGTH
from pm_components.permissions import (
    Statement,
    allow,
    deny_plain_transport,
    policy_document,
    service_role,
)
from pm_components.plain import plain_texts
from pm_components.queues import WorkQueue, dead_letter_queue, work_queue
from pm_components.tagging import tagged_options
from pm_contracts import topics

DEFAULT_VOICE = "Joanna"
DEFAULT_VOICE_ENGINE = "neural"
DEFAULT_ANNOUNCEMENT_DAYS = 90
DEFAULT_RULE = Rule(window=48, minimum_count=24, maximum_share=0.25, clear_share=0.15)

_TIMEOUT_SECONDS = 30
_KEY_DELETION_DAYS = 30


class DetectorArgs(TypedDict):
    """When the forecasts of a device have left the acceptable range."""

    window: NotRequired[pulumi.Input[int]]
    """How many outcomes are looked at, the latest by target time: 1 to 1,000. By default 48, two days of hours."""
    minimum_count: NotRequired[pulumi.Input[int]]
    """Outcomes before which nothing is said. By default 24."""
    maximum_share: NotRequired[pulumi.Input[float]]
    """Share of misses above which the alert is raised, 0 to 1. By default 0.25."""
    clear_share: NotRequired[pulumi.Input[float]]
    """Share of misses below which it is cleared, at most `maximum_share`. By default 0.15."""
    tolerance: NotRequired[pulumi.Input[float]]
    """Relative error above which a forecast is a miss, as 0.1. By default the forecast's own interval decides."""


class FaultAlertingArgs(TypedDict):
    """What a `FaultAlerting` needs to know."""

    emails: Sequence[str]
    """Addresses that get each alert; plain, since each makes a subscription that is named after it."""
    voice: NotRequired[pulumi.Input[str]]
    """Voice of Amazon Polly that speaks the announcements. By default Joanna."""
    voice_engine: NotRequired[pulumi.Input[str]]
    """Engine of Amazon Polly that the voice is of: standard, neural, long-form or generative. By default neural."""
    announcement_days: NotRequired[pulumi.Input[int]]
    """Days after which an announcement is deleted. By default 90."""
    detector: NotRequired[pulumi.Input[DetectorArgs]]
    """When forecasts have left the acceptable range."""
    disposable: NotRequired[pulumi.Input[bool]]
    """Whether destroying the stack deletes the announcements. By default a filled bucket stays and says so."""


class FaultAlerting(pulumi.ComponentResource):
    """Alerts of the sites and of the forecast detector -> SNS -> mail and announcements, each alert once."""

    topic_arn: pulumi.Output[str]
    """The SNS topic of all alerts; alarms on queues may use it too."""
    announcements_bucket: pulumi.Output[str]
    """The bucket with the recordings, below `announcements/{site}/{yyyy}/{mm}/{dd}/`."""
    detector_table: pulumi.Output[str]
    """The DynamoDB table with the detector's state by device."""
    dead_letter_queue_urls: pulumi.Output[list[str]]
    """Where what could not be worked off lies."""

    def __init__(self, name: str, args: FaultAlertingArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("pm:index:FaultAlerting", name, None, tagged_options(opts, "FaultAlerting"))
        self._name = name
        self._options = pulumi.ResourceOptions(parent=self)
        disposable = args.get("disposable", False)

        self._key = self._encryption_key()
        self._topic = self._alert_topic(plain_texts(args["emails"], "FaultAlerting.emails"))
        self._layer = contracts_layer(name, parent=self)
        queues = {word: self._queue(word) for word in ("detector", "forwarder", "announcer")}
        rule_dead_letters = self._rules(queues)
        detector_table = self._detector(queues["detector"], args.get("detector", DetectorArgs()))
        self._forwarder(queues["forwarder"])
        announcements = self._announcer(queues["announcer"], args, disposable)
        self._dashboard(queues)

        self.topic_arn = self._topic.arn
        self.announcements_bucket = announcements.bucket
        self.detector_table = detector_table.name
        self.dead_letter_queue_urls = pulumi.Output.all(
            rule_dead_letters.url, *(queue.dead_letters.url for queue in queues.values())
        )
        self.register_outputs(
            {
                "topic_arn": self.topic_arn,
                "announcements_bucket": self.announcements_bucket,
                "detector_table": self.detector_table,
                "dead_letter_queue_urls": self.dead_letter_queue_urls,
            }
        )

    def _encryption_key(self) -> aws.kms.Key:
        """The topic's key: that of AWS (`alias/aws/sns`) does not let CloudWatch alarms publish."""
        account = naming.account_id(self)
        root = pulumi.Output.concat("arn:", naming.partition(self), ":iam::", account, ":root")
        statements: list[Statement] = [
            {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"},
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
        ]
        key = aws.kms.Key(
            f"{self._name}-key",
            description="Encrypts the alert topic",
            enable_key_rotation=True,
            deletion_window_in_days=_KEY_DELETION_DAYS,
            policy=policy_document(statements),
            opts=self._options,
        )
        aws.kms.Alias(
            f"{self._name}-key-alias",
            name=f"alias/{naming.physical_name('alerts')}",
            target_key_id=key.key_id,
            opts=self._options,
        )
        return key

    def _alert_topic(self, emails: Sequence[str]) -> aws.sns.Topic:
        topic = aws.sns.Topic(
            f"{self._name}-topic",
            name=naming.physical_name("alerts"),
            kms_master_key_id=self._key.arn,
            opts=self._options,
        )
        alarms: Statement = {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic.arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": naming.account_id(self)}},
        }
        aws.sns.TopicPolicy(
            f"{self._name}-topic-policy",
            arn=topic.arn,
            policy=policy_document([alarms, deny_plain_transport("sns:Publish", [topic.arn])]),
            opts=self._options,
        )
        for email in emails:
            digest = hashlib.sha256(email.encode()).hexdigest()[:8]
            aws.sns.TopicSubscription(
                f"{self._name}-email-{digest}", topic=topic.arn, protocol="email", endpoint=email, opts=self._options
            )
        return topic

    def _queue(self, word: str) -> WorkQueue:
        return work_queue(f"{self._name}-{word}", _TIMEOUT_SECONDS, parent=self, alarm_topic_arns=[self._topic.arn])

    def _rules(self, queues: Mapping[str, WorkQueue]) -> aws.sqs.Queue:
        """Outcomes to the detector, the sites' alerts to the forwarder."""
        fed = {
            "detector": topics.device_topic("+", "+", topics.OUTCOME),
            "forwarder": topics.site_topic("+", topics.ALERT),
        }
        dead_letters = dead_letter_queue(f"{self._name}-rules", parent=self, alarm_topic_arns=[self._topic.arn])
        role = service_role(
            f"{self._name}-rules",
            "iot.amazonaws.com",
            [allow(["sqs:SendMessage"], [*(queues[word].queue.arn for word in fed), dead_letters.arn])],
            parent=self,
        )
        for word, topic_filter in fed.items():
            aws.iot.TopicRule(
                f"{self._name}-{word}-rule",
                name=naming.physical_name(self._name, word, maximum=TOPIC_RULE_NAME_LENGTH).replace("-", "_"),
                description=f"Messages on {topic_filter} to the {word}",
                enabled=True,
                sql=f"SELECT * FROM '{topic_filter}'",
                sql_version="2016-03-23",
                sqs=[{"queue_url": queues[word].queue.url, "role_arn": role.arn, "use_base64": False}],
                error_action={"sqs": {"queue_url": dead_letters.url, "role_arn": role.arn, "use_base64": False}},
                opts=self._options,
            )
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
    ) -> None:
        """The function that works off `queue`; what it refuses comes again, and in the end is a dead letter."""
        receive = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue.queue.arn])
        made = lambda_function(
            f"{self._name}-{word}",
            package,
            parent=self,
            description=description,
            statements=[receive, *statements],
            environment=environment,
            layers=[self._layer.arn],
            timeout_seconds=_TIMEOUT_SECONDS,
        )
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

    def _detector(self, queue: WorkQueue, detector: pulumi.Input[DetectorArgs]) -> aws.dynamodb.Table:
        table = aws.dynamodb.Table(
            f"{self._name}-detector-table",
            name=naming.physical_name("detector"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="detector",
            attributes=[{"name": "detector", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            opts=self._options,
        )
        alert_topics = naming.arn("iot", f"topic/{topics.site_topic('*', topics.ALERT)}", self)
        self._work_off(
            "detector",
            "detector",
            queue,
            description="Says when too many forecasts of a device left the acceptable range",
            statements=[
                allow(["dynamodb:GetItem", "dynamodb:PutItem"], [table.arn]),
                allow(["iot:Publish"], [alert_topics]),
            ],
            environment={
                "DETECTOR_TABLE": table.name,
                "DETECTOR_RULE": checked(detector, rule_text),
            },
            batch_size=500,
            batching_window_seconds=5,
        )
        return table

    def _forwarder(self, queue: WorkQueue) -> None:
        sent = aws.dynamodb.Table(
            f"{self._name}-sent-table",
            name=naming.physical_name("sent-alerts"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="message_id",
            attributes=[{"name": "message_id", "type": "S"}],
            ttl={"attribute_name": "expires_at", "enabled": True},
            opts=self._options,
        )
        self._work_off(
            "forwarder",
            "alert_forwarder",
            queue,
            description="Brings each alert of a site to the alert topic once",
            statements=[
                allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], [sent.arn]),
                allow(["sns:Publish"], [self._topic.arn]),
                allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._key.arn]),
            ],
            environment={"SENT_TABLE": sent.name, "TOPIC_ARN": self._topic.arn},
            batch_size=10,
            batching_window_seconds=0,
        )

    def _announcer(self, queue: WorkQueue, args: FaultAlertingArgs, disposable: pulumi.Input[bool]) -> aws.s3.Bucket:
        bucket = private_bucket(
            f"{self._name}-announcements",
            "announcements",
            parent=self,
            expiries=[Expiry(PREFIX, f"{PREFIX}/", args.get("announcement_days", DEFAULT_ANNOUNCEMENT_DAYS))],
            disposable=disposable,
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
            filter_policy=pulumi.Output.json_dumps({"kind": ["alert"]}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self._work_off(
            "announcer",
            "announcer",
            queue,
            description="Speaks each alert into a recording for the floor",
            statements=[
                allow(["polly:SynthesizeSpeech"], ["*"]),
                allow(["s3:PutObject"], [pulumi.Output.concat(bucket.arn, f"/{PREFIX}/*")]),
            ],
            environment={
                "VOICE": args.get("voice", DEFAULT_VOICE),
                "VOICE_ENGINE": args.get("voice_engine", DEFAULT_VOICE_ENGINE),
                "ANNOUNCEMENTS_BUCKET": bucket.bucket,
            },
            batch_size=5,
            batching_window_seconds=0,
        )
        return bucket

    def _dashboard(self, queues: Mapping[str, WorkQueue]) -> None:
        names = {word: pulumi.Output.all(queue.queue.name, queue.dead_letters.name) for word, queue in queues.items()}
        aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            dashboard_name=naming.physical_name("alerting"),
            dashboard_body=pulumi.Output.all(naming.region(self), pulumi.Output.all(**names)).apply(
                lambda known: dashboard_body(*known)
            ),
            opts=self._options,
        )


def rule_text(detector: Mapping[str, Any]) -> str:
    """The detector's rule as JSON: what is given, and the defaults for the rest.

    Raises:
        ValueError: where it is no rule; the text names the key, what was found and what is allowed.
    """
    given = {**msgspec.structs.asdict(DEFAULT_RULE), **detector}
    try:
        # Not strict: Pulumi hands whole numbers over as floats.
        rule = msgspec.convert(given, type=Rule, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"detector: {error}; found {dict(detector)}") from error
    return msgspec.json.encode(rule).decode()
