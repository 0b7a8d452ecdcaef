"""Greengrass V2 of the sandbox, through boto3 against the running emulator; a core device is played over its job queue.

Does not prove that AWS accepts the same recipes and policies, nor that a real core device obeys the job document.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud

ARTIFACT = b"a component's files"


def recipe(name: str, version: str, bucket: str = "", **changes: Any) -> bytes:
    artifacts = [{"Uri": f"s3://{bucket}/component.zip", "Unarchive": "ZIP"}] if bucket else []
    document = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": version,
        "ComponentPublisher": "tests",
        "Manifests": [
            {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": "true"}, "Artifacts": artifacts}
        ],
    }
    return json.dumps({**document, **changes}).encode()


@pytest.fixture
def greengrass(cloud: Cloud) -> Any:
    return cloud.client("greengrassv2")


@pytest.fixture
def component(cloud: Cloud, greengrass: Any) -> Callable[..., str]:
    def make(version: str = "1.0.0", name: str = "") -> str:
        name = name or f"test.{uuid.uuid4().hex[:8]}"
        greengrass.create_component_version(inlineRecipe=recipe(name, version))
        return name

    return make


@pytest.fixture
def group(cloud: Cloud) -> dict[str, str]:
    """A thing group with one core device in it."""
    iot = cloud.client("iot")
    thing, name = f"core-{uuid.uuid4().hex[:8]}", f"group-{uuid.uuid4().hex[:8]}"
    thing_arn = iot.create_thing(thingName=thing)["thingArn"]
    arn = iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
    iot.add_thing_to_thing_group(thingGroupName=name, thingName=thing)
    return {"arn": arn, "name": name, "thing": thing, "thing_arn": thing_arn}


def play_device(cloud: Cloud, thing: str, status: str, detail: str = "done") -> dict[str, Any]:
    """Take the next deployment as the core device would, and report how it went; gives the job document."""
    jobs = cloud.client("iot-jobs-data")
    execution = jobs.start_next_pending_job_execution(thingName=thing)["execution"]
    jobs.update_job_execution(
        thingName=thing, jobId=execution["jobId"], status=status, statusDetails={"detail": detail}
    )
    return json.loads(execution["jobDocument"])


def test_component_version_gets_digests_and_is_found_again(cloud: Cloud, greengrass: Any) -> None:
    bucket = f"artifacts-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    cloud.client("s3").put_object(Bucket=bucket, Key="component.zip", Body=ARTIFACT)
    made = greengrass.create_component_version(
        inlineRecipe=recipe("test.digest", "1.2.3", bucket), tags={"stack": "dev"}
    )
    assert made["arn"] == f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:test.digest:versions:1.2.3"
    assert made["status"]["componentState"] == "DEPLOYABLE"
    got = greengrass.get_component(arn=made["arn"], recipeOutputFormat="JSON")
    artifact = json.loads(got["recipe"])["Manifests"][0]["Artifacts"][0]
    assert artifact["Digest"] == base64.b64encode(hashlib.sha256(ARTIFACT).digest()).decode()
    assert artifact["Algorithm"] == "SHA-256"
    assert got["tags"] == {"stack": "dev"}
    described = greengrass.describe_component(arn=made["arn"])
    assert (described["publisher"], described["componentVersion"]) == ("tests", "1.2.3")


def test_versions_are_ordered_as_versions_and_pages_join(greengrass: Any, component: Callable[..., str]) -> None:
    name = component("1.9.0")
    component("1.10.0", name)
    component("1.2.0", name)
    arn = greengrass.describe_component(arn=_arn(greengrass, name, "1.9.0"))["arn"].partition(":versions:")[0]
    first = greengrass.list_component_versions(arn=arn, maxResults=2)
    second = greengrass.list_component_versions(arn=arn, maxResults=2, nextToken=first["nextToken"])
    found = [v["componentVersion"] for answer in (first, second) for v in answer["componentVersions"]]
    assert found == ["1.10.0", "1.9.0", "1.2.0"]
    listed = {
        c["componentName"]: c["latestVersion"]["componentVersion"] for c in greengrass.list_components()["components"]
    }
    assert listed[name] == "1.10.0"


def test_a_version_is_immutable_and_can_be_deleted(greengrass: Any, component: Callable[..., str]) -> None:
    name = component()
    with pytest.raises(greengrass.exceptions.ConflictException, match="already exists"):
        component("1.0.0", name)
    greengrass.delete_component(arn=_arn(greengrass, name, "1.0.0"))
    with pytest.raises(greengrass.exceptions.ResourceNotFoundException):
        greengrass.get_component(arn=_arn(greengrass, name, "1.0.0"))


def _arn(greengrass: Any, name: str, version: str) -> str:
    return f"arn:aws:greengrass:{greengrass.meta.region_name}:000000000000:components:{name}:versions:{version}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (recipe("test.bad", "1.0"), "semantic version"),
        (recipe("test.bad", "1.0.0", manifests=[]), "must be spelled Manifests"),
        (recipe("test.bad", "1.0.0", Lifecycel={}), "unknown key 'Lifecycel'; allowed are"),
        (recipe("test.bad", "1.0.0", Manifests=[{"Lifecycle": {"run": {"script": "true"}}}]), "must be spelled Script"),
        (recipe("test.bad", "1.0.0", Manifests=[]), "at least one entry in Manifests"),
        (recipe("test.bad", "1.0.0", ComponentDependencies={"a": {}}), "lacks VersionRequirement"),
        (recipe("test.bad", "1.0.0", ComponentDescription="x" * 16_000), "allowed are 16000"),
        (recipe("test.bad", "1.0.0", "no-such-bucket"), "Specified artifact resource cannot be accessed"),
        (b"RecipeFormatVersion: '2020-01-25'\nComponentName: a", "lacks ComponentVersion"),
        (b"{", "neither JSON nor YAML"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(greengrass: Any, content: bytes, message: str) -> None:
    with pytest.raises(greengrass.exceptions.ValidationException, match=message):
        greengrass.create_component_version(inlineRecipe=content)


def test_a_deployment_reaches_the_device_and_its_report_comes_back(
    cloud: Cloud, greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    name = component()
    update = {"merge": json.dumps({"site": "lindau"}), "reset": ["/old"]}
    made = greengrass.create_deployment(
        targetArn=group["arn"],
        deploymentName="code",
        components={name: {"componentVersion": "1.0.0", "configurationUpdate": update}},
    )
    queued = greengrass.list_effective_deployments(coreDeviceThingName=group["thing"])["effectiveDeployments"]
    assert [d["coreDeviceExecutionStatus"] for d in queued] == ["QUEUED"]
    document = play_device(cloud, group["thing"], "SUCCEEDED", "all components run")
    assert document["deploymentId"] == made["deploymentId"]
    assert document["components"] == {name: {"componentVersion": "1.0.0", "configurationUpdate": update}}
    assert document["deploymentPolicies"]["failureHandlingPolicy"] == "ROLLBACK"
    assert document["recipes"][name]["ComponentVersion"] == "1.0.0"
    [done] = greengrass.list_effective_deployments(coreDeviceThingName=group["thing"])["effectiveDeployments"]
    assert (done["coreDeviceExecutionStatus"], done["reason"]) == ("SUCCEEDED", "all components run")
    assert greengrass.get_deployment(deploymentId=made["deploymentId"])["deploymentStatus"] == "ACTIVE"
    installed = greengrass.list_installed_components(coreDeviceThingName=group["thing"])["installedComponents"]
    assert [(c["componentName"], c["lifecycleState"]) for c in installed] == [(name, "RUNNING")]
    assert greengrass.get_core_device(coreDeviceThingName=group["thing"])["status"] == "HEALTHY"


def test_a_later_deployment_takes_the_earlier_ones_place(
    cloud: Cloud, greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    name = component()
    component("2.0.0", name)
    first = greengrass.create_deployment(targetArn=group["arn"], components={name: {"componentVersion": "1.0.0"}})
    second = greengrass.create_deployment(targetArn=group["arn"], components={name: {"componentVersion": "2.0.0"}})
    assert greengrass.get_deployment(deploymentId=first["deploymentId"])["deploymentStatus"] == "INACTIVE"
    latest = greengrass.list_deployments(targetArn=group["arn"])["deployments"]
    assert [(d["deploymentId"], d["revisionId"], d["isLatestForTarget"]) for d in latest] == [
        (second["deploymentId"], "2", True)
    ]
    assert len(greengrass.list_deployments(targetArn=group["arn"], historyFilter="ALL")["deployments"]) == 2
    assert play_device(cloud, group["thing"], "FAILED", "it broke")["components"][name]["componentVersion"] == "2.0.0"
    [failed] = greengrass.list_effective_deployments(coreDeviceThingName=group["thing"])["effectiveDeployments"]
    assert (failed["coreDeviceExecutionStatus"], failed["reason"]) == ("FAILED", "it broke")
    assert greengrass.list_core_devices(thingGroupArn=group["arn"])["coreDevices"][0]["status"] == "UNHEALTHY"


def test_a_deployment_that_fails_to_start_leaves_the_earlier_one(
    greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    components = {component(): {"componentVersion": "1.0.0"}}
    first = greengrass.create_deployment(targetArn=group["arn"], components=components)
    wrong = {"timeoutConfig": {"inProgressTimeoutInMinutes": 10_000_000}}
    with pytest.raises(ClientError):
        greengrass.create_deployment(targetArn=group["arn"], components=components, iotJobConfiguration=wrong)
    assert greengrass.get_deployment(deploymentId=first["deploymentId"])["deploymentStatus"] == "ACTIVE"


def test_a_device_that_joins_the_group_later_gets_the_deployment(
    cloud: Cloud, greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    name = component()
    greengrass.create_deployment(targetArn=group["arn"], components={name: {"componentVersion": "1.0.0"}})
    late = f"core-{uuid.uuid4().hex[:8]}"
    cloud.client("iot").create_thing(thingName=late)
    cloud.client("iot").add_thing_to_thing_group(thingGroupName=group["name"], thingName=late)
    assert play_device(cloud, late, "SUCCEEDED")["components"] == {name: {"componentVersion": "1.0.0"}}


def test_a_things_deployment_completes(
    cloud: Cloud, greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    made = greengrass.create_deployment(
        targetArn=group["thing_arn"], components={component(): {"componentVersion": "1.0.0"}}
    )
    assert greengrass.get_deployment(deploymentId=made["deploymentId"])["deploymentStatus"] == "ACTIVE"
    play_device(cloud, group["thing"], "SUCCEEDED")
    assert greengrass.get_deployment(deploymentId=made["deploymentId"])["deploymentStatus"] == "COMPLETED"


def test_an_active_deployment_is_canceled_before_it_is_deleted(
    cloud: Cloud, greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    made = greengrass.create_deployment(targetArn=group["arn"], components={component(): {"componentVersion": "1.0.0"}})
    with pytest.raises(greengrass.exceptions.ConflictException, match="cancel it"):
        greengrass.delete_deployment(deploymentId=made["deploymentId"])
    greengrass.cancel_deployment(deploymentId=made["deploymentId"])
    assert greengrass.get_deployment(deploymentId=made["deploymentId"])["deploymentStatus"] == "CANCELED"
    assert cloud.client("iot-jobs-data").get_pending_job_executions(thingName=group["thing"])["queuedJobs"] == []
    greengrass.delete_deployment(deploymentId=made["deploymentId"])
    with pytest.raises(greengrass.exceptions.ResourceNotFoundException):
        greengrass.get_deployment(deploymentId=made["deploymentId"])


def test_recipes_that_do_not_fit_are_left_for_the_device_to_ask_for(
    cloud: Cloud, greengrass: Any, group: dict[str, str]
) -> None:
    names = [f"test.large-{index}-{uuid.uuid4().hex[:6]}" for index in range(3)]
    for name in names:
        greengrass.create_component_version(inlineRecipe=recipe(name, "1.0.0", ComponentDescription="x" * 12_000))
    greengrass.create_deployment(
        targetArn=group["arn"], components={name: {"componentVersion": "1.0.0"} for name in names}
    )
    document = play_device(cloud, group["thing"], "SUCCEEDED")
    assert "recipes" not in document
    assert set(document["components"]) == set(names)


@pytest.mark.parametrize(
    ("components", "code", "message"),
    [
        ({"test.missing": {"componentVersion": "1.0.0"}}, "ResourceNotFoundException", "registered are: none"),
        ({"aws.greengrass.Cli": {"componentVersion": ">=2.0.0"}}, "ValidationException", "exact version"),
        (
            {"aws.greengrass.Cli": {"componentVersion": "2.0.0", "configurationUpdate": {"merge": "["}}},
            "ValidationException",
            "merge is not JSON",
        ),
    ],
)
def test_a_wrong_deployment_is_refused(
    greengrass: Any, group: dict[str, str], components: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError, match=message) as raised:
        greengrass.create_deployment(targetArn=group["arn"], components=components)
    assert raised.value.response["Error"]["Code"] == code


def test_an_unknown_target_and_an_unhonoured_input_are_refused(greengrass: Any, group: dict[str, str]) -> None:
    with pytest.raises(greengrass.exceptions.ResourceNotFoundException):
        greengrass.create_deployment(targetArn=group["arn"] + "-missing")
    with pytest.raises(greengrass.exceptions.ValidationException, match="cannot honour parentTargetArn"):
        greengrass.create_deployment(targetArn=group["arn"], parentTargetArn=group["arn"])
    with pytest.raises(ClientError, match="the sandbox has no greengrass:GetServiceRoleForAccount"):
        greengrass.get_service_role_for_account()


def test_client_devices_are_associated_with_a_core_device_and_no_longer(
    cloud: Cloud, greengrass: Any, group: dict[str, str]
) -> None:
    core = group["thing"]
    cloud.client("iot").create_thing(thingName="client-of-test")
    entries = [{"thingName": "client-of-test"}, {"thingName": "nobody"}]
    answer = greengrass.batch_associate_client_device_with_core_device(coreDeviceThingName=core, entries=entries)
    assert [(each["thingName"], each["code"]) for each in answer["errorEntries"]] == [
        ("nobody", "ResourceNotFoundException")
    ]

    def associated() -> list[str]:
        found = greengrass.list_client_devices_associated_with_core_device(coreDeviceThingName=core)
        return [each["thingName"] for each in found["associatedClientDevices"]]

    assert associated() == ["client-of-test"]
    again = greengrass.batch_disassociate_client_device_from_core_device(coreDeviceThingName=core, entries=entries)
    assert [each["thingName"] for each in again["errorEntries"]] == ["nobody"]
    assert associated() == []
    with pytest.raises(greengrass.exceptions.ResourceNotFoundException, match="core device no-core does not exist"):
        greengrass.list_client_devices_associated_with_core_device(coreDeviceThingName="no-core")
    info = [{"id": "broker", "hostAddress": "127.0.0.1", "portNumber": 8883, "metadata": ""}]
    greengrass.update_connectivity_info(thingName=core, connectivityInfo=info)
    assert greengrass.get_connectivity_info(thingName=core)["connectivityInfo"] == info


def test_a_repeated_request_is_answered_once(
    greengrass: Any, component: Callable[..., str], group: dict[str, str]
) -> None:
    request = {
        "targetArn": group["arn"],
        "components": {component(): {"componentVersion": "1.0.0"}},
        "clientToken": "once-1",
    }
    assert (
        greengrass.create_deployment(**request)["deploymentId"]
        == greengrass.create_deployment(**request)["deploymentId"]
    )
    assert len(greengrass.list_deployments(targetArn=group["arn"], historyFilter="ALL")["deployments"]) == 1


@pytest.mark.parametrize("to_group", [True, False], ids=["to a group", "to a core device"])
def test_a_caller_needs_the_actions_that_aws_asks_for(
    cloud: Cloud, component: Callable[..., str], group: dict[str, str], to_group: bool
) -> None:
    iam, user = cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    client = client_of(cloud, iam.create_access_key(UserName=user)["AccessKey"])
    target = group["arn"] if to_group else cloud.client("iot").create_thing(thingName=f"core-of-{user}")["thingArn"]
    deployment = {"targetArn": target, "components": {component(): {"componentVersion": "1.0.0"}}}
    allowed: list[tuple[str, str]] = []
    shadow = [(f"iot:{action}ThingShadow", target) for action in ("Get", "Update", "Delete")]
    needed = [
        ("greengrass:CreateDeployment", "*"),
        ("iot:DescribeThingGroup" if to_group else "iot:DescribeThing", target),
        *([] if to_group else shadow),
        ("iot:CreateJob", f"arn:aws:iot:{cloud.region}:{cloud.account_id}:job/*"),
        ("iot:CreateJob", target),
    ]
    for action, resource in needed:
        with pytest.raises(ClientError, match=f"not authorized to perform: {action}") as raised:
            client.create_deployment(**deployment)
        assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
        allowed.append((action, resource))
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=user, PolicyName="allowed", PolicyDocument=document)
    assert client.create_deployment(**deployment)["deploymentId"]


def test_a_component_version_is_made_by_who_may_make_it(cloud: Cloud) -> None:
    iam, user, name = cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}", f"test.{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    client = client_of(cloud, iam.create_access_key(UserName=user)["AccessKey"])
    resource = f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:{name}:versions:*"
    statement = {"Effect": "Allow", "Action": "greengrass:CreateComponentVersion", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="allowed", PolicyDocument=document)
    with pytest.raises(ClientError, match="not authorized to perform: greengrass:CreateComponentVersion"):
        client.create_component_version(inlineRecipe=recipe("test.other", "1.0.0"))
    assert client.create_component_version(inlineRecipe=recipe(name, "1.0.0"))["componentName"] == name


def client_of(cloud: Cloud, key: dict[str, str]) -> Any:
    return boto3.client(
        "greengrassv2",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def test_tags_of_a_deployment(
    greengrass: Any, component: Callable[..., str], group: dict[str, str], cloud: Cloud
) -> None:
    made = greengrass.create_deployment(targetArn=group["arn"], tags={"stack": "dev"})
    arn = f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:deployments:{made['deploymentId']}"
    greengrass.tag_resource(resourceArn=arn, tags={"site": "lindau"})
    greengrass.untag_resource(resourceArn=arn, tagKeys=["stack"])
    assert greengrass.list_tags_for_resource(resourceArn=arn)["tags"] == {"site": "lindau"}
