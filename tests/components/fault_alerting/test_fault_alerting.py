"""The exact registrations of `FaultAlerting`.

Not proved here: that the emulator accepts it, that the permissions suffice and that an alert arrives (all three in
test_deployed_lake_and_alerting.py), that AWS accepts it, and what the functions do (tests/components/functions).
"""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from pm_components.fault_alerting.component import FaultAlerting, FaultAlertingArgs, rule_text

Record = Callable[[Any, str, Any], Any]


def _alerting(record_component: Record, **args: Any) -> Any:
    given: FaultAlertingArgs = {"emails": ["shift@example.com", "office@example.com"], **args}  # type: ignore[typeddict-item]
    return record_component(FaultAlerting, "alerting", given)


@pytest.fixture(scope="module")
def alerting(record_component: Record) -> Any:
    return _alerting(record_component)


def test_registers_exactly_these_resources(alerting: Any) -> None:
    assert alerting.counts() == {
        "pm:index:FaultAlerting": 1,
        "aws:kms/key:Key": 1,
        "aws:kms/alias:Alias": 1,
        "aws:sns/topic:Topic": 1,
        "aws:sns/topicPolicy:TopicPolicy": 1,
        "aws:sns/topicSubscription:TopicSubscription": 3,
        "aws:sqs/queue:Queue": 7,
        "aws:sqs/queuePolicy:QueuePolicy": 1,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 9,
        "aws:cloudwatch/dashboard:Dashboard": 1,
        "aws:cloudwatch/logGroup:LogGroup": 3,
        "aws:iot/topicRule:TopicRule": 4,
        "aws:iam/role:Role": 5,
        "aws:iam/rolePolicy:RolePolicy": 5,
        "aws:lambda/layerVersion:LayerVersion": 1,
        "aws:lambda/function:Function": 3,
        "aws:lambda/eventSourceMapping:EventSourceMapping": 3,
        "aws:dynamodb/table:Table": 4,
        "aws:scheduler/scheduleGroup:ScheduleGroup": 1,
        "aws:s3/bucket:Bucket": 1,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
        "aws:s3/bucketVersioning:BucketVersioning": 1,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
        "aws:s3/bucketPolicy:BucketPolicy": 1,
    }


def test_outputs_are_those_that_it_promises(alerting: Any) -> None:
    assert alerting.outputs == {
        "topic_arn": "arn:of:alerting-topic",
        "announcements_bucket": "pm-test-alerting-announcements-123456789012",
        "detector_table": "pm-test-alerting-detector",
        "alarm_table": "pm-test-alerting-alarms",
        "alarm_queue_url": "https://queue/alerting-forwarder-queue",
        "dead_letter_queue_urls": [
            "https://queue/alerting-alert-rules-dead-letters",
            "https://queue/alerting-detector-dead-letters",
            "https://queue/alerting-forwarder-dead-letters",
            "https://queue/alerting-announcer-dead-letters",
        ],
    }
    assert alerting.registered_outputs == {"alerting": set(alerting.outputs)}


def test_people_and_the_announcer_hear_the_topic(alerting: Any) -> None:
    subscriptions = alerting.of_type("aws:sns/topicSubscription:TopicSubscription")
    mail = {inputs["endpoint"] for inputs in subscriptions.values() if inputs["protocol"] == "email"}
    assert mail == {"shift@example.com", "office@example.com"}
    assert subscriptions["alerting-announcer-subscription"] == {
        "topic": "arn:of:alerting-topic",
        "protocol": "sqs",
        "endpoint": "arn:of:alerting-announcer-queue",
        "rawMessageDelivery": True,
        "filterPolicy": '{"kind": ["alert", "digest"]}',
    }
    assert alerting.statements("alerting-announcer-queue-policy") == [
        {
            "Sid": "AlertTopic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "arn:of:alerting-announcer-queue",
            "Condition": {"ArnEquals": {"aws:SourceArn": "arn:of:alerting-topic"}},
        }
    ]


def test_a_subscription_keeps_its_name_when_another_address_goes(record_component: Record, alerting: Any) -> None:
    fewer = _alerting(record_component, emails=["office@example.com"])

    def by_address(recording: Any) -> dict[str, str]:
        subscriptions = recording.of_type("aws:sns/topicSubscription:TopicSubscription")
        return {inputs["endpoint"]: name for name, inputs in subscriptions.items()}

    assert by_address(fewer)["office@example.com"] == by_address(alerting)["office@example.com"]


