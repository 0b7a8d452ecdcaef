"""`pm clear` deletes what a running stack made beside Pulumi, of this stack alone, and only in the stack's account.

Not proved here: `pulumi destroy` itself, that AWS refuses to delete in the same cases as the embedded cloud does, and
what Pulumi's own command line exports (the form of its state is written out by hand).
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, deploy

ROOT = Path(__file__).resolve().parents[2]
OTHER_ACCOUNT = "222222222222"
GONE = {
    "name": "bregenz",
    "core_devices": ["bregenz-core"],
    "devices": [{"name": "machine-01", "type": "machine"}],
}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


class Project(NamedTuple):
    """The stack `local` with two sites in a cloud of its own; its file has the first of them alone."""

    directory: Path
    cloud: Cloud
    deployment: Deployment

    @property
    def sites(self) -> dict[str, Any]:
        found: dict[str, Any] = self.deployment.outputs["sites"]
        return found

    @property
    def state(self) -> Path:
        return self.cloud.directory / "deployment.json"

    def configure(self, **changes: Any) -> None:
        """Change keys of `aws` in the stack's file; None takes one away."""
        file = self.directory / "Pulumi.local.yaml"
        content = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text().replace(PORT, self.cloud.endpoint))
        for key, value in changes.items():
            content["config"][f"aws:{key}"] = value
            if value is None:
                del content["config"][f"aws:{key}"]
        file.write_text(yaml.safe_dump(content))

    def enrol(self, policy: str, *things: str) -> str:
        """The id of a certificate with this policy, of these things."""
        iot = self.cloud.client("iot")
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_policy(policyName=policy, target=made["certificateArn"])
        for thing in things:
            iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        return str(made["certificateId"])

    def is_there(self, certificate: str) -> bool:
        return certificate in {
            one["certificateId"] for one in self.cloud.client("iot").list_certificates()["certificates"]
        }


PORT = "http://127.0.0.1:4566"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    directory = tmp_path_factory.mktemp("project")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, directory)
    sites = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]["pm:sites"]
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud:
        shutil.copy(ROOT / "Pulumi.local.yaml", directory)
        yield Project(directory, cloud, deploy(directory, "local", cloud, {"sites": [*sites, GONE]}))


@pytest.fixture
def project(deployed: Project) -> Project:
    deployed.configure()
    return deployed


def pm(project: Project, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pm")), "clear", "local", "--program", str(project.directory)]
    # A path without Pulumi's own command, wherever these tests run.
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project.directory), "COLUMNS": "400", **environment},
    )


def clear(project: Project, *arguments: str, **environment: str) -> str:
    done = pm(project, "--state", str(project.state), *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ship_a_model(cloud: Cloud, group: str, bucket: str, version: str) -> None:
    """Act as the release function: a component version, unless it is there, and its deployment to a group."""
    greengrass = cloud.client("greengrassv2")
    cloud.client("s3").put_object(Bucket=bucket, Key="models/model.zip", Body=b"zip")
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "pm.ForecastModel",
        "ComponentVersion": version,
        "ComponentPublisher": "tests",
        "Manifests": [
            {
                "Platform": {"os": "linux", "runtime": "*"},
                "Lifecycle": {"run": "true"},
                "Artifacts": [{"Uri": f"s3://{bucket}/models/model.zip"}],
            }
        ],
    }
    with contextlib.suppress(greengrass.exceptions.ConflictException):
        greengrass.create_component_version(inlineRecipe=json.dumps(recipe).encode())
    arn = cloud.client("iot").describe_thing_group(thingGroupName=group)["thingGroupArn"]
    greengrass.create_deployment(
        targetArn=arn, deploymentName="models", components={"pm.ForecastModel": {"componentVersion": version}}
    )


def _register_a_model(cloud: Cloud, group: str, bucket: str) -> None:
    cloud.client("sagemaker").create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{bucket}/models/model.zip"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )


