"""Each environment as its program registers it: the same each time, in a preview too, tagged, and as hard to lose as
its tier says.

Not proved here: that Pulumi's engine keeps to `protect` and `forceDestroy`, and that AWS deletes what it is asked to;
a preview by the engine itself, which leaves less unknown than the recorder does.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pm_cli.review import snapshot
from pm_cli.review.costs import estimate
from pm_cli.review.findings import as_stack, findings
from pm_cli.review.review import snapshot_path
from pm_cli.review.settings import read
from pm_components.stack.environment import GUARD, PROTECTED_TYPES
from pm_components.stack.tiers import DEFAULTS
from pm_policies.rules.required_tags import takes_tags
from pm_sandbox.recorder import Recording, RecordingError, Registered, record
from tests.guards import guard_of, unguarded
from tests.previews import differences, unknown_inputs

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("dev", "staging", "prod")
Recorded = Callable[..., Recording]


def _bytes(recording: Recording) -> str:
    return json.dumps([vars(resource) for resource in recording.resources], sort_keys=True)


def _values(resources: dict[str, Registered], key: str) -> set[Any]:
    assert resources
    return {resource.inputs.get(key) for resource in resources.values()}


def test_there_is_a_file_for_each_tier_and_its_stack_is_of_it() -> None:
    assert set(ENVIRONMENTS) == set(DEFAULTS)
    for environment in ENVIRONMENTS:
        assert read(ROOT, environment)[0].tier == environment


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_two_runs_register_the_same_to_the_byte(environment: str, recorded: Recorded) -> None:
    # Each run is a process of its own, with a hash seed of its own.
    assert len(_bytes(recorded(environment))) > 100_000
    assert _bytes(record(ROOT, environment)) == _bytes(recorded(environment))


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "local"])
def test_a_preview_of_an_empty_stack_is_whole(environment: str, recorded: Recorded) -> None:
    ordinary, preview = recorded(environment), recorded(environment, preview=True)
    assert len(preview.resources) == len(ordinary.resources) > 150
    assert differences(ordinary.resources, preview.resources) == []
    assert unknown_inputs(preview.resources) > 200
    assert preview.outputs.keys() == ordinary.outputs.keys()


_PLANTED = """
import pulumi
from pulumi_aws import sqs

