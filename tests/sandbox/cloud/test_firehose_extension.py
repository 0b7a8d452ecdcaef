"""Firehose of the emulated AWS: batches, partitions, conversion, and the way of what is bad.

Not proved here: AWS's own buffering times, and its conversion of types that the lake does not use.
"""

import base64
import datetime as dt
import io
import json
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pm_contracts.tables import TABLES
from pm_sandbox.cloud import parquet_conversion
from tests.waiting import eventually

COLUMNS = {
    "device": "string",
    "event_time": "timestamp",
    "measurements": "struct<pollution:double,wnd_dir:string>",
    "top": "array<struct<measurement:string,change:double>>",
    "sequence": "bigint",
}
SCHEMA = pa.schema([pa.field(name, parquet_conversion.arrow_type(type_)) for name, type_ in COLUMNS.items()])


def record(site: str = "lindau", **fields: Any) -> bytes:
    good = {
        "site": site,
        "device": "air-1",
        "event_time": "2010-01-02T03:00:00Z",
        "measurements": {"pollution": 7, "wnd_dir": "NW"},
        "top": [{"measurement": "dew", "change": 0.5}],
        "sequence": 1,
    }
    return json.dumps(good | fields).encode() + b"\n"


def test_conversion_keeps_types_and_order() -> None:
    body, refused = parquet_conversion.convert([record(sequence=1), record(sequence=2, top=[])], SCHEMA)
    assert refused == []
    table = pq.read_table(io.BytesIO(body))
    assert table.schema.equals(SCHEMA)
    assert [row["sequence"] for row in table.to_pylist()] == [1, 2]
    assert table.to_pylist()[0] == {
        "device": "air-1",
        "event_time": dt.datetime(2010, 1, 2, 3),
        "measurements": {"pollution": 7.0, "wnd_dir": "NW"},
        "top": [{"measurement": "dew", "change": 0.5}],
        "sequence": 1,
    }


@pytest.mark.parametrize(
    "bad",
    [
        b"nope",
        b"",
        b"[1]",
        b'{"device": "a"} {"device": "b"}',
        record(sequence=1.5),
        record(sequence="1"),
        record(device=7),
        record(event_time="yesterday"),
        record(measurements=3),
        b'{"device": "\xff"}',
        b'{"sequence": NaN}',
        b'{"device": ' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    ],
)
def test_a_bad_record_does_not_take_the_good_ones_with_it(bad: bytes) -> None:
    good = [record(sequence=number) for number in range(9)]
    body, refused = parquet_conversion.convert([*good[:4], bad, *good[4:]], SCHEMA)
    assert [index for index, _ in refused] == [4]
    assert refused[0][1]
    assert [row["sequence"] for row in pq.read_table(io.BytesIO(body)).to_pylist()] == list(range(9))


def test_a_line_break_inside_a_record_is_white_space() -> None:
    body, refused = parquet_conversion.convert([json.dumps(json.loads(record()), indent=1).encode()], SCHEMA)
    assert refused == []
    assert pq.read_table(io.BytesIO(body)).num_rows == 1


def test_every_column_of_the_lake_has_a_type() -> None:
    assert all(parquet_conversion.arrow_type(column.type) for table in TABLES for column in table.columns)
    with pytest.raises(ValueError, match=r"column type 'map<string,string>'"):
        parquet_conversion.arrow_type("map<string,string>")


def test_a_batch_becomes_one_object_a_partition(account: Any) -> None:
    bucket = account.bucket()
    stream = account.reading_stream(bucket, COLUMNS)
    first_day = dt.datetime.now(dt.UTC).date()
    sites = ["lindau", "bregenz", "lindau", "lindau"]
    answer = account.cloud.client("firehose").put_record_batch(
        DeliveryStreamName=stream, Records=[{"Data": record(site)} for site in sites]
    )
    assert answer["FailedPutCount"] == 0
    assert account.delivered(stream, 4) == {"accepted": 4, "delivered": 4, "refused": 0}
    objects = account.objects(bucket)
    folders = sorted(key.rsplit("/", 1)[0] for key in objects)
    assert folders in [
        [f"reading/site={site}/ingest_day={day}" for site in ("bregenz", "lindau")]
        for day in (first_day, dt.datetime.now(dt.UTC).date())
    ]
    assert sorted(pq.read_table(io.BytesIO(body)).num_rows for body in objects.values()) == [1, 3]


def test_bad_records_go_to_the_error_prefix_with_their_reason(account: Any) -> None:
    bucket = account.bucket()
    stream = account.reading_stream(bucket, COLUMNS)
    siteless, mistyped = b'{"device": "a"}', record(sequence="one")
    account.cloud.client("firehose").put_record_batch(
        DeliveryStreamName=stream, Records=[{"Data": data} for data in (record(), siteless, mistyped, b"no json")]
    )
    assert account.delivered(stream, 4) == {"accepted": 4, "delivered": 1, "refused": 3}
    errors = {key.split("/")[1]: body for key, body in account.objects(bucket, "errors/").items()}
    processing = [json.loads(line) for line in errors["processing-failed"].splitlines()]
    (conversion,) = [json.loads(line) for line in errors["format-conversion-failed"].splitlines()]
    assert [base64.b64decode(entry["rawData"]) for entry in processing] == [siteless, b"no json"]
    assert "partition key site" in processing[0]["errorMessage"]
    assert base64.b64decode(conversion["rawData"]) == mistyped
    assert "sequence" in conversion["errorMessage"]
    (body,) = account.objects(bucket, "reading/").values()
    assert pq.read_table(io.BytesIO(body)).num_rows == 1


