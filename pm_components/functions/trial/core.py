"""A trial's pure core: what runs on the core device, how it is measured, and what follows from it."""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pm_contracts.model_kinds import ModelKind, Trial
from pm_contracts.skill import root_mean_square_sql

CONTINUE = "CONTINUE"
PROMOTE = "PROMOTE"
ROLL_BACK = "ROLL_BACK"

#: The forecaster's settings that the challenger takes over where they are not the default.
_SHARED = ("python", "dataDirectory")


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rule by which a challenger is promoted."""

    minimum_outcomes: Annotated[int, Meta(ge=1, le=10_000, description="1 to 10000 outcomes")] = 48
    """Forecasts of both models that have come true, before which nothing is decided; 48 are two days of hours."""
    maximum_seconds: Annotated[int, Meta(ge=1, le=2_592_000, description="1 to 2592000 seconds, 30 days")] = 604_800
    """Seconds after which a trial with fewer outcomes is lost; 604800 are a week."""
    margin: Annotated[float, Meta(gt=-1, le=1, description="a share above -1 and up to 1")] = 0.0
    """Share by which the error on trial may exceed the champion's; below 0 it must be smaller."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The lake's figures of both models, over the same hours of the same stations."""

    outcomes: int
    challenger_rmse: float | None = None
    champion_rmse: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a look at a trial."""

    decision: str
    reason: str


def rule(kind: ModelKind) -> Trial:
    """The rule by which models of a kind are tried.

    Raises:
        ValueError: if they are not.
    """
    if kind.trial is None:
        raise ValueError(f"a {kind.name} model is not tried: no outcome of it comes by itself")
    return kind.trial


def artifact_files(code: Mapping[str, bytes], model: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the challenger's component: the code, and the model in `model/`."""
    return {**code, **{f"model/{name}": content for name, content in model.items()}}


def configuration(kind: ModelKind, champion: Mapping[str, Any], component: str) -> dict[str, Any]:
    """The configuration of a challenger: that of the site's champion, but for what it may publish.

    Args:
        kind: the kind of model that is tried.
        champion: what the deployment of the site merges into the configuration of the component in charge.
        component: the challenger's component.

    Raises:
        KeyError: if a key is missing, for then the deployment is none of ours.
        ValueError: if models of that kind are not tried.
    """
    trial = rule(kind)
    (service,) = champion["accessControl"]
    grants: dict[str, Any] = {}
    for number, policy in enumerate(champion["accessControl"][service].values(), 1):
        resources = [
            f"{prefix}/{trial.trial_channel if channel == trial.outcome_channel else channel}"
            for prefix, _, channel in (topic.rpartition("/") for topic in policy["resources"])
            if channel != kind.channel
        ]
        grants[f"{component}:pubsub:{number}"] = {**policy, "resources": resources}
    shared = {key: champion[key] for key in _SHARED if key in champion}
    return {**shared, "site": champion["site"], "accessControl": {service: grants}}


def query(kind: ModelKind, sites: Sequence[str], model_version: str, started_at: dt.datetime) -> str:
    """The Athena statement that gives one row: `outcomes`, `challenger_rmse`, `champion_rmse`.

    It compares both models on the hours and stations that both have an outcome of. A message may be in the lake more
    than once, and its copies are equal.

    Args:
        kind: the kind of model that is tried.
        sites: where the trial runs.
        model_version: of the model on trial.
        started_at: nothing that arrived on an earlier day is looked at.

    Raises:
        ValueError: if models of that kind are not tried.
    """
    trial = rule(kind)
    names = ", ".join(f"'{site}'" for site in sorted(sites))
    where = f"site IN ({names}) AND ingest_day >= '{started_at:%Y-%m-%d}'"

    def rmse(model: str) -> str:
        return f"{root_mean_square_sql(f'{model}.value - challenger.actual')} AS {model}_rmse"

    return (
        f"SELECT count(*) AS outcomes, {rmse('challenger')}, {rmse('champion')} "
        f"FROM (SELECT DISTINCT site, device, target_time, value, actual FROM {trial.trial_outcome.kind} "
        f"WHERE {where} AND model_version = '{model_version}') AS challenger "
        f"JOIN (SELECT DISTINCT site, device, target_time, value FROM {trial.outcome.kind} WHERE {where}) AS champion "
        "ON challenger.site = champion.site AND challenger.device = champion.device "
        "AND challenger.target_time = champion.target_time"
    )


def measured(rows: Sequence[Sequence[str | None]]) -> Measured:
    """The figures in the query's one row, as Athena gives it, its header left out.

    Raises:
        ValueError: if it is not one row of three.
    """
    if len(rows) != 1 or len(rows[0]) != 3:
        raise ValueError(f"{len(rows)} rows measured, expected is one of three columns: {rows[:2]}")
    outcomes, challenger, champion = rows[0]
    return Measured(
        outcomes=int(outcomes or 0),
        challenger_rmse=float(challenger) if challenger else None,
        champion_rmse=float(champion) if champion else None,
    )


def decide(policy: Policy, found: Measured, broken: Mapping[str, str], elapsed_seconds: float) -> Decision:
    """The decision after a look at a trial.

    Args:
        policy: when a model is promoted.
        found: what both models have come to so far.
        broken: state of each core device on which the challenger does not run.
        elapsed_seconds: since the trial began.
    """
    if broken:
        return Decision(decision=ROLL_BACK, reason=f"it does not run: {json.dumps(dict(broken), sort_keys=True)}")
    if found.outcomes < policy.minimum_outcomes:
        told = f"{found.outcomes} outcomes of {policy.minimum_outcomes}"
        if elapsed_seconds > policy.maximum_seconds:
            return Decision(decision=ROLL_BACK, reason=f"{told} after {policy.maximum_seconds} s")
        return Decision(decision=CONTINUE, reason=told)
    challenger, champion = found.challenger_rmse, found.champion_rmse
    if challenger is None or champion is None or not (math.isfinite(challenger) and math.isfinite(champion)):
        return Decision(decision=ROLL_BACK, reason=f"no figures for {found.outcomes} outcomes")
    better = challenger <= champion * (1 + policy.margin)
    return Decision(
        decision=PROMOTE if better else ROLL_BACK,
        reason=(
            f"live rmse {challenger:.2f} against the champion's {champion:.2f} over {found.outcomes} outcomes, "
            f"{policy.margin:+.1%} is allowed"
        ),
    )
