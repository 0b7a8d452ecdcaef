"""Role aliases of the embedded cloud: their life, their tags, and what AWS IoT refuses of them.

Not proved here: the endpoint at which a device takes on the role, which the sandbox does not play.
"""

import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from tests.sandbox.cloud.conftest import Account


def test_an_alias_is_made_described_changed_tagged_and_deleted(cloud: Cloud, account: Account) -> None:
    iot, name, role = cloud.client("iot"), f"{account.prefix}-alias", account.role("credentials.iot")
    made = iot.create_role_alias(roleAlias=name, roleArn=role, tags=[{"Key": "Owner", "Value": "me"}])
    assert made["roleAliasArn"] == account.arn("iot", f"rolealias/{name}")
    found = iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]
    assert (found["roleArn"], found["credentialDurationSeconds"]) == (role, 3600)
    assert name in iot.list_role_aliases()["roleAliases"]

    other = account.role("credentials.iot", name="other")
    iot.update_role_alias(roleAlias=name, credentialDurationSeconds=900)
    iot.update_role_alias(roleAlias=name, roleArn=other)
    found = iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]
    assert (found["roleArn"], found["credentialDurationSeconds"]) == (other, 900)

    arn = made["roleAliasArn"]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "Tier", "Value": "dev"}])
    iot.untag_resource(resourceArn=arn, tagKeys=["Owner"])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "Tier", "Value": "dev"}]

    iot.delete_role_alias(roleAlias=name)
    for call in (iot.describe_role_alias, iot.delete_role_alias):
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            call(roleAlias=name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        iot.tag_resource(resourceArn=arn, tags=[{"Key": "Tier", "Value": "dev"}])


def test_a_second_alias_of_a_name_and_credentials_that_outlast_the_role_are_refused(
    cloud: Cloud, account: Account
) -> None:
    iot, name, role = cloud.client("iot"), f"{account.prefix}-alias", account.role("credentials.iot")
    with pytest.raises(ClientError, match="more than the maximum session duration"):
        iot.create_role_alias(roleAlias=name, roleArn=role, credentialDurationSeconds=3601)
    iot.create_role_alias(roleAlias=name, roleArn=role)
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        iot.create_role_alias(roleAlias=name, roleArn=role)
    with pytest.raises(ClientError, match="more than the maximum session duration"):
        iot.update_role_alias(roleAlias=name, credentialDurationSeconds=3601)


def test_only_who_may_pass_the_role_on_makes_an_alias_of_it(account: Account) -> None:
    role = account.role("credentials.iot")
    maker = account.role("lambda", ("iot:*", "*"), name="maker")
    iot = account.client_of(maker, "iot")
    with pytest.raises(ClientError, match="iam:PassRole"):
        iot.create_role_alias(roleAlias=f"{account.prefix}-alias", roleArn=role)
    account.allow(maker, ("iot:*", "*"), ("iam:PassRole", role))
    iot.create_role_alias(roleAlias=f"{account.prefix}-alias", roleArn=role)
