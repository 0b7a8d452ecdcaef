"""The components of the edge, published to AWS IoT Greengrass: artifacts in a bucket, and a version each."""

import functools
from collections.abc import Mapping
from typing import Optional, TypedDict

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components import archives, recipes
from pm_components.tagging import tagged_options

#: The folders below `edge/` whose components a site runs; models come by a deployment of their own.
FOLDERS = ("python_runtime", "uplink", "forecaster", "fault_detector", "replayer", "device_simulator")


@functools.cache
def sources() -> tuple[recipes.ComponentSource, ...]:
    """The components of `FOLDERS`, read once by a program however many sites it has."""
    return tuple(recipes.load(folder) for folder in FOLDERS)


class EdgeComponentsArgs(TypedDict):
    """Arguments of `EdgeComponents`."""

    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps the artifacts, below `components/`."""


class EdgeComponents(pulumi.ComponentResource):
    """A version of each component of `edge/`, once for all sites of an account and region.

    A version follows from the recipe and the files that the component runs, so that it changes with them and only then.
    """

    versions: pulumi.Output[Mapping[str, str]]
    """The version by component name, known once it is published."""

    def __init__(self, name: str, args: EdgeComponentsArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("pm:index:EdgeComponents", name, None, tagged_options(opts, "EdgeComponents"))
        versions: dict[str, pulumi.Output[str]] = {}
        for source in sources():
            versions[source.name] = publish(name, source, args["artifact_bucket"], parent=self)
        self.versions = pulumi.Output.all(**versions)
        self.register_outputs({"versions": self.versions})


def publish(
    name: str, source: recipes.ComponentSource, bucket: pulumi.Input[str], *, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """Register a version of a component, its artifact in `bucket`; gives the version, known once it is there.

    Args:
        name: what the logical names of its resources begin with, and the publication that the artifact belongs to.
        source: the component.
        bucket: name of the artifact bucket.
        parent: the component resource that they belong to.
    """
    logical = f"{name}-{source.folder.replace('_', '-')}"
    artifacts: list[pulumi.Resource] = []
    key = source.artifact_key(name)
    if source.artifact_name:
        file = archives.stored(f"{source.folder}.zip", source.artifact())
        artifacts.append(
            aws.s3.BucketObjectv2(
                f"{logical}-artifact",
                bucket=bucket,
                key=key,
                source=pulumi.FileAsset(str(file)),
                content_type="application/zip",
                opts=pulumi.ResourceOptions(parent=parent),
            )
        )
    uri = pulumi.Output.concat("s3://", bucket, "/", key)
    version = greengrassv2.ComponentVersion(
        f"{logical}-component",
        inline_recipe=uri.apply(lambda known: recipes.published(source.recipe, source.version, known)),
        # Greengrass reads the artifact while it registers the version, and keeps its digest.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=artifacts),
    )
    return version.component_version
