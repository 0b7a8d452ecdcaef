"""The project's program as a whole: what it exports, and that it registers the same inputs each time it runs.

Not proved here: that what it registers can be made (tests/deployer makes it), and that Pulumi's own engine finds no
difference, which compares assets by their content as this does.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pm_contracts import topics
from pm_contracts.messages import AirQualityReading, Alert, MachineReading

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("registrations_of_dev.py")


def _run(hash_seed: str) -> bytes:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ran = subprocess.run([sys.executable, str(PROGRAM)], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


@pytest.fixture(scope="module")
def first() -> bytes:
    return _run("1")


def test_two_runs_register_the_same_inputs_byte_for_byte(first: bytes) -> None:
    assert len(first) > 100_000
    assert _run("2") == first


def test_it_registers_the_components_and_exports_what_others_read(first: bytes) -> None:
    found: dict[str, Any] = json.loads(first)
    components = sorted(name for name in found["resources"] if name.startswith("pm:index:"))
    assert components == [
        "pm:index:AnalyticsStore store",
        "pm:index:EdgeComponents edge",
        "pm:index:FaultAlerting alerting",
        "pm:index:ForecastPipeline pipeline",
        "pm:index:GreengrassSite lindau",
    ]
    assert sorted(found["outputs"]) == [
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
    assert set(found["outputs"]["sites"]["lindau"]) == {
        "thing_group",
        "model_thing_group",
        "canary_thing_group",
        "provisioning_template",
        "core_devices",
        "devices",
        "device_policy",
        "serving_policy",
        "nucleus",
        "token_exchange_role_arn",
        "role_alias",
        "deployment_id",
    }
    assert all(found["outputs"].values())


def test_a_rule_asks_for_fields_that_every_message_of_its_channel_has(first: bytes) -> None:
    # AWS IoT takes a condition on a field that is missing for false, and says nothing.
    kinds: dict[str, tuple[type[msgspec.Struct], ...]] = {
        topics.READING: (AirQualityReading, MachineReading),
        topics.HISTORY: (AirQualityReading, MachineReading),
        topics.ALERT: (Alert,),
    }
    asked = 0
    for logical, resource in json.loads(first)["resources"].items():
        _, _, condition = resource["inputs"].get("sql", "").partition(" WHERE ")
        fields = re.findall(r"(\w+) = ", condition)
        if not logical.startswith("aws:iot/topicRule") or not fields:
            continue
        channel = resource["inputs"]["sql"].split("'")[1].rsplit("/", 1)[-1]
        for kind in kinds[channel]:
            written = {field.encode_name for field in msgspec.structs.fields(kind)} | {kind.__struct_config__.tag_field}
            assert set(fields) <= written, f"{logical} asks for {fields}"
            assert not kind.__struct_config__.omit_defaults
        asked += 1
    assert asked == 5


def test_no_two_resources_of_a_type_share_a_physical_name(first: bytes) -> None:
    names: dict[tuple[str, str], str] = {}
    for logical, resource in json.loads(first)["resources"].items():
        type_ = logical.split(" ")[0]
        for key in ("name", "bucket", "alias", "layerName", "modelPackageGroupName"):
            value = resource["inputs"].get(key)
            # Settings of a bucket name the bucket that they are of, and streams of a log their group's.
            if not isinstance(value, str) or (type_.startswith("aws:s3/bucket") and type_ != "aws:s3/bucket:Bucket"):
                continue
            if type_ in ("aws:iam/rolePolicy:RolePolicy", "aws:cloudwatch/logStream:LogStream"):
                continue
            assert (type_, value) not in names, f"{logical} and {names[type_, value]} are both called {value}"
            names[type_, value] = logical
    assert len(names) > 80


def test_the_program_stays_short() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) < 60
