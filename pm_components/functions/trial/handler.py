"""The steps of a trial: start it on the core devices of the canary groups, compare, and end it.

The challenger is a component of its own, deployed to the canary group of each site that has core devices in it, with
the configuration of the site's component in charge. The group's deployments are this function's alone. At the end,
whatever it was, the group's deployment is an empty one, and the registry says what became of the model.
"""

import datetime as dt
import functools
import io
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive, registry_texts, site_groups
from pm_components.functions.component_recipes import of_model
from pm_components.functions.component_versions import ComponentVersions, deployment_policies
from pm_components.functions.core_devices import BAD, CoreDevices
from pm_components.functions.signed_releases import ReleaseSigner
from pm_components.functions.site_groups import SiteGroups
from pm_components.functions.trial import core
from pm_contracts.model_kinds import MODEL_KINDS, ModelKind

log = logging.getLogger(__name__)

RECIPE = Path(__file__).parent / "challenger.json"
CODE = Path(__file__).parent / "challenger.zip"


class NoCanary(RuntimeError):
    """No site has a core device to try a model on."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The function's settings."""

    artifact_bucket: str
    component_arn: str
    """The prefix of components' ARNs, up to the name."""
    thing_group_arn: str
    """The prefix of thing groups' ARNs, up to the name."""
    thing_groups_key: str
    """Key of the object in the artifact bucket that names the thing groups of each site."""
    policy: core.Policy
    signing_key: str
    """ARN of the key that signs releases."""


