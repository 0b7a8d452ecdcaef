"""SageMaker's notebook instances and their life-cycle configurations: kept and described; no machine starts.

A request is done when it is answered, so that an instance is never seen Pending, Updating, Stopping or Deleting. The
wording of the errors is that which the Terraform provider for AWS looks for, internal/service/sagemaker/find.go.
"""

from dataclasses import dataclass, field
from typing import Any

from pm_sandbox.cloud.modelled_service import ApiError, Request, now, page

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"

#: Defaults of CreateNotebookInstance, Amazon SageMaker API reference.
_DEFAULTS = {"DirectInternetAccess": "Enabled", "RootAccess": "Enabled", "VolumeSizeInGB": 5}
#: Members of the description that have another name in the request.
_RENAMED = {"SecurityGroupIds": "SecurityGroups", "LifecycleConfigName": "NotebookInstanceLifecycleConfigName"}
#: Settings that UpdateNotebookInstance takes away.
_TAKEN_AWAY = {
    "DisassociateLifecycleConfig": "NotebookInstanceLifecycleConfigName",
    "DisassociateAcceleratorTypes": "AcceleratorTypes",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
}


@dataclass
class Notebooks:
    """The operations on notebook instances and their life-cycle configurations.

    Args:
        tags: the tags of all resources by ARN, shared with the rest of the service.
        instances: the description of each instance by name.
        life_cycles: the same of each configuration.
    """

    tags: dict[str, list[dict[str, str]]]
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    life_cycles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def create(self, request: Request) -> dict[str, Any]:
        """Make an instance, which is in service at once."""
        given, name, arn = request.input, request.input["NotebookInstanceName"], instance_arn(request)
        if name in self.instances:
            raise _invalid(f"Cannot create a duplicate Notebook Instance ({arn})")
        self._allow(request, arn)
        made = _as_described(given)
        self.instances[name] = {
            **_DEFAULTS,
            **made,
            "NotebookInstanceName": name,
            "NotebookInstanceArn": arn,
            "NotebookInstanceStatus": "InService",
            "Url": f"{name}.notebook.{request.region}.sagemaker.aws",
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        self.tags[arn] = list(given.get("Tags", []))
        return {"NotebookInstanceArn": arn}

    def describe(self, request: Request) -> dict[str, Any]:
        """One instance."""
        return self._instance(request)

    def list(self, request: Request) -> dict[str, Any]:
        """All instances, latest first."""
        wanted = request.input.get("NameContains", "")
        found = [one for name, one in reversed(self.instances.items()) if wanted in name]
        some, token = page(found, request.input, "MaxResults", "NextToken")
        names = ("NotebookInstanceName", "NotebookInstanceArn", "NotebookInstanceStatus", "Url", "InstanceType")
        summaries = [{name: one[name] for name in (*names, "CreationTime", "LastModifiedTime")} for one in some]
        return {"NotebookInstances": summaries, "NextToken": token}

    def update(self, request: Request) -> dict[str, Any]:
        """Change an instance that is stopped."""
        known = self._instance(request)
        _require(known, "Stopped", "Failed")
        self._allow(request, known["NotebookInstanceArn"])
        if request.input.get("VolumeSizeInGB", known["VolumeSizeInGB"]) < known["VolumeSizeInGB"]:
            raise _invalid("VolumeSizeInGB cannot be made smaller")
        for switch, member in _TAKEN_AWAY.items():
            if request.input.get(switch):
                known.pop(member, None)
        known |= {**_as_described(request.input), "LastModifiedTime": now()}
        return {}

    def start(self, request: Request) -> dict[str, Any]:
        """Bring a stopped instance into service."""
        return self._turn(request, "InService", "Stopped", "Failed")

    def stop(self, request: Request) -> dict[str, Any]:
        """Stop an instance that is in service."""
        return self._turn(request, "Stopped", "InService", "Failed")

    def delete(self, request: Request) -> dict[str, Any]:
        """Forget an instance, which must not be in service."""
        known = self._instance(request)
        _require(known, "Stopped", "Failed")
        del self.instances[known["NotebookInstanceName"]]
        self.tags.pop(known["NotebookInstanceArn"], None)
        return {}

    def create_life_cycle(self, request: Request) -> dict[str, Any]:
        """Keep the scripts of an instance's creation and start."""
        given, arn = request.input, life_cycle_arn(request)
        name = given["NotebookInstanceLifecycleConfigName"]
        if name in self.life_cycles:
            raise _invalid(f"Cannot create a duplicate Notebook Instance Lifecycle Config ({arn})")
        self.life_cycles[name] = {
            **{key: value for key, value in given.items() if key != "Tags"},
            "NotebookInstanceLifecycleConfigArn": arn,
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        self.tags[arn] = list(given.get("Tags", []))
        return {"NotebookInstanceLifecycleConfigArn": arn}

    def describe_life_cycle(self, request: Request) -> dict[str, Any]:
        """One configuration."""
        return self._life_cycle(request.input["NotebookInstanceLifecycleConfigName"])

    def update_life_cycle(self, request: Request) -> dict[str, Any]:
        """Give a configuration other scripts; they run at the next start of an instance."""
        known = self._life_cycle(request.input["NotebookInstanceLifecycleConfigName"])
        known |= {name: request.input[name] for name in ("OnCreate", "OnStart") if name in request.input}
        known["LastModifiedTime"] = now()
        return {}

    def delete_life_cycle(self, request: Request) -> dict[str, Any]:
        """Forget a configuration."""
        known = self._life_cycle(request.input["NotebookInstanceLifecycleConfigName"])
        del self.life_cycles[known["NotebookInstanceLifecycleConfigName"]]
        self.tags.pop(known["NotebookInstanceLifecycleConfigArn"], None)
        return {}

    def _allow(self, request: Request, arn: str) -> None:
        given = request.input
        if "RoleArn" in given:
            request.authorize("iam:PassRole", given["RoleArn"], {"iam:PassedToService": SERVICE_PRINCIPAL})
        if given.get("Tags"):
            request.authorize("sagemaker:AddTags", arn)
        if "LifecycleConfigName" in given:
            self._life_cycle(given["LifecycleConfigName"])

    def _turn(self, request: Request, to: str, *ways_from: str) -> dict[str, Any]:
        known = self._instance(request)
        _require(known, *ways_from)
        known |= {"NotebookInstanceStatus": to, "LastModifiedTime": now()}
        return {}

    def _instance(self, request: Request) -> dict[str, Any]:
        name = request.input["NotebookInstanceName"]
        if name not in self.instances:
            raise _invalid(f"RecordNotFound: Notebook Instance {name} does not exist")
        return self.instances[name]

    def _life_cycle(self, name: str) -> dict[str, Any]:
        if name not in self.life_cycles:
            text = f"Unable to describe Notebook Instance Lifecycle Config '{name}'. Details: it does not exist."
            raise _invalid(text)
        return self.life_cycles[name]


def instance_arn(request: Request) -> str:
    """The ARN of the instance that a request names."""
    return f"{request.arn_prefix('sagemaker')}:notebook-instance/{request.input['NotebookInstanceName']}"


def life_cycle_arn(request: Request) -> str:
    """The ARN of the life-cycle configuration that a request names."""
    name = request.input["NotebookInstanceLifecycleConfigName"]
    return f"{request.arn_prefix('sagemaker')}:notebook-instance-lifecycle-config/{name}"


def _as_described(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a request, by the names of the description."""
    left_out = {"NotebookInstanceName", "Tags", *_TAKEN_AWAY}
    return {_RENAMED.get(name, name): value for name, value in given.items() if name not in left_out}


def _require(known: dict[str, Any], *statuses: str) -> None:
    if known["NotebookInstanceStatus"] not in statuses:
        raise _invalid(
            f"Status ({known['NotebookInstanceStatus']}) not in ({', '.join(statuses)}). Unable to transition "
            f"Notebook Instance ({known['NotebookInstanceArn']})"
        )


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message, 400)
