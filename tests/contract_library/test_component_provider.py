"""The component provider as a process of its own, asked over gRPC as Pulumi's engine asks it.

Not proved here: that the Pulumi command makes the provider's environment, finds and starts the provider by
`PulumiPlugin.yaml`, and the SDKs that it generates from the schema; there is no Pulumi command in the tests.
"""

import json
import re
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest
import yaml
from pulumi.errors import InputPropertyError

from pm_components import provider as library
from pm_components.aws.tagging import tagged_options
from pm_policies.rules.required_tags import takes_tags

FOLDER = Path(__file__).parents[2] / "component_provider"
REQUIREMENTS = FOLDER.parent / "requirements"
LAKE = {"lakeBucket": "lake", "database": "lake", "workgroup": "lake"}
SITE = {"site": "lindau", "coreDevices": ["core"], "devices": {"air-1": "air_quality"}, "artifactBucket": "artifacts"}
#: The required inputs of each component.
REQUIRED: dict[str, dict[str, Any]] = {
    "pm:index:AnalyticsStore": {"sites": ["lindau"]},
    "pm:index:CoreDeviceHost": {
        "thingName": "lindau-core",
        "serialNumber": "SN-1",
        "provisioningTemplate": "template",
        "roleAlias": "alias",
        "thingGroups": ["group"],
        "artifactBucket": "artifacts",
        "checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64},
    },
    "pm:index:EdgeComponents": {"artifactBucket": "artifacts"},
    "pm:index:FaultAlerting": {},
    "pm:index:ForecastPipeline": {"sites": ["lindau"], **LAKE},
    "pm:index:GreengrassSite": {name: SITE[name] for name in ("devices", "artifactBucket")},
}


def test_the_schema_is_the_one_that_is_kept(provider: Any) -> None:
    kept = FOLDER / "schema.json"
    update = "python -m pm_components.provider > component_provider/schema.json"
    assert provider.schema() == json.loads(kept.read_text()), f"changed on purpose? {update}"
    assert library.schema_text() == kept.read_text(), f"the same schema in another form: {update}"


def test_the_command_changes_an_environment_of_the_providers_own() -> None:
    # `pulumi package add`, `get-schema` and `install` upgrade pip and setuptools in it, and install requirements.txt.
    options = yaml.safe_load((FOLDER / "PulumiPlugin.yaml").read_text())["runtime"]["options"]
    environment = (FOLDER / options["virtualenv"]).resolve()
    assert options["toolchain"] == "pip"
    assert environment.is_relative_to(FOLDER), f"{environment} is not the provider's own"
    locked, ours = (_locked(path) for path in (FOLDER / "requirements.txt", REQUIREMENTS / "dev.txt"))
    assert {"pulumi", "pulumi-aws", "pulumi-aws-native", "boto3", "msgspec", "pyyaml"} <= set(locked)
    assert {name: version for name, version in locked.items() if ours.get(name) != version} == {}