queue = sqs.Queue("letters")
"""
_PREVIEW_FAULTS = {
    "queue.arn.apply(lambda arn: sqs.Queue('behind-a-value'))": "not in the preview: .*::behind-a-value",
    "sqs.Queue('told', name=queue.url.apply(lambda url: f'after {url}'[:9], True))": "::told name: 'after ",
    "queue.arn.apply(lambda arn: arn.split(':')[5], run_with_unknowns=True)": "AttributeError|IndexError|TypeError",
    "pulumi.runtime.is_dry_run() or sqs.Queue('once')": "not in the preview: .*::once",
}


@pytest.mark.parametrize("statement", _PREVIEW_FAULTS)
def test_a_program_that_a_preview_shows_otherwise_is_caught(statement: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: planted\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {aws:region: eu-central-1}\n")
    (tmp_path / "__main__.py").write_text(f"{_PLANTED}{statement}\n")
    ordinary = record(tmp_path, "dev")
    try:
        found = differences(ordinary.resources, record(tmp_path, "dev", preview=True).resources)
    except RecordingError as error:
        found = [str(error)]
    (told,) = found
    assert re.search(_PREVIEW_FAULTS[statement], told)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_resource_is_renamed_unnoticed(environment: str, recorded: Recorded) -> None:
    reviewed = snapshot.read(snapshot_path(ROOT, environment))
    assert reviewed is not None
    now = {one.urn for one in recorded(environment).resources}
    before = set(reviewed.resources) - {snapshot.stack_of(urn) for urn in now}
    assert not now ^ before, (
        f"new: {sorted(now - before)}, gone: {sorted(before - now)}. A resource that is renamed is deleted and made "
        f"anew, unless it has an alias. If this is meant: `pm review {environment} --accept`, and commit the snapshot"
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_that_takes_tags_says_whose_it_is(environment: str, recorded: Recorded) -> None:
    settings, _ = read(ROOT, environment)
    whose = {"Tier": settings.tier, "Owner": settings.owner, "CostCentre": settings.cost_centre}
    expected = {"Project": "pm", "Stack": environment, **whose}
    assert expected["Owner"] != "unassigned"
    tagged = [one for one in recorded(environment).resources if takes_tags(one.type)]
    assert len(tagged) > 100
    by_urn = {one.urn: one for one in recorded(environment).resources}
    for one in tagged:
        tags = one.inputs["tags"]
        assert expected.items() <= tags.items(), one.urn
        component = by_urn[one.parent]
        assert tags.get("Site") == (component.name if component.type == "pm:index:GreengrassSite" else None), one.urn


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "local"])
def test_account_region_partition_and_endpoint_are_looked_up_once(environment: str, recorded: Recorded) -> None:
    # Each is a request to the provider, and those for account and endpoint are some to AWS, in each preview.
    hosts = sum(one.type == "pm:index:CoreDeviceHost" for one in recorded(environment).resources)
    of_hosts = {"aws:ssm/getParameter:getParameter": hosts} if hosts else {}
    # Before the first update there is no key whose public half could be asked for.
    of_keys = {"aws:kms/getPublicKey:getPublicKey": 1}
    for recording, of_key in ((recorded(environment), of_keys), (recorded(environment, preview=True), {})):
        assert recording.calls == {
            "aws:index/getCallerIdentity:getCallerIdentity": 1,
            "aws:index/getPartition:getPartition": 1,
            "aws:index/getRegion:getRegion": 1,
            "aws:iot/getEndpoint:getEndpoint": 1,
            **of_hosts,
            **of_key,
        }


def test_a_deployment_makes_way_for_the_one_that_replaces_it(recorded: Recorded) -> None:
    # One that another has taken the place of cannot be cancelled, and so not be deleted (tests/sandbox/cloud).
    deployments = recorded("prod").of_type("aws-native:greengrassv2:Deployment")
    assert deployments
    assert [name for name, one in deployments.items() if not one.deleted_first] == []


def test_production_protects_its_guard_and_what_holds_data_and_development_nothing(recorded: Recorded) -> None:
    production = {one.urn for one in recorded("prod").resources if one.protect}
    assert production == {one.urn for one in recorded("prod").resources if one.type in {*PROTECTED_TYPES, GUARD}}
    assert len(production) >= 7
    for environment in ("dev", "staging"):
        assert not any(one.protect for one in recorded(environment).resources)


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "local"])
def test_the_guard_of_a_stack_depends_on_all_the_rest(environment: str, recorded: Recorded) -> None:
    # Pulumi deletes in the reverse order of dependencies: a guard that is protected ends it before anything is gone.
    for recording in (recorded(environment), recorded(environment, preview=True)):
        assert len(recording.resources) > 150
        assert unguarded(recording.resources) == []
        # Where the stack is let go of the guard is still there, to be released: it could not be deleted.
        assert guard_of(recording.resources).protect is (environment == "prod")


def test_no_object_is_put_into_a_bucket_before_it_keeps_versions(recorded: Recorded) -> None:
    # The provider deletes the versions of an object that it was told of; without one it leaves a marker and the object.
    recording = recorded("prod")
    objects = recording.of_type("aws:s3/bucketObjectv2:BucketObjectv2")
    assert len(objects) > 5
    for name, one in objects.items():
        sources = {urn.split("::")[2].rsplit("$", 1)[-1] for urn in one.dependencies}
        assert "aws:s3/bucketVersioning:BucketVersioning" in sources, name


_UNGUARDED = """
from types import SimpleNamespace

import pulumi
from pulumi_aws import sqs

from pm_components.stack import environment


