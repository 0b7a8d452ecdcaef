"""SageMaker's model package groups, and its notebook instances with what runs as they start."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, camel, pascal, tag_list, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates

_GROUP = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
_NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
_LIFE_CYCLE = "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration"

#: Pulumi's input of a notebook instance -> the member of CreateNotebookInstance; the first lot may change.
_CHANGING = {
    "additionalCodeRepositories": "AdditionalCodeRepositories",
    "defaultCodeRepository": "DefaultCodeRepository",
    "instanceType": "InstanceType",
    "lifecycleConfigName": "LifecycleConfigName",
    "roleArn": "RoleArn",
    "rootAccess": "RootAccess",
    "volumeSize": "VolumeSizeInGB",
}
_FIXED = {
    "directInternetAccess": "DirectInternetAccess",
    "kmsKeyId": "KmsKeyId",
    "platformIdentifier": "PlatformIdentifier",
    "securityGroups": "SecurityGroupIds",
    "subnetId": "SubnetId",
}
_METADATA = "instanceMetadataServiceConfiguration"
#: The member of UpdateNotebookInstance that takes an input away.
_TAKES_AWAY = {
    "additionalCodeRepositories": "DisassociateAdditionalCodeRepositories",
    "defaultCodeRepository": "DisassociateDefaultCodeRepository",
    "lifecycleConfigName": "DisassociateLifecycleConfig",
}
_SCRIPTS = {"onCreate": "OnCreate", "onStart": "OnStart"}


def _tags(context: Context, arn: str) -> dict[str, str]:
    pages = context.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=arn)
    return tags_of([tag for page in pages for tag in page["Tags"]])


def _update_tags(olds: dict[str, Any], news: Inputs, context: Context) -> None:
    client = context.client("sagemaker")
    update_tags(olds, news, client.delete_tags, client.add_tags, ResourceArn=olds["arn"])


@handles(_GROUP)
def model_package_group(inputs: Inputs, context: Context) -> Made:
    """A group of a model's versions."""
    name = inputs.need("modelPackageGroupName")
    made = context.client("sagemaker").create_model_package_group(
        ModelPackageGroupName=name,
        Tags=tag_list(inputs),
        **inputs.renamed(modelPackageGroupDescription="ModelPackageGroupDescription"),
    )
    return name, {"arn": made["ModelPackageGroupArn"]}


@reads(_GROUP)
def read_model_package_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A group with its tags."""
    found = context.client("sagemaker").describe_model_package_group(ModelPackageGroupName=id_)
    return {
        "modelPackageGroupName": id_,
        **told(found, modelPackageGroupDescription="ModelPackageGroupDescription"),
        "tags": _tags(context, found["ModelPackageGroupArn"]),
    }


@updates(_GROUP)
def update_model_package_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A group's tags."""
    _update_tags(olds, news, context)
    return {}


@deletes(_GROUP)
def delete_model_package_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A group, unless it has versions."""
    context.client("sagemaker").delete_model_package_group(ModelPackageGroupName=id_)


@handles(_NOTEBOOK)
def notebook_instance(inputs: Inputs, context: Context) -> Made:
    """A notebook instance, waited for until it is in service."""
    client, name = context.client("sagemaker"), inputs.need("name")
    made = client.create_notebook_instance(
        NotebookInstanceName=name,
        Tags=tag_list(inputs),
        **inputs.renamed(**_CHANGING, **_FIXED),
        **_metadata(inputs),
    )
    client.get_waiter("notebook_instance_in_service").wait(NotebookInstanceName=name)
    url = client.describe_notebook_instance(NotebookInstanceName=name)["Url"]
    return name, {"arn": made["NotebookInstanceArn"], "url": url}


@reads(_NOTEBOOK)
def read_notebook_instance(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A notebook instance with its tags."""
    found = context.client("sagemaker").describe_notebook_instance(NotebookInstanceName=id_)
    described = {"lifecycleConfigName": "NotebookInstanceLifecycleConfigName", "securityGroups": "SecurityGroups"}
    return {
        "name": id_,
        **told(found, **{**_CHANGING, **_FIXED, **described}),
        _METADATA: camel(found.get("InstanceMetadataServiceConfiguration")),
        "tags": _tags(context, found["NotebookInstanceArn"]),
    }


