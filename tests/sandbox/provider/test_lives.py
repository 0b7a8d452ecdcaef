"""The life of each type in the emulated cloud: made, read, changed in all that does not replace, deleted, gone.

Not proved: that AWS answers as the emulated cloud does.
"""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from pm_sandbox.provider.registry import READS
from tests.sandbox.provider.lives import LIVES, Lab, allow


@pytest.fixture(scope="module")
def lab(cloud: Cloud) -> Lab:
    return Lab(cloud)


@pytest.mark.parametrize("token", LIVES)
def test_the_life_of_a_resource(token: str, lab: Lab) -> None:
    life, provider = LIVES[token](lab), lab.provider
    inputs, (id_, outputs) = life.inputs, provider.create(token, life.inputs)
    assert not set(outputs) - set(inputs) - provider.unknown_outputs(token, None, inputs), "a preview promises less"
    state: dict[str, Any] = {**inputs, **outputs}
    assert not provider.diff(token, inputs, inputs).changes
    told = READS[token](id_, state, lab.context)
    assert told is not None
    assert set(inputs) - set(told) == life.untold
    assert provider.read(token, id_, inputs, state) == inputs
    for key, value in life.changes.items():
        news = {name: one for name, one in {**inputs, key: value}.items() if one is not None}
        difference = provider.diff(token, inputs, news)
        assert difference.changes
        assert not difference.replaces, key
        unknown = provider.unknown_outputs(token, inputs, news)
        outputs = provider.update(token, id_, inputs, state, news)
        renewed = {name for name, one in outputs.items() if name not in news and one != state.get(name)}
        assert not renewed - unknown, "a preview takes these for what they were"
        inputs, state = news, {**news, **outputs}
        assert provider.read(token, id_, inputs, state) == inputs, key
        if value is None:
            assert provider.read(token, id_, {**inputs, key: life.inputs[key]}, state) != {
                **inputs,
                key: life.inputs[key],
            }, f"{key} is still there"
    for _ in range(2):  # what is gone already is no error of a deletion
        provider.delete(token, id_, state)
        assert provider.read(token, id_, inputs, state) == life.left


def _bucket_with_an_object(lab: Lab) -> tuple[str, str, str]:
    name = lab.bucket()
    lab.client("s3").put_object(Bucket=name, Key="a", Body=b"x")
    return "aws:s3/bucket:Bucket", name, "BucketNotEmpty"


def _protected_table(lab: Lab) -> tuple[str, str, str]:
    token = "aws:dynamodb/table:Table"
    inputs = {"name": lab.name(), "hashKey": "id", "attributes": [{"name": "id", "type": "S"}]}
    made = lab.make(token, **inputs, billingMode="PAY_PER_REQUEST", deletionProtectionEnabled=True)
    return token, made.id, "deletion protection"


def _thing_with_a_certificate(lab: Lab) -> tuple[str, str, str]:
    iot, name = lab.client("iot"), lab.thing()
    arn = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName=name, principal=arn)
    return "aws:iot/thing:Thing", name, "principal"


def _thing_type_in_use(lab: Lab) -> tuple[str, str, str]:
    name = lab.make("aws:iot/thingType:ThingType", name=lab.name()).id
    lab.make("aws:iot/thing:Thing", name=lab.name(), thingTypeName=name)
    return "aws:iot/thingType:ThingType", name, "InvalidRequestException"


def _thing_group_with_a_child(lab: Lab) -> tuple[str, str, str]:
    name = lab.thing_group().id
    lab.make("aws:iot/thingGroup:ThingGroup", name=lab.name(), parentGroupName=name)
    return "aws:iot/thingGroup:ThingGroup", name, "InvalidRequestException"


def _attached_device_policy(lab: Lab) -> tuple[str, str, str]:
    name = lab.make("aws:iot/policy:Policy", name=lab.name(), policy=allow("iot:Connect", Resource="*")).id
    lab.client("iot").attach_policy(policyName=name, target=lab.thing_group().outputs["arn"])
    return "aws:iot/policy:Policy", name, "DeleteConflictException"


def _role_with_a_policy(lab: Lab) -> tuple[str, str, str]:
    trust = allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    name = lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).id
    lab.make("aws:iam/rolePolicy:RolePolicy", role=name, name="a", policy=allow("s3:*", Resource="*"))
    return "aws:iam/role:Role", name, "DeleteConflict"


def _attached_policy(lab: Lab) -> tuple[str, str, str]:
    life = LIVES["aws:iam/rolePolicyAttachment:RolePolicyAttachment"](lab)
    lab.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", **life.inputs)
    return "aws:iam/policy:Policy", life.inputs["policyArn"], "DeleteConflict"


