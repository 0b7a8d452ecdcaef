"""`AnalyticsStore`: what the sites publish becomes tables that anyone can query; what is refused is kept aside."""

import functools
from collections.abc import Sequence
from typing import Any, NotRequired, Optional

import pulumi
import pulumi_aws as aws

from pm_components.analytics_store.lake_replay import LakeDeadLetters, lake_replay
from pm_components.analytics_store.named_queries import NAMED_QUERIES
from pm_components.analytics_store.settings import AnalyticsStoreSettings, AnalyticsStoreSettingsArgs
from pm_components.aws import naming
from pm_components.aws.alarms import Metric, alarm
from pm_components.aws.buckets import Expiry, private_bucket
from pm_components.aws.checking import checked
from pm_components.aws.encryption_keys import data_key
from pm_components.aws.limits import (
    ATHENA_SCAN_LIMIT_MINIMUM_BYTES,
    DELIVERY_STREAM_NAME_LENGTH,
    DYNAMIC_PARTITIONING_BUFFER_MEBIBYTES,
)
from pm_components.aws.permissions import Statement, allow, service_role
from pm_components.aws.queues import dead_letter_queue
from pm_components.aws.rule_statements import accepted, refused
from pm_components.aws.settings import with_defaults
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.aws.topic_rules import SQL_VERSION, QueueAction, refusing_rule
from pm_contracts.tables import PARTITION_KEYS, TABLES, Table

_BUFFERING_SECONDS = 60
_RESULT_DAYS = 7
_LOG_RETENTION_DAYS = 30
_STALE_SECONDS = 15 * 60
_RESULTS = "athena-results/"
_ERRORS = "errors/"

_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