def _locked(path: Path) -> dict[str, str]:
    """The version of each package of a lock, of which each has a hash."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+) \\\n    --hash=sha256:", path.read_text(), re.MULTILINE)
    assert len(found) == len(re.findall(r"^[a-z0-9]", path.read_text(), re.MULTILINE)), path
    return dict(found)


def test_the_examples_here_cover_every_component(provider: Any) -> None:
    assert set(provider.schema()["resources"]) == set(REQUIRED)


@pytest.mark.parametrize("type_", REQUIRED)
def test_what_is_required_is_enough(type_: str, provider: Any) -> None:
    described = provider.schema()["resources"][type_]
    assert set(REQUIRED[type_]) == set(described["requiredInputs"])
    outputs = provider.construct(type_, "one", REQUIRED[type_])
    assert set(outputs) == set(described["properties"]) == set(described["required"])
    registered = provider.registered()
    (component,) = (one for one in registered if one.type == type_ and not one.custom)
    assert len([one for one in registered if one.parent == component.urn]) >= 6


@pytest.mark.parametrize("type_", REQUIRED)
def test_a_missing_argument_is_refused_by_its_name(type_: str, provider: Any) -> None:
    for missing in REQUIRED[type_]:
        with pytest.raises(grpc.RpcError) as refusal:
            provider.construct(type_, "one", {k: v for k, v in REQUIRED[type_].items() if k != missing})
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        details = dict(refusal.value.trailing_metadata())["grpc-status-details-bin"]
        assert f"Missing required input '{missing}'".encode() in details
        provider.registered()


def test_an_ownership_without_one_of_its_fields_is_refused_by_its_name(provider: Any) -> None:
    arguments = {**SITE, "ownership": {"tier": "dev", "owner": "me"}}
    with pytest.raises(grpc.RpcError) as refusal:
        provider.construct("pm:index:GreengrassSite", "lindau", arguments)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    details = dict(refusal.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"Missing required input 'ownership.costCentre'" in details
    provider.registered()


def test_the_components_within_a_component_are_its_owners_too(provider: Any) -> None:
    ownership = {"tier": "staging", "owner": "plant operations", "costCentre": "4711"}
    checksums = {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64}
    host = {"serialNumbers": {"core": "SN-1"}, "hostInstanceType": "t3.small", "hostChecksums": checksums}
    provider.construct("pm:index:GreengrassSite", "lindau", {**SITE, **host, "ownership": ownership})
    tags: dict[str, list[Any]] = {}
    for one in provider.registered():
        if takes_tags(one.type):
            given = one.inputs["tags"]
            by_key = given if isinstance(given, dict) else {tag["key"]: tag["value"] for tag in given}
            tags.setdefault(by_key["Component"], []).append(by_key)
    assert {component: len(all_) > 3 for component, all_ in tags.items()} == {
        "GreengrassSite": True,
        "EdgeComponents": True,
        "CoreDeviceHost": True,
    }
    for one in (one for all_ in tags.values() for one in all_):
        assert {"Tier": "staging", "Owner": "plant operations", "CostCentre": "4711"}.items() <= one.items()
        assert one["Site"] == "lindau"


def test_each_construction_asks_once_for_what_the_provider_knows(provider: Any) -> None:
    # One process constructs for several programs, whose regions and accounts are not the same.
    functions = ["getCallerIdentity", "getPartition", "getRegion"]
    for times in (1, 2):
        for name in ("one", "two")[:times]:
            provider.construct("pm:index:AnalyticsStore", name, {"sites": ["lindau"]})
        calls = provider.calls()
        assert calls == {f"aws:index/{function}:{function}": times for function in functions}
        provider.registered()


def test_a_whole_number_arrives_as_an_integer(provider: Any) -> None:
    provider.construct("pm:index:AnalyticsStore", "store", {"sites": ["lindau"], "retentionDays": 30})
    tables = [one for one in provider.registered() if one.type == "aws:glue/catalogTable:CatalogTable"]
    assert tables
    assert {table.inputs["parameters"]["projection.ingest_day.range"] for table in tables} == {"NOW-30DAYS,NOW"}


def test_fields_of_a_structured_argument_arrive_by_their_python_names(provider: Any) -> None:
    detector = {"window": 10, "minimumCount": 5, "maximumShare": 0.1, "clearShare": 0.05, "tolerance": 0.1}
    arguments = {**REQUIRED["pm:index:FaultAlerting"], "detector": detector}
    provider.construct("pm:index:FaultAlerting", "alerting", arguments)
    (function,) = (
        one for one in provider.registered() if one.type == "aws:lambda/function:Function" and "detector" in one.name
    )
    rule = next(
        json.loads(value)
        for value in function.inputs["environment"]["variables"].values()
        if value.startswith("{") and "minimum_count" in value
    )
    assert (rule["window"], rule["minimum_count"], rule["tolerance"]) == (10, 5, 0.1)
    assert isinstance(rule["window"], int)


@pytest.mark.parametrize("value", [30.5, "30", True])
def test_what_is_no_integer_is_refused(value: object, provider: Any) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        provider.construct("pm:index:AnalyticsStore", "store", {"sites": ["lindau"], "retentionDays": value})
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    provider.registered()


def test_an_argument_that_a_component_refuses_names_itself(own_provider: Any) -> None:
    with pytest.raises(grpc.RpcError, match="scan_limit_bytes: found 5, allowed are 10485760 and more"):
        own_provider.construct("pm:index:AnalyticsStore", "store", {"sites": ["lindau"], "scanLimitBytes": 5})


@pulumi.runtime.test
def test_an_integer_may_be_an_output() -> Any:
    mapped = _mapped("AnalyticsStore", {"sites": ["lindau"], "retentionDays": pulumi.Output.from_input(30.0)})

    def check(days: Any) -> None:
        assert days == 30
        assert isinstance(days, int)

    return mapped["retention_days"].apply(check)


def test_a_structured_argument_that_is_an_output_is_refused_and_not_taken_for_empty() -> None:
    with pytest.raises(InputPropertyError) as refusal:
        _mapped("FaultAlerting", {"emails": [], "detector": pulumi.Output.from_input({"window": 10})})
    assert refusal.value.property_path == "detector"


def _mapped(component: str, inputs: dict[str, Any]) -> Any:
    provider = library.LibraryProvider()
    return provider.map_inputs(inputs, provider._component_defs[component])


@pytest.mark.parametrize(
    ("ownership", "found"), [({"tier": "dev", "owner": "me"}, "owner, tier"), ({}, "nothing"), ({"team": "x"}, "team")]
)
def test_an_ownership_in_python_has_each_of_its_fields_and_no_other(ownership: Any, found: str) -> None:
    message = f"Store.ownership: found {found}, needed are tier, owner, cost_centre, and nothing else"
    with pytest.raises(ValueError, match=message):
        tagged_options(None, "Store", ownership)


@pulumi.runtime.test
def test_a_field_of_an_ownership_may_be_an_output() -> Any:
    ownership: Any = {"tier": "dev", "owner": pulumi.Output.from_input("me"), "cost_centre": "4711"}
    (transformation,) = tagged_options(None, "Store", ownership).transformations or []
    given = pulumi.ResourceTransformationArgs(
        None,
        "aws:sqs/queue:Queue",
        "letters",
        {"tags": {"Owner": "you"}},
        pulumi.ResourceOptions(),  # type: ignore[arg-type]
    )
    result = transformation(given)
    assert result is not None

    def check(tags: Any) -> None:
        expected = {"Tier": "dev", "Owner": "you", "CostCentre": "4711", "Component": "Store"}
        assert expected.items() <= tags.items()

    return pulumi.Output.from_input(result.props["tags"]).apply(check)
