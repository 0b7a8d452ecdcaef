"""The lake's dead letters with a customer's key, deployed with IAM enforced: kept, told of, and replayed.

Causes of refusal are made as they happen: a table whose type does not fit, a rule without permission. Not proved: what
Firehose and Athena ask AWS's KMS for beside the objects (`docs/sandbox.md`), nor EventBridge's own delays.
"""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pm_components.analytics_store.named_queries import NAMED_QUERIES
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements
from pm_contracts.messages import AirQualityReading, encode
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, deploy
from pm_sandbox.operator import Operator
from tests.waiting import eventually

PROGRAM = """
import pulumi
from pm_components.analytics_store.component import AnalyticsStore

store = AnalyticsStore("store", {"sites": ["lindau"], "customer_key": True})
for name in ("database", "workgroup", "lake_bucket", "dead_letter_queue_url", "replay_function"):
    pulumi.export(name, getattr(store, name))
"""
TABLE = "air_quality_reading"
START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


class Lake(NamedTuple):
    """A cloud with the store in it."""

    cloud: Cloud
    deployment: Deployment

    @property
    def operator(self) -> Operator:
        return Operator(self.cloud, self.deployment.outputs)

    def publish(self, *sequences: int) -> None:
        for sequence in sequences:
            measured = {**dict.fromkeys(AIR_QUALITY_MEASUREMENTS), "pollution": float(sequence)}
            message = AirQualityReading(
                site="lindau",
                device="air-1",
                sequence=sequence,
                event_time=START + dt.timedelta(hours=sequence),
                measurements=AirQualityMeasurements(**measured),
            )
            self.cloud.client("iot-data").publish(topic="pm/lindau/air-1/reading", qos=1, payload=encode(message))

    def depth(self, queue: str) -> int:
        sqs = self.cloud.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        key = "ApproximateNumberOfMessages"
        return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[key])["Attributes"][key])

    def refused(self) -> int:
        return sum(counts["refused"] for counts in self.cloud.firehose_counts().values())

    def errors(self) -> list[str]:
        found = self.cloud.client("s3").list_objects_v2(Bucket=self.deployment.outputs["lake_bucket"], Prefix="errors/")
        return [item["Key"] for item in found.get("Contents", [])]

    def sequences(self) -> set[int]:
        rows = self.operator.query(f"SELECT DISTINCT sequence FROM {TABLE}")
        return {row["sequence"] for row in rows}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    program: Path = tmp_path_factory.mktemp("program")
    (program / "Pulumi.yaml").write_text("name: pm\nruntime: python\n")
    (program / "Pulumi.test.yaml").write_text("config: {}\n")
    (program / "__main__.py").write_text(PROGRAM)
    with Cloud.start(tmp_path_factory.mktemp("lake-cloud")) as cloud:
        yield Lake(cloud, deploy(program, "test", cloud))


def test_what_a_table_did_not_take_is_told_and_replayed_once_the_table_is_mended(lake: Lake) -> None:
    glue, database = lake.cloud.client("glue"), lake.deployment.outputs["database"]
    table = glue.get_table(DatabaseName=database, Name=TABLE)["Table"]
    allowed = {"Name", "Description", "PartitionKeys", "Parameters", "StorageDescriptor", "TableType"}
    good = {key: value for key, value in table.items() if key in allowed}
    bad = json.loads(json.dumps(good))
    next(c for c in bad["StorageDescriptor"]["Columns"] if c["Name"] == "sequence")["Type"] = "timestamp"
    glue.update_table(DatabaseName=database, TableInput=bad)
    lake.publish(*range(20))
    # Of all of them, which may have come in more than one batch.
    eventually(lambda: lake.refused() == 20, "all to be refused")
    eventually(lambda: lake.depth("pm-test-store-refused-notices") == len(lake.errors()), "a notice of each object")
    glue.update_table(DatabaseName=database, TableInput=good)

    answer = lake.operator.replay_dead_letters()
    assert answer == {"replayed": {TABLE: 20}, "refused": {}, "complete": True}
    eventually(lambda: lake.sequences() == set(range(20)), "all readings in the lake")
    assert lake.errors() == []
    assert lake.depth("pm-test-store-refused-notices") == 0