def test_alarms_may_publish_to_the_encrypted_topic_and_do(alerting: Any) -> None:
    (topic,) = alerting.of_type("aws:sns/topic:Topic").values()
    assert topic["kmsMasterKeyId"] == "arn:of:alerting-key"
    account = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    _, key_for_alarms = alerting.statements("alerting-key")
    assert key_for_alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert key_for_alarms["Condition"] == account
    topic_for_alarms, tls_only = alerting.statements("alerting-topic-policy")
    assert (topic_for_alarms["Action"], topic_for_alarms["Condition"]) == ("sns:Publish", account)
    assert (tls_only["Effect"], tls_only["Action"]) == ("Deny", "sns:Publish")
    alarms = alerting.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
    watched = {(one["metricName"], *one["dimensions"].values()) for one in alarms.values()}
    assert watched == {
        *(
            ("ApproximateNumberOfMessagesVisible", f"pm-test-alerting-{word}-dead-letters")
            for word in ("alert-rules", "detector", "forwarder", "announcer")
        ),
        *(("Errors", f"pm-test-alerting-{word}") for word in ("detector", "forwarder", "announcer")),
        ("ApproximateAgeOfOldestMessage", "pm-test-alerting-forwarder"),
        ("NumberOfNotificationsFailed", "pm-test-alerting-alerts"),
    }
    assert all(inputs["alarmActions"] == ["arn:of:alerting-topic"] for inputs in alarms.values())


def test_rules_feed_forecast_quality_and_the_alarm_keeper(alerting: Any) -> None:
    rules = alerting.of_type("aws:iot/topicRule:TopicRule")
    taken = [inputs for inputs in rules.values() if not inputs["name"].endswith("_refused")]
    assert {inputs["name"]: (inputs["sql"], inputs["sqs"]) for inputs in taken} == {
        f"pm_test_alerting_{word}": (
            f"SELECT * FROM '{topic}' WHERE {own}",
            [
                {
                    "queueUrl": f"https://queue/alerting-{word}-queue",
                    "roleArn": "arn:of:alerting-alert-rules-role",
                    "useBase64": False,
                }
            ],
        )
        for word, topic, own in (
            ("detector", "pm/+/+/outcome", "site = topic(2) AND device = topic(3)"),
            ("forwarder", "pm/+/alert", "site = topic(2)"),
        )
    }
    for word in ("detector", "forwarder"):
        (action,) = rules[f"alerting-{word}-refused-rule"]["sqs"]
        assert action["queueUrl"] == "https://queue/alerting-alert-rules-dead-letters"
    for inputs in rules.values():
        assert inputs["errorAction"]["sqs"]["queueUrl"] == "https://queue/alerting-alert-rules-dead-letters"


def test_what_other_stacks_of_the_account_have_to_say_is_not_heard(record_component: Record) -> None:
    def heard(*sites: str) -> list[str]:
        rules = _alerting(record_component, sites=list(sites)).of_type("aws:iot/topicRule:TopicRule")
        return sorted(inputs["sql"].partition(" FROM ")[2] for inputs in rules.values())

    assert [sql.partition(" WHERE ")[0] for sql in heard("lindau")] == [
        *["'pm/lindau/+/outcome'"] * 2,
        *["'pm/lindau/alert'"] * 2,
    ]
    for sql in heard("lindau", "bremen"):
        assert " WHERE (topic(2) = 'bremen' OR topic(2) = 'lindau') AND " in sql


