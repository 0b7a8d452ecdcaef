"""Notebook instances of the embedded cloud: the life cycle that SageMaker and its waiters know.

Not proved here: anything of a machine, since none starts.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from tests.sandbox.cloud.conftest import Account


@pytest.fixture
def notebook(cloud: Cloud, account: Account) -> dict[str, Any]:
    given = {
        "NotebookInstanceName": f"{account.prefix}-notebook",
        "InstanceType": "ml.t3.medium",
        "RoleArn": account.role("sagemaker"),
        "VolumeSizeInGB": 10,
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
    }
    cloud.client("sagemaker").create_notebook_instance(**given)
    return given


def test_an_instance_is_in_service_stopped_changed_started_and_deleted(cloud: Cloud, notebook: dict[str, Any]) -> None:
    sagemaker, name = cloud.client("sagemaker"), notebook["NotebookInstanceName"]

    def reached(waiter: str) -> None:
        sagemaker.get_waiter(waiter).wait(NotebookInstanceName=name)

    reached("notebook_instance_in_service")
    found = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert {key: found[key] for key in notebook} == notebook
    assert (found["RootAccess"], found["DirectInternetAccess"]) == ("Enabled", "Enabled")
    assert name in [one["NotebookInstanceName"] for one in sagemaker.list_notebook_instances()["NotebookInstances"]]

    for refused in (sagemaker.start_notebook_instance, sagemaker.delete_notebook_instance):
        with pytest.raises(ClientError, match=r"Status \(InService\) not in \(Stopped, Failed\)"):
            refused(NotebookInstanceName=name)
    with pytest.raises(ClientError, match="Status"):
        sagemaker.update_notebook_instance(NotebookInstanceName=name, RootAccess="Disabled")

    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    reached("notebook_instance_stopped")
    with pytest.raises(ClientError, match="cannot be made smaller"):
        sagemaker.update_notebook_instance(NotebookInstanceName=name, VolumeSizeInGB=9)
    sagemaker.update_notebook_instance(NotebookInstanceName=name, RootAccess="Disabled", VolumeSizeInGB=11)
    found = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert (found["RootAccess"], found["VolumeSizeInGB"]) == ("Disabled", 11)
    sagemaker.start_notebook_instance(NotebookInstanceName=name)
    reached("notebook_instance_in_service")

    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    sagemaker.delete_notebook_instance(NotebookInstanceName=name)
    reached("notebook_instance_deleted")
    with pytest.raises(ClientError, match="RecordNotFound"):
        sagemaker.describe_notebook_instance(NotebookInstanceName=name)


def test_a_life_cycle_configuration_is_set_and_taken_away(cloud: Cloud, notebook: dict[str, Any]) -> None:
    sagemaker, name = cloud.client("sagemaker"), notebook["NotebookInstanceName"]
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    with pytest.raises(ClientError, match="Unable to describe Notebook Instance Lifecycle Config"):
        sagemaker.update_notebook_instance(NotebookInstanceName=name, LifecycleConfigName=name)

    sagemaker.create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, OnStart=[{"Content": "YQ=="}]
    )
    sagemaker.update_notebook_instance(NotebookInstanceName=name, LifecycleConfigName=name)
    found = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert found["NotebookInstanceLifecycleConfigName"] == name
    sagemaker.update_notebook_instance(NotebookInstanceName=name, DisassociateLifecycleConfig=True)
    assert "NotebookInstanceLifecycleConfigName" not in sagemaker.describe_notebook_instance(NotebookInstanceName=name)

    sagemaker.update_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, OnStart=[{"Content": "Yg=="}]
    )
    found = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    assert found["OnStart"] == [{"Content": "Yg=="}]
    sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    with pytest.raises(ClientError, match="Unable to describe"):
        sagemaker.delete_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
