"""Leftovers of a running system, which `pulumi destroy` would trip over or leave behind: found, and deleted.

Devices enrol and the pipeline releases models without Pulumi knowing: certificates that are attached to things and
policies, deployments and component versions of models, registered models. AWS refuses to delete a thing, a policy or a
model package group that they hang on.

What is looked at is what the stack has by its state and by its tags, not what its program would make: the latter no
longer names what was removed from it. Of another stack nothing is touched.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pm_cli.aws_access import Clients
from pm_cli.stack_state import StackState
from pm_components.functions.component_recipes import artifacts
from pm_sandbox.recorder import Recording
from pm_sandbox.recorder.monitor import ACCOUNT

_POLICY = ("aws:iot/policy:Policy", "name")
_THING = ("aws:iot/thing:Thing", "name")
_THING_GROUP = ("aws:iot/thingGroup:ThingGroup", "name")
_MODEL_GROUP = ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupName")
_BUCKET = ("aws:s3/bucket:Bucket", "bucket")
#: In the ARN of what carries tags, before its name.
_TAGGED = {"policy": _POLICY, "thinggroup": _THING_GROUP, "model-package-group": _MODEL_GROUP}


@dataclass(frozen=True)
class Leftover:
    """A thing to delete.

    Attributes:
        text: what it is, for people.
        delete: deletes it.
    """

    text: str
    delete: Callable[[], None]


@dataclass(frozen=True)
class Scope:
    """The resources whose leftovers are looked for, by their names in the cloud.

    Attributes:
        policies: AWS IoT policies.
        things: core devices and devices.
        groups: thing groups.
        model_groups: groups of registered models.
        buckets: where the artifacts of component versions lie.
        all_buckets: the same of the whole stack.
        deployments: ids of the deployments that Pulumi made.
        component_versions: ARNs of the component versions that Pulumi made.
        unknown_to_pulumi: what carries the stack's tags though its state does not have it.
    """

    policies: frozenset[str]
    things: frozenset[str]
    groups: frozenset[str]
    model_groups: frozenset[str]
    buckets: frozenset[str]
    all_buckets: frozenset[str]
    deployments: frozenset[str]
    component_versions: frozenset[str]
    unknown_to_pulumi: tuple[str, ...]


def tagged(tagging: Any, project: str, stack: str) -> dict[tuple[str, str], set[str]]:
    """The names of what carries a stack's tags, by type and the input that names it; things carry no tags.

    Args:
        tagging: client of `resourcegroupstaggingapi`.
        project: the project's name.
        stack: the stack's name.
    """
    found: dict[tuple[str, str], set[str]] = {kind: set() for kind in _TAGGED.values()}
    filters = [{"Key": "Project", "Values": [project]}, {"Key": "Stack", "Values": [stack]}]
    # One page holds 100 resources by default.
    for one in _pages(
        tagging, "get_resources", "ResourceTagMappingList", TagFilters=filters, ResourceTypeFilters=["iot", "sagemaker"]
    ):
        kind, _, name = one["ResourceARN"].split(":", 5)[5].partition("/")
        if kind in _TAGGED:
            found[_TAGGED[kind]].add(name)
    return found


def scope(
    state: StackState,
    with_tags: Mapping[tuple[str, str], set[str]],
    kept: Recording | None = None,
    account: str = "",
) -> Scope:
    """The whole stack, or what its program no longer registers.

    Args:
        state: what the stack has.
        with_tags: what carries the stack's tags, see `tagged`.
        kept: the stack's program; its resources are left out.
        account: the account that the stack is in, which names of buckets hold.
    """

    def names(kind: tuple[str, str]) -> frozenset[str]:
        found = state.values(*kind) | with_tags.get(kind, set())
        type_, key = kind
        registered = kept.of_type(type_).values() if kept else ()
        return frozenset(found - {str(one.inputs[key]).replace(ACCOUNT, account) for one in registered})

    return Scope(
        policies=names(_POLICY),
        things=names(_THING),
        groups=names(_THING_GROUP),
        model_groups=names(_MODEL_GROUP),
        buckets=names(_BUCKET),
        all_buckets=frozenset(state.values(*_BUCKET)),
        deployments=frozenset(state.values("aws-native:greengrassv2:Deployment", "deploymentId")),
        component_versions=frozenset(state.values("aws-native:greengrassv2:ComponentVersion", "arn")),
        unknown_to_pulumi=tuple(
            sorted(
                f"{type_.rpartition(':')[2]} {name}"
                for (type_, key), found in with_tags.items()
                for name in found - state.values(type_, key)
            )
        ),
    )


def find(scope: Scope, clients: Clients) -> Iterator[Leftover]:
    """List the leftovers that hang on the resources, in the order in which they can be deleted.

    Args:
        scope: the resources.
        clients: of the account that they are in.
    """
    iot, greengrass = clients("iot"), clients("greengrassv2")
    cores = core_devices(scope, greengrass)
    yield from _certificates(scope, iot)
    yield from _models(scope, clients("sagemaker"))
    yield from _deployments(scope, cores, greengrass, iot)
    yield from _component_versions(scope, greengrass)
    for core in cores:
        yield Leftover(f"core device {core}", _deletes(greengrass.delete_core_device, coreDeviceThingName=core))


def core_devices(scope: Scope, greengrass: Any) -> list[str]:
    """The core devices among the things, as far as Greengrass has ever heard of them."""
    known = _pages(greengrass, "list_core_devices", "coreDevices")
    return sorted({device["coreDeviceThingName"] for device in known} & scope.things)


def _deletes(operation: Callable[..., Any], **arguments: Any) -> Callable[[], None]:
    def delete() -> None:
        operation(**arguments)

    return delete


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> list[Any]:
    pages = client.get_paginator(operation).paginate(**arguments)
    return [item for page in pages for item in page.get(key, [])]


def _certificates(scope: Scope, iot: Any) -> Iterator[Leftover]:
    """The certificates of the policies and things; one that a thing of somebody else has, too, is detached alone."""
    arns: set[str] = set()
    for policy in scope.policies:
        try:
            arns |= set(_pages(iot, "list_targets_for_policy", "targets", policyName=policy))
        except iot.exceptions.ResourceNotFoundException:
            continue
    for thing in scope.things:
        try:
            arns |= set(_pages(iot, "list_thing_principals", "principals", thingName=thing))
        except iot.exceptions.ResourceNotFoundException:
            continue
    for arn in sorted(arn for arn in arns if ":cert/" in arn):
        number = arn.rpartition("/")[2]
        others = sorted(set(_pages(iot, "list_principal_things", "things", principal=arn)) - scope.things)
        if others:
            yield Leftover(
                f"attachments of certificate {number}, which {', '.join(others)} keeps", _detaches(scope, iot, arn)
            )
        else:
            yield Leftover(f"certificate {number}", _deletes_certificate(iot, arn))


def _detaches(scope: Scope, iot: Any, arn: str) -> Callable[[], None]:
    def detach() -> None:
        for thing in scope.things & set(_pages(iot, "list_principal_things", "things", principal=arn)):
            iot.detach_thing_principal(thingName=thing, principal=arn)
        attached = {one["policyName"] for one in _pages(iot, "list_attached_policies", "policies", target=arn)}
        for policy in scope.policies & attached:
            iot.detach_policy(policyName=policy, target=arn)

    return detach


def _deletes_certificate(iot: Any, arn: str) -> Callable[[], None]:
    def delete() -> None:
        for thing in _pages(iot, "list_principal_things", "things", principal=arn):
            iot.detach_thing_principal(thingName=thing, principal=arn)
        for policy in _pages(iot, "list_attached_policies", "policies", target=arn):
            iot.detach_policy(policyName=policy["policyName"], target=arn)
        number = arn.rpartition("/")[2]
        iot.update_certificate(certificateId=number, newStatus="INACTIVE")
        iot.delete_certificate(certificateId=number)

    return delete


def _models(scope: Scope, sagemaker: Any) -> Iterator[Leftover]:
    """The models that are registered in the groups."""
    known = {
        group["ModelPackageGroupName"]
        for group in _pages(sagemaker, "list_model_package_groups", "ModelPackageGroupSummaryList")
    }
    for group in sorted(known & scope.model_groups):
        for package in _pages(sagemaker, "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group):
            arn = package["ModelPackageArn"]
            yield Leftover(
                f"model {arn.partition('/')[2]}", _deletes(sagemaker.delete_model_package, ModelPackageName=arn)
            )


def _deployments(scope: Scope, cores: list[str], greengrass: Any, iot: Any) -> Iterator[Leftover]:
    """The deployments that Pulumi did not make, as those of models, to the groups and core devices.

    A group that Pulumi has deleted leaves its deployments behind: they are the stack's where they deploy what lies in
    its buckets.
    """
    existing: dict[str, bool] = {}
    for deployment in _pages(greengrass, "list_deployments", "deployments", historyFilter="ALL"):
        kind, _, name = deployment["targetArn"].split(":", 5)[5].partition("/")
        if deployment["deploymentId"] in scope.deployments:
            continue
        if kind == "thinggroup" and name not in scope.groups:
            if name not in existing:
                existing[name] = _exists(iot, name)
            if existing[name] or not _deploys_ours(scope, greengrass, deployment):
                continue
        elif kind == "thing" and name not in cores:
            continue
        label = deployment.get("deploymentName", deployment["deploymentId"])
        yield Leftover(f"deployment {label} to {name}", _deletes_deployment(greengrass, deployment))


def _exists(iot: Any, group: str) -> bool:
    try:
        iot.describe_thing_group(thingGroupName=group)
    except iot.exceptions.ResourceNotFoundException:
        return False
    return True


def _deploys_ours(scope: Scope, greengrass: Any, deployment: Mapping[str, Any]) -> bool:
    """Return whether a deployment brings a component version whose artifacts lie in the stack's buckets."""
    head = deployment["targetArn"].replace(":iot:", ":greengrass:").rsplit(":", 1)[0]
    components = greengrass.get_deployment(deploymentId=deployment["deploymentId"]).get("components", {})
    for name, wanted in components.items():
        try:
            answer = greengrass.get_component(
                arn=f"{head}:components:{name}:versions:{wanted['componentVersion']}", recipeOutputFormat="JSON"
            )
        except greengrass.exceptions.ResourceNotFoundException:
            continue
        if _artifact_buckets(json.loads(answer["recipe"])) & scope.all_buckets:
            return True
    return False