def test_a_batch_that_cannot_be_written_is_kept_until_it_can(account: Any) -> None:
    bucket = account.bucket()
    stream = account.reading_stream(bucket, COLUMNS)
    role = f"{account.prefix}-firehose"
    account.allow(role, ("s3:GetObject", "*"))
    account.cloud.client("firehose").put_record(DeliveryStreamName=stream, Record={"Data": record()})
    eventually(lambda: f"{stream}: " in account.cloud.log_file.read_text(), "a failure in the log")
    assert account.counts(stream) == {"accepted": 1, "delivered": 0, "refused": 0}
    account.allow(role, (["s3:PutObject", "glue:GetTableVersions"], "*"))
    assert account.delivered(stream, 1)["delivered"] == 1
    assert len(account.objects(bucket)) == 1


def test_a_partition_that_cannot_be_written_holds_up_no_other_and_doubles_none(account: Any) -> None:
    bucket = account.bucket()
    stream = account.reading_stream(bucket, COLUMNS)
    # The emulated IAM's `*` does not go over a line break, so that this key is refused for good.
    poison = record("lindau\n")
    account.cloud.client("firehose").put_record_batch(
        DeliveryStreamName=stream, Records=[{"Data": data} for data in (record("bregenz"), poison, record("lindau"))]
    )
    eventually(lambda: account.counts(stream)["delivered"] == 2, lambda: str(account.counts(stream)))
    account.cloud.client("firehose").put_record(DeliveryStreamName=stream, Record={"Data": record("gera")})
    eventually(lambda: account.counts(stream)["delivered"] == 3, lambda: str(account.counts(stream)))
    assert account.counts(stream) == {"accepted": 4, "delivered": 3, "refused": 0}
    assert len(account.objects(bucket)) == 3


@pytest.mark.parametrize(("key", "told"), [("sts:ExternalId", True), ("aws:SourceAccount", False)])
def test_a_role_that_asks_for_what_firehose_does_not_tell_is_refused(account: Any, key: str, told: bool) -> None:
    stream = account.reading_stream(account.bucket(), COLUMNS)
    client = account.cloud.client("firehose")
    described = client.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
    good = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "firehose.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {key: account.cloud.account_id}},
    }
    account.cloud.client("iam").update_assume_role_policy(
        RoleName=good["RoleARN"].rsplit("/", 1)[-1],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    again = {"DeliveryStreamName": f"{stream}-2", "ExtendedS3DestinationConfiguration": good}
    if told:
        client.create_delivery_stream(**again)
        return
    with pytest.raises(botocore.exceptions.ClientError, match="Firehose is unable to assume role"):
        client.create_delivery_stream(**again)


def test_a_record_to_no_stream_is_an_error(account: Any) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="ResourceNotFoundException"):
        account.cloud.client("firehose").put_record(DeliveryStreamName="nowhere", Record={"Data": record()})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}}, "SizeInMBs must be at least 64"),
        ({"ErrorOutputPrefix": ""}, "ErrorOutputPrefix is required"),
        ({"Prefix": "reading/!{partitionKeyFromQuery:plant}/"}, "Prefix"),
        ({"Prefix": "reading/"}, "must name every partition key"),
        ({"S3BackupMode": "Enabled"}, "S3BackupMode"),
        ({"CompressionFormat": "ZIP"}, "CompressionFormat ZIP"),
        ({"CustomTimeZone": "Europe/Berlin"}, "CustomTimeZone Europe/Berlin"),
        ({"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda"}]}}, "processor Lambda"),
        ({"DataFormatConversionConfiguration": {"Enabled": True}}, "Parquet with SNAPPY"),
    ],
)
def test_a_stream_that_cannot_be_honoured_is_refused(account: Any, change: dict[str, Any], reason: str) -> None:
    stream = account.reading_stream(account.bucket(), COLUMNS)
    firehose = account.cloud.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
    good = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    firehose.create_delivery_stream(DeliveryStreamName=f"{stream}-2", ExtendedS3DestinationConfiguration=good)
    with pytest.raises(botocore.exceptions.ClientError, match=reason):
        firehose.create_delivery_stream(
            DeliveryStreamName=f"{stream}-3", ExtendedS3DestinationConfiguration=good | change
        )


def test_a_destination_is_changed_as_far_as_a_new_one_would_be_honoured(account: Any) -> None:
    bucket = account.bucket()
    stream, firehose = account.reading_stream(bucket, COLUMNS), account.cloud.client("firehose")

    def update(**change: Any) -> None:
        found = firehose.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
        firehose.update_destination(
            DeliveryStreamName=stream,
            CurrentDeliveryStreamVersionId=found["VersionId"],
            DestinationId=found["Destinations"][0]["DestinationId"],
            ExtendedS3DestinationUpdate=change,
        )

    update(Prefix="other/site=!{partitionKeyFromQuery:site}/at=!{timestamp:yyyy}/")
    firehose.put_record(DeliveryStreamName=stream, Record={"Data": record("lindau")})
    assert account.delivered(stream, 1)["delivered"] == 1
    assert {key.rpartition("/at=")[0] for key in account.objects(bucket)} == {"other/site=lindau"}
    for change, reason in (
        ({"Prefix": "reading/"}, "must name every partition key"),
        ({"DynamicPartitioningConfiguration": {"Enabled": False}}, "neither enabled nor disabled later"),
        ({"RoleARN": account.role("lambda")}, "unable to assume role"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=reason):
            update(**change)
