"""Two stacks of one program in one account and region: neither touches the other's, nor does clearing one of them.

Both publish the same components with the same content. What `pulumi destroy` deletes of Greengrass is deleted here by
hand. Not proved here: updating and destroying a stack while the other lives (see test_life.py).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_cli import leftovers, stack_state
from pm_components.aws import recipes
from pm_components.functions.component_versions import ComponentVersions
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, deploy
from tests.sandbox.deployer.listed import LISTED, kept_id, listed

PROGRAM = Path(__file__).parent / "programs" / "plant"
COMPONENT_VERSION = "aws-native:greengrassv2:ComponentVersion"
MODEL = {"model.onnx": b"the same model for both"}


class Account(NamedTuple):
    cloud: Cloud
    ulm: Deployment
    bremen: Deployment
    before: dict[str, set[str]]
    """The resources before the second stack."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Cloud.start(tmp_path_factory.mktemp("account")) as cloud:
        ulm = deploy(PROGRAM, "ulm", cloud)
        before = {type_: listed(cloud, type_) for type_ in LISTED}
        yield Account(cloud, ulm, deploy(PROGRAM, "bremen", cloud), before)


def _ids(deployment: Deployment, type_: str) -> set[str]:
    return {kept_id(type_, one.physical_id) for one in deployment.resources if one.type == type_}


def _versions(deployment: Deployment) -> dict[str, str]:
    """The version of each component that a stack has published."""
    recipes_of = [
        json.loads(one.inputs["inlineRecipe"]) for one in deployment.resources if one.type == COMPONENT_VERSION
    ]
    return {recipe["ComponentName"]: recipe["ComponentVersion"] for recipe in recipes_of}


def _deployed(account: Account, deployment: Deployment) -> dict[str, str]:
    """The version of each component that a stack's site is to run."""
    found = account.cloud.client("greengrassv2").get_deployment(
        deploymentId=deployment.outputs["site"]["deployment_id"]
    )
    return {name: component["componentVersion"] for name, component in found["components"].items()}


def test_every_stack_has_its_own_of_everything(account: Account) -> None:
    total = 0
    for type_ in LISTED:
        ulm, bremen = _ids(account.ulm, type_), _ids(account.bremen, type_)
        assert ulm, f"the program makes no {type_}"
        assert len(ulm) == len(bremen)
        assert ulm & bremen == set(), type_
        now = listed(account.cloud, type_)
        assert now >= ulm | bremen, type_
        assert now >= account.before[type_], type_
        total += len(ulm)
    assert total > 100


def test_every_stack_has_its_own_versions_of_the_same_components_and_deploys_them(account: Account) -> None:
    ulm, bremen = _versions(account.ulm), _versions(account.bremen)
    assert set(ulm) == set(bremen) >= {"pm.Uplink", "pm.PythonRuntime"}
    for name in ulm:
        assert ulm[name] != bremen[name], name
    for deployment, versions in ((account.ulm, ulm), (account.bremen, bremen)):
        assert versions.items() <= _deployed(account, deployment).items()


def test_clearing_one_stack_and_deleting_its_components_leaves_the_other_whole(account: Account) -> None:
    cloud, greengrass = account.cloud, account.cloud.client("greengrassv2")
    s3, iot = cloud.client("s3"), cloud.client("iot")
    released: dict[str, tuple[str, str]] = {}
    for deployment in (account.ulm, account.bremen):
        outputs = deployment.outputs
        prefix = f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:"
        versions = ComponentVersions(s3, greengrass, outputs["artifact_bucket"], prefix)
        name, version = versions.publish(recipes.load("fault_model").recipe, MODEL)
        group = iot.describe_thing_group(thingGroupName=outputs["site"]["model_thing_group"])["thingGroupArn"]
        made = greengrass.create_deployment(targetArn=group, components={name: {"componentVersion": version}})
        released[deployment.stack] = (f"{prefix}{name}:versions:{version}", made["deploymentId"])
        certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        iot.attach_policy(policyName=outputs["site"]["device_policy"], target=certificate)
        iot.attach_thing_principal(thingName=f"{deployment.stack}-core", principal=certificate)
    before = {type_: listed(cloud, type_) for type_ in LISTED}

    state = stack_state.read(cloud.directory / "deployment.json")
    tagged = leftovers.tagged(cloud.client("resourcegroupstaggingapi"), "plant", "ulm")
    found = list(leftovers.find(leftovers.scope(state, tagged, account=cloud.account_id), cloud.client))
    assert len(found) == 3, [one.text for one in found]
    for one in found:
        one.delete()
    for resource in account.ulm.resources:
        if resource.type == COMPONENT_VERSION:
            greengrass.delete_component(arn=resource.outputs["arn"])
    for key in _keys(s3, account.ulm.outputs["artifact_bucket"]):
        s3.delete_object(Bucket=account.ulm.outputs["artifact_bucket"], Key=key)

    gone, kept = released["ulm"], released["bremen"]
    with pytest.raises(greengrass.exceptions.ResourceNotFoundException):
        greengrass.describe_component(arn=gone[0])
    assert greengrass.describe_component(arn=kept[0])["status"]["componentState"] == "DEPLOYABLE"
    assert greengrass.get_deployment(deploymentId=kept[1])["deploymentStatus"] == "ACTIVE"
    assert len(iot.list_thing_principals(thingName="bremen-core")["principals"]) == 1
    assert iot.list_thing_principals(thingName="ulm-core")["principals"] == []
    deployments = "aws-native:greengrassv2:Deployment"
    for type_, ids in before.items():
        now = listed(cloud, type_)
        assert ids - now == ({gone[1]} if type_ == deployments else set()), type_
        assert now >= _ids(account.bremen, type_)
    for name, version in _deployed(account, account.bremen).items():
        if not name.startswith("aws."):
            _assert_whole(account, name, version)


def _assert_whole(account: Account, name: str, version: str) -> None:
    """A component version can be deployed, and its artifacts lie where the recipe says."""
    cloud = account.cloud
    arn = f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:{name}:versions:{version}"
    recipe = json.loads(cloud.client("greengrassv2").get_component(arn=arn, recipeOutputFormat="JSON")["recipe"])
    for artifact in recipe["Manifests"][0].get("Artifacts", []):
        bucket, _, key = artifact["Uri"].removeprefix("s3://").partition("/")
        assert bucket == account.bremen.outputs["artifact_bucket"]
        cloud.client("s3").head_object(Bucket=bucket, Key=key)


def _keys(s3: Any, bucket: str) -> list[str]:
    return [
        item["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for item in page.get("Contents", [])
    ]