@updates(_NOTEBOOK)
def update_notebook_instance(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A notebook instance, stopped for it where it runs and started again after, and its tags."""
    client, others = context.client("sagemaker"), changed(olds, news, *_CHANGING, _METADATA)
    if others:
        gone = {_TAKES_AWAY[key]: True for key in others if key in _TAKES_AWAY and key not in news}
        set_ = {_CHANGING[key]: news.get(key) for key in others if key in _CHANGING and key in news}
        ran = _stop(client, id_)
        client.update_notebook_instance(NotebookInstanceName=id_, **gone, **set_, **_metadata(news))
        client.get_waiter("notebook_instance_stopped").wait(NotebookInstanceName=id_)
        if ran:
            client.start_notebook_instance(NotebookInstanceName=id_)
            client.get_waiter("notebook_instance_in_service").wait(NotebookInstanceName=id_)
    _update_tags(olds, news, context)
    return {}


@deletes(_NOTEBOOK)
def delete_notebook_instance(id_: str, state: dict[str, Any], context: Context) -> None:
    """A notebook instance, stopped first, since SageMaker deletes none that runs."""
    client = context.client("sagemaker")
    _stop(client, id_)
    client.delete_notebook_instance(NotebookInstanceName=id_)
    client.get_waiter("notebook_instance_deleted").wait(NotebookInstanceName=id_)


def _stop(client: Any, name: str) -> bool:
    """Stop an instance that is in service, and say whether it was."""
    status = client.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceStatus"]
    if status == "InService":
        client.stop_notebook_instance(NotebookInstanceName=name)
        client.get_waiter("notebook_instance_stopped").wait(NotebookInstanceName=name)
    return bool(status == "InService")


def _metadata(inputs: Inputs) -> dict[str, Any]:
    given = inputs.get(_METADATA)
    return {"InstanceMetadataServiceConfiguration": pascal(given)} if given else {}


@handles(_LIFE_CYCLE)
def notebook_life_cycle(inputs: Inputs, context: Context) -> Made:
    """The scripts that run as a notebook instance is made and as it starts."""
    name = inputs.need("name")
    made = context.client("sagemaker").create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, Tags=tag_list(inputs), **_scripts(inputs)
    )
    return name, {"arn": made["NotebookInstanceLifecycleConfigArn"]}


@reads(_LIFE_CYCLE)
def read_notebook_life_cycle(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """The scripts, with the tags."""
    found = context.client("sagemaker").describe_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=id_
    )
    scripts = {key: next((hook["Content"] for hook in found.get(name, [])), None) for key, name in _SCRIPTS.items()}
    return {"name": id_, **scripts, "tags": _tags(context, found["NotebookInstanceLifecycleConfigArn"])}


@updates(_LIFE_CYCLE)
def update_notebook_life_cycle(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """The scripts, all at once, and the tags."""
    if changed(olds, news, *_SCRIPTS):
        context.client("sagemaker").update_notebook_instance_lifecycle_config(
            NotebookInstanceLifecycleConfigName=id_, **_scripts(news)
        )
    _update_tags(olds, news, context)
    return {}


@deletes(_LIFE_CYCLE)
def delete_notebook_life_cycle(id_: str, state: dict[str, Any], context: Context) -> None:
    """The scripts."""
    context.client("sagemaker").delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=id_)


def _scripts(inputs: Inputs) -> dict[str, Any]:
    return {name: [{"Content": inputs.get(key)}] for key, name in _SCRIPTS.items() if key in inputs}
