"""The key of an encrypted queue, topic or bucket is needed by each writer, also by a service in its own name.

Not proved here: which condition keys each service of AWS sends to KMS; what its documents say of that is cited in
`pm_sandbox.cloud.key_permissions`, and held equal to what the library's key policies ask for.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pm_components.aws.encryption_keys import KEY_USERS
from pm_sandbox.cloud.key_permissions import SENT_BY_SERVICE
from tests.sandbox.cloud.conftest import document
from tests.waiting import eventually

SEND = ["kms:GenerateDataKey", "kms:Decrypt"]


def service(principal: str, **condition: str) -> dict[str, Any]:
    """A statement that lets a service use a key, where the condition keys are as given."""
    statement: dict[str, Any] = {
        "Effect": "Allow", "Principal": {"Service": principal}, "Action": SEND, "Resource": "*",
    }  # fmt: skip
    return statement | ({"Condition": {"StringEquals": condition}} if condition else {})


def key(account: Any, *statements: dict[str, Any], delegates: bool = True) -> str:
    """The ARN of a key with these statements, that leaves the rest to the account's own policies unless told not to."""
    root = {"AWS": f"arn:aws:iam::{account.cloud.account_id}:root"}
    administers = ["kms:PutKeyPolicy", "kms:DescribeKey", "kms:DisableKey"]
    own = {"Effect": "Allow", "Principal": root, "Action": "kms:*" if delegates else administers, "Resource": "*"}
    made: str = account.cloud.client("kms").create_key(Policy=document(own, *statements))["KeyMetadata"]["Arn"]
    return made


def queue(account: Any, name: str, key_id: str = "", **allowed: Any) -> tuple[str, str]:
    """URL and ARN of a queue under a key, with a policy that lets a service in."""
    attributes = {"KmsMasterKeyId": key_id} if key_id else {}
    arn = account.arn("sqs", f"{account.prefix}-{name}")
    if allowed:
        attributes["Policy"] = document({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, **allowed})
    made = account.cloud.client("sqs").create_queue(QueueName=f"{account.prefix}-{name}", Attributes=attributes)
    return made["QueueUrl"], arn


def rule(account: Any, target: str, dead_letters: str = "") -> str:
    """The ARN of a rule on events of this test's own, to one target."""
    events = account.cloud.client("events")
    arn: str = events.put_rule(Name=account.prefix, EventPattern=json.dumps({"source": [account.prefix]}))["RuleArn"]
    more = {"DeadLetterConfig": {"Arn": dead_letters}} if dead_letters else {}
    events.put_targets(Rule=account.prefix, Targets=[{"Id": "target", "Arn": target, **more}])
    return arn


def put_event(account: Any) -> None:
    event = {"Source": account.prefix, "DetailType": "notice", "Detail": json.dumps({"size": 1})}
    assert account.cloud.client("events").put_events(Entries=[event])["FailedEntryCount"] == 0


EVENTS = {"Principal": {"Service": "events.amazonaws.com"}}


def test_a_notice_under_a_key_that_asks_for_the_account_of_eventbridge_is_lost(account: Any) -> None:
    shut = key(account, service("events.amazonaws.com", **{"aws:SourceAccount": account.cloud.account_id}))
    url, arn = queue(account, "notices", shut, **EVENTS)
    _, letters = queue(account, "letters", shut, **EVENTS)
    source = rule(account, arn, letters)
    put_event(account)
    eventually(lambda: account.cloud.undelivered().get(source) == 1, "a lost notice")
    assert f"an event of {source} is lost: events.amazonaws.com is not authorized to perform: kms:GenerateDataKey" in (
        account.cloud.log_file.read_text()
    )
    account.cloud.client("kms").put_key_policy(
        KeyId=shut,
        PolicyName="default",
        Policy=document(
            service("events.amazonaws.com"),
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account.cloud.account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
        ),
    )
    put_event(account)
    assert account.receive(url)["detail"] == {"size": 1}


