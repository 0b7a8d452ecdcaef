"""Carries out deployments: recipes, artifacts, configuration, processes; and goes back where one fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pm_components.functions.component_recipes import RecipeError, merged
from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device import lite_fit
from pm_sandbox.core_device.artifacts import ArtifactStore
from pm_sandbox.core_device.client_devices.configuration import PLAYED
from pm_sandbox.core_device.client_devices.program import NAME as GATEWAY
from pm_sandbox.core_device.client_devices.program import gateway_program
from pm_sandbox.core_device.cloud_access import CloudAccess, Offline
from pm_sandbox.core_device.deployments import (
    Deployment,
    DeploymentError,
    DeviceState,
    is_public,
    parse_deployment,
    start_order,
    with_dependents,
)
from pm_sandbox.core_device.judging import judge_of
from pm_sandbox.core_device.plug_ins import RunningNucleus, resolved
from pm_sandbox.core_device.recipes import (
    Recipe,
    configuration_value,
    interpolate,
    newest,
    parse_recipe,
)
from pm_sandbox.core_device.supervisor import Program, Supervisor
from pm_sandbox.state_files import put_aside, recovered, write_json

#: Deployments that `status` tells of.
_REMEMBERED = 50
#: Seconds between tries to reach the cloud while the uplink is cut.
_RETRY_AFTER = (0.5, 10.0)

log = logging.getLogger("nucleus")


@dataclass(frozen=True)
class Result:
    """The outcome of a deployment.

    Attributes:
        deployment_id: Which one.
        name: Its name.
        target: ARN of the thing or thing group that it is for.
        status: `SUCCEEDED` or `FAILED`.
        code: More exactly, as a real nucleus reports in `detailed-deployment-status`.
        detail: One sentence for a person, which the cloud hears.
        cause: Why a component is broken, which stays on the device as a real nucleus's logs do; may be empty.
    """

    deployment_id: str
    name: str
    target: str
    status: str
    code: str
    detail: str
    cause: str = ""


@dataclass(frozen=True)
class _Plan:
    """The plan of a deployment: the target state, and the components that follow from it."""

    nucleus: RunningNucleus
    state: DeviceState = field(default_factory=DeviceState)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    programs: Mapping[str, Program] = field(default_factory=dict)


class Nucleus:
    """The part of a core device that runs what deployments ask for.

    Attributes:
        results: How the latest deployments went, oldest first.
        finished: Notified with each deployment that has ended.
        gateway_directory: The folder of the gateway of client devices.
    """

    def __init__(
        self,
        directory: Path,
        thing_name: str,
        cloud: CloudAccess,
        supervisor: Supervisor,
        running: RunningNucleus,
    ) -> None:
        """A nucleus of the supervisor's kind that says it is `running`, until a deployment changes that."""
        self._kind = supervisor.kind
        self._directory = directory
        self._thing_name = thing_name
        self._cloud = cloud
        self._supervisor = supervisor
        self._judge = judge_of(supervisor)
        self._artifacts = ArtifactStore(directory)
        self.gateway_directory = directory / "client-devices"
        self._state_file = directory / "state.json"
        self._plan = _Plan(running)
        self.results: deque[Result] = deque(maxlen=_REMEMBERED)
        self.finished = asyncio.Condition()

    @property
    def running(self) -> RunningNucleus:
        """The nucleus that the device runs."""
        return self._plan.nucleus

    def not_run(self) -> dict[str, str]:
        """The deployed components that are recorded and not run, each with the reason."""
        reason = (
            "a component of AWS's own: the sandbox has its recipe not; the emulated nucleus stands in for what it does"
        )
        running = self._plan.programs
        played = PLAYED if GATEWAY in running else ()
        return {
            name: f"played by the gateway that runs as {GATEWAY}" if name in played else reason
            for name in sorted(self._plan.state.versions())
            if is_public(name) and name not in running
        }

    async def resume(self) -> None:
        """Start what the latest deployments left here, without asking the cloud; what cannot start is logged."""
        saved = recovered(self._state_file, "results", "recipes", "nucleus", "state")
        if not saved:
            return
        try:
            self.results.extend(Result(**result) for result in saved["results"])
            recipes = {name: parse_recipe(document, self._kind) for name, document in saved["recipes"].items()}
            running, state = RunningNucleus(**saved["nucleus"]), DeviceState.from_json(saved["state"])
            self._plan = self._planned(running, state, recipes)
        except (DeploymentError, RecipeError, AttributeError, KeyError, TypeError, ValueError) as error:
            put_aside(self._state_file, f"{type(error).__name__}: {error}")
            return
        # A classic nucleus runs install steps at each of its starts; the units of a lite one are there already.
        await self._apply(self._plan, are_installed=self._kind is NucleusKind.LITE)

    async def deploy(self, document: Mapping[str, Any]) -> Result:
        """Carry out the deployment of a job document and return how it went; nothing is raised for a bad one."""
        try:
            deployment = parse_deployment(document)
        except DeploymentError as error:
            name = str(document.get("deploymentId", "?"))
            return await self._finish(
                Result(name, name, str(document.get("targetArn", "?")), "FAILED", "REJECTED", str(error))
            )
        log.info("deployment %s (%s) for %s", deployment.name, deployment.deployment_id, deployment.target)
        status, code, detail, cause = await self._deploy(deployment, document.get("recipes") or {})
        log.info("deployment %s: %s, %s: %s %s", deployment.name, status, code, detail, cause)
        return await self._finish(
            Result(deployment.deployment_id, deployment.name, deployment.target, status, code, detail, cause)
        )

    async def _deploy(self, deployment: Deployment, recipes: Mapping[str, Any]) -> tuple[str, str, str, str]:
        """Carry out a deployment; how it went: status, code, detail and cause of its result."""
        before = self._plan
        try:
            plan = await self._prepare(before.state.with_deployment(deployment), recipes)
            if plan.nucleus.kind == NucleusKind.LITE:
                lite_fit.check(deployment, self._thing_name, plan.state, plan.recipes)
        except (DeploymentError, RecipeError, OSError) as error:
            return "FAILED", "FAILED_NO_STATE_CHANGE", str(error), ""
        try:
            await self._carry_out(plan)
        except DeploymentError as error:
            cause = getattr(error, "cause", "")
            # Nucleus lite goes back to nothing, whatever the deployment's policy says.
            if self._kind is NucleusKind.LITE or not deployment.roll_back:
                self._plan = plan
                return "FAILED", "FAILED_ROLLBACK_NOT_REQUESTED", str(error), cause
            try:
                await self._carry_out(before)
            except DeploymentError as second:
                detail = f"{error}; and the way back failed too: {second}"
                return "FAILED", "FAILED_UNABLE_TO_ROLLBACK", detail, f"{cause}; {getattr(second, 'cause', '')}"
            return "FAILED", "FAILED_ROLLBACK_COMPLETE", str(error), cause
        self._plan = plan
        kept = {(name, recipe.version) for each in (plan, before) for name, recipe in each.recipes.items()}
        await asyncio.to_thread(self._artifacts.keep_only, kept)
        return "SUCCEEDED", "SUCCESSFUL", f"{len(deployment.components)} components are up", ""

    async def _finish(self, result: Result) -> Result:
        self.results.append(result)
        try:
            self._save()
        except OSError as error:
            log.error("after a restart the device will not know of deployment %s: %s", result.name, error)
        async with self.finished:
            self.finished.notify_all()
        return result

    async def _prepare(self, state: DeviceState, documents: Mapping[str, Any]) -> _Plan:
        """Have everything on the device that `state` needs, waiting for the cloud for as long as it is out of reach."""
        nucleus = resolved(self._plan.nucleus, state.versions())
        delay, longest = _RETRY_AFTER
        while True:
            try:
                recipes = await asyncio.to_thread(self._recipes, state.versions(), documents)
                plan = self._planned(nucleus, state, recipes)
                with_artifacts = [recipe for recipe in recipes.values() if recipe.artifacts]
                if with_artifacts:
                    await asyncio.to_thread(self._fetch, with_artifacts)
                return plan
            except Offline as error:
                log.info("the deployment waits for the uplink: %s", error)
                await asyncio.sleep(delay)
                delay = min(longest, delay * 2)

    def _recipes(self, versions: Mapping[str, str], documents: Mapping[str, Any]) -> dict[str, Recipe]:
        """The recipes of what the targets name, and of what that depends on."""
        recipes: dict[str, Recipe] = {}
        open_names = [name for name in sorted(versions) if not is_public(name)]
        while open_names:
            name = open_names.pop()
            version = versions.get(name) or self._dependency_version(name, recipes)
            recipe = parse_recipe(self._recipe_document(name, version, documents), self._kind)
            recipes[name] = recipe
            open_names += [
                other
                for other in sorted(recipe.dependencies)
                if not is_public(other) and other not in recipes and other not in open_names
            ]
        return recipes

    def _dependency_version(self, name: str, recipes: Mapping[str, Recipe]) -> str:
        """The version of what only others' dependencies ask for: the one that runs if it fits, or the newest."""
        wanted = " ".join(recipe.dependencies[name][0] for recipe in recipes.values() if name in recipe.dependencies)
        running = self._plan.recipes.get(name)
        if running is not None and newest([running.version], wanted):
            return running.version
        version = newest(self._cloud.versions(name), wanted)
        if version is None:
            raise DeploymentError(f"no version of {name} meets {wanted!r}, which other components need")
        return version

    def _recipe_document(self, name: str, version: str, documents: Mapping[str, Any]) -> Mapping[str, Any]:
        """A recipe: the device's copy (versions never change), the job's, or the cloud's."""
        copy = self._directory / "recipes" / f"{name}-{version}.json"
        if saved := recovered(copy):
            return saved
        document = documents.get(name)
        if document is None or document.get("ComponentVersion") != version:
            document = self._cloud.recipe(name, version)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_json(copy, document)
        return dict(document)

    def _fetch(self, recipes: list[Recipe]) -> None:
        def fetch(s3: Any) -> None:
            for recipe in recipes:
                self._artifacts.fetch(recipe, s3)

        self._cloud.download(fetch)

    def _planned(self, nucleus: RunningNucleus, state: DeviceState, recipes: Mapping[str, Recipe]) -> _Plan:
        order = start_order(recipes)
        programs = {name: self._program(recipes[name], state.overrides.get(name, {})) for name in order}
        gateway = gateway_program(
            state.versions(),
            state.overrides,
            self._thing_name,
            self._directory.parent / "identity",
            self.gateway_directory,
        )
        if gateway is not None:
            programs[gateway.name] = gateway
            order.append(gateway.name)
        return _Plan(nucleus, state, recipes, tuple(order), programs)

    def _program(self, recipe: Recipe, overrides: Mapping[str, Any]) -> Program:
        configuration = merged(recipe.defaults, overrides)
        work = self._directory / "work" / recipe.name
        system = {
            ("artifacts", "path"): str(self._artifacts.path(recipe.name, recipe.version)),
            ("artifacts", "decompressedPath"): str(self._artifacts.unpacked_path(recipe.name, recipe.version)),
            ("work", "path"): str(work),
            ("kernel", "rootPath"): str(self._directory),
            ("iot", "thingName"): self._thing_name,
        }

        def look_up(namespace: str, key: str) -> str | None:
            return (
                configuration_value(configuration, key)
                if namespace == "configuration"
                else system.get((namespace, key))
            )

        try:
            steps = {
                name: replace(
                    step,
                    script=interpolate(step.script, look_up),
                    environment={
                        key: interpolate(value, look_up)
                        for key, value in {**recipe.environment, **step.environment}.items()
                    },
                )
                for name, step in recipe.steps.items()
            }
        except RecipeError as error:
            raise DeploymentError(f"{recipe.name} {recipe.version}: {error}") from error
        return Program(recipe.name, recipe.version, steps, work)

    async def _carry_out(self, plan: _Plan) -> None:
        """Make the processes those of `plan`, and judge them as the nucleus does.

        Raises:
            DeploymentError: if one of them is broken, or not up in time.
        """
        starting = await self._apply(plan)
        await self._judge.settled([plan.programs[name] for name in starting])

    async def _apply(self, plan: _Plan, are_installed: bool = False) -> list[str]:
        """Start and stop what `plan` changes; what is in both and unchanged goes on undisturbed. What is started."""
        supervisor, running = self._supervisor, self._supervisor.programs
        changed = {
            name
            for name, program in plan.programs.items()
            if running.get(name) != program or supervisor.problem(name) is not None or supervisor.is_held(name)
        }
        starting = with_dependents(changed, plan.recipes)
        leaving = [name for name in running if name not in plan.programs or name in starting]
        await supervisor.stop(reversed(leaving))
        in_order = [name for name in plan.order if name in starting]
        for name in in_order:
            may_start = self._judge.may_start(plan.recipes.get(name), in_order)
            await supervisor.start(plan.programs[name], may_start, are_installed)
        return in_order

    def _save(self) -> None:
        documents = {
            name: recovered(self._directory / "recipes" / f"{name}-{recipe.version}.json")
            for name, recipe in self._plan.recipes.items()
        }
        state = {
            "nucleus": self._plan.nucleus._asdict(),
            "state": self._plan.state.to_json(),
            "recipes": documents,
            "results": [asdict(result) for result in self.results],
        }
        self._directory.mkdir(parents=True, exist_ok=True)
        write_json(self._state_file, state)
