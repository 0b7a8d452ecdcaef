"""An optional notebook instance of Amazon SageMaker that opens on `pm_ml/notebooks`."""

import base64
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from pm_components.aws import archives, naming, packaging
from pm_components.aws.encryption_keys import rotated_key
from pm_components.aws.limits import NOTEBOOK_INSTANCE_NAME_LENGTH
from pm_components.aws.permissions import Statement, service_role
from pm_components.aws.settings import with_defaults
from pm_components.forecast_pipeline.settings import WorkbenchArgs, WorkbenchSettings

#: "Amazon Linux 2023 notebook instances", SageMaker developer guide.
PLATFORM = "notebook-al2023-v1"
_HOME = "/home/ec2-user/SageMaker"


def workbench(
    name: str,
    args: WorkbenchArgs,
    bucket: pulumi.Input[str],
    statements: Sequence[Statement],
    *,
    parent: pulumi.Resource,
) -> aws.sagemaker.NotebookInstance:
    """The instance `{name}-workbench`, with the training code and its notebooks unpacked in its home at each start.

    Args:
        name: logical name of the component.
        args: how large, and where.
        bucket: the artifact bucket, which the code is put into.
        statements: what the one who works there may do.
        parent: the component.

    Raises:
        ValueError: for a subnet without security groups.
    """
    if ("subnet_id" in args) != ("security_group_ids" in args):
        raise ValueError("workbench: found subnet_id or security_group_ids alone, allowed are both or neither")
    args = with_defaults(args, WorkbenchSettings())
    options = pulumi.ResourceOptions(parent=parent)
    code = _code(name, bucket, options)
    role = service_role(f"{name}-workbench", "sagemaker.amazonaws.com", statements, parent=parent)
    physical = naming.physical_name(name, "workbench", maximum=NOTEBOOK_INSTANCE_NAME_LENGTH)
    start = aws.sagemaker.NotebookInstanceLifecycleConfiguration(
        f"{name}-workbench-start",
        name=physical,
        on_start=pulumi.Output.all(bucket, code.key).apply(
            lambda known: base64.b64encode(_start_script(*known).encode()).decode()
        ),
        opts=options,
    )
    in_subnet = "subnet_id" in args
    return aws.sagemaker.NotebookInstance(
        f"{name}-workbench",
        name=physical,
        role_arn=role.arn,
        instance_type=args["instance_type"],
        volume_size=args["volume_gibibytes"],
        # SageMaker uses it in the name of who makes or starts the instance.
        kms_key_id=rotated_key(f"{name}-workbench-key", "Encrypts the volume of the workbench", parent=parent).arn,
        platform_identifier=PLATFORM,
        lifecycle_config_name=start.name,
        root_access="Disabled",
        direct_internet_access="Disabled" if in_subnet else "Enabled",
        subnet_id=args.get("subnet_id"),
        security_groups=args.get("security_group_ids"),
        instance_metadata_service_configuration={"minimum_instance_metadata_service_version": "2"},
        opts=options,
    )


def _code(name: str, bucket: pulumi.Input[str], options: pulumi.ResourceOptions) -> aws.s3.BucketObjectv2:
    """The workbench's files: those of a training container, the notebooks, and the simulators."""
    edge = packaging.ROOT / "pm_edge"
    files = {
        **packaging.training_files(),
        **packaging.below("pm_ml/notebooks", packaging.files_below(packaging.ROOT / "pm_ml" / "notebooks", "*.ipynb")),
        **packaging.below("pm_edge", packaging.files_below(edge, "__init__.py")),
        **packaging.below("pm_edge/devices", packaging.files_below(edge / "devices", "__init__.py")),
        **packaging.below("pm_edge/devices/simulator", packaging.files_below(edge / "devices" / "simulator", "*.py")),
    }
    contents = archives.read_files(files)
    return aws.s3.BucketObjectv2(
        f"{name}-workbench-code",
        bucket=bucket,
        key=f"training-code/{archives.version(contents)}/workbench.tar.gz",
        source=pulumi.FileAsset(str(archives.stored("workbench.tar.gz", archives.tar_gz_bytes(contents)))),
        content_type="application/gzip",
        opts=options,
    )


def _start_script(bucket: str, key: str) -> str:
    """The script of each start of the instance, within the five minutes that SageMaker allows.

    Jupyter opens on its home, where `notebooks` leads to those of `project/`, which is replaced: work of one's own
    belongs beside it. The packages of `project/requirements.txt` are for the one who works there to install, since they
    take longer than a start may (pm_ml/notebooks/README.md).
    """
    return f"""#!/bin/bash
set -eu
target={_HOME}/project
rm -rf "$target.new"
mkdir -p "$target.new"
aws s3 cp --only-show-errors "s3://{bucket}/{key}" - | tar -xz -C "$target.new"
chown -R ec2-user:ec2-user "$target.new"
rm -rf "$target"
mv "$target.new" "$target"
ln -sfn project/pm_ml/notebooks {_HOME}/notebooks
"""
