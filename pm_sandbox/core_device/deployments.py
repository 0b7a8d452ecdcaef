"""Deployments on paper: what several thing groups ask of one device, and what that comes to. No I/O.

Source of the rules: "Deploy AWS IoT Greengrass components to devices" in the developer guide
(https://docs.aws.amazon.com/greengrass/v2/developerguide/manage-deployments.html): a device runs the union of the
latest deployment of each of its targets, and a deployment that asks for another version of a component than another
target's does fails.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pm_components.functions.component_recipes import merged
from pm_sandbox.core_device.recipes import Recipe, satisfies, without

#: AWS's own components start with this; they are recorded and not run.
PUBLIC_PREFIX = "aws.greengrass."


class DeploymentError(RuntimeError):
    """A deployment that cannot be carried out; the text is what the device reports as the reason."""


@dataclass(frozen=True)
class Request:
    """A deployment's request of one component: a version, and changes of its configuration."""

    version: str
    reset: tuple[str, ...] = ()
    change: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """One deployment, as the device reads it from its job."""

    deployment_id: str
    name: str
    target: str
    components: Mapping[str, Request]
    roll_back: bool

    def to_json(self) -> dict[str, Any]:
        """The form in the state file."""
        return {
            "deploymentId": self.deployment_id,
            "deploymentName": self.name,
            "targetArn": self.target,
            "components": {name: {"componentVersion": request.version} for name, request in self.components.items()},
            "deploymentPolicies": {"failureHandlingPolicy": "ROLLBACK" if self.roll_back else "DO_NOTHING"},
        }


@dataclass(frozen=True)
class DeviceState:
    """The device's target state: the latest deployment of each target, and their settings of each configuration."""

    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By component: what deployments have set over the recipe's defaults, which later deployments keep."""

    def with_deployment(self, deployment: Deployment) -> "DeviceState":
        """The state that `deployment` asks for.

        Raises:
            DeploymentError: if another target asks for another version of one of its components.
        """
        others = {target: other for target, other in self.deployments.items() if target != deployment.target}
        for other in others.values():
            for name, request in deployment.components.items():
                asked = other.components.get(name)
                if asked is not None and asked.version != request.version:
                    raise DeploymentError(
                        f"{name}: {deployment.target} asks for version {request.version}, and {other.target} asks for "
                        f"{asked.version}; a device runs one"
                    )
        deployments = {**others, deployment.target: deployment}
        wanted = {name for each in deployments.values() for name in each.components}
        overrides = {name: values for name, values in self.overrides.items() if name in wanted}
        for name, request in deployment.components.items():
            values: Mapping[str, Any] = overrides.get(name, {})
            for pointer in request.reset:
                values = without(values, pointer)
            overrides[name] = merged(values, request.change)
        return replace(self, deployments=deployments, overrides=overrides)

    def versions(self) -> dict[str, str]:
        """The components that the targets name, with their versions."""
        return {
            name: request.version
            for deployment in self.deployments.values()
            for name, request in deployment.components.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The form in the state file."""
        return {
            "deployments": [deployment.to_json() for deployment in self.deployments.values()],
            "overrides": self.overrides,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "DeviceState":
        """The state that `to_json` has written."""
        deployments = [parse_deployment(each) for each in document["deployments"]]
        return cls({deployment.target: deployment for deployment in deployments}, document["overrides"])


def parse_deployment(document: Mapping[str, Any]) -> Deployment:
    """Read a job document.

    Raises:
        DeploymentError: if a part of it is missing or wrong; the text names it.
    """
    try:
        return Deployment(
            deployment_id=str(document["deploymentId"]),
            name=str(document.get("deploymentName") or document["deploymentId"]),
            target=str(document["targetArn"]),
            components={name: _request(name, asked) for name, asked in document["components"].items()},
            roll_back=(document.get("deploymentPolicies") or {}).get("failureHandlingPolicy", "ROLLBACK") == "ROLLBACK",
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise DeploymentError(f"the job document is none of a deployment: {error!r}") from error


def is_public(name: str) -> bool:
    """True for a component of AWS's own, which only a real nucleus has."""
    return name.startswith(PUBLIC_PREFIX)


def start_order(recipes: Mapping[str, Recipe]) -> list[str]:
    """The components in an order in which each comes after what it depends on.

    Raises:
        DeploymentError: if a dependency has the wrong version, or the dependencies go round in a circle.
    """
    ordered: list[str] = []
    under_way: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name in under_way:
            raise DeploymentError(f"the dependencies go round in a circle: {' -> '.join([*under_way, name])}")
        under_way.append(name)
        for other, (requirement, _) in sorted(recipes[name].dependencies.items()):
            if is_public(other):
                continue
            if not satisfies(recipes[other].version, requirement):
                raise DeploymentError(f"{name} needs {other} {requirement}, and {recipes[other].version} is deployed")
            visit(other)
        under_way.pop()
        ordered.append(name)

    for name in sorted(recipes):
        visit(name)
    return ordered


def with_dependents(changed: Iterable[str], recipes: Mapping[str, Recipe]) -> set[str]:
    """`changed` and all that depends on one of them HARD, directly or through others: what has to start anew."""
    affected = set(changed)
    while True:
        more = {
            name
            for name, recipe in recipes.items()
            if name not in affected
            and any(hard and other in affected for other, (_, hard) in recipe.dependencies.items())
        }
        if not more:
            return affected
        affected |= more


def _request(name: str, asked: Mapping[str, Any]) -> Request:
    update = asked.get("configurationUpdate") or {}
    change = update.get("merge") or {}
    if isinstance(change, str):
        try:
            change = json.loads(change)
        except ValueError as error:
            raise DeploymentError(f"{name}: the configuration to merge is no JSON: {error}") from error
    if not isinstance(change, dict):
        raise DeploymentError(f"{name}: the configuration to merge must be a JSON object, not {change!r}")
    reset = tuple(update.get("reset") or ())
    for pointer in reset:
        if pointer and not pointer.startswith("/"):
            raise DeploymentError(f"{name}: the JSON pointer to reset, {pointer!r}, must be empty or start with '/'")
    return Request(str(asked["componentVersion"]), reset, change)