def test_a_notice_that_is_refused_becomes_a_dead_letter_with_its_reason(account: Any) -> None:
    _, arn = queue(account, "notices", "alias/aws/sqs", **EVENTS)
    letters, letters_arn = queue(account, "letters", key(account, service("events.amazonaws.com")), **EVENTS)
    source = rule(account, arn, letters_arn)
    put_event(account)
    sqs = account.cloud.client("sqs")
    answer = sqs.receive_message(QueueUrl=letters, WaitTimeSeconds=10, MessageAttributeNames=["All"])
    (letter,) = answer["Messages"]
    assert json.loads(letter["Body"])["source"] == account.prefix
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert told["ERROR_CODE"] == "NO_PERMISSIONS"
    assert told["RULE_ARN"] == source
    assert "a key of AWS lets no other service in" in told["ERROR_MESSAGE"]
    assert source not in account.cloud.undelivered()


def test_a_queue_whose_policy_names_another_rule_takes_no_notice(account: Any) -> None:
    other = {"Condition": {"ArnEquals": {"aws:SourceArn": account.arn("events", "rule/other")}}}
    _, arn = queue(account, "notices", **EVENTS, **other)
    source = rule(account, arn)
    put_event(account)
    eventually(lambda: account.cloud.undelivered().get(source) == 1, "a lost notice")


def test_an_alarm_needs_the_topics_key_and_sends_the_account(account: Any) -> None:
    sns, cloudwatch = account.cloud.client("sns"), account.cloud.client("cloudwatch")
    condition = {"aws:SourceAccount": account.cloud.account_id}
    keys = {"told": key(account, service("cloudwatch.amazonaws.com", **condition)), "untold": key(account)}
    topics = {}
    for word, arn in keys.items():
        topics[word] = sns.create_topic(Name=f"{account.prefix}-{word}", Attributes={"KmsMasterKeyId": arn})["TopicArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topics[word],
        }
        sns.set_topic_attributes(TopicArn=topics[word], AttributeName="Policy", AttributeValue=document(allowed))
    url, arn = queue(account, "alarms", Principal={"Service": "sns.amazonaws.com"})
    sns.subscribe(TopicArn=topics["told"], Protocol="sqs", Endpoint=arn)
    for word, topic in topics.items():
        cloudwatch.put_metric_alarm(
            AlarmName=f"{account.prefix}-{word}", MetricName="m", Namespace="n", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", AlarmActions=[topic],
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=f"{account.prefix}-{word}", StateValue="ALARM", StateReason="test")
    assert json.loads(account.receive(url)["Message"])["AlarmName"] == f"{account.prefix}-told"
    lost = account.cloud.undelivered()
    assert lost[account.arn("cloudwatch", f"alarm:{account.prefix}-untold")] == 1
    assert account.arn("cloudwatch", f"alarm:{account.prefix}-told") not in lost


def test_a_role_needs_the_key_beside_the_queue(account: Any) -> None:
    delegating, strict = key(account), key(account, delegates=False)
    url, arn = queue(account, "queue", delegating)
    role = account.role("sqs", (["sqs:SendMessage", "sqs:ReceiveMessage"], [arn]))
    with pytest.raises(ClientError, match="not authorized to perform: kms:GenerateDataKey") as refused:
        account.client_of(role, "sqs").send_message(QueueUrl=url, MessageBody="{}")
    assert "KmsAccessDenied" in refused.value.response["Error"]["Code"]
    everything = (["sqs:SendMessage", "sqs:ReceiveMessage"], [arn]), (SEND, [delegating, strict])
    account.allow(role, *everything)
    account.client_of(role, "sqs").send_message(QueueUrl=url, MessageBody="{}")
    # A key whose policy leaves nothing to the account's own policies asks nobody's.
    account.cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": strict})
    with pytest.raises(ClientError, match="kms:Decrypt"):
        account.client_of(role, "sqs").receive_message(QueueUrl=url)
    account.cloud.client("kms").disable_key(KeyId=strict)
    with pytest.raises(ClientError, match="Disabled"):
        account.client_of(role, "sqs").receive_message(QueueUrl=url)