class Trial:
    """A trial with its clients.

    Args:
        clients: by service: s3, greengrassv2, athena, sagemaker.
        core_devices: looks at them.
        versions: makes component versions.
        signer: signs what is tried.
        settings: where to, and when a model is promoted.
        recipe: the challenger's, with placeholders.
        code: the challenger's code, by path in its artifact.
        now: the time, UTC.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        core_devices: CoreDevices,
        versions: ComponentVersions,
        signer: ReleaseSigner,
        settings: Settings,
        recipe: Mapping[str, Any],
        code: Mapping[str, bytes],
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._clients = clients
        self._greengrass = clients["greengrassv2"]
        self._core_devices = core_devices
        self._versions = versions
        self._signer = signer
        self._settings = settings
        self._recipe = recipe
        self._code = code
        self._now = now

    def start(self, models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Deploy the model that is to be tried to each site that has a core device for it.

        Returns:
            `started_at`, `model_version`, `deployments` (site, thing_group, deployment_id), and the measuring `query`.

        Raises:
            NoCanary: if no site has one.
            ValueError: if models of its kind are not tried.
            Refused: if the archive is not what it was at the gate.
        """
        (model,) = (one for one in models if one["on_trial"])
        kind = MODEL_KINDS[model["kind"]]
        sites = self._sites()
        chosen = {site: sites[site] for site in sorted(sites) if self._core_devices.of_group(sites[site].canary)}
        if not chosen:
            groups = ", ".join(sorted(groups.canary for groups in sites.values()))
            raise NoCanary(f"no core device is in any of {groups}: there is nobody to try it")
        archive = model_archive.judged(self._clients["s3"], model)
        signed = self._signer.signed(archive, model["made_at"], chosen, on_trial=True)
        files = core.artifact_files(self._code, signed)
        component, version = self._versions.publish(of_model(self._recipe, archive.manifest.version), files)
        started_at = self._now()
        return {
            "started_at": started_at.isoformat(),
            "model_version": archive.manifest.version,
            "deployments": [
                {
                    "site": site,
                    "thing_group": groups.canary,
                    "deployment_id": self._deploy(site, groups, kind, component, version),
                }
                for site, groups in chosen.items()
            ],
            "query": core.query(kind, list(chosen), archive.manifest.version, started_at),
        }

    def compare(self, trial: Mapping[str, Any], query_execution_id: str) -> dict[str, Any]:
        """Look at a trial: `decision` (CONTINUE, PROMOTE or ROLL_BACK), `reason`, and what was `measured`."""
        answer = self._clients["athena"].get_query_results(QueryExecutionId=query_execution_id)
        _header, *rows = ([cell.get("VarCharValue") for cell in row["Data"]] for row in answer["ResultSet"]["Rows"])
        found = core.measured(rows)
        states = self._core_devices.states(trial["deployments"])
        broken = {thing: state for thing, state in states.items() if state in BAD}
        elapsed = self._now() - dt.datetime.fromisoformat(trial["started_at"])
        decision = core.decide(self._settings.policy, found, broken, elapsed.total_seconds())
        log.info("trial of %s: %s, %s", trial["model_version"], decision.decision, decision.reason)
        return {**msgspec.to_builtins(decision), "measured": msgspec.to_builtins(found)}

    def end(
        self, models: Sequence[Mapping[str, Any]], result: Mapping[str, Any] | None, error: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Withdraw the challenger, say in the registry what became of the model, and answer the `models` with it.

        Args:
            models: as they came from the gate.
            result: the decision; None if the trial broke.
            error: what broke it.
        """
        for site, groups in sorted(self._sites().items()):
            self._withdraw(site, groups.canary)
        promoted = result is not None and result["decision"] == core.PROMOTE
        reason = f"trial: {result['reason']}" if result else f"trial broke: {json.dumps(error, sort_keys=True)}"
        settled = []
        for model in models:
            if not model["on_trial"]:
                settled.append(dict(model))
                continue
            self._clients["sagemaker"].update_model_package(
                ModelPackageArn=model["model_package_arn"],
                ModelApprovalStatus="Approved" if promoted else "Rejected",
                ApprovalDescription=registry_texts.description(reason),
            )
            reasons = [*model["reasons"], reason]
            settled.append({**model, "passed": promoted, "failed": result is None, "reasons": reasons})
        return {"models": settled, "trial": dict(result) if result else {"decision": "BROKE", "reason": reason}}

    def _deploy(self, site: str, groups: SiteGroups, kind: ModelKind, component: str, version: str) -> str:
        champion = self._champion_configuration(site, groups.code, kind.component)
        configuration = core.configuration(kind, champion, component)
        answer = self._greengrass.create_deployment(
            targetArn=self._arn(groups.canary),
            deploymentName=f"trial at {site}",
            components={
                component: {
                    "componentVersion": version,
                    "configurationUpdate": {"merge": json.dumps(configuration, sort_keys=True)},
                }
            },
            deploymentPolicies=deployment_policies(),
        )
        log.info("deployment %s tries %s %s at %s", answer["deploymentId"], component, version, site)
        return str(answer["deploymentId"])

    def _champion_configuration(self, site: str, group: str, champion: str) -> dict[str, Any]:
        """The site's own changes to the configuration of the component in charge."""
        present = self._latest(group)
        component = (present or {}).get("components", {}).get(champion)
        if component is None:
            raise NoCanary(f"site {site} has no deployment with {champion} to try a model beside")
        found: dict[str, Any] = json.loads(component["configurationUpdate"]["merge"])
        return found

    def _withdraw(self, site: str, group: str) -> None:
        """Leave nothing of a trial on a site's core devices; nothing to do where nothing was deployed."""
        present = self._latest(group)
        if present and present.get("components"):
            self._greengrass.create_deployment(
                targetArn=self._arn(group),
                deploymentName=f"no trial at {site}",
                components={},
                deploymentPolicies=deployment_policies(),
            )

    def _latest(self, group: str) -> dict[str, Any] | None:
        arn = self._arn(group)
        found = self._greengrass.list_deployments(targetArn=arn, historyFilter="LATEST_ONLY")["deployments"]
        if not found:
            return None
        present: dict[str, Any] = self._greengrass.get_deployment(deploymentId=found[0]["deploymentId"])
        return present

    def _sites(self) -> dict[str, SiteGroups]:
        return site_groups.read(self._clients["s3"], self._settings.artifact_bucket, self._settings.thing_groups_key)

    def _arn(self, group: str) -> str:
        return self._settings.thing_group_arn + group


def _unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@functools.cache
def _trial() -> Trial:
    clients = {service: boto3.client(service) for service in ("s3", "greengrassv2", "athena", "sagemaker")}
    settings = msgspec.json.decode(os.environ["TRIAL"], type=Settings)
    greengrass = clients["greengrassv2"]
    return Trial(
        clients,
        CoreDevices(boto3.client("iot"), greengrass),
        ComponentVersions(clients["s3"], greengrass, settings.artifact_bucket, settings.component_arn),
        ReleaseSigner(clients["s3"], boto3.client("kms"), settings.artifact_bucket, settings.signing_key),
        settings,
        json.loads(RECIPE.read_text()),
        _unzipped(CODE.read_bytes()),
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler.

    Raises:
        ValueError: for a step that there is none of.
    """
    match event["step"]:
        case "start":
            return _trial().start(event["models"])
        case "compare":
            return _trial().compare(event["trial"], event["query_execution_id"])
        case "end":
            return _trial().end(event["models"], event.get("result"), event.get("error"))
    raise ValueError(f"step {event['step']!r}, allowed are start, compare, end")