class AnalyticsStoreArgs(AnalyticsStoreSettingsArgs):
    """Arguments of `AnalyticsStore`."""

    sites: pulumi.Input[Sequence[pulumi.Input[str]]]
    """The names of the sites whose messages it keeps, and no others."""
    alarm_topic_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """SNS topics that hear of dead letters and of data that is stuck. By default only the console shows the alarms."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class AnalyticsStore(pulumi.ComponentResource):
    """A queryable lake: IoT rules -> Firehose (Parquet, partitions by site and day) -> S3 -> Glue tables -> Athena."""

    lake_bucket: pulumi.Output[str]
    """The bucket with the tables' data."""
    lake_bucket_arn: pulumi.Output[str]
    """Its ARN, for policies."""
    database: pulumi.Output[str]
    """The Glue database."""
    workgroup: pulumi.Output[str]
    """The Athena workgroup to ask in."""
    streams: pulumi.Output[dict[str, str]]
    """Name of the Firehose stream by table."""
    dead_letter_queue_url: pulumi.Output[str]
    """The queue of the messages that the rules could not deliver."""
    replay_function: pulumi.Output[str]
    """The Lambda function that gives the streams their dead letters again, once the cause is mended."""

    def __init__(self, name: str, args: AnalyticsStoreArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:AnalyticsStore", name, None, tagged_options(opts, "AnalyticsStore", args.get("ownership"))
        )
        self._name = name
        self._options = pulumi.ResourceOptions(parent=self)
        args = with_defaults(args, AnalyticsStoreSettings())
        self._alarm_topic_arns = args.get("alarm_topic_arns")
        disposable, retention_days = args["disposable"], args["retention_days"]

        self._key = data_key(name, parent=self, purpose="the lake") if args["customer_key"] else None
        key_arn = self._key.arn if self._key else None

        self._lake = private_bucket(
            f"{name}-lake",
            name,
            "lake",
            parent=self,
            expiries=[
                *(Expiry(table.name, f"{table.name}/", retention_days) for table in TABLES),
                Expiry("errors", _ERRORS, retention_days),
                Expiry("athena-results", _RESULTS, _RESULT_DAYS),
            ],
            disposable=disposable,
            key_arn=key_arn,
        )
        self._database = aws.glue.CatalogDatabase(
            f"{name}-database",
            name=naming.database_name(name, "lake"),
            description="Readings, forecasts, outcomes, fault scores and alerts of the sites",
            opts=self._options,
        )
        sites: pulumi.Output[Any] = pulumi.Output.from_input(args["sites"])
        joined = sites.apply(lambda names: ",".join(sorted(map(str, names))))
        tables = {table.name: self._table(table, joined, retention_days) for table in TABLES}
        streams = self._streams(tables)
        dead_letters = dead_letter_queue(
            f"{name}-rules", parent=self, alarm_topic_arns=self._alarm_topic_arns, key_arn=key_arn
        )
        self._rules(streams, dead_letters, sites)
        names = pulumi.Output.all(**{table: stream.name for table, stream in streams.items()})
        replay = lake_replay(
            LakeDeadLetters(name, self._lake, _ERRORS, dead_letters, streams, self._key),
            parent=self,
            alarm_topic_arns=self._alarm_topic_arns,
        )
        workgroup = self._workgroup(args["scan_limit_bytes"], disposable)

        self.lake_bucket = self._lake.bucket
        self.lake_bucket_arn = self._lake.arn
        self.database = self._database.name
        self.workgroup = workgroup.name
        self.streams = names
        self.dead_letter_queue_url = dead_letters.url
        self.replay_function = replay
        self.register_outputs(
            {
                "lake_bucket": self.lake_bucket,
                "lake_bucket_arn": self.lake_bucket_arn,
                "database": self.database,
                "workgroup": self.workgroup,
                "streams": self.streams,
                "dead_letter_queue_url": self.dead_letter_queue_url,
                "replay_function": self.replay_function,
            }
        )

    def _table(
        self, table: Table, sites: pulumi.Output[str], retention_days: pulumi.Input[int]
    ) -> aws.glue.CatalogTable:
        location = pulumi.Output.concat("s3://", self._lake.bucket, f"/{table.name}/")
        # Partition projection: Athena works the partitions out of the names, so no crawler has to find them.
        parameters: dict[str, pulumi.Input[str]] = {
            "classification": "parquet",
            "projection.enabled": "true",
            "projection.site.type": "enum",
            "projection.site.values": sites,
            "projection.ingest_day.type": "date",
            "projection.ingest_day.format": "yyyy-MM-dd",
            "projection.ingest_day.range": pulumi.Output.format("NOW-{0}DAYS,NOW", retention_days),
            "storage.location.template": pulumi.Output.concat(location, "site=${site}/ingest_day=${ingest_day}/"),
        }
        return aws.glue.CatalogTable(
            f"{self._name}-{table.name}-table",
            name=table.name,
            database_name=self._database.name,
            description=(table.message_type.__doc__ or "").split("\n")[0],
            table_type="EXTERNAL_TABLE",
            parameters=parameters,
            partition_keys=[{"name": key, "type": type_} for key, type_ in PARTITION_KEYS],
            storage_descriptor={
                "location": location,
                "input_format": _PARQUET_INPUT,
                "output_format": _PARQUET_OUTPUT,
                "ser_de_info": {"serialization_library": _PARQUET_SERDE},
                "columns": [
                    {"name": column.name, "type": column.type, "comment": column.comment} for column in table.columns
                ],
            },
            opts=self._options,
        )

    def _streams(self, tables: dict[str, aws.glue.CatalogTable]) -> dict[str, aws.kinesis.FirehoseDeliveryStream]:
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-delivery-logs",
            name=f"/aws/kinesisfirehose/{naming.physical_name(self._name, 'lake')}",
            retention_in_days=_LOG_RETENTION_DAYS,
            kms_key_id=self._key.arn if self._key else None,
            opts=self._options,
        )
        role = service_role(
            f"{self._name}-delivery", "firehose.amazonaws.com", self._delivery_statements(tables, logs), parent=self
        )
        return {table: self._stream(table, resource, role.arn, logs) for table, resource in tables.items()}

    def _delivery_statements(
        self, tables: dict[str, aws.glue.CatalogTable], logs: aws.cloudwatch.LogGroup
    ) -> list[Statement]:
        """The grants of Amazon Data Firehose for S3 with format conversion: "Controlling access", Firehose guide."""
        written = [f"{table}/" for table in tables] + [_ERRORS]
        return [
            allow(
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                [pulumi.Output.concat(self._lake.arn, f"/{prefix}*") for prefix in written],
            ),
            allow(["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], [self._lake.arn]),
            allow(
                ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
                [
                    naming.arn("glue", "catalog", self),
                    self._database.arn,
                    *(table.arn for table in tables.values()),
                ],
            ),
            allow(["logs:PutLogEvents"], [pulumi.Output.concat(logs.arn, ":log-stream:*")]),
        ]

    def _stream(
        self,
        table: str,
        resource: aws.glue.CatalogTable,
        role_arn: pulumi.Output[str],
        logs: aws.cloudwatch.LogGroup,
    ) -> aws.kinesis.FirehoseDeliveryStream:
        log_stream = aws.cloudwatch.LogStream(
            f"{self._name}-{table}-delivery-log", name=table, log_group_name=logs.name, opts=self._options
        )
        stream = aws.kinesis.FirehoseDeliveryStream(
            f"{self._name}-{table}-stream",
            name=naming.physical_name(self._name, table, maximum=DELIVERY_STREAM_NAME_LENGTH),
            destination="extended_s3",
            server_side_encryption={"enabled": True, "key_type": "CUSTOMER_MANAGED_CMK", "key_arn": self._key.arn}
            if self._key
            else {"enabled": True, "key_type": "AWS_OWNED_CMK"},
            extended_s3_configuration={
                "bucket_arn": self._lake.arn,
                "role_arn": role_arn,
                "prefix": f"{table}/site=!{{partitionKeyFromQuery:site}}/ingest_day=!{{timestamp:yyyy-MM-dd}}/",
                "error_output_prefix": f"{_ERRORS}{table}/!{{firehose:error-output-type}}/!{{timestamp:yyyy-MM-dd}}/",
                "buffering_size": DYNAMIC_PARTITIONING_BUFFER_MEBIBYTES,
                "buffering_interval": _BUFFERING_SECONDS,
                "dynamic_partitioning_configuration": {"enabled": True},
                "processing_configuration": {
                    "enabled": True,
                    "processors": [
                        {
                            "type": "MetadataExtraction",
                            "parameters": [
                                {"parameter_name": "JsonParsingEngine", "parameter_value": "JQ-1.6"},
                                {"parameter_name": "MetadataExtractionQuery", "parameter_value": "{site:.site}"},
                            ],
                        }
                    ],
                },
                "data_format_conversion_configuration": {
                    "enabled": True,
                    "input_format_configuration": {"deserializer": {"open_x_json_ser_de": {}}},
                    "output_format_configuration": {"serializer": {"parquet_ser_de": {"compression": "SNAPPY"}}},
                    "schema_configuration": {
                        "role_arn": role_arn,
                        "database_name": resource.database_name,
                        "table_name": resource.name,
                    },
                },
                "cloudwatch_logging_options": {
                    "enabled": True,
                    "log_group_name": logs.name,
                    "log_stream_name": log_stream.name,
                },
            },
            opts=self._options,
        )
        alarm(
            f"{self._name}-{table}-stale-alarm",
            naming.physical_name(self._name, table, "stale"),
            f"Data of {table} has been waiting for more than {_STALE_SECONDS // 60} minutes: read the delivery log.",
            Metric("AWS/Firehose", "DeliveryToS3.DataFreshness", {"DeliveryStreamName": stream.name}, "Maximum"),
            _STALE_SECONDS,
            self._alarm_topic_arns,
            parent=self,
        )
        return stream

    def _rules(
        self,
        streams: dict[str, aws.kinesis.FirehoseDeliveryStream],
        dead_letters: aws.sqs.Queue,
        sites: pulumi.Output[Any],
    ) -> None:
        role = service_role(
            f"{self._name}-rules",
            "iot.amazonaws.com",
            [
                allow(["firehose:PutRecord"], [stream.arn for stream in streams.values()]),
                allow(["sqs:SendMessage"], [dead_letters.arn]),
                *self._key_statements(),
            ],
            parent=self,
        )
        letters = QueueAction(dead_letters, role)
        for table in TABLES:
            for topic_filter in table.topic_filters:
                channel = topic_filter.rsplit("/", 1)[-1]
                aws.iot.TopicRule(
                    f"{self._name}-{table.name}-{channel}-rule",
                    name=naming.topic_rule_name(self._name, table.name, channel),
                    description=f"Messages on {channel} into the table {table.name}",
                    enabled=True,
                    sql=sites.apply(functools.partial(accepted, topic_filter, device_type=table.device_type)),
                    sql_version=SQL_VERSION,
                    firehoses=[
                        {
                            "delivery_stream_name": streams[table.name].name,
                            "role_arn": role.arn,
                            # In batch mode a record that Firehose refuses is not given to the error action.
                            "batch_mode": False,
                            "separator": "\n",
                        }
                    ],
                    error_action=letters.error_action,
                    opts=self._options,
                )
        for topic_filter, types in _device_types().items():
            sql = sites.apply(functools.partial(refused, topic_filter, device_types=types))
            refusing_rule(self._name, topic_filter.rsplit("/", 1)[-1], sql, letters, parent=self)

    def _key_statements(self) -> list[Statement]:
        """The grants to put messages into an encrypted queue; none if AWS's own key encrypts it."""
        return [allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._key.arn])] if self._key else []

    def _workgroup(self, scan_limit_bytes: pulumi.Input[int], disposable: pulumi.Input[bool]) -> aws.athena.Workgroup:
        workgroup = aws.athena.Workgroup(
            f"{self._name}-workgroup",
            name=naming.physical_name(self._name, "lake"),
            description="Questions to the lake; a query ends at the scan limit",
            force_destroy=disposable,
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": checked(scan_limit_bytes, checked_scan_limit),
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
                "result_configuration": {
                    "output_location": pulumi.Output.concat("s3://", self._lake.bucket, f"/{_RESULTS}"),
                    "encryption_configuration": {"encryption_option": "SSE_KMS", "kms_key_arn": self._key.arn}
                    if self._key
                    else {"encryption_option": "SSE_S3"},
                },
            },
            opts=self._options,
        )
        for query in NAMED_QUERIES:
            aws.athena.NamedQuery(
                f"{self._name}-{query.name}-query",
                name=query.name,
                description=query.description,
                workgroup=workgroup.name,
                database=self._database.name,
                query=query.statement,
                opts=self._options,
            )
        return workgroup


def _device_types() -> dict[str, list[str]]:
    """The types of device that the tables take, by topic filter; none where a channel has no types."""
    types: dict[str, list[str]] = {}
    for table in TABLES:
        for topic_filter in table.topic_filters:
            types.setdefault(topic_filter, []).extend([table.device_type] if table.device_type else [])
    return types


def checked_scan_limit(scan_limit_bytes: int) -> int:
    """`scan_limit_bytes`, where Athena takes it.

    Raises:
        ValueError: if it is below what Athena allows.
    """
    if scan_limit_bytes < ATHENA_SCAN_LIMIT_MINIMUM_BYTES:
        raise ValueError(
            f"scan_limit_bytes: found {scan_limit_bytes}, allowed are {ATHENA_SCAN_LIMIT_MINIMUM_BYTES} and more"
        )
    return scan_limit_bytes