def test_what_a_rule_could_not_hand_over_is_replayed(lake: Lake) -> None:
    iam, role = lake.cloud.client("iam"), "pm-test-store-rules"
    good = iam.get_role_policy(RoleName=role, PolicyName="permissions")["PolicyDocument"]
    bad = {**good, "Statement": [one for one in good["Statement"] if "firehose:PutRecord" not in one["Action"]]}
    iam.put_role_policy(RoleName=role, PolicyName="permissions", PolicyDocument=json.dumps(bad))
    eventually(lambda: lake.publish(100) or lake.depth("pm-test-store-rules-dead-letters"), "a dead letter")
    iam.put_role_policy(RoleName=role, PolicyName="permissions", PolicyDocument=json.dumps(good))
    # The emulator remembers a decision for up to a second.
    eventually(lambda: lake.publish(101) or 101 in lake.sequences(), "a reading to come through")
    waiting = lake.depth("pm-test-store-rules-dead-letters")
    assert lake.operator.replay_dead_letters("alert")["replayed"] == {}
    assert lake.depth("pm-test-store-rules-dead-letters") == waiting
    assert lake.operator.replay_dead_letters(TABLE)["replayed"] == {TABLE: waiting}
    eventually(lambda: 100 in lake.sequences(), "the replayed reading")
    assert lake.depth("pm-test-store-rules-dead-letters") == 0


def test_what_is_no_message_stays_and_says_why(lake: Lake) -> None:
    s3, bucket = lake.cloud.client("s3"), lake.deployment.outputs["lake_bucket"]
    lake.cloud.client("iot-data").publish(
        topic="pm/lindau/air-1/reading",
        qos=1,
        payload=b'{"device_type": "air_quality", "site": "lindau", "device": "air-1", "sequence": "x"}',
    )
    (key,) = eventually(lake.errors, "the refused record")
    eventually(lambda: lake.depth("pm-test-store-refused-notices"), "a notice")
    before = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    answer = lake.operator.replay_dead_letters()
    assert answer["replayed"] == {}
    assert answer["complete"]
    (reason,) = answer["refused"]
    assert "sequence" in reason or "missing" in reason
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == before
    # The alarm is on the queue's depth, and goes on while the object lies there.
    eventually(lambda: lake.depth("pm-test-store-refused-notices"), "a notice")


def test_the_customers_key_encrypts_all_of_it(lake: Lake) -> None:
    cloud, outputs = lake.cloud, lake.deployment.outputs
    (key,) = (one for one in lake.deployment.resources if one.type == "aws:kms/key:Key")
    arn = key.outputs["arn"]
    rules = cloud.client("s3").get_bucket_encryption(Bucket=outputs["lake_bucket"])
    (rule,) = rules["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}
    found = cloud.client("s3").list_objects_v2(Bucket=outputs["lake_bucket"], Prefix=f"{TABLE}/")["Contents"]
    head = cloud.client("s3").head_object(Bucket=outputs["lake_bucket"], Key=found[0]["Key"])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", arn)
    workgroup = cloud.client("athena").get_work_group(WorkGroup=outputs["workgroup"])["WorkGroup"]
    encryption = workgroup["Configuration"]["ResultConfiguration"]["EncryptionConfiguration"]
    assert encryption == {"EncryptionOption": "SSE_KMS", "KmsKey": arn}
    for queue in ("pm-test-store-refused-notices", "pm-test-store-rules-dead-letters"):
        sqs = cloud.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["KmsMasterKeyId"])["Attributes"]
        assert attributes == {"KmsMasterKeyId": arn}
    assert cloud.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


@pytest.mark.parametrize("query", [query.name for query in NAMED_QUERIES])
def test_the_named_queries_run_as_they_are_kept(lake: Lake, query: str) -> None:
    athena = lake.cloud.client("athena")
    ids = athena.list_named_queries(WorkGroup=lake.deployment.outputs["workgroup"])["NamedQueryIds"]
    kept = {
        one["Name"]: one["QueryString"] for one in (athena.get_named_query(NamedQueryId=i)["NamedQuery"] for i in ids)
    }
    assert isinstance(lake.operator.query(kept[query]), list)


def test_an_unknown_table_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(RuntimeError, match="table: found 'outcomes', allowed are air_quality_reading, alert"):
        lake.operator.replay_dead_letters("outcomes")