class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("pm:index:Group", name)
        self.queue = sqs.Queue(f"{name}-queue", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


group = Group("group")
environment.guard(SimpleNamespace(protected=True), [group])
"""


@pytest.mark.parametrize(
    ("statement", "outside"),
    [
        ("", []),
        ("sqs.Queue('beside')", ["aws:sqs/queue:Queue::beside"]),
        ("Group('late')", ["pm:index:Group$aws:sqs/queue:Queue::late-queue", "pm:index:Group::late"]),
        # A child that a component gets before the guard is registered is guarded with the rest.
        ("sqs.Queue('grown', opts=pulumi.ResourceOptions(parent=group))", []),
    ],
)
def test_what_a_guard_does_not_depend_on_is_found(statement: str, outside: list[str], tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: planted\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {aws:region: eu-central-1}\n")
    (tmp_path / "__main__.py").write_text(f"{_UNGUARDED}{statement}\n")
    found = unguarded(record(tmp_path, "dev").resources)
    assert [urn.split("::", 2)[2] for urn in found] == outside


def test_destroying_development_leaves_nothing_of_the_program_behind(recorded: Recorded) -> None:
    found = recorded("dev")
    assert _values(found.of_type("aws:s3/bucket:Bucket"), "forceDestroy") == {True}
    assert _values(found.of_type("aws:athena/workgroup:Workgroup"), "forceDestroy") == {True}
    assert _values(found.of_type("aws:kms/key:Key"), "deletionWindowInDays") == {7}
    for one in found.resources:
        kept = {"skipDestroy", "retainOnDelete", "deletionProtectionEnabled", "skipFinalSnapshot"} & set(one.inputs)
        assert not kept, f"{one.urn} has {kept}"
    groups = _values(found.of_type("aws:cloudwatch/logGroup:LogGroup"), "name")
    functions = _values(found.of_type("aws:lambda/function:Function"), "name")
    assert {f"/aws/lambda/{name}" for name in functions} <= groups


def test_production_keeps_its_data_when_the_stack_goes(recorded: Recorded) -> None:
    found = recorded("prod")
    assert _values(found.of_type("aws:s3/bucket:Bucket"), "forceDestroy") == {False}
    assert _values(found.of_type("aws:kms/key:Key"), "deletionWindowInDays") == {30}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_logs_and_alarms_are_as_the_tier_says(environment: str, recorded: Recorded) -> None:
    tier, found = DEFAULTS[environment], recorded(environment)
    logs, alarms = (
        found.of_type("aws:cloudwatch/logGroup:LogGroup"),
        found.of_type("aws:cloudwatch/metricAlarm:MetricAlarm"),
    )
    assert _values(logs, "retentionInDays") == {tier["log_retention_days"]}
    assert _values(alarms, "actionsEnabled") == {tier["alarm_actions"]}
    (machine,) = found.of_type("aws:sfn/stateMachine:StateMachine").values()
    assert tier["training"]["instance_type"] in machine.inputs["definition"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_model_is_tried_on_a_core_device_of_its_own_before_production(environment: str, recorded: Recorded) -> None:
    found = recorded(environment)
    (machine,) = found.of_type("aws:sfn/stateMachine:StateMachine").values()
    on_trial = "Start the trial" in json.loads(machine.inputs["definition"])["States"]
    assert on_trial == (environment != "dev")
    assert on_trial == ("pipeline-trial-function" in found.of_type("aws:lambda/function:Function"))
    memberships = found.of_type("aws:iot/thingGroupMembership:ThingGroupMembership").values()
    canaries = {one.inputs["thingName"] for one in memberships if one.inputs["thingGroupName"].endswith("-canary")}
    stations = [site for site in read(ROOT, environment)[0].sites if "air_quality" in site.device_types.values()]
    assert canaries
    if on_trial:
        tried = [site for site in stations if canaries & set(site.core_devices)]
        assert tried
        assert all(set(site.core_devices) - canaries for site in tried), "the trial has a core device of its own"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_environment_breaks_a_mandatory_policy_or_its_cost_limit(environment: str, recorded: Recorded) -> None:
    settings, providers = read(ROOT, environment)
    stack = as_stack(recorded(environment), providers["aws:region"])
    assert [finding for finding in findings(stack, settings) if finding.level == "mandatory"] == []
    assert 10 < estimate(stack).monthly_usd < settings.cost_limit_usd


def test_what_may_be_switched_on_breaks_no_policy_either() -> None:
    devices = [{"name": "air-1", "type": "air_quality"}, {"name": "machine-01", "type": "machine"}]
    host = {"devices": devices, "host_instance_type": "t3.small"}
    given = {
        "pm:sites": [
            {**host, "name": "ulm", "core_devices": ["ulm-a", "ulm-b"], "serial_numbers": {"ulm-a": "1"},
             "host_checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64}},
            {**host, "name": "linz", "core_devices": ["linz-a"], "serial_numbers": {"linz-a": "2"},
             "host_checksums": {"nucleus": "0" * 64, "session_manager_agent": "0" * 64},
             "nucleus": {"kind": "lite"}, "client_devices": False},
        ],
        "pm:lake": {"customer_key": True},
        "pm:training": {"workbench": {}, "spot": True},
        "pm:escalation_emails": ["shift@example.com"],
    }  # fmt: skip
    settings, providers = read(ROOT, "prod")
    stack = as_stack(record(ROOT, "prod", given), providers["aws:region"])
    assert {one.type for one in stack.resources} >= {
        "aws:autoscaling/group:Group",
        "aws:iot/provisioningTemplate:ProvisioningTemplate",
        "aws:sagemaker/notebookInstance:NotebookInstance",
    }
    assert [finding for finding in findings(stack, settings) if finding.level != "advisory"] == []
    assert estimate(stack).monthly_usd < settings.cost_limit_usd