def _deletes_deployment(greengrass: Any, deployment: Mapping[str, Any]) -> Callable[[], None]:
    def delete() -> None:
        if deployment["deploymentStatus"] == "ACTIVE":
            greengrass.cancel_deployment(deploymentId=deployment["deploymentId"])
        greengrass.delete_deployment(deploymentId=deployment["deploymentId"])

    return delete


def _component_versions(scope: Scope, greengrass: Any) -> Iterator[Leftover]:
    """The versions of components whose artifacts lie in the buckets, and that Pulumi did not make."""
    if not scope.buckets:
        return
    for component in _pages(greengrass, "list_components", "components", scope="PRIVATE"):
        versions = _pages(greengrass, "list_component_versions", "componentVersions", arn=component["arn"])
        for version in versions:
            if version["arn"] in scope.component_versions:
                continue
            recipe = greengrass.get_component(arn=version["arn"], recipeOutputFormat="JSON")["recipe"]
            if _artifact_buckets(json.loads(recipe)) & scope.buckets:
                yield Leftover(
                    f"component {version['componentName']} {version['componentVersion']}",
                    _deletes(greengrass.delete_component, arn=version["arn"]),
                )


def _artifact_buckets(recipe: dict[str, Any]) -> set[str]:
    return {artifact["Uri"].removeprefix("s3://").partition("/")[0] for artifact in artifacts(recipe)}
