"""A small program of many services, deployed by the real child process into a cloud of its own.

Not proved: that the project's own program deploys (see test_deploy_the_program.py), and what AWS itself would say.
"""

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, ResourceRecord, Step, deploy
from tests.waiting import eventually

PROGRAM = Path(__file__).parent / "programs" / "small"


class Deployed(NamedTuple):
    cloud: Cloud
    deployment: Deployment
    seen: list[Step]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with Cloud.start(tmp_path_factory.mktemp("small")) as cloud:
        seen: list[Step] = []
        yield Deployed(cloud, deploy(PROGRAM, "dev", cloud, {"greeting": "moin"}, seen.append), seen)


def _records(deployed: Deployed) -> dict[str, ResourceRecord]:
    return {record.name: record for record in deployed.deployment.resources}


def test_outputs_are_those_of_the_program(deployed: Deployed) -> None:
    outputs = deployed.deployment.outputs
    assert outputs["bucket"] == "small-000000000000"
    assert outputs["function"] == {
        "arn": "arn:aws:lambda:eu-central-1:000000000000:function:small-function",
        "names": ["a", "b"],
    }
    assert outputs["seconds"] == 30
    assert outputs["queue_url"] == f"{deployed.cloud.endpoint}/000000000000/small-queue"
    assert set(outputs) == {"bucket", "function", "seconds", "queue_url", "alias_arn"}


def test_each_resource_is_reported_as_it_is_made_and_recorded(deployed: Deployed) -> None:
    names = [step.name for step in deployed.seen]
    assert {step.operation for step in deployed.seen} == {"create"}
    assert sorted(names) == sorted(_records(deployed))
    assert len(names) == len(set(names)) == 28
    assert names.index("store-bucket") < names.index("store-versioning")
    assert names.index("queue") < names.index("mapping")


def test_records_hold_the_types_of_all_parents_and_what_was_asked_and_given(deployed: Deployed) -> None:
    records = _records(deployed)
    store, bucket = records["store"], records["store-bucket"]
    assert bucket.urn == "urn:pulumi:dev::small::small:index:Store$aws:s3/bucket:Bucket::store-bucket"
    assert bucket.parent == store.urn
    assert bucket.inputs == {"bucket": "small-000000000000", "tags": {"a": "b"}}
    assert bucket.outputs["arn"] == "arn:aws:s3:::small-000000000000"
    assert store.outputs == {"bucketName": "small-000000000000"}
    assert store.physical_id == ""
    assert records["function"].inputs["code"]["kind"] == "AssetArchive"


def test_resources_are_there_as_asked_for(deployed: Deployed) -> None:
    client = deployed.cloud.client
    assert client("s3").get_bucket_versioning(Bucket="small-000000000000")["Status"] == "Enabled"
    ttl = client("dynamodb").describe_time_to_live(TableName="small-table")["TimeToLiveDescription"]
    assert ttl == {"AttributeName": "expires", "TimeToLiveStatus": "ENABLED"}
    things = client("iot").list_things_in_thing_group(thingGroupName="small-group")["things"]
    assert things == ["small-thing"]
    rule = client("iot").get_topic_rule(ruleName="small_rule")["rule"]
    assert not rule["ruleDisabled"]
    assert set(rule["actions"][0]) == {"sqs"}
    assert rule["errorAction"]["sqs"]["queueUrl"].endswith("/small-dead")
    attributes = client("sqs").get_queue_attributes(
        QueueUrl=deployed.deployment.outputs["queue_url"], AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "180"
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 3


def test_what_only_this_program_asks_for_is_there_too(deployed: Deployed) -> None:
    client, urls = deployed.cloud.client, deployed.cloud.endpoint + "/000000000000/small-"
    attached = client("iam").list_attached_role_policies(RoleName="small-rule")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["small-policy"]
    ownership = client("s3").get_bucket_ownership_controls(Bucket="small-000000000000")["OwnershipControls"]
    assert ownership == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    statements = json.loads(client("lambda").get_policy(FunctionName="small-function")["Policy"])["Statement"]
    assert [statement["Principal"] for statement in statements] == [{"Service": "events.amazonaws.com"}]
    retries = client("lambda").get_function_event_invoke_config(FunctionName="small-function")
    assert retries["MaximumRetryAttempts"] == 1
    attributes = {
        name: client("sqs").get_queue_attributes(QueueUrl=urls + name, AttributeNames=["All"])["Attributes"]
        for name in ("dead", "spare")
    }
    assert json.loads(attributes["dead"]["RedriveAllowPolicy"])["redrivePermission"] == "byQueue"
    assert json.loads(attributes["spare"]["RedrivePolicy"])["maxReceiveCount"] == 2
    assert client("scheduler").get_schedule_group(Name="small-schedules")["State"] == "ACTIVE"
    targets = client("events").list_targets_by_rule(Rule="small-events")["Targets"]
    assert [target["Arn"] for target in targets] == ["arn:aws:sqs:eu-central-1:000000000000:small-spare"]
    assert client("iot").describe_provisioning_template(templateName="small-template")["enabled"]


def test_the_function_runs_with_its_archive_and_its_secret_environment(deployed: Deployed) -> None:
    client = deployed.cloud.client("lambda")
    answer = client.invoke(FunctionName="small-function", Payload=b'{"n": 1}')
    assert json.load(answer["Payload"]) == {"greeting": "moin", "event": {"n": 1}}
    with urllib.request.urlopen(client.get_function(FunctionName="small-function")["Code"]["Location"]) as archive:
        names = zipfile.ZipFile(io.BytesIO(archive.read())).namelist()
    assert [name for name in names if "__pycache__" not in name] == ["lib/handler.py", "lib/note.txt"]


def test_the_queue_feeds_the_function(deployed: Deployed) -> None:
    sqs, url = deployed.cloud.client("sqs"), deployed.deployment.outputs["queue_url"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def is_empty() -> bool:
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return set(left.values()) == {"0"}

    eventually(is_empty, "the function to take the message")


def test_the_deployment_can_be_read_again(deployed: Deployed) -> None:
    assert Deployment.load(deployed.cloud) == deployed.deployment


def test_a_secret_is_not_written_down(deployed: Deployed) -> None:
    assert _records(deployed)["function"].inputs["environment"]["variables"]["GREETING"] == "[secret]"
    for file in ("deployment.json", "deploy.log"):
        assert "moin" not in (deployed.cloud.directory / file).read_text()


def test_what_the_program_prints_is_in_the_log(deployed: Deployed) -> None:
    assert "a program may print" in (deployed.cloud.directory / "deploy.log").read_text()


def test_a_second_deployment_changes_nothing(deployed: Deployed) -> None:
    again = deploy(PROGRAM, "dev", deployed.cloud, {"greeting": "moin"})
    assert again.summary() == ["resources: 28 unchanged"]
    assert again.outputs == deployed.deployment.outputs
    assert {one.urn: one.outputs for one in again.resources} == {
        one.urn: one.outputs for one in deployed.deployment.resources
    }