def test_what_hangs_on_what_was_removed_is_deleted_and_nothing_else(project: Project) -> None:
    cloud, outputs = project.cloud, project.deployment.outputs
    bucket = outputs["artifact_bucket"]
    gone, stays = project.sites["bregenz"], project.sites["lindau"]
    removed = project.enrol(gone["device_policy"], "bregenz-core")
    device = project.enrol(gone["device_policy"], "bregenz_machine-01")
    living = project.enrol(stays["device_policy"], "lindau-core")
    shared = project.enrol(gone["device_policy"], "lindau_air-1")
    _ship_a_model(cloud, gone["model_thing_group"], bucket, "1.0.0")
    _ship_a_model(cloud, stays["model_thing_group"], bucket, "1.0.1")
    # Groups that are gone already, one of them of another stack, whose models lie in a bucket of its own.
    cloud.client("s3").create_bucket(
        Bucket="pm-other-artifacts", CreateBucketConfiguration={"LocationConstraint": cloud.region}
    )
    for group, its_bucket, version in (("vanished", bucket, "1.0.0"), ("other", "pm-other-artifacts", "2.0.0")):
        cloud.client("iot").create_thing_group(thingGroupName=group)
        _ship_a_model(cloud, group, its_bucket, version)
        cloud.client("iot").delete_thing_group(thingGroupName=group)
    cloud.client("iot-jobs-data").start_next_pending_job_execution(thingName="bregenz-core")

    planned = clear(project, "--removed", "--dry-run")
    assert "would delete core device bregenz-core" in planned
    assert project.is_there(removed)

    said = clear(project, "--removed", "--yes")
    deleted = [line.removeprefix("deleted ") for line in said.splitlines() if line.startswith("deleted ")]
    assert sorted(deleted) == sorted([
        f"certificate {removed}",
        f"certificate {device}",
        f"attachments of certificate {shared}, which lindau_air-1 keeps",
        f"deployment models to {gone['model_thing_group']}",
        "deployment models to vanished",
        "core device bregenz-core",
    ])  # fmt: skip
    assert [line.removeprefix("would delete ") for line in planned.splitlines() if "would" in line] == deleted
    assert "6 deleted. Next: pulumi up --stack local" in said
    assert "stays on bregenz-core: " in said
    assert "/var/lib/pm/bregenz-core with identity, models and outbox" in said
    assert "lindau-core" not in said
    assert [project.is_there(one) for one in (removed, device, living, shared)] == [False, False, True, True]
    # What hung on them no longer keeps Pulumi from deleting these.
    for thing in ("bregenz-core", "bregenz_machine-01"):
        assert cloud.client("iot").list_thing_principals(thingName=thing)["principals"] == []
    assert cloud.client("iot").list_targets_for_policy(policyName=gone["device_policy"])["targets"] == []


def test_the_stack_of_another_account_is_refused_with_both_numbers(project: Project, tmp_path: Path) -> None:
    certificate = project.enrol(project.sites["lindau"]["device_policy"])
    (tmp_path / "config").write_text(
        f"[profile plant]\naws_access_key_id = {OTHER_ACCOUNT}\naws_secret_access_key = secret\n"
    )
    # The variables would open the stack's own account, and Pulumi prefers the profile to them, too.
    mine = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    project.configure(accessKey=None, secretKey=None, profile="plant", sharedConfigFiles=[str(tmp_path / "config")])
    refused = pm(project, "--state", str(project.state), "--yes", **mine)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"error: stack local is in account {project.cloud.account_id}, the credentials are of account {OTHER_ACCOUNT}: "
        "set aws:profile, aws:assumeRoles or AWS_PROFILE to log in to the former\n"
    )
    assert project.is_there(certificate)


def test_the_stack_of_another_region_is_refused_with_both_names(project: Project) -> None:
    project.configure(region="eu-west-1")
    refused = pm(project, "--state", str(project.state), "--yes")
    assert refused.returncode == 2
    assert "stack local is in region eu-central-1, the configuration says eu-west-1" in refused.stderr


