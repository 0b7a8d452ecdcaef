"""The project's program as a whole: its components, its outputs, its rules, its length.

Not proved here: that what it registers can be made (tests/sandbox/deployer makes it), and that it registers the same
each time it runs (tests/environments), with no name twice (tests/contract_library).
"""

import re
import typing
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pm_contracts import topics
from pm_sandbox.recorder import Recording

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dev(recorded: Callable[..., Recording]) -> Recording:
    return recorded("dev")


def test_it_registers_the_components_and_exports_what_others_read(dev: Recording) -> None:
    components = sorted(f"{one.type} {one.name}" for one in dev.resources if one.type.startswith("pm:index:"))
    assert components == [
        "pm:index:AnalyticsStore store",
        "pm:index:EdgeComponents edge",
        "pm:index:FaultAlerting alerting",
        "pm:index:ForecastPipeline pipeline",
        "pm:index:GreengrassSite lindau",
    ]
    assert sorted(dev.outputs) == [
        "alarm_queue_url",
        "alarm_table",
        "alert_topic_arn",
        "announcements_bucket",
        "artifact_bucket",
        "database",
        "dead_letter_queues",
        "detector_table",
        "lake_bucket",
        "replay_function",
        "sites",
        "state_machine_arn",
        "streams",
        "workgroup",
    ]
    assert set(dev.outputs["sites"]["lindau"]) == {
        "thing_group",
        "model_thing_group",
        "canary_thing_group",
        "provisioning_template",
        "core_devices",
        "devices",
        "device_policy",
        "component_versions",
        "serving_policy",
        "nucleus",
        "token_exchange_role_arn",
        "role_alias",
        "deployment_id",
    }
    assert all(dev.outputs.values())


def test_a_rule_asks_for_fields_that_every_message_of_its_channel_has(dev: Recording) -> None:
    # AWS IoT takes a condition on a field that is missing for false, and says nothing.
    channels = topics.DEVICE_CHANNELS | topics.SITE_CHANNELS
    asked = 0
    for logical, rule in dev.of_type("aws:iot/topicRule:TopicRule").items():
        _, _, condition = rule.inputs["sql"].partition(" WHERE ")
        fields = re.findall(r"(\w+) = ", condition)
        if not fields:
            continue
        channel = rule.inputs["sql"].split("'")[1].rsplit("/", 1)[-1]
        for kind in typing.get_args(channels[channel]) or (channels[channel],):
            written = {field.encode_name for field in msgspec.structs.fields(kind)} | {kind.__struct_config__.tag_field}
            assert set(fields) <= written, f"{logical} asks for {fields}"
            assert not kind.__struct_config__.omit_defaults
        asked += 1
    assert asked == 11


def test_the_program_stays_short() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) < 60
