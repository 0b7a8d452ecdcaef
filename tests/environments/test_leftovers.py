"""`pm clear` deletes what a running stack made beside Pulumi, and nothing else.

Not proved here: `pulumi destroy` itself, and that AWS refuses to delete in the same cases as the embedded cloud does.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import Cloud
from sandbox.deployer import Deployment, deploy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Cloud, Deployment]]:
    """The stack `local`, deployed to a cloud of its own whose port its file names."""
    directory = tmp_path_factory.mktemp("project")
    with Cloud.start(tmp_path_factory.mktemp("cloud")) as cloud:
        for name in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / name, directory)
        text = (ROOT / "Pulumi.local.yaml").read_text().replace("http://127.0.0.1:4566", cloud.endpoint)
        (directory / "Pulumi.local.yaml").write_text(text)
        yield directory, cloud, deploy(directory, "local", cloud)


def pm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pm")), "clear", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def _ship_a_model(cloud: Cloud, outputs: dict[str, Any], bucket: str) -> None:
    """What the release function does: a component version, and its deployment to the site's group for models."""
    greengrass, site = cloud.client("greengrassv2"), outputs["sites"]["lindau"]
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "pm.ForecastModel",
        "ComponentVersion": "1.0.0",
        "ComponentPublisher": "tests",
        "Manifests": [
            {
                "Platform": {"os": "linux", "runtime": "*"},
                "Lifecycle": {"run": "true"},
                "Artifacts": [{"Uri": f"s3://{bucket}/models/model.zip"}],
            }
        ],
    }
    greengrass.create_component_version(inlineRecipe=json.dumps(recipe).encode())
    group = cloud.client("iot").describe_thing_group(thingGroupName=site["model_thing_group"])
    greengrass.create_deployment(
        targetArn=group["thingGroupArn"],
        deploymentName="models",
        components={"pm.ForecastModel": {"componentVersion": "1.0.0"}},
    )


def test_what_hangs_on_the_stack_is_deleted_and_what_pulumi_made_is_left_to_it(
    project: tuple[Path, Cloud, Deployment],
) -> None:
    directory, cloud, deployment = project
    iot, sagemaker, greengrass = (cloud.client(name) for name in ("iot", "sagemaker", "greengrassv2"))
    outputs = deployment.outputs
    site = outputs["sites"]["lindau"]
    enrolled = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=site["device_policy"], target=enrolled["certificateArn"])
    iot.attach_thing_principal(thingName="lindau-core", principal=enrolled["certificateArn"])
    other = iot.create_keys_and_certificate(setAsActive=True)
    group = deployment.physical_id("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "pipeline-forecast-models")
    bucket = outputs["artifact_bucket"]
    cloud.client("s3").put_object(Bucket=bucket, Key="models/model.zip", Body=b"zip")
    sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{bucket}/models/model.zip"}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    _ship_a_model(cloud, outputs, bucket)

    cleared = pm("local", "--yes", "--program", str(directory))
    assert cleared.returncode == 0, cleared.stdout + cleared.stderr
    for what in (
        f"certificate {enrolled['certificateId']}",
        f"model {group}/1",
        f"deployment models to {site['model_thing_group']}",
        "component pm.ForecastModel 1.0.0",
    ):
        assert f"deleted {what}" in cleared.stdout
    assert "4 deleted. Next: pulumi destroy --stack local" in cleared.stdout

    # These are refused while something hangs on them.
    iot.delete_policy(policyName=site["device_policy"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert iot.describe_certificate(certificateId=other["certificateId"])
    assert greengrass.get_deployment(deploymentId=site["deployment_id"])
    left = {component["componentName"] for component in greengrass.list_components()["components"]}
    assert "pm.Uplink" in left
    assert "pm.ForecastModel" not in left


def test_clearing_again_finds_nothing_also_where_resources_are_gone(project: tuple[Path, Cloud, Deployment]) -> None:
    again = pm("local", "--yes", "--program", str(project[0]))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 deleted" in again.stdout


def test_a_protected_stack_is_refused_before_anything_is_asked() -> None:
    refused = pm("prod", "--yes")
    assert refused.returncode == 2
    assert "set pm:protected to false and run `pulumi up` first" in " ".join(refused.stderr.split())


def test_nothing_is_deleted_without_a_yes(project: tuple[Path, Cloud, Deployment]) -> None:
    asked = pm("local", "--program", str(project[0]))
    assert asked.returncode == 1
    assert "deleted" not in asked.stdout
