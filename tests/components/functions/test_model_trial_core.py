"""A trial's pure core: the challenger's configuration, what is measured, and what follows.

Not proved here: the clients' side of it (tests/components/forecast_pipeline/test_model_trial.py).
"""

import datetime as dt

import duckdb
import pytest

from pm_components.aws import recipes
from pm_components.functions.trial import core
from pm_components.functions.trial.core import CONTINUE, PROMOTE, ROLL_BACK, Measured, Policy, decide
from pm_contracts.model_kinds import FAULT, FORECAST

POLICY = Policy(minimum_outcomes=10, maximum_seconds=100, margin=0.0)
NOW = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("outcomes", "challenger", "champion", "seconds", "decision"),
    [
        (0, None, None, 0, CONTINUE),
        (9, 1.0, 9.0, 100, CONTINUE),
        (9, 1.0, 9.0, 101, ROLL_BACK),
        (10, 9.0, 9.0, 0, PROMOTE),
        (10, 9.1, 9.0, 0, ROLL_BACK),
        (10, 8.0, 9.0, 101, PROMOTE),
        (10, float("nan"), 9.0, 0, ROLL_BACK),
        (10, None, None, 0, ROLL_BACK),
    ],
)
def test_what_follows_from_what_was_measured(
    outcomes: int, challenger: float | None, champion: float | None, seconds: float, decision: str
) -> None:
    found = Measured(outcomes=outcomes, challenger_rmse=challenger, champion_rmse=champion)
    assert decide(POLICY, found, {}, seconds).decision == decision


@pytest.mark.parametrize(("margin", "decision"), [(0.1, PROMOTE), (-0.1, ROLL_BACK)])
def test_the_margin_shifts_the_decision(margin: float, decision: str) -> None:
    policy = Policy(minimum_outcomes=1, maximum_seconds=1, margin=margin)
    found = Measured(outcomes=1, challenger_rmse=9.5, champion_rmse=9.0 if margin > 0 else 10.0)
    assert decide(policy, found, {}, 0).decision == decision


def test_a_challenger_that_does_not_run_is_rolled_back_whatever_was_measured() -> None:
    found = Measured(outcomes=100, challenger_rmse=1.0, champion_rmse=9.0)
    decision = decide(POLICY, found, {"lindau-core": "FAILED"}, 0)
    assert (decision.decision, decision.reason) == (ROLL_BACK, 'it does not run: {"lindau-core": "FAILED"}')


def test_the_challenger_has_the_forecasters_configuration_and_may_publish_trials_alone() -> None:
    forecaster, challenger = recipes.load("forecaster").recipe, recipes.load("forecast_challenger").recipe
    for values in ({"python": "/usr/bin/python3", "dataDirectory": "/data"}, {"python": "/opt/pm/venv/bin/python"}):
        deployed = recipes.site_configuration(forecaster, "lindau", values).merge
        found = core.configuration(FORECAST, deployed, "pm.ForecastChallenger")
        # The same as if the library had made it from the challenger's own recipe.
        assert found == recipes.site_configuration(challenger, "lindau", values).merge
    assert list(found["accessControl"]["aws.greengrass.ipc.pubsub"]) == [
        "pm.ForecastChallenger:pubsub:1",
        "pm.ForecastChallenger:pubsub:2",
    ]


def test_the_query_compares_the_same_hours_of_the_same_stations_each_message_once() -> None:
    connection = duckdb.connect()
    columns = "site VARCHAR, device VARCHAR, target_time INTEGER, value DOUBLE, actual DOUBLE, model_version VARCHAR"
    for table in ("outcome", "trial_outcome"):
        connection.execute(f"CREATE TABLE {table} ({columns}, ingest_day VARCHAR)")
    day = f"{NOW:%Y-%m-%d}"
    champions = [("lindau", "air-1", hour, 12.0, 10.0, "v1", day) for hour in range(4)]
    trials = [("lindau", "air-1", hour, 13.0, 10.0, "v2", day) for hour in range(2)]
    trials += [trials[0]]  # a copy
    trials += [("lindau", "air-1", 2, 99.0, 10.0, "v0", day)]  # of an earlier trial
    trials += [("lindau", "air-1", 3, 99.0, 10.0, "v2", "2029-12-31")]  # before it began
    trials += [("bremen", "air-1", 3, 99.0, 10.0, "v2", day), ("lindau", "air-9", 3, 99.0, 10.0, "v2", day)]
    for table, rows in (("outcome", champions), ("trial_outcome", trials)):
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    found = connection.execute(core.query(FORECAST, ["lindau"], "v2", NOW)).fetchall()
    assert found == [(2, 3.0, 2.0)]


def test_a_kind_of_model_without_outcomes_is_not_tried() -> None:
    with pytest.raises(ValueError, match="a fault model is not tried"):
        core.query(FAULT, ["lindau"], "v2", NOW)


def test_what_athena_answers_is_read() -> None:
    assert core.measured([["12", "3.5", "4.25"]]) == Measured(outcomes=12, challenger_rmse=3.5, champion_rmse=4.25)
    assert core.measured([["0", None, None]]) == Measured(outcomes=0)
    with pytest.raises(ValueError, match="0 rows measured"):
        core.measured([])
