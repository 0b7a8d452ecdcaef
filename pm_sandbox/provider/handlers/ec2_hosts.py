"""EC2: templates of instances, and disks. The emulator keeps them and boots nothing."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of
from pm_sandbox.provider.handlers.ec2_tags import tagged, update_ec2_tags
from pm_sandbox.provider.inputs import Inputs, camel, pascal, told
from pm_sandbox.provider.registry import Context, Made, Renewal, deletes, handles, reads, updates

_VOLUME = {"encrypted": "Encrypted", "kmsKeyId": "KmsKeyId", "size": "Size", "type": "VolumeType"}
_TEMPLATE = {"imageId": "ImageId", "instanceType": "InstanceType", "userData": "UserData"}
_TEMPLATE_BLOCKS = {"iamInstanceProfile": "IamInstanceProfile", "metadataOptions": "MetadataOptions"}
_TEMPLATE_LISTS = ("networkInterfaces", "blockDeviceMappings")
_CONTENT = (*_TEMPLATE, *_TEMPLATE_BLOCKS, *_TEMPLATE_LISTS)


@handles(
    "aws:ebs/volume:Volume",
    finalSnapshot="says what happens to it at its end, and the sandbox is thrown away as a whole",
)
def volume(inputs: Inputs, context: Context) -> Made:
    """A disk that outlives the instances that it is attached to."""
    made = context.client("ec2").create_volume(
        AvailabilityZone=inputs.need("availabilityZone"),
        **inputs.renamed(**_VOLUME),
        **tagged(inputs, "volume"),
    )["VolumeId"]
    return made, {"arn": context.arn("ec2", f"volume/{made}")}


@reads("aws:ebs/volume:Volume")
def read_volume(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A disk."""
    (found,) = context.client("ec2").describe_volumes(VolumeIds=[id_])["Volumes"]
    settings = told(found, **_VOLUME, availabilityZone="AvailabilityZone")
    return {**settings, "tags": tags_of(found.get("Tags"))}


@updates("aws:ebs/volume:Volume")
def update_volume(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A disk's size and type, and its tags."""
    if changed(olds, news, "size", "type"):
        context.client("ec2").modify_volume(VolumeId=id_, **news.renamed(size="Size", type="VolumeType"))
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ebs/volume:Volume")
def delete_volume(id_: str, state: dict[str, Any], context: Context) -> None:
    """A disk, unless an instance has it; the emulated cloud keeps its content in a snapshot where that is asked for."""
    client = context.client("ec2")
    if state.get("finalSnapshot"):
        client.create_snapshot(VolumeId=id_)
    client.delete_volume(VolumeId=id_)


@handles("aws:ec2/launchTemplate:LaunchTemplate")
def launch_template(inputs: Inputs, context: Context) -> Made:
    """A template of instances; its user data is encoded already."""
    name = inputs.need("name")
    made = context.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=_template(inputs), **tagged(inputs, "launch-template")
    )["LaunchTemplate"]
    return made["LaunchTemplateId"], {
        "arn": context.arn("ec2", f"launch-template/{made['LaunchTemplateId']}"),
        "defaultVersion": made["DefaultVersionNumber"],
        "latestVersion": made["LatestVersionNumber"],
    }


def _template(inputs: Inputs) -> dict[str, Any]:
    data: dict[str, Any] = inputs.renamed(**_TEMPLATE)
    for key in _TEMPLATE_BLOCKS:
        if key in inputs:
            data |= pascal({key: inputs.get(key)})
    data["NetworkInterfaces"] = [
        {
            "DeviceIndex": index,
            "AssociatePublicIpAddress": interface.get("associatePublicIpAddress") == "true",
            "Groups": interface.get("securityGroups", []),
        }
        for index, interface in enumerate(inputs.blocks("networkInterfaces"))
    ]
    data["BlockDeviceMappings"] = [
        {"DeviceName": device.need("deviceName"), "Ebs": _disk(disk)}
        for device in inputs.blocks("blockDeviceMappings")
        for disk in device.blocks("ebs")
    ]
    return data


@reads("aws:ec2/launchTemplate:LaunchTemplate")
def read_launch_template(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A template in its latest version; its disks and interfaces are taken to be as they were asked for."""
    client = context.client("ec2")
    listed = client.describe_launch_templates(LaunchTemplateIds=[id_])["LaunchTemplates"]
    if not listed:
        return None
    versions = client.describe_launch_template_versions(LaunchTemplateId=id_, Versions=["$Latest"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return {
        "name": listed[0]["LaunchTemplateName"],
        **told(data, **_TEMPLATE),
        **camel(told(data, **_TEMPLATE_BLOCKS)),
        "tags": tags_of(client.describe_tags(Filters=[{"Name": "resource-id", "Values": [id_]}])["Tags"]),
    }


@updates(
    "aws:ec2/launchTemplate:LaunchTemplate",
    renews={"latestVersion": Renewal(_CONTENT), "defaultVersion": Renewal(_CONTENT, where="updateDefaultVersion")},
)
def update_launch_template(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Another content makes a new version, which is the default one where the program says so."""
    client, outputs = context.client("ec2"), {}
    if changed(olds, news, *_CONTENT):
        made = client.create_launch_template_version(LaunchTemplateId=id_, LaunchTemplateData=_template(news))
        outputs["latestVersion"] = made["LaunchTemplateVersion"]["VersionNumber"]
        if news.get("updateDefaultVersion"):
            client.modify_launch_template(LaunchTemplateId=id_, DefaultVersion=str(outputs["latestVersion"]))
            outputs["defaultVersion"] = outputs["latestVersion"]
    update_ec2_tags(id_, olds, news, context)
    return outputs


@deletes("aws:ec2/launchTemplate:LaunchTemplate")
def delete_launch_template(id_: str, state: dict[str, Any], context: Context) -> None:
    """A template with its versions; instances that were made by it go on."""
    context.client("ec2").delete_launch_template(LaunchTemplateId=id_)


def _disk(disk: Inputs) -> dict[str, Any]:
    return {
        **disk.renamed(volumeType="VolumeType", volumeSize="VolumeSize"),
        "Encrypted": disk.get("encrypted") == "true",
        "DeleteOnTermination": disk.get("deleteOnTermination") == "true",
    }
