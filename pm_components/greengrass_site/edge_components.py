"""The components of the edge, published to AWS IoT Greengrass: artifacts in a bucket, and a version each."""

import functools
from collections.abc import Mapping
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components.aws import archives, naming, recipes
from pm_components.aws.tagging import OwnershipArgs, tagged_options

#: The folders of `pm_edge/components/` whose components a site runs; models come by a deployment of their own.
FOLDERS = ("python_runtime", "uplink", "forecaster", "fault_detector", "replayer", "device_simulator")


@functools.cache
def sources() -> tuple[recipes.ComponentSource, ...]:
    """The components of `FOLDERS`, read once by a program however many sites it has."""
    return tuple(recipes.load(folder) for folder in FOLDERS)


class EdgeComponentsArgs(TypedDict):
    """Arguments of `EdgeComponents`."""

    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps the artifacts, below `components/`."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class EdgeComponents(pulumi.ComponentResource):
    """A version of each component of `pm_edge/components/`, once for all sites of a stack.

    A version follows from the recipe, the files that the component runs, and where they lie, so that it changes with
    them and only then, and no other stack has it.
    """

    versions: pulumi.Output[Mapping[str, str]]
    """The version by component name, known once it is published."""

    def __init__(self, name: str, args: EdgeComponentsArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:EdgeComponents", name, None, tagged_options(opts, "EdgeComponents", args.get("ownership"))
        )
        versions: dict[str, pulumi.Output[str]] = {}
        for source in sources():
            versions[source.name] = publish(name, source, args["artifact_bucket"], parent=self)
        self.versions = pulumi.Output.all(**versions)
        self.register_outputs({"versions": self.versions})


def publish(
    name: str,
    source: recipes.ComponentSource,
    bucket: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    more: Optional[pulumi.Output[Mapping[str, bytes]]] = None,
) -> pulumi.Output[str]:
    """Register a version of a component, its artifact in `bucket`; gives the version, known once it is there.

    Args:
        name: what the logical names of its resources begin with, and after the stack the artifact's key.
        source: the component.
        bucket: name of the artifact bucket.
        parent: the component resource that they belong to.
        more: files of the artifact that only outputs give.
    """
    none: pulumi.Output[Mapping[str, bytes]] = pulumi.Output.from_input({})
    added = more or none

    def whole(files: Mapping[str, bytes]) -> recipes.ComponentSource:
        return source._replace(files={**source.files, **files})

    logical = f"{name}-{source.folder.replace('_', '-')}"
    # Stacks may share a bucket, and a stack may publish twice into one.
    prefix = f"components/{naming.physical_name(name)}"
    artifacts: list[pulumi.Resource] = []
    if source.artifact_name:
        artifacts.append(
            aws.s3.BucketObjectv2(
                f"{logical}-artifact",
                bucket=bucket,
                key=added.apply(lambda files: whole(files).artifact_key(prefix)),
                source=added.apply(
                    lambda files: pulumi.FileAsset(
                        str(archives.stored(f"{source.folder}.zip", whole(files).artifact()))
                    )
                ),
                content_type="application/zip",
                opts=pulumi.ResourceOptions(parent=parent),
            )
        )
    version = greengrassv2.ComponentVersion(
        f"{logical}-component",
        inline_recipe=pulumi.Output.all(added, bucket).apply(
            lambda known: whole(known[0]).published(known[1], prefix).recipe
        ),
        # Greengrass reads the artifact while it registers the version, and keeps its digest.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=artifacts),
    )
    return version.component_version
