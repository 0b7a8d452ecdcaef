"""Commands log in to the account that a stack's configuration names, as Pulumi's provider does, and to no other.

Not proved here: the provider itself, single sign-on, and a web identity's token being that of a real issuer.
"""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws
import pytest
from typer.testing import CliRunner

from pm_cli import aws_access
from pm_cli.aws_access import AccessRefused, access
from pm_cli.main import app
from pm_sandbox.cloud import Cloud

PLANT, OTHER = "222222222222", "333333333333"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings of AWS, and variables that open the cloud's own account."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return tmp_path


def configuration(cloud: Cloud, **keys: Any) -> dict[str, str]:
    """Keys of `aws` as Pulumi gives them to a program, with the endpoints of the cloud."""
    given = {"region": "eu-central-1", "endpoints": [{"sts": cloud.endpoint, "iot": cloud.endpoint}], **keys}
    return {f"aws:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}


def profile(file: Path, account: str, name: str = "plant") -> str:
    file.write_text(f"[profile {name}]\naws_access_key_id = {account}\naws_secret_access_key = secret\n")
    return str(file)


def role(cloud: Cloud, account: str, principal: str, **condition: str) -> str:
    """A role of an account, for the principals of another."""
    iam = boto3.client(
        "iam",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=account,
        aws_secret_access_key="x",
        region_name="eu-west-1",
    )
    name = f"deployer-{uuid.uuid4().hex[:8]}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        **({"Condition": {"StringEquals": condition}} if condition else {}),
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="roles",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
        ),
    )
    return made


def test_without_keys_the_environment_decides(cloud: Cloud) -> None:
    assert access(configuration(cloud)).account == cloud.account_id


def test_a_profile_wins_over_the_variables(cloud: Cloud, home: Path) -> None:
    files = [profile(home / "settings", PLANT)]
    made = access(configuration(cloud, profile="plant", sharedConfigFiles=files))
    assert (made.account, made.region) == (PLANT, "eu-central-1")
    assert made.clients("sts").get_caller_identity()["Account"] == PLANT
    assert access(configuration(cloud, profile="plant", sharedConfigFiles=["~/settings"])).account == PLANT


def test_static_keys_win_over_a_profile(cloud: Cloud, home: Path) -> None:
    files = [profile(home / "settings", PLANT)]
    keys = {"profile": "plant", "sharedConfigFiles": files, "accessKey": OTHER, "secretKey": "secret"}
    assert access(configuration(cloud, **keys)).account == OTHER


def test_roles_are_assumed_one_by_the_other(cloud: Cloud) -> None:
    first = role(cloud, PLANT, "*", **{"sts:ExternalId": "plant"})
    second = role(cloud, OTHER, first)
    roles = [{"roleArn": first, "externalId": "plant", "duration": "1h", "sessionName": "deploys"}, {"roleArn": second}]
    made = access(configuration(cloud, assumeRoles=roles))
    assert made.account == OTHER
    assert made.clients("sts").get_caller_identity()["Arn"].endswith(f"{second.rpartition('/')[2]}/pm")
    # The second trusts the first alone.
    with pytest.raises(AccessRefused, match="AssumeRole"):
        access(configuration(cloud, assumeRoles=roles[1:]))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"allowedAccountIds": [PLANT]}, f"account 000000000000, aws:allowedAccountIds allows {PLANT}"),
        ({"forbiddenAccountIds": ["000000000000"]}, "account 000000000000, which aws:forbiddenAccountIds names"),
        ({"assumeRole": {"roleArn": "x"}}, "aws:assumeRole is no key of pulumi-aws 7, allowed is the list"),
        ({"ec2MetadataServiceEndpoint": "http://127.0.0.1"}, "aws:ec2MetadataServiceEndpoint is not honoured by pm"),
        ({"assumeRoles": {"roleArn": "x"}}, "aws:assumeRoles: Expected `array`, got `object`"),
        ({"assumeRoles": [{"roleArn": "x", "duration": "soon"}]}, "the duration of role x is soon, allowed is one as"),
        ({"assumeRoles": [{"rolearn": "x"}]}, "unknown field `rolearn`"),
        ({"assumeRoleWithWebIdentity": {"roleArn": "x"}}, "webIdentityToken or webIdentityTokenFile is needed"),
        ({"assumeRoleWithWebIdentity": {"roleArn": "x", "webIdentityTokenFile": "none"}}, "No such file or directory"),
        ({"profile": "nobody"}, "The config profile (nobody) could not be found"),
        ({"sharedConfigFiles": ["a", "b"]}, "aws:sharedConfigFiles has 2 files, pm reads one"),
        ({"region": ""}, "there is no region: set aws:region"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_in_one_line(cloud: Cloud, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(AccessRefused) as refused:
        access(configuration(cloud, **keys))
    (line,) = str(refused.value).splitlines()
    assert said in line


def test_every_key_of_the_provider_is_honoured_or_said_to_have_no_effect() -> None:
    names = {
        name for name, value in vars(pulumi_aws.config.vars._ExportableConfig).items() if isinstance(value, property)
    }
    keys = {"".join([name.split("_")[0], *(word.capitalize() for word in name.split("_")[1:])]) for name in names}
    # Where an instance's own role is asked for is refused, since the SDK takes that address from the environment.
    refused = {"ec2MetadataServiceEndpoint", "ec2MetadataServiceEndpointMode", "noProxy"}
    assert {key.lower() for key in keys - refused} == {
        key.lower() for key in aws_access._HONOURED | aws_access._WITHOUT_EFFECT
    }


def test_a_training_of_another_account_is_refused_before_anything_is_uploaded(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", PLANT)
    machine = f"arn:aws:states:eu-central-1:{cloud.account_id}:stateMachine:pm-dev-training"
    command = ["train", "fault", "--data", str(tmp_path), "--where", "sagemaker", "--state-machine", machine]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 2
    assert f"is in account {cloud.account_id}, the credentials are of account {PLANT}" in " ".join(told.stderr.split())
