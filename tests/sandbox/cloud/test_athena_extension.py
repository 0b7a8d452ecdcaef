"""Athena of the emulated AWS: what it reads, unloads, refuses, and whom it asks for permission.

Not proved here: that Trino gives the same answer to each function; the dialects are sqlglot's.
"""

import io
import json
import time
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pm_components.analytics_store.named_queries import NAMED_QUERIES
from pm_contracts.tables import PARTITION_KEYS, TABLES
from pm_sandbox.cloud import query_engine
from pm_sandbox.cloud.query_engine import QueryRefused, Unload
from tests.waiting import eventually

COLUMNS = {"device": "string", "event_time": "timestamp", "measurements": "struct<pollution:double>"}


class Lake:
    """A table `reading`, with two files in it, and a workgroup."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.bucket = account.bucket()
        account.reading_stream(self.bucket, COLUMNS)
        account.cloud.client("athena").create_work_group(
            Name=account.prefix,
            Configuration={
                "EnforceWorkGroupConfiguration": True,
                "ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/results/"},
            },
        )

    def put(self, site: str, *pollution: float) -> None:
        types = [pa.string(), pa.timestamp("us"), pa.struct([("pollution", pa.float64())])]
        rows = [{"device": "air-1", "event_time": 3600 * 10**6, "measurements": {"pollution": p}} for p in pollution]
        schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), sink)
        key = f"reading/site={site}/ingest_day=2020-01-01/{time.time_ns()}.parquet"
        self.account.cloud.client("s3").put_object(Bucket=self.bucket, Key=key, Body=sink.getvalue())

    def ask(self, query: str, client: Any = None, **more: Any) -> dict[str, Any]:
        """The execution of a query, ended."""
        athena = client or self.account.cloud.client("athena")
        started = athena.start_query_execution(
            QueryString=query,
            WorkGroup=self.account.prefix,
            QueryExecutionContext={"Database": self.account.prefix},
            **more,
        )

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])
            execution: dict[str, Any] = found["QueryExecution"]
            return None if execution["Status"]["State"] in ("QUEUED", "RUNNING") else execution

        return eventually(ended, "the query to end")

    def rows(self, query: str) -> list[list[str | None]]:
        execution = self.ask(query)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        results = self.account.cloud.client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        return [[value.get("VarCharValue") for value in row["Data"]] for row in results["ResultSet"]["Rows"]]


@pytest.fixture
def lake(account: Any) -> Lake:
    lake = Lake(account)
    lake.put("lindau", 1.5, 2.5)
    lake.put("bregenz", 4.0)
    return lake


def test_it_reads_partitions_times_and_structs(lake: Lake) -> None:
    rows = lake.rows(
        "SELECT site, ingest_day, event_time, measurements.pollution, measurements FROM reading ORDER BY 4"
    )
    assert rows == [
        ["site", "ingest_day", "event_time", "pollution", "measurements"],
        ["lindau", "2020-01-01", "1970-01-01 01:00:00.000", "1.5", "{pollution=1.5}"],
        ["lindau", "2020-01-01", "1970-01-01 01:00:00.000", "2.5", "{pollution=2.5}"],
        ["bregenz", "2020-01-01", "1970-01-01 01:00:00.000", "4.0", "{pollution=4.0}"],
    ]


def test_what_comes_later_is_read_and_what_was_replaced_is_not(lake: Lake) -> None:
    assert lake.rows("SELECT count(*) FROM reading")[1] == ["3"]
    lake.put("lindau", 9.0)
    assert lake.rows("SELECT count(*), max(measurements.pollution) FROM reading")[1] == ["4", "9.0"]
    s3 = lake.account.cloud.client("s3")
    (bregenz,) = lake.account.objects(lake.bucket, "reading/site=bregenz/")
    keys = list(lake.account.objects(lake.bucket, "reading/site=lindau/"))
    s3.delete_object(Bucket=lake.bucket, Key=keys[0])
    s3.copy_object(Bucket=lake.bucket, Key=keys[1], CopySource=f"{lake.bucket}/{bregenz}")
    assert lake.rows("SELECT count(*), max(measurements.pollution) FROM reading")[1] == ["2", "4.0"]


def test_a_table_without_objects_has_its_columns(account: Any) -> None:
    rows = Lake(account).rows("SELECT device, measurements.pollution AS p, site FROM reading")
    assert rows == [["device", "p", "site"]]


def test_results_lie_where_the_workgroup_says(lake: Lake) -> None:
    elsewhere = {"OutputLocation": f"s3://{lake.bucket}/elsewhere/"}
    execution = lake.ask("SELECT 7 AS seven, null AS nothing", ResultConfiguration=elsewhere)
    (key, body), *more = lake.account.objects(lake.bucket, "results/").items()
    assert (key, more) == (f"results/{execution['QueryExecutionId']}.csv", [])
    assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://{lake.bucket}/{key}"
    assert body == b'"seven","nothing"\n"7",""\n'
    assert lake.account.objects(lake.bucket, "elsewhere/") == {}


def test_unload_writes_parquet_once(lake: Lake) -> None:
    statement = (
        "UNLOAD (SELECT device, event_time, measurements FROM reading WHERE site = 'lindau' ORDER BY event_time) "
        f"TO 's3://{lake.bucket}/export/' WITH (format = 'PARQUET', compression = 'SNAPPY')"
    )
    execution = lake.ask(statement)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    ((key, body),) = lake.account.objects(lake.bucket, "export/").items()
    table = pq.read_table(io.BytesIO(body))
    assert table.schema.names == ["device", "event_time", "measurements"]
    assert [row["measurements"]["pollution"] for row in table.to_pylist()] == [1.5, 2.5]
    manifest = execution["Statistics"]["DataManifestLocation"].removeprefix(f"s3://{lake.bucket}/")
    assert lake.account.objects(lake.bucket, manifest) == {manifest: f"s3://{lake.bucket}/{key}\n".encode()}
    again = lake.ask(statement)["Status"]
    assert (again["State"], "HIVE_PATH_ALREADY_EXISTS" in again["StateChangeReason"]) == ("FAILED", True)


def test_the_callers_role_needs_what_athena_does_in_its_name(lake: Lake) -> None:
    account, bucket, arn = lake.account, lake.bucket, lake.account.arn
    query = ("athena:*", arn("athena", f"workgroup/{account.prefix}"))
    catalog = ("glue:GetTable", [arn("glue", p) for p in ("catalog", "database/*", "table/*")])
    listing = ("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    reading = ("s3:GetObject", f"arn:aws:s3:::{bucket}/reading/*")
    writing = ("s3:PutObject", f"arn:aws:s3:::{bucket}/results/*")
    role = account.role("lambda", query)
    trust = {"Effect": "Allow", "Principal": {"AWS": account.cloud.account_id}, "Action": "sts:AssumeRole"}
    account.cloud.client("iam").update_assume_role_policy(
        RoleName=role.rsplit("/", 1)[-1], PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    keys = account.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    client = boto3.client(
        "athena",
        endpoint_url=account.cloud.endpoint,
        region_name=account.cloud.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    granted = [query]
    for missing in (catalog, listing, reading, writing):
        reason = lake.ask("SELECT count(*) FROM reading", client)["Status"]["StateChangeReason"]
        assert f"not authorized to perform: {missing[0]}" in reason
        granted.append(missing)
        account.allow(role, *granted)
    assert lake.ask("SELECT count(*) FROM reading", client)["Status"]["State"] == "SUCCEEDED"

    key = account.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    encryption = {"EncryptionOption": "SSE_KMS", "KmsKey": key}
    account.cloud.client("athena").update_work_group(
        WorkGroup=account.prefix,
        ConfigurationUpdates={"ResultConfigurationUpdates": {"EncryptionConfiguration": encryption}},
    )
    reason = lake.ask("SELECT count(*) FROM reading", client)["Status"]["StateChangeReason"]
    assert f"not authorized to perform: kms:GenerateDataKey on resource: {key}" in reason
    account.allow(role, *granted, (["kms:GenerateDataKey", "kms:Decrypt"], key))
    execution = lake.ask("SELECT count(*) FROM reading", client)
    assert execution["Status"]["State"] == "SUCCEEDED"
    result = execution["ResultConfiguration"]["OutputLocation"].removeprefix(f"s3://{bucket}/")
    assert account.cloud.client("s3").head_object(Bucket=bucket, Key=result)["SSEKMSKeyId"] == key


def test_the_named_queries_run_on_the_lakes_tables(account: Any) -> None:
    lake = Lake(account)
    for table in TABLES:
        account.cloud.client("glue").create_table(
            DatabaseName=account.prefix,
            TableInput={
                "Name": table.name,
                "PartitionKeys": [{"Name": name, "Type": type_} for name, type_ in PARTITION_KEYS],
                "StorageDescriptor": {
                    "Location": f"s3://{lake.bucket}/{table.name}/",
                    "Columns": [{"Name": column.name, "Type": column.type} for column in table.columns],
                    "SerdeInfo": {
                        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    },
                },
            },
        )
    for query in NAMED_QUERIES:
        assert len(lake.rows(query.statement)) == 1, query.name


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT list_sum(a) FROM reading", "function list_sum is not honoured"),
        ("SELECT 1 FROM nowhere", "TABLE_NOT_FOUND"),
        ("SELEC 1", "line 1:"),
        ("DELETE FROM reading", "only SELECT and UNLOAD are honoured here, not DELETE"),
        ("SELECT nothing FROM reading", "nothing"),
        ("SELECT 1 FROM other.db.reading", "catalog other"),
        ("UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'ORC')", "UNLOAD writes format 'PARQUET' here, not 'orc'"),
        ("UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'PARQUET', partitioned_by = ARRAY['a'])", "partitioned_by"),
    ],
)
def test_what_it_cannot_do_fails_with_the_reason(account: Any, query: str, reason: str) -> None:
    status = Lake(account).ask(query)["Status"]
    assert status["State"] == "FAILED"
    assert reason in status["StateChangeReason"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", "3"),
        ("date_diff('hour', timestamp '2020-01-01 00:00:00', timestamp '2020-01-02 01:00:00')", "25"),
        ("date_add('day', -1, timestamp '2020-01-01 00:00:00')", "2019-12-31 00:00:00.000"),
        ("date_trunc('hour', timestamp '2020-01-01 05:30:00')", "2020-01-01 05:00:00.000"),
        ("to_unixtime(timestamp '1970-01-01 00:01:00')", "60.0"),
        ("from_iso8601_timestamp('2020-01-01T00:00:00Z')", "2020-01-01 00:00:00.000 UTC"),
        ("approx_percentile(x, 0.5)", "2.0"),
        ("max_by(x, -x)", "1.0"),
        ("count_if(x > 1)", "2"),
        ("cardinality(array_agg(x))", "3"),
        ("element_at(array[5, 6], 2)", "6"),
        ("sum(x) FILTER (WHERE x < 3)", "3.0"),
        ("regexp_like('abc', 'b')", "true"),
        ("try_cast('x' AS double)", None),
        ("json_extract_scalar('{\"a\": 1}', '$.a')", "1"),
        ("split_part('a/b', '/', 2)", "b"),
        ("bool_or(is_nan(x))", "false"),
    ],
)
def test_functions_of_athena(expression: str, value: str | None) -> None:
    text = f"SELECT {expression} FROM (VALUES (1e0), (2e0), (3e0)) AS t(x)"
    result = query_engine.run(query_engine.translate(text, "db"), {})
    assert result.columns == ["_col0"]
    assert result.rows[0] == [value]


def test_names_are_folded_and_common_tables_are_no_tables() -> None:
    statement = query_engine.translate(
        "WITH a AS (SELECT * FROM Reading), b AS (SELECT * FROM a) SELECT * FROM b, X.Y", "db"
    )
    assert statement.tables == {("db", "reading"), ("x", "y")}
    unload = query_engine.translate("unload (select 1) to 's3://b/p' with (format='parquet');", "db").unload
    assert unload == Unload("b", "p/")
    with pytest.raises(QueryRefused, match="s3://BUCKET/PREFIX/"):
        query_engine.translate("UNLOAD (SELECT 1) TO 'b/p' WITH (format = 'PARQUET')", "db")
