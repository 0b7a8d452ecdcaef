"""The embedded cloud reads back what was sent, in AWS's form: alarms, queues, thing groups.

Each type of the provider is read back in `tests/sandbox/provider/test_lives.py` and `test_provider_calls.py`.
"""

import json
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from tests.sandbox.cloud.conftest import Account


def _over_query(cloud: Cloud) -> Any:
    """A client of CloudWatch that speaks the query protocol, as older SDKs do."""
    session = botocore.session.get_session()
    model = session.get_component("data_loader").load_service_model("cloudwatch", "service-2")
    model["metadata"] |= {"protocol": "query", "protocols": ["query"]}
    given = cloud.environment()
    return session.create_client(
        "cloudwatch",
        region_name=cloud.region,
        endpoint_url=cloud.endpoint,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize("statistic", [{"Statistic": "Sum"}, {"ExtendedStatistic": "p99"}])
def test_an_alarm_is_told_whole_over_each_protocol(cloud: Cloud, account: Account, statistic: dict[str, str]) -> None:
    topics = [cloud.client("sns").create_topic(Name=f"{account.prefix}-{name}")["TopicArn"] for name in "abc"]
    clients = [cloud.client("cloudwatch"), _over_query(cloud)]
    asked = {
        "AlarmName": f"{account.prefix}-alarm",
        "AlarmDescription": "a & <b>",
        "ActionsEnabled": False,
        "AlarmActions": topics[:1],
        "OKActions": topics[1:2],
        "InsufficientDataActions": topics[2:],
        "MetricName": "m",
        "Namespace": "n",
        "Dimensions": [{"Name": "QueueName", "Value": "q"}, {"Name": "other", "Value": "r"}],
        "Period": 120,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 1.5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "Unit": "Count",
        **statistic,
    }
    other = ({"Statistic", "ExtendedStatistic"} - set(statistic)).pop()
    for made_by in clients:
        made_by.put_metric_alarm(**asked, Tags=[{"Key": "Owner", "Value": "me"}])
        for read_by in clients:
            (told,) = read_by.describe_alarms(AlarmNames=[asked["AlarmName"]])["MetricAlarms"]
            assert {key: told.get(key) for key in asked} == asked
            assert other not in told
            tags = read_by.list_tags_for_resource(ResourceARN=told["AlarmArn"])["Tags"]
            assert tags == [{"Key": "Owner", "Value": "me"}]
        made_by.delete_alarms(AlarmNames=[asked["AlarmName"]])
    for client in clients:
        with pytest.raises(ClientError, match="aws:"):
            client.put_metric_alarm(**asked, Tags=[{"Key": "aws:x", "Value": "y"}])


def test_a_queue_tells_its_redrive_policy_in_aws_form_and_what_encrypts_it(cloud: Cloud, account: Account) -> None:
    sqs = cloud.client("sqs")

    def attributes(url: str) -> dict[str, str]:
        told: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return told

    dead = attributes(account.queue("dead"))["QueueArn"]
    url = account.queue("queue")
    for count in ("5", 6):
        asked = json.dumps({"maxReceiveCount": count, "deadLetterTargetArn": dead}, indent=1)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": asked})
        told = attributes(url)["RedrivePolicy"]
        assert told == f'{{"deadLetterTargetArn":"{dead}","maxReceiveCount":{count}}}'
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in attributes(url)

    assert attributes(url)["SqsManagedSseEnabled"] == "true"
    key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": key})
    assert (attributes(url)["KmsMasterKeyId"], attributes(url)["SqsManagedSseEnabled"]) == (key, "false")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": ""})
    assert "KmsMasterKeyId" not in attributes(url)


def test_a_thing_group_tells_no_attributes_where_it_has_none(cloud: Cloud, account: Account) -> None:
    iot, name = cloud.client("iot"), f"{account.prefix}-group"

    def properties() -> dict[str, Any]:
        told: dict[str, Any] = iot.describe_thing_group(thingGroupName=name)["thingGroupProperties"]
        return told

    iot.create_thing_group(thingGroupName=name)
    assert properties() == {}
    payload = {"attributePayload": {"attributes": {"a": "b"}}}
    for given in ({"thingGroupDescription": "d"}, {"thingGroupDescription": "d", **payload}):
        iot.update_thing_group(thingGroupName=name, thingGroupProperties=given)
        assert properties() == given
    iot.update_thing_group(
        thingGroupName=name,
        thingGroupProperties={"thingGroupDescription": "d", "attributePayload": {"attributes": {}}},
    )
    assert properties() == {"thingGroupDescription": "d"}