def _rule_with_a_target(lab: Lab) -> tuple[str, str, str]:
    inputs = LIVES["aws:cloudwatch/eventTarget:EventTarget"](lab).inputs
    lab.make("aws:cloudwatch/eventTarget:EventTarget", **inputs)
    return "aws:cloudwatch/eventRule:EventRule", inputs["rule"], "targets"


def _model_group_with_a_version(lab: Lab) -> tuple[str, str, str]:
    token = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
    name = lab.make(token, modelPackageGroupName=lab.name()).id
    lab.client("sagemaker").create_model_package(ModelPackageGroupName=name)
    return token, name, "ConflictException|ValidationException"


def _workgroup_with_a_query(lab: Lab) -> tuple[str, str, str]:
    inputs = LIVES["aws:athena/namedQuery:NamedQuery"](lab).inputs
    lab.make("aws:athena/namedQuery:NamedQuery", **inputs)
    return "aws:athena/workgroup:Workgroup", inputs["workgroup"], "not empty"


@pytest.mark.parametrize(
    "refused",
    [
        _bucket_with_an_object,
        _protected_table,
        _thing_with_a_certificate,
        _thing_type_in_use,
        _thing_group_with_a_child,
        _attached_device_policy,
        _role_with_a_policy,
        _attached_policy,
        _rule_with_a_target,
        _model_group_with_a_version,
        _workgroup_with_a_query,
    ],
)
def test_what_aws_does_not_delete_is_not_deleted(refused: Callable[[Lab], tuple[str, str, str]], lab: Lab) -> None:
    token, id_, why = refused(lab)
    state = {"arn": lab.context.arn("x", id_)}
    with pytest.raises(ClientError, match=why):
        lab.provider.delete(token, id_, state)
    assert READS[token](id_, state, lab.context)


def test_a_bucket_that_may_be_emptied_goes_with_all_versions(lab: Lab) -> None:
    name, s3 = lab.bucket(), lab.client("s3")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"x", b"y"):
        s3.put_object(Bucket=name, Key="a", Body=content)
    s3.delete_object(Bucket=name, Key="a")
    lab.provider.delete("aws:s3/bucket:Bucket", name, {"forceDestroy": True})
    assert READS["aws:s3/bucket:Bucket"](name, {}, lab.context) is None


def test_an_object_goes_with_its_versions_and_no_other(lab: Lab) -> None:
    name, s3, token = lab.bucket(), lab.client("s3"), "aws:s3/bucketObjectv2:BucketObjectv2"
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="a-b", Body=b"x")
    inputs = {"bucket": name, "key": "a", "content": "x"}
    made = lab.provider.create(token, inputs)
    outputs = lab.provider.update(token, made.id, inputs, {**inputs, **made.outputs}, {**inputs, "content": "y"})
    lab.provider.delete(token, made.id, {**inputs, **outputs})
    assert {version["Key"] for version in s3.list_object_versions(Bucket=name)["Versions"]} == {"a-b"}


@pytest.mark.parametrize("token", ["aws:iam/policy:Policy", "aws:iot/policy:Policy"])
def test_a_policy_is_changed_more_often_than_it_may_have_versions(token: str, lab: Lab) -> None:
    inputs = {"name": lab.name(), "policy": allow("s3:A0", Resource="*")}
    made = lab.provider.create(token, inputs)
    state = {**inputs, **made.outputs}
    for number in range(1, 8):
        news = {**inputs, "policy": allow(f"s3:A{number}", Resource="*")}
        state = {**news, **lab.provider.update(token, made.id, inputs, state, news)}
        inputs = news
    assert lab.provider.read(token, made.id, inputs, state) == inputs


def test_tags_set_by_hand_are_told_and_taken_back(lab: Lab) -> None:
    token, inputs = "aws:sqs/queue:Queue", {"name": lab.name(), "tags": {"a": "1"}}
    made = lab.provider.create(token, inputs)
    lab.client("sqs").tag_queue(QueueUrl=made.id, Tags={"by": "hand"})
    found = lab.provider.read(token, made.id, inputs, {**inputs, **made.outputs})
    assert found == {**inputs, "tags": {"a": "1", "by": "hand"}}
    lab.provider.update(token, made.id, found, {**found, **made.outputs}, inputs)
    assert lab.provider.read(token, made.id, inputs, {**inputs, **made.outputs}) == inputs


def test_a_subscription_that_nobody_confirmed_is_left_to_aws(lab: Lab) -> None:
    inputs = {"topic": lab.topic, "protocol": "email", "endpoint": "people@example.com"}
    made = lab.make("aws:sns/topicSubscription:TopicSubscription", **inputs)
    lab.provider.delete("aws:sns/topicSubscription:TopicSubscription", made.id, inputs)