def test_what_hangs_on_the_stack_is_deleted_and_what_pulumi_made_is_left_to_it(project: Project) -> None:
    cloud, outputs = project.cloud, project.deployment.outputs
    iot, sagemaker, greengrass = (cloud.client(name) for name in ("iot", "sagemaker", "greengrassv2"))
    clear(project, "--yes")
    site = project.sites["lindau"]
    bucket = outputs["artifact_bucket"]
    enrolled = project.enrol(site["device_policy"], "lindau-core")
    # Of another stack: its policy, its thing, its bucket, its group of models.
    iot.create_thing(thingName="vienna-core")
    iot.create_policy(
        policyName="pm-other-vienna", policyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    foreign = project.enrol("pm-other-vienna", "vienna-core")
    # Pulumi's state has lost it, its tags tell whose it is.
    iot.create_policy(
        policyName="pm-local-lost",
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
        tags=[{"Key": "Project", "Value": "pm"}, {"Key": "Stack", "Value": "local"}],
    )
    lost = project.enrol("pm-local-lost")
    group = project.deployment.physical_id(
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup", "pipeline-forecast-models"
    )
    sagemaker.create_model_package_group(ModelPackageGroupName="pm-other-models")
    for name in (group, "pm-other-models"):
        _register_a_model(cloud, name, bucket)
    _ship_a_model(cloud, site["model_thing_group"], bucket, "1.0.2")

    cleared = clear(project, "--yes")
    deleted = [line.removeprefix("deleted ") for line in cleared.splitlines() if line.startswith("deleted ")]
    assert sorted(deleted) == sorted([
        f"certificate {enrolled}",
        f"certificate {lost}",
        f"model {group}/1",
        f"deployment models to {site['model_thing_group']}",
        "component pm.ForecastModel 1.0.2",
    ])  # fmt: skip
    assert "not in Pulumi's state, delete it by hand: Policy pm-local-lost" in cleared
    assert "Next: pulumi destroy --stack local" in cleared

    # These are refused while something hangs on them.
    iot.delete_policy(policyName=site["device_policy"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert project.is_there(foreign)
    assert sagemaker.list_model_packages(ModelPackageGroupName="pm-other-models")["ModelPackageSummaryList"]
    assert greengrass.get_deployment(deploymentId=site["deployment_id"])
    left = {component["componentName"] for component in greengrass.list_components()["components"]}
    assert "pm.Uplink" in left
    versions = greengrass.list_component_versions(
        arn=f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:pm.ForecastModel"
    )["componentVersions"]
    assert [version["componentVersion"] for version in versions] == ["2.0.0"]


def test_clearing_again_finds_nothing_also_where_resources_are_gone(project: Project) -> None:
    clear(project, "--yes")
    assert "0 deleted" in clear(project, "--yes")


def test_nothing_is_deleted_without_a_yes(project: Project) -> None:
    certificate = project.enrol(project.sites["bregenz"]["device_policy"])
    asked = pm(project, "--state", str(project.state))
    assert asked.returncode == 1
    assert f"certificate {certificate}" in asked.stdout
    assert project.is_there(certificate)


def test_a_protected_stack_is_refused_before_anything_is_asked() -> None:
    command = [str(Path(sys.executable).with_name("pm")), "clear", "prod", "--yes"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 2
    assert "set pm:protected to false and run `pulumi up` first" in " ".join(refused.stderr.split())


def test_without_pulumi_and_without_a_file_its_state_is_asked_for(project: Project) -> None:
    refused = pm(project, "--yes")
    assert refused.returncode == 2
    assert "give --state FILE, as `pulumi stack export --stack local --file FILE` writes it" in refused.stderr


def test_the_state_is_asked_of_pulumi_where_it_is_there(project: Project, tmp_path: Path) -> None:
    certificate = project.enrol(project.sites["bregenz"]["device_policy"])
    resources = [
        {
            "urn": one.urn, "custom": bool(one.physical_id), "id": one.physical_id, "type": one.type,
            "inputs": one.inputs, "outputs": one.outputs, "protect": one.type == "aws:s3/bucket:Bucket",
        }
        for one in project.deployment.resources
    ]  # fmt: skip
    (tmp_path / "state.json").write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    (tmp_path / "pulumi").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/state.json\n')
    (tmp_path / "pulumi").chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    # What Pulumi still protects is refused as a whole, whatever the configuration says meanwhile.
    refused = pm(project, "--yes", PATH=path)
    assert refused.returncode == 2
    assert "stack local has protected resources" in refused.stderr
    assert (tmp_path / "asked").read_text().startswith("stack export --stack local --cwd")
    cleared = pm(project, "--removed", "--yes", PATH=path)
    assert cleared.returncode == 0, cleared.stderr
    assert f"deleted certificate {certificate}" in cleared.stdout
