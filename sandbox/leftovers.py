"""What a running system made beside Pulumi, and `pulumi destroy` would trip over or leave behind: found and deleted.

Devices enrol and the pipeline releases models without Pulumi knowing: certificates that are attached to things and
policies, deployments and component versions of models, registered models. AWS refuses to delete a thing, a policy or a
model package group that they hang on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.recorder import DEFAULT_REGION, Recording
from sandbox.recorder.monitor import ACCOUNT

Clients = Callable[[str], Any]
"""Gives the boto3 client of a service."""


def clients_of(configuration: Mapping[str, str]) -> Clients:
    """Clients for the account that a stack is deployed to, as its configuration of the provider `aws` says.

    Where that names endpoints or keys, as for the embedded cloud, they are used; else AWS's own and the environment's.
    """
    import boto3

    (endpoints,) = json.loads(configuration.get("aws:endpoints", "[{}]"))
    session = boto3.Session(
        region_name=configuration.get("aws:region", DEFAULT_REGION),
        aws_access_key_id=configuration.get("aws:accessKey"),
        aws_secret_access_key=configuration.get("aws:secretKey"),
    )
    return lambda service: session.client(service, endpoint_url=endpoints.get("sts"))


def clear(recording: Recording, clients: Clients) -> Iterator[str]:
    """Delete what hangs on a stack's resources, and say each thing that was deleted.

    Args:
        recording: the stack's program, by which names its resources are known.
        clients: clients of the account that the stack is in.
    """
    yield from _certificates(recording, clients("iot"))
    yield from _models(recording, clients("sagemaker"))
    yield from _deployments(recording, clients("greengrassv2"), clients("iot"))
    yield from _component_versions(recording, clients("greengrassv2"), clients("sts"))
    yield from _core_devices(recording, clients("greengrassv2"))


def _names(recording: Recording, type_: str, key: str) -> list[str]:
    return sorted(str(one.inputs[key]) for one in recording.of_type(type_).values())


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page.get(key, [])]


def _certificates(recording: Recording, iot: Any) -> Iterator[str]:
    """The certificates of the stack's policies and things, detached and deleted."""
    arns: set[str] = set()
    for policy in _names(recording, "aws:iot/policy:Policy", "name"):
        try:
            arns |= set(_pages(iot, "list_targets_for_policy", "targets", policyName=policy))
        except iot.exceptions.ResourceNotFoundException:
            continue
    for thing in _names(recording, "aws:iot/thing:Thing", "name"):
        try:
            arns |= set(_pages(iot, "list_thing_principals", "principals", thingName=thing))
        except iot.exceptions.ResourceNotFoundException:
            continue
    for arn in sorted(arn for arn in arns if ":cert/" in arn):
        for thing in _pages(iot, "list_principal_things", "things", principal=arn):
            iot.detach_thing_principal(thingName=thing, principal=arn)
        for policy in _pages(iot, "list_attached_policies", "policies", target=arn):
            iot.detach_policy(policyName=policy["policyName"], target=arn)
        number = arn.rpartition("/")[2]
        iot.update_certificate(certificateId=number, newStatus="INACTIVE")
        iot.delete_certificate(certificateId=number)
        yield f"certificate {number}"


def _models(recording: Recording, sagemaker: Any) -> Iterator[str]:
    """The models that are registered in the stack's groups."""
    groups = _names(recording, "aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupName")
    known = {
        group["ModelPackageGroupName"]
        for group in _pages(sagemaker, "list_model_package_groups", "ModelPackageGroupSummaryList")
    }
    for group in sorted(known & set(groups)):
        packages = _pages(sagemaker, "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group)
        for package in packages:
            sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
            yield f"model {package['ModelPackageArn'].partition('/')[2]}"


def _deployments(recording: Recording, greengrass: Any, iot: Any) -> Iterator[str]:
    """The deployments to the stack's thing groups that Pulumi did not make, as those of models."""
    own = {
        one.inputs["deploymentName"]
        for one in recording.of_type("aws-native:greengrassv2:Deployment").values()
        if "deploymentName" in one.inputs
    }
    for group in _names(recording, "aws:iot/thingGroup:ThingGroup", "name"):
        try:
            arn = iot.describe_thing_group(thingGroupName=group)["thingGroupArn"]
        except iot.exceptions.ResourceNotFoundException:
            continue
        found = _pages(greengrass, "list_deployments", "deployments", targetArn=arn, historyFilter="ALL")
        for deployment in found:
            if deployment.get("deploymentName") in own:
                continue
            if deployment["deploymentStatus"] == "ACTIVE":
                greengrass.cancel_deployment(deploymentId=deployment["deploymentId"])
            greengrass.delete_deployment(deploymentId=deployment["deploymentId"])
            yield f"deployment {deployment.get('deploymentName', deployment['deploymentId'])} to {group}"


def _component_versions(recording: Recording, greengrass: Any, sts: Any) -> Iterator[str]:
    """The versions of components whose artifacts lie in the stack's buckets, and that Pulumi did not make."""
    account = sts.get_caller_identity()["Account"]
    buckets = {name.replace(ACCOUNT, account) for name in _names(recording, "aws:s3/bucket:Bucket", "bucket")}
    own = {
        (recipe["ComponentName"], recipe["ComponentVersion"])
        for one in recording.of_type("aws-native:greengrassv2:ComponentVersion").values()
        for recipe in [json.loads(one.inputs["inlineRecipe"])]
    }
    for component in _pages(greengrass, "list_components", "components", scope="PRIVATE"):
        versions = _pages(greengrass, "list_component_versions", "componentVersions", arn=component["arn"])
        for version in versions:
            if (version["componentName"], version["componentVersion"]) in own:
                continue
            recipe = greengrass.get_component(arn=version["arn"], recipeOutputFormat="JSON")["recipe"]
            if _artifact_buckets(json.loads(recipe)) & buckets:
                greengrass.delete_component(arn=version["arn"])
                yield f"component {version['componentName']} {version['componentVersion']}"


def _artifact_buckets(recipe: dict[str, Any]) -> set[str]:
    uris = [artifact["Uri"] for manifest in recipe.get("Manifests", []) for artifact in manifest.get("Artifacts", [])]
    return {uri.removeprefix("s3://").partition("/")[0] for uri in uris}


def _core_devices(recording: Recording, greengrass: Any) -> Iterator[str]:
    """What Greengrass keeps of the stack's core devices."""
    things = set(_names(recording, "aws:iot/thing:Thing", "name"))
    for device in _pages(greengrass, "list_core_devices", "coreDevices"):
        if device["coreDeviceThingName"] in things:
            greengrass.delete_core_device(coreDeviceThingName=device["coreDeviceThingName"])
            yield f"core device {device['coreDeviceThingName']}"
