"""The check that nucleus lite has room for a deployment, by the rules that a site is held to. No I/O."""

from collections.abc import Mapping

from pm_components.functions.component_recipes import merged
from pm_components.greengrass_site import lite_limits
from pm_sandbox.core_device.deployments import Deployment, DeploymentError, DeviceState
from pm_sandbox.core_device.recipes import Recipe


def check(deployment: Deployment, thing_name: str, state: DeviceState, recipes: Mapping[str, Recipe]) -> None:
    """Refuse a deployment that nucleus lite drops or breaks off, since a part of it is larger than its buffer.

    Args:
        deployment: what is to be carried out.
        thing_name: the core device.
        state: what the device is to run with it.
        recipes: the recipes of all that is to run.

    Raises:
        DeploymentError: for such a deployment; the text names each part with its size.
    """
    components = {
        name: lite_limits.LiteComponent(
            version=request.version,
            merge=request.change,
            reset=request.reset,
            configuration=merged(recipes[name].defaults if name in recipes else {}, state.overrides.get(name, {})),
        )
        for name, request in deployment.components.items()
    }
    group = deployment.target.rpartition("/")[2]
    problems = lite_limits.problems(lite_limits.LiteDeployment(deployment.name, group, thing_name, components))
    if problems:
        raise DeploymentError("; ".join(problems))
