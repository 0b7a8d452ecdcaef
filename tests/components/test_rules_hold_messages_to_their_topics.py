"""Each message of a channel is taken by one rule: it keeps what is of its topic's site and device, or refuses the rest.

The statements are those that the components register; they are evaluated by the sandbox's AWS IoT SQL.
Not proved here: that AWS evaluates them so, and what becomes of a refused message
(test_deployed_lake_and_alerting.py).
"""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting
from pm_components.greengrass_site.device_policies import core_device_policy
from pm_contracts import topics
from pm_contracts.measurements import (
    AIR_QUALITY_MEASUREMENTS,
    MACHINE_MEASUREMENTS,
    AirQualityMeasurements,
    MachineMeasurements,
)
from pm_contracts.messages import (
    AirQualityReading,
    Alert,
    FaultScore,
    Forecast,
    MachineReading,
    Message,
    Outcome,
    TrialOutcome,
    encode,
)
from pm_sandbox.cloud import rule_sql

SITES = ["gera", "lindau"]
AT = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
_FORECAST: dict[str, Any] = {
    "site": "lindau",
    "device": "air-1",
    "issued_at": AT,
    "target_time": AT,
    "horizon_hours": 1,
    "value": 1.0,
    "lower": 0.0,
    "upper": 2.0,
    "interval_level": 0.9,
    "last_value": 1.0,
    "model_version": "v1",
}
_READING: dict[str, Any] = {"site": "lindau", "device": "air-1", "sequence": 1, "event_time": AT}
_AIR = AirQualityReading(
    **_READING, measurements=AirQualityMeasurements(**dict.fromkeys(AIR_QUALITY_MEASUREMENTS, None))
)
_MACHINE = MachineReading(**_READING, measurements=MachineMeasurements(**dict.fromkeys(MACHINE_MEASUREMENTS, None)))
_OUTCOME: dict[str, Any] = {**_FORECAST, "actual": 1.0, "inside_interval": True}
MESSAGES: dict[str, list[Message]] = {
    topics.READING: [_AIR, _MACHINE],
    topics.HISTORY: [_AIR, _MACHINE],
    topics.FORECAST: [Forecast(**_FORECAST)],
    topics.OUTCOME: [Outcome(**_OUTCOME)],
    topics.TRIAL: [TrialOutcome(**_OUTCOME)],
    topics.FAULT: [
        FaultScore(**_READING, probability=0.5, threshold=0.4, faulty=True, model_version="v1"),
    ],
    topics.ALERT: [
        Alert(
            site="lindau",
            device="air-1",
            cause="fault",
            severity="critical",
            state="active",
            raised_at=AT,
            dedupe_key="fault/air-1",
            text="Look!",
        )
    ],
}


class Rules(NamedTuple):
    """The statements of a component's rules."""

    keep: list[rule_sql.Statement]
    refuse: list[rule_sql.Statement]

    def takers(self, topic: str, payload: bytes) -> tuple[int, list[dict[str, Any]]]:
        """The number of rules that keep a message, and the dead letters that the others make of it."""
        message = rule_sql.Message.of(topic, payload, "lindau-core-uplink", "fingerprint")

        def taken(statements: list[rule_sql.Statement]) -> list[Any]:
            heard = [one for one in statements if _matches(one.topic_filter, topic)]
            return [one.event(message) for one in heard if one.takes(message)]

        kept = taken(self.keep)
        assert all(event == payload for event in kept)
        return len(kept), taken(self.refuse)


def _matches(topic_filter: str, topic: str) -> bool:
    wanted, levels = topic_filter.split("/"), topic.split("/")
    return len(wanted) == len(levels) and all(one in ("+", two) for one, two in zip(wanted, levels, strict=True))