def test_a_rule_of_iot_needs_the_queues_key_by_its_role(account: Any) -> None:
    encrypts = key(account)
    url, arn = queue(account, "readings", encrypts)
    letters, letters_arn = queue(account, "letters")
    role = account.role("iot", ("sqs:SendMessage", [arn, letters_arn]))
    action = {"roleArn": role, "useBase64": False}
    account.cloud.client("iot").create_topic_rule(
        ruleName=account.prefix,
        topicRulePayload={
            "sql": f"SELECT * FROM '{account.prefix}'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"sqs": {"queueUrl": url, **action}}],
            "errorAction": {"sqs": {"queueUrl": letters, **action}},
        },
    )
    account.cloud.client("iot-data").publish(topic=account.prefix, qos=1, payload=b'{"size": 1}')
    (failure,) = account.receive(letters)["failures"]
    assert "kms:GenerateDataKey" in failure["errorMessage"]


def test_the_objects_of_a_bucket_are_read_and_written_through_s3_with_its_key(account: Any) -> None:
    through = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": SEND,
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": account.cloud.account_id,
                "kms:ViaService": f"s3.{account.cloud.region}.amazonaws.com",
            }
        },
    }
    bucket = account.bucket()
    role = account.role("s3", (["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*"))
    s3 = account.client_of(role, "s3")
    for encrypts, opens in ((key(account), False), (key(account, through), True)):
        account.cloud.client("s3").put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": encrypts}}
                ]
            },
        )
        account.cloud.client("s3").put_object(Bucket=bucket, Key="object", Body=b"there")
        if opens:
            s3.put_object(Bucket=bucket, Key="object", Body=b"mine")
            assert s3.get_object(Bucket=bucket, Key="object")["Body"].read() == b"mine"
            continue
        with pytest.raises(ClientError, match="kms:GenerateDataKey"):
            s3.put_object(Bucket=bucket, Key="object", Body=b"mine")
        with pytest.raises(ClientError, match="kms:Decrypt"):
            s3.get_object(Bucket=bucket, Key="object")
        # One that asks for S3's own key needs none, one that asks for a key needs that.
        s3.put_object(Bucket=bucket, Key="other", Body=b"mine", ServerSideEncryption="AES256")
        assert s3.get_object(Bucket=bucket, Key="other")["Body"].read() == b"mine"
        asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key(account)}
        with pytest.raises(ClientError, match=asked["SSEKMSKeyId"]):
            s3.put_object(Bucket=bucket, Key="other", Body=b"mine", **asked)


def test_a_log_group_needs_a_key_that_lets_cloudwatch_logs_in(account: Any) -> None:
    logs, name = account.cloud.client("logs"), f"/test/{account.prefix}"
    with pytest.raises(ClientError, match=r"logs\.eu-central-1\.amazonaws\.com is not authorized to perform: kms"):
        logs.create_log_group(logGroupName=name, kmsKeyId=key(account))
    uses = service("logs.eu-central-1.amazonaws.com") | {"Action": [*SEND, "kms:Encrypt"]}
    uses["Condition"] = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", "*")}}
    logs.create_log_group(logGroupName=name, kmsKeyId=key(account, uses))


def test_no_key_policy_of_the_library_asks_a_service_for_what_it_does_not_send() -> None:
    for user in KEY_USERS:
        assert user.sends_source_account == ("aws:sourceaccount" in SENT_BY_SERVICE.get(user.principal, ())), user.sid


def test_a_log_group_gets_another_key_that_logs_may_use_and_none(account: Any) -> None:
    logs, name = account.cloud.client("logs"), f"{account.prefix}-group"
    logs.create_log_group(logGroupName=name)
    with pytest.raises(ClientError, match=r"logs\.eu-central-1\.amazonaws\.com is not authorized to perform: kms"):
        logs.associate_kms_key(logGroupName=name, kmsKeyId=key(account))
    uses = service("logs.eu-central-1.amazonaws.com") | {"Action": [*SEND, "kms:Encrypt"]}
    arn = key(account, uses)
    logs.associate_kms_key(logGroupName=name, kmsKeyId=arn)
    (found,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert found["kmsKeyId"] == arn
    logs.disassociate_kms_key(logGroupName=name)
    (found,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert "kmsKeyId" not in found
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="does not exist"):
        logs.disassociate_kms_key(logGroupName=f"{name}-other")
