"""The exact registrations of `AnalyticsStore`.

Not proved here: that the emulator accepts it, that the permissions suffice and that data arrives (all three in
test_deployed_lake_and_alerting.py), that AWS accepts it, and that a release upgrades without replacing a resource.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pm_components.analytics_store.component import AnalyticsStore, AnalyticsStoreArgs
from pm_contracts.tables import TABLES

Record = Callable[[Any, str, Any], Any]

TABLE_NAMES = ["air_quality_reading", "machine_reading", "forecast", "outcome", "trial_outcome", "fault_score", "alert"]


def _store(record_component: Record, **args: Any) -> Any:
    return record_component(AnalyticsStore, "lake", AnalyticsStoreArgs(sites=["lindau", "bremen"], **args))


@pytest.fixture(scope="module")
def store(record_component: Record) -> Any:
    return _store(record_component)


def test_registers_exactly_these_resources(store: Any) -> None:
    assert [table.name for table in TABLES] == TABLE_NAMES
    assert store.counts() == {
        "pm:index:AnalyticsStore": 1,
        "aws:s3/bucket:Bucket": 1,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
        "aws:s3/bucketVersioning:BucketVersioning": 1,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
        "aws:s3/bucketPolicy:BucketPolicy": 1,
        "aws:glue/catalogDatabase:CatalogDatabase": 1,
        "aws:glue/catalogTable:CatalogTable": 7,
        "aws:cloudwatch/logGroup:LogGroup": 2,
        "aws:cloudwatch/logStream:LogStream": 7,
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": 7,
        "aws:iam/role:Role": 3,
        "aws:iam/rolePolicy:RolePolicy": 3,
        "aws:sqs/queue:Queue": 2,
        "aws:sqs/queuePolicy:QueuePolicy": 2,
        "aws:s3/bucketNotification:BucketNotification": 1,
        "aws:cloudwatch/eventRule:EventRule": 1,
        "aws:cloudwatch/eventTarget:EventTarget": 1,
        "aws:lambda/function:Function": 1,
        "aws:lambda/layerVersion:LayerVersion": 1,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 9,
        "aws:iot/topicRule:TopicRule": 16,
        "aws:athena/workgroup:Workgroup": 1,
        "aws:athena/namedQuery:NamedQuery": 7,
    }


def test_outputs_are_those_that_it_promises(store: Any) -> None:
    assert store.outputs == {
        "lake_bucket": "pm-test-lake-lake-123456789012",
        "lake_bucket_arn": "arn:of:lake-lake-bucket",
        "database": "pm_test_lake_lake",
        "workgroup": "pm-test-lake-lake",
        "streams": {table: f"pm-test-lake-{table.replace('_', '-')}" for table in TABLE_NAMES},
        "dead_letter_queue_url": "https://queue/lake-rules-dead-letters",
        "replay_function": "pm-test-lake-replay",
    }
    assert store.registered_outputs == {"lake": set(store.outputs)}


def test_a_rule_for_each_table_and_channel_takes_what_is_of_the_stacks_own_sites(store: Any) -> None:
    rules = store.of_type("aws:iot/topicRule:TopicRule")
    own = "(topic(2) = 'bremen' OR topic(2) = 'lindau') AND site = topic(2)"
    device = f"{own} AND device = topic(3)"
    refused = {"reading", "history", "forecast", "outcome", "trial", "fault", "alert"}
    sql = {inputs["name"]: inputs["sql"] for inputs in rules.values()}
    assert {name for name in sql if name.endswith("_refused")} == {f"pm_test_lake_{word}_refused" for word in refused}
    assert {name: text for name, text in sql.items() if not name.endswith("_refused")} == {
        **{
            f"pm_test_lake_{device_type}_reading_{channel}": (
                f"SELECT * FROM 'pm/+/+/{channel}' WHERE {device} AND device_type = '{device_type}'"
            )
            for device_type in ("air_quality", "machine")
            for channel in ("reading", "history")
        },
        "pm_test_lake_forecast_forecast": f"SELECT * FROM 'pm/+/+/forecast' WHERE {device}",
        "pm_test_lake_outcome_outcome": f"SELECT * FROM 'pm/+/+/outcome' WHERE {device}",
        "pm_test_lake_trial_outcome_trial": f"SELECT * FROM 'pm/+/+/trial' WHERE {device}",
        "pm_test_lake_fault_score_fault": f"SELECT * FROM 'pm/+/+/fault' WHERE {device}",
        "pm_test_lake_alert_alert": f"SELECT * FROM 'pm/+/alert' WHERE {own}",
    }
    reading = rules["lake-machine_reading-history-rule"]
    assert reading["firehoses"] == [
        {
            "deliveryStreamName": "pm-test-lake-machine-reading",
            "roleArn": "arn:of:lake-rules-role",
            "batchMode": False,
            "separator": "\n",
        }
    ]
    for inputs in rules.values():
        assert inputs["errorAction"] == {
            "sqs": {
                "queueUrl": "https://queue/lake-rules-dead-letters",
                "roleArn": "arn:of:lake-rules-role",
                "useBase64": False,
            }
        }


def test_streams_write_parquet_by_site_and_day(store: Any) -> None:
    streams = store.of_type("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream")
    assert set(streams) == {f"lake-{table}-stream" for table in TABLE_NAMES}
    inputs = streams["lake-outcome-stream"]
    assert inputs["destination"] == "extended_s3"
    assert inputs["extendedS3Configuration"] == {
        "bucketArn": "arn:of:lake-lake-bucket",
        "roleArn": "arn:of:lake-delivery-role",
        "prefix": "outcome/site=!{partitionKeyFromQuery:site}/ingest_day=!{timestamp:yyyy-MM-dd}/",
        "errorOutputPrefix": "errors/outcome/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
        "bufferingSize": 64,
        "bufferingInterval": 60,
        "dynamicPartitioningConfiguration": {"enabled": True},
        "processingConfiguration": {
            "enabled": True,
            "processors": [
                {
                    "type": "MetadataExtraction",
                    "parameters": [
                        {"parameterName": "JsonParsingEngine", "parameterValue": "JQ-1.6"},
                        {"parameterName": "MetadataExtractionQuery", "parameterValue": "{site:.site}"},
                    ],
                }
            ],
        },
        "dataFormatConversionConfiguration": {
            "enabled": True,
            "inputFormatConfiguration": {"deserializer": {"openXJsonSerDe": {}}},
            "outputFormatConfiguration": {"serializer": {"parquetSerDe": {"compression": "SNAPPY"}}},
            "schemaConfiguration": {
                "roleArn": "arn:of:lake-delivery-role",
                "databaseName": "pm_test_lake_lake",
                "tableName": "outcome",
            },
        },
        "cloudwatchLoggingOptions": {
            "enabled": True,
            "logGroupName": "/aws/kinesisfirehose/pm-test-lake-lake",
            "logStreamName": "outcome",
        },
    }


def test_tables_have_the_columns_of_the_messages_and_project_their_partitions(record_component: Record) -> None:
    tables = _store(record_component, retention_days=30).of_type("aws:glue/catalogTable:CatalogTable")
    assert {inputs["name"] for inputs in tables.values()} == set(TABLE_NAMES)
    inputs = tables["lake-alert-table"]
    assert inputs["partitionKeys"] == [{"name": "site", "type": "string"}, {"name": "ingest_day", "type": "string"}]
    assert [(column["name"], column["type"]) for column in inputs["storageDescriptor"]["columns"]] == [
        ("message_id", "string"),
        ("device", "string"),
        ("cause", "string"),
        ("severity", "string"),
        ("state", "string"),
        ("acknowledged", "boolean"),
        ("raised_at", "timestamp"),
        ("dedupe_key", "string"),
        ("text", "string"),
    ]
    assert inputs["parameters"] == {
        "classification": "parquet",
        "projection.enabled": "true",
        "projection.site.type": "enum",
        "projection.site.values": "bremen,lindau",
        "projection.ingest_day.type": "date",
        "projection.ingest_day.format": "yyyy-MM-dd",
        "projection.ingest_day.range": "NOW-30DAYS,NOW",
        "storage.location.template": (
            "s3://pm-test-lake-lake-123456789012/alert/site=${site}/ingest_day=${ingest_day}/"
        ),
    }


def test_roles_may_do_this_and_nothing_else(store: Any) -> None:
    (trust,) = store.statements("lake-rules-role", "assumeRolePolicy")
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "iot.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
    }
    (delivery,) = store.statements("lake-delivery-role", "assumeRolePolicy")
    assert delivery["Principal"] == {"Service": "firehose.amazonaws.com"}
    # Firehose tells no aws:SourceAccount.
    assert delivery["Condition"] == {"StringEquals": {"sts:ExternalId": "123456789012"}}
    assert store.statements("lake-rules-permissions") == [
        {
            "Effect": "Allow",
            "Action": ["firehose:PutRecord"],
            "Resource": [f"arn:of:lake-{table}-stream" for table in TABLE_NAMES],
        },
        {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["arn:of:lake-rules-dead-letters"]},
    ]
    assert store.statements("lake-delivery-permissions") == [
        {
            "Effect": "Allow",
            "Action": ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            "Resource": [f"arn:of:lake-lake-bucket/{prefix}/*" for prefix in [*TABLE_NAMES, "errors"]],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
            "Resource": ["arn:of:lake-lake-bucket"],
        },
        {
            "Effect": "Allow",
            "Action": ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            "Resource": [
                "arn:aws:glue:eu-central-1:123456789012:catalog",
                "arn:of:lake-database",
                *(f"arn:of:lake-{table}-table" for table in TABLE_NAMES),
            ],
        },
        {
            "Effect": "Allow",
            "Action": ["logs:PutLogEvents"],
            "Resource": ["arn:of:lake-delivery-logs:log-stream:*"],
        },
    ]


def test_the_lake_is_private_encrypted_versioned_and_forgets(record_component: Record) -> None:
    store = _store(record_component, retention_days=30)
    (bucket,) = store.of_type("aws:s3/bucket:Bucket").values()
    assert bucket["forceDestroy"] is False
    (block,) = store.of_type("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").values()
    assert block == {
        "bucket": "pm-test-lake-lake-123456789012",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert store.statements("lake-lake-policy") == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:of:lake-lake-bucket", "arn:of:lake-lake-bucket/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    (lifecycle,) = store.of_type("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").values()
    days = {rule["id"]: rule["expiration"]["days"] for rule in lifecycle["rules"] if "expiration" in rule}
    assert days == {**dict.fromkeys(TABLE_NAMES, 30), "errors": 30, "athena-results": 7}


def test_the_workgroup_is_enforced_and_ends_expensive_queries(store: Any) -> None:
    (workgroup,) = store.of_type("aws:athena/workgroup:Workgroup").values()
    assert workgroup["configuration"] == {
        "enforceWorkgroupConfiguration": True,
        "publishCloudwatchMetricsEnabled": True,
        "bytesScannedCutoffPerQuery": 10_000_000_000,
        "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
        "resultConfiguration": {
            "outputLocation": "s3://pm-test-lake-lake-123456789012/athena-results/",
            "encryptionConfiguration": {"encryptionOption": "SSE_S3"},
        },
    }


def test_alarms_tell_the_topics_that_they_are_given(record_component: Record) -> None:
    alarms = _store(record_component, alarm_topic_arns=["arn:topic"]).of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert {tuple(inputs["alarmActions"]) for inputs in alarms.values()} == {("arn:topic",)}
    assert {inputs["metricName"] for inputs in alarms.values()} == {
        "ApproximateNumberOfMessagesVisible",
        "DeliveryToS3.DataFreshness",
    }


def test_a_scan_limit_below_what_athena_takes_is_refused(record_component: Record) -> None:
    with pytest.raises(ValueError, match="scan_limit_bytes: found 5, allowed are 10485760 and more"):
        _store(record_component, scan_limit_bytes=5)


def test_what_streams_refuse_is_told_to_a_queue_by_the_object(store: Any) -> None:
    (rule,) = store.of_type("aws:cloudwatch/eventRule:EventRule").values()
    assert json.loads(rule["eventPattern"]) == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["pm-test-lake-lake-123456789012"]}, "object": {"key": [{"prefix": "errors/"}]}},
    }
    (target,) = store.of_type("aws:cloudwatch/eventTarget:EventTarget").values()
    assert target["arn"] == "arn:of:lake-refused-notices"
    assert target["deadLetterConfig"] == {"arn": "arn:of:lake-rules-dead-letters"}
    (allowed,) = store.statements("lake-refused-policy")
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:of:lake-refused-rule"}}
    below = [one for one in store.statements("lake-replay-permissions") if "s3:DeleteObject" in one["Action"]]
    assert [one["Resource"] for one in below] == [["arn:of:lake-lake-bucket/errors/*"]]


def test_a_customers_key_encrypts_whatever_keeps_data(record_component: Record) -> None:
    store = _store(record_component, customer_key=True)
    (key,) = store.of_type("aws:kms/key:Key").values()
    assert key["enableKeyRotation"] is True
    arn = "arn:of:lake-key"
    (encryption,) = store.of_type(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).values()
    (rule,) = encryption["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": arn}
    for stream in store.of_type("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream").values():
        assert stream["serverSideEncryption"] == {"enabled": True, "keyType": "CUSTOMER_MANAGED_CMK", "keyArn": arn}
    for queue in store.of_type("aws:sqs/queue:Queue").values():
        assert queue["kmsMasterKeyId"] == arn
        assert "sqsManagedSseEnabled" not in queue
    assert store.of_type("aws:cloudwatch/logGroup:LogGroup")["lake-delivery-logs"]["kmsKeyId"] == arn
    for role in ("lake-rules-permissions", "lake-replay-permissions"):
        uses = [one for one in store.statements(role) if "kms:GenerateDataKey" in one["Action"]]
        assert [one["Resource"] for one in uses] == [[arn]]
    through_s3 = next(one for one in store.statements("lake-key") if one.get("Sid") == "ThroughS3")
    assert through_s3["Condition"]["StringEquals"] == {
        "kms:CallerAccount": "123456789012",
        "kms:ViaService": "s3.eu-central-1.amazonaws.com",
    }
    # Of its own name EventBridge sends KMS no condition key, so that any condition would lose the notices.
    events = next(one for one in store.statements("lake-key") if one.get("Sid") == "Events")
    assert events["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in events