@pytest.fixture(scope="module", params=["store", "alerting", "store of one site", "alerting of one site"])
def rules(request: pytest.FixtureRequest, record_component: Callable[[Any, str, Any], Any]) -> Rules:
    sites = ["lindau"] if "one site" in request.param else SITES
    component = AnalyticsStore if request.param.startswith("store") else FaultAlerting
    registered = record_component(component, "it", {"sites": sites}).of_type("aws:iot/topicRule:TopicRule")
    made = Rules([], [])
    for name, inputs in registered.items():
        (made.refuse if name.endswith("-refused-rule") else made.keep).append(rule_sql.parse(inputs["sql"]))
    return made


def _topic(channel: str, site: str = "lindau", device: str = "air-1") -> str:
    if channel in topics.SITE_CHANNELS:
        return topics.site_topic(site, channel)
    return topics.device_topic(site, device, channel)


def _channels(rules: Rules) -> list[str]:
    return sorted({one.topic_filter.rsplit("/", 1)[-1] for one in rules.keep})


def test_every_message_of_every_channel_is_kept_as_itself_and_refused_as_another(rules: Rules) -> None:
    for channel in _channels(rules):
        for message in MESSAGES[channel]:
            genuine = encode(message)
            assert rules.takers(_topic(channel), genuine) == (1, []), channel
            forgeries = [{"site": "gera"}, {"site": "lindau/ingest_day=2020-01-01"}, {"site": "lindau\n"}]
            if channel not in topics.SITE_CHANNELS:  # of a site's channel the consumer knows the devices
                forgeries += [{"device": "air-2"}, {"site": "gera", "device": "air-2"}, {"device": "air-1\n"}]
            for forged in forgeries:
                fields = {**json.loads(genuine), **forged}
                payload = json.dumps(fields).encode()
                kept, (letter,) = rules.takers(_topic(channel), payload)
                assert kept == 0, (channel, forged)
                assert letter["topic"] == _topic(channel)
                assert letter["principal"] == "fingerprint"
                assert letter["clientId"] == "lindau-core-uplink"
                assert "must be" in letter["reason"]


def test_what_is_said_on_another_stacks_topics_is_not_heard(rules: Rules) -> None:
    for channel in _channels(rules):
        for site in ("bremen", "lindau\n", "gera-two"):
            payload = encode(MESSAGES[channel][0])
            assert rules.takers(_topic(channel, site), payload) == (0, [])


_names = st.sampled_from(
    ["lindau", "gera", "air-1", "air-2", "", "machine", "air_quality", "true", "lindau\n", "Lindau"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | _names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=3,
)
_fields = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("site", "device", "device_type", "cause"), _names | _values)
)
_payloads = (
    _fields.map(lambda fields: json.dumps(fields).encode())
    | _values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=20)
)


@given(
    payload=_payloads,
    channel=st.sampled_from(sorted(MESSAGES)),
    site=st.sampled_from(["lindau", "gera", "bremen", "lindau\n"]),
    device=st.sampled_from(["air-1", "air-2", "lindau"]),
)
def test_each_message_is_taken_by_exactly_one_rule(
    rules: Rules, payload: bytes, channel: str, site: str, device: str
) -> None:
    topic = _topic(channel, site, device)
    kept, letters = rules.takers(topic, payload)
    heard = any(_matches(one.topic_filter, topic) for one in rules.keep)
    several = any("+" in one.topic_filter.split("/")[1] for one in rules.keep)
    assert kept + len(letters) == (1 if heard and (site in SITES if several else site == "lindau") else 0)
    if kept:
        said = msgspec.json.decode(payload)
        assert said["site"] == site
        assert channel in topics.SITE_CHANNELS or said["device"] == device


def test_no_core_device_may_say_that_forecasts_have_drifted() -> None:
    """A training starts for what comes on the cloud's own topic, and there alone."""
    document = json.loads(core_device_policy("lindau", "arn:", "arn:alias"))
    named = [resource for statement in document["Statement"] for resource in statement["Resource"]]
    may_publish = [resource for resource in named if resource.startswith("arn:topic/")]
    assert may_publish
    drift = f"arn:topic/{topics.drift_topic('lindau')}"
    assert not any(drift.startswith(resource.rstrip("*")) for resource in may_publish)