def test_each_work_queue_has_its_dead_letters_and_outlasts_its_function(alerting: Any) -> None:
    queues = alerting.of_type("aws:sqs/queue:Queue")
    functions = alerting.of_type("aws:lambda/function:Function")
    sources = alerting.of_type("aws:lambda/eventSourceMapping:EventSourceMapping")
    for word in ("detector", "forwarder", "announcer"):
        queue = queues[f"alerting-{word}-queue"]
        assert json.loads(queue["redrivePolicy"]) == {
            "deadLetterTargetArn": f"arn:of:alerting-{word}-dead-letters",
            "maxReceiveCount": 5,
        }
        assert queue["sqsManagedSseEnabled"] is True
        assert queue["visibilityTimeoutSeconds"] == 6 * functions[f"alerting-{word}-function"]["timeout"] == 180
        source = sources[f"alerting-{word}-source"]
        assert source["eventSourceArn"] == f"arn:of:alerting-{word}-queue"
        assert source["functionName"] == f"arn:of:alerting-{word}-function"
        assert source["functionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["scalingConfig"] == {"maximumConcurrency": 2}
    # More than ten records at once need a window: CreateEventSourceMapping, AWS Lambda API reference.
    for source in sources.values():
        assert source["batchSize"] <= 10 or source["maximumBatchingWindowInSeconds"] >= 1


def test_functions_may_do_this_and_nothing_else(alerting: Any) -> None:
    def beyond_log_and_queue(word: str) -> list[Any]:
        log, receive, *rest = alerting.statements(f"alerting-{word}-permissions")
        assert log == {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"arn:of:alerting-{word}-logs:*"],
        }
        assert receive == {
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": [f"arn:of:alerting-{word}-queue"],
        }
        put_aside, *others = [(statement["Action"], statement["Resource"]) for statement in rest]
        assert put_aside == (["sqs:SendMessage"], [f"arn:of:alerting-{word}-dead-letters"])
        return others

    registry = (["iot:DescribeThing"], ["arn:aws:iot:eu-central-1:123456789012:thing/*_*"])
    assert beyond_log_and_queue("detector") == [
        (["dynamodb:GetItem", "dynamodb:PutItem"], ["arn:of:alerting-detector-table"]),
        (
            ["iot:Publish"],
            [f"arn:aws:iot:eu-central-1:123456789012:topic/{topic}" for topic in ("pm/*/alert", "pm-cloud/*/drift")],
        ),
        registry,
    ]
    assert beyond_log_and_queue("forwarder") == [
        (["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], ["arn:of:alerting-sent-table"]),
        (["sns:Publish"], ["arn:of:alerting-topic"]),
        (["kms:Decrypt", "kms:GenerateDataKey"], ["arn:of:alerting-key"]),
        registry,
        (["dynamodb:GetItem", "dynamodb:PutItem"], ["arn:of:alerting-alarm-table"]),
        (
            ["dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:BatchWriteItem"],
            ["arn:of:alerting-digest-table"],
        ),
        (
            ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"],
            ["arn:aws:scheduler:eu-central-1:123456789012:schedule/pm-test-alerting-escalations/alarm-*"],
        ),
        (["iam:PassRole"], ["arn:of:alerting-escalation-role"]),
    ]
    assert beyond_log_and_queue("announcer") == [
        (["polly:SynthesizeSpeech"], ["*"]),
        (["s3:PutObject"], ["arn:of:alerting-announcements-bucket/announcements/*"]),
    ]


def test_functions_are_named_timed_and_have_a_log_that_forgets(alerting: Any) -> None:
    functions = alerting.of_type("aws:lambda/function:Function")
    assert {inputs["handler"] for inputs in functions.values()} == {
        f"pm_components.functions.{package}.handler.handle"
        for package in ("forecast_quality", "alarm_keeper", "announcer")
    }
    groups = alerting.of_type("aws:cloudwatch/logGroup:LogGroup").values()
    assert {inputs["name"]: inputs["retentionInDays"] for inputs in groups} == {
        f"/aws/lambda/{inputs['name']}": 30 for inputs in functions.values()
    }
    for inputs in functions.values():
        assert (inputs["runtime"], inputs["architectures"], inputs["timeout"]) == ("python3.11", ["x86_64"], 30)
        assert inputs["layers"] == ["arn:of:alerting-alert-contracts"]


def test_voice_language_and_engine_are_those_that_were_asked_for(record_component: Record, alerting: Any) -> None:
    def spoken_with(recording: Any) -> list[str]:
        variables = recording.of_type("aws:lambda/function:Function")["alerting-announcer-function"]["environment"]
        return [variables["variables"][name] for name in ("VOICE", "VOICE_LANGUAGE", "VOICE_ENGINE")]

    assert spoken_with(alerting) == ["Joanna", "", "neural"]
    asked = _alerting(record_component, voice="Aditi", voice_language="hi-IN", voice_engine="standard")
    assert spoken_with(asked) == ["Aditi", "hi-IN", "standard"]


def test_a_functions_archive_holds_its_package_and_what_it_imports(alerting: Any) -> None:
    archive = alerting.of_type("aws:lambda/function:Function")["alerting-detector-function"]["code"]
    shared = {path for path in archive.assets if path.count("/") < 3}
    assert {
        "pm_components/__init__.py",
        *(f"pm_components/functions/{name}.py" for name in ("__init__", "batches")),
    } <= shared
    assert set(archive.assets) - shared == {
        f"pm_components/functions/forecast_quality/{name}.py" for name in ("__init__", "core", "handler", "store")
    }
    layer = alerting.of_type("aws:lambda/layerVersion:LayerVersion")["alerting-alert-contracts"]["code"]
    assert {"python/pm_contracts/messages.py", "python/msgspec/__init__.py"} <= set(layer.assets)
    assert not any("__pycache__" in path for path in layer.assets)


def test_the_rule_of_forecast_quality_is_the_default_but_for_what_is_given(record_component: Record) -> None:
    alerting = _alerting(record_component, detector={"tolerance": 0.1, "window": pulumi.Output.from_input(100)})
    environment = alerting.of_type("aws:lambda/function:Function")["alerting-detector-function"]["environment"]
    assert json.loads(environment["variables"]["FORECAST_QUALITY_RULE"]) == {
        "window": 100,
        "minimum_count": 24,
        "maximum_share": 0.25,
        "clear_share": 0.15,
        "tolerance": 0.1,
    }


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ({"window": 0}, r"Expected `int` >= 1 - at `\$.window`"),
        ({"maximum_share": 1.5}, r"Expected `float` <= 1.0 - at `\$.maximum_share`"),
        ({"maximum_share": 0.1}, "clear_share 0.15 is above maximum_share 0.1"),
        ({"window": 10}, "minimum_count 24 is above window 10"),
        ({"windows": 10}, "unknown field `windows`"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_key(detector: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        rule_text(detector)


def test_a_single_address_in_place_of_a_list_is_refused(record_component: Record) -> None:
    with pytest.raises(TypeError, match=r"FaultAlerting.emails: found 'shift@example.com' \(str\)"):
        _alerting(record_component, emails="shift@example.com")


def test_the_dashboard_shows_each_queue_and_what_each_function_counted(alerting: Any) -> None:
    (dashboard,) = alerting.of_type("aws:cloudwatch/dashboard:Dashboard").values()
    widgets = json.loads(dashboard["dashboardBody"])["widgets"]
    assert len(widgets) == 10
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == 10
    metrics = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    assert ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "pm-test-alerting-detector"] in metrics
    assert ["PredictiveMaintenance", "Announced", "FunctionName", "pm-test-alerting-announcer"] in metrics
    assert ["AWS/Lambda", "Errors", "FunctionName", "pm-test-alerting-forwarder"] in metrics
    assert ["AWS/SNS", "NumberOfNotificationsFailed", "TopicName", "pm-test-alerting-alerts"] in metrics


def test_those_who_are_escalated_to_hear_nothing_else(record_component: Record) -> None:
    alerting = _alerting(record_component, escalation_emails=["boss@example.com"])
    subscriptions = alerting.of_type("aws:sns/topicSubscription:TopicSubscription").values()
    (boss,) = (inputs for inputs in subscriptions if inputs["endpoint"] == "boss@example.com")
    assert (boss["protocol"], json.loads(boss["filterPolicy"])) == ("email", {"kind": ["escalation"]})


def test_an_escalation_is_sent_by_a_role_that_may_do_nothing_else(alerting: Any) -> None:
    assert alerting.statements("alerting-escalation-permissions") == [
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["arn:of:alerting-forwarder-queue"]}
    ]
    (trust,) = alerting.statements("alerting-escalation-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    environment = alerting.of_type("aws:lambda/function:Function")["alerting-forwarder-function"]["environment"]
    assert environment["variables"]["SCHEDULE_ROLE_ARN"] == "arn:of:alerting-escalation-role"
    assert json.loads(environment["variables"]["ALARM_POLICY"]) == {
        "dedupe_seconds": 3600,
        "escalation_seconds": 900,
        "escalation_severities": ["critical"],
        "mail_limit": 20,
        "digest_seconds": 600,
    }


def test_executions_are_kept_for_alerts_where_asked(record_component: Record, alerting: Any) -> None:
    def reserved(recording: Any) -> dict[str, Any]:
        functions = recording.of_type("aws:lambda/function:Function")
        return {name: inputs.get("reservedConcurrentExecutions") for name, inputs in functions.items()}

    assert set(reserved(alerting).values()) == {None}
    kept = reserved(_alerting(record_component, reserved_concurrency=5))
    assert {name for name, number in kept.items() if number} == {"alerting-forwarder-function"}
