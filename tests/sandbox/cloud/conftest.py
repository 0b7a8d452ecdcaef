"""Fixtures that several tests of the emulated AWS share."""

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import paho.mqtt.client as mqtt
import pytest

from pm_sandbox.cloud import Cloud
from tests.waiting import eventually


class Account:
    """Makes things in the emulated account under names that no other test has."""

    def __init__(self, cloud: Cloud, directory: Path) -> None:
        self.cloud = cloud
        self.directory = directory
        self.prefix = f"t{uuid.uuid4().hex[:10]}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.cloud.region}:{self.cloud.account_id}:{resource}"

    def bucket(self, name: str = "bucket") -> str:
        bucket = f"{self.prefix}-{name}"
        self.cloud.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.cloud.region}
        )
        return bucket

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        s3 = self.cloud.client("s3")
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}

    def role(self, service: str, *allowed: tuple[str | list[str], str | list[str]], name: str = "") -> str:
        """The ARN of a role that `service` may assume and that allows the (actions, resources) given."""
        role = f"{self.prefix}-{name or service}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        made = self.cloud.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=document(statement))
        self.allow(role, *allowed)
        return str(made["Role"]["Arn"])

    def allow(self, role: str, *allowed: tuple[str | list[str], str | list[str]]) -> None:
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]
        if statements:
            self.cloud.client("iam").put_role_policy(
                RoleName=role.rsplit("/", 1)[-1], PolicyName="policy", PolicyDocument=document(*statements)
            )

    def client_of(self, role: str, service: str) -> Any:
        """A client of a service with the credentials of a role."""
        given = self.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.cloud.endpoint,
            region_name=self.cloud.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    def queue(self, name: str = "queue") -> str:
        return str(self.cloud.client("sqs").create_queue(QueueName=f"{self.prefix}-{name}")["QueueUrl"])

    def receive(self, queue: str) -> Any:
        """The next message of a queue, waited for."""
        sqs = self.cloud.client("sqs")
        messages = eventually(
            lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages"), f"a message in {queue}"
        )
        return json.loads(messages[0]["Body"])

    def device(self, thing: str, *topics: str, exclusive: bool = False, client: str = "") -> "Device":
        """A thing with a certificate that may connect as `client` (a policy resource) and publish to `topics`."""
        iot = self.cloud.client("iot")
        made = iot.create_keys_and_certificate(setAsActive=True)
        name = f"{self.prefix}-{thing}"
        iot.create_thing(thingName=name)
        allowed = [("iot:Connect", [self.arn("iot", f"client/{client or name}")])]
        allowed.append(("iot:Publish", [self.arn("iot", f"topic/{topic}") for topic in topics]))
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]
        iot.create_policy(policyName=name, policyDocument=document(*statements))
        iot.attach_policy(policyName=name, target=made["certificateArn"])
        kind = "EXCLUSIVE_THING" if exclusive else "NON_EXCLUSIVE_THING"
        iot.attach_thing_principal(thingName=name, principal=made["certificateArn"], thingPrincipalType=kind)
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        return Device(self.cloud, name, certificate, key)

    def connect_without_certificate(self) -> None:
        """Connect as nobody. Raises OSError or ConnectionError where the broker refuses."""
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.prefix, protocol=mqtt.MQTTv311)
        client.tls_set(str(self.cloud.certificate_authority))
        connected(client, self.cloud)

    def reading_stream(self, bucket: str, columns: dict[str, str]) -> str:
        """A delivery stream of records with a `site` to Parquet, table `reading` of a database of our own."""
        glue, database = self.cloud.client("glue"), self.prefix
        glue.create_database(DatabaseInput={"Name": database})
        glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": "reading",
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [{"Name": "site", "Type": "string"}, {"Name": "ingest_day", "Type": "string"}],
                "StorageDescriptor": {
                    "Location": f"s3://{bucket}/reading/",
                    "Columns": [{"Name": name, "Type": type_} for name, type_ in columns.items()],
                    "SerdeInfo": {
                        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    },
                },
            },
        )
        role = self.role(
            "firehose",
            ("s3:PutObject", f"arn:aws:s3:::{bucket}/*"),
            ("glue:GetTableVersions", self.arn("glue", f"table/{database}/reading")),
        )
        name = f"{self.prefix}-reading"
        self.cloud.client("firehose").create_delivery_stream(
            DeliveryStreamName=name,
            DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration=parquet_destination(role, bucket, database),
        )
        return name

    def delivered(self, stream: str, accepted: int) -> dict[str, int]:
        """The counts of a stream, once it has accepted so many records and is done with all of them."""
        eventually(
            lambda: self.counts(stream)["accepted"] >= accepted and self._done(stream), lambda: str(self.counts(stream))
        )
        return self.counts(stream)

    def counts(self, stream: str) -> dict[str, int]:
        return self.cloud.firehose_counts().get(stream, {"accepted": 0, "delivered": 0, "refused": 0})

    def _done(self, stream: str) -> bool:
        counts = self.counts(stream)
        return counts["accepted"] == counts["delivered"] + counts["refused"]


class Device:
    """A device with a certificate."""

    def __init__(self, cloud: Cloud, name: str, certificate: Path, key: Path) -> None:
        self.cloud, self.name = cloud, name
        self._certificate, self._key = certificate, key

    def connect(self, client_id: str = "") -> mqtt.Client:
        """A client that is connected. Raises ConnectionError where the broker refuses."""
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id or self.name, protocol=mqtt.MQTTv311)
        client.tls_set(str(self.cloud.certificate_authority), str(self._certificate), str(self._key))
        return connected(client, self.cloud)


def connected(client: mqtt.Client, cloud: Cloud) -> mqtt.Client:
    answers: list[Any] = []
    client.on_connect = lambda *arguments: answers.append(arguments[3])
    client.on_disconnect = lambda *arguments: answers.append(arguments[3])
    client.connect(cloud.mqtt_host, cloud.mqtt_port)
    client.loop_start()
    eventually(lambda: answers, "an answer")
    if answers[0].is_failure or answers[0].getName() == "Normal disconnection":
        client.loop_stop()
        raise ConnectionError(str(answers[0]))
    return client


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def parquet_destination(role: str, bucket: str, database: str) -> dict[str, Any]:
    """The destination of a stream that converts to the table `reading` of `database`."""
    query = [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{site:.site}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ]
    return {
        "RoleARN": role,
        "BucketARN": f"arn:aws:s3:::{bucket}",
        "Prefix": "reading/site=!{partitionKeyFromQuery:site}/ingest_day=!{timestamp:yyyy-MM-dd}/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        "DynamicPartitioningConfiguration": {"Enabled": True},
        "ProcessingConfiguration": {
            "Enabled": True,
            "Processors": [{"Type": "MetadataExtraction", "Parameters": query}],
        },
        "DataFormatConversionConfiguration": {
            "Enabled": True,
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
            "SchemaConfiguration": {"RoleARN": role, "DatabaseName": database, "TableName": "reading"},
        },
    }


@pytest.fixture
def account(cloud: Cloud, tmp_path: Path) -> Account:
    """The emulated account, to make things in."""
    return Account(cloud, tmp_path)
