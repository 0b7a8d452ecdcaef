"""Each component twice in one stack: no two resources claim the same name, and every name says whose it is.

Not proved here: that a second resource of a name is refused where AWS refuses it, nor two stacks in one account.
"""

import json
import re
from collections import Counter
from typing import Any

import pytest

from pm_sandbox.recorder import Registered
from tests.contract_library.conftest import SITES, Provider, every_option, resolved
from tests.contract_library.test_contract_of_components import TOKENS
from tests.contract_library.test_contract_of_resources import NAMED, WITHIN, claimed_names

#: Types known by name, and the source of that name: a thing's from the device, its groups' from the site.
KNOWN_OUTSIDE = {"aws:iot/thing:Thing", "aws:iot/thingGroup:ThingGroup"}
#: Prefixes that a service demands before a name of ours.
HEAD = re.compile(r"^(alias|/aws/lambda|/aws/kinesisfirehose|/aws/vendedlogs/states)/")

#: A component by its token, what tells it from the others here, and its arguments.
Instance = tuple[str, str, dict[str, Any]]


def defaults(number: int) -> list[Instance]:
    """Every component with what it needs and nothing more; all hear the same sites and have the same buckets."""
    bucket = {"artifactBucket": "${pipeline.artifactBucket}"}
    lake = {name: f"${{store.{name}}}" for name in ("lakeBucket", "database", "workgroup")}
    core = f"core-{number}"
    host = {"thingName": core, "serialNumber": "1", "provisioningTemplate": "template", "roleAlias": "alias"}
    host |= {"thingGroups": ["group"], "checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64}}
    devices = {"press": "machine", "hall": "air_quality"}
    return [
        ("pm:index:FaultAlerting", "alerting", {"emails": ["operator@example.com"]}),
        ("pm:index:AnalyticsStore", "store", {"sites": ["lindau"]}),
        ("pm:index:ForecastPipeline", "pipeline", {"sites": ["lindau"], **lake}),
        ("pm:index:EdgeComponents", "edge", bucket),
        (
            "pm:index:GreengrassSite",
            "site",
            {"site": f"plant-{number}", "coreDevices": [core], "devices": devices, **bucket},
        ),
        ("pm:index:CoreDeviceHost", "host", {**host, **bucket}),
    ]


def every_argument(number: int) -> list[Instance]:
    """Every component with a value for every argument, and the longest names of sites."""
    text = json.dumps(every_option()).replace("lindau-core", f"lindau-core-{number}")
    for mine, theirs in ((SITES[number - 1], SITES[0]),):
        text = text.replace(theirs["name"], mine["name"]).replace(theirs["core_devices"][0], mine["core_devices"][0])
    return [(type_, name, arguments) for type_, name, arguments in json.loads(text)]


@pytest.fixture(scope="module", params=[defaults, every_argument], ids=["defaults", "every argument"])
def twice(provider_process: Provider, request: pytest.FixtureRequest) -> list[Registered]:
    """All that two components of each kind register; those of different kinds have one name, for that is allowed."""
    provider_process.registered()
    outputs: dict[str, dict[str, Any]] = {}
    for number in (1, 2):
        for type_, key, arguments in request.param(number):
            made = provider_process.construct(type_, f"plant-{number}", resolved(arguments, outputs))
            outputs.setdefault(key, made)  # the second ones work in the buckets of the first
    return provider_process.registered()


def test_every_component_is_there_twice(twice: list[Registered]) -> None:
    counted = Counter(one.type for one in twice if not one.custom)
    assert set(counted) == TOKENS
    assert min(counted.values()) >= 2


def test_no_two_resources_claim_one_name(twice: list[Registered]) -> None:
    claimed = claimed_names(twice)
    named = sum(one.type in {*NAMED, "aws-native:greengrassv2:ComponentVersion"} for one in twice)
    assert len(claimed) == named > 240
    kinds = {type_ for type_, _, _ in claimed}
    assert len(kinds) > 20, kinds


def test_every_name_begins_with_that_of_project_stack_and_component(twice: list[Registered]) -> None:
    components = {one.urn: one for one in twice if not one.custom}
    checked = 0
    for one in twice:
        if one.type not in NAMED or one.type in KNOWN_OUTSIDE or one.type in WITHIN:
            continue
        name = HEAD.sub("", one.inputs[NAMED[one.type][0]]).replace("_", "-")
        whole = f"factory-test-{components[one.parent].name}"
        # Cut names have a hash at their end, of the whole.
        assert name.startswith(whole) or re.fullmatch(rf"{re.escape(whole[:12])}.*-[0-9a-f]{{8}}(-\d+)?", name), one.urn
        checked += 1
    assert checked > 150
