"""A stack lives its whole life by Pulumi's own engine in a cloud that another stack of the same program shares.

The tests stand in the order of that life, and each starts where the one before ended.

Not proved: language hosts (the programs run inline), the real providers, a real account, or core devices that take up
what is deployed to them.
"""

import functools
import json
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_cli import leftovers, stack_state
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import deploy
from pm_sandbox.deployer.project import read_project
from pm_sandbox.recorder import record
from tests.engine.conftest import Served
from tests.engine.contents import contents
from tests.engine.engine import ROOT, Done, Engine, EngineError
from tests.sandbox.provider import changes_of_a_life as life

#: The resources of each service that keeps some: service, operation, key of the answer.
LISTS = [
    ("athena", "list_work_groups", "WorkGroups"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("cloudwatch", "list_dashboards", "DashboardEntries"),
    ("dynamodb", "list_tables", "TableNames"),
    ("events", "list_rules", "Rules"),
    ("firehose", "list_delivery_streams", "DeliveryStreamNames"),
    ("glue", "get_databases", "DatabaseList"),
    ("greengrassv2", "list_components", "components"),
    ("greengrassv2", "list_deployments", "deployments"),
    ("iam", "list_roles", "Roles"),
    ("iot", "list_policies", "policies"),
    ("iot", "list_thing_groups", "thingGroups"),
    ("iot", "list_thing_types", "thingTypes"),
    ("iot", "list_things", "things"),
    ("iot", "list_topic_rules", "rules"),
    ("kms", "list_aliases", "Aliases"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings"),
    ("lambda", "list_functions", "Functions"),
    ("lambda", "list_layers", "Layers"),
    ("logs", "describe_log_groups", "logGroups"),
    ("s3", "list_buckets", "Buckets"),
    ("sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList"),
    ("scheduler", "list_schedule_groups", "ScheduleGroups"),
    ("scheduler", "list_schedules", "Schedules"),
    ("sns", "list_subscriptions", "Subscriptions"),
    ("sns", "list_topics", "Topics"),
    ("sqs", "list_queues", "QueueUrls"),
    ("stepfunctions", "list_state_machines", "stateMachines"),
]
OTHER_SITE = {
    "name": "ulm",
    "core_devices": ["ulm-core"],
    "devices": [{"name": "air-1", "type": "air_quality"}, {"name": "machine-01", "type": "machine"}],
}
ADDED, RENAMED = life.sites(*life.ADDED), life.sites(*life.RENAMED)
pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]


class Up:
    """The first update, and how long it took with all that a user waits for."""

    def __init__(self, engine: Engine) -> None:
        begin = time.perf_counter()
        self.done: Done = engine.run("up")
        self.seconds = time.perf_counter() - begin


class Other(NamedTuple):
    """The stack beside, and all that the cloud said of it once it was there."""

    engine: Engine
    made: int
    contents: dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("life")


@pytest.fixture(scope="module")
def local(cli: Path, served: Served, folder: Path) -> Engine:
    """The engine for the stack that changes."""
    return Engine(cli, folder / "local", served.port, file="local")


@pytest.fixture(scope="module")
def up(cli: Path, served: Served, folder: Path) -> Up:
    return Up(Engine(cli, folder / "local", served.port, file="local", warm=False))


@pytest.fixture(scope="module")
def other(up: Up, cli: Path, served: Served, folder: Path) -> Other:
    """A stack of the same program, with a site of its own."""
    engine = Engine(cli, folder / "other", served.port, stack="other", file="local")
    done = engine.run("up", {"pm:sites": [OTHER_SITE]})
    return Other(engine, done.changes["create"], contents(served.cloud, engine.deployment()))


def test_an_update_fills_the_cloud(up: Up, served: Served, figures: dict[str, Any], tmp_path: Path) -> None:
    things = served.cloud.client("iot").list_things()["things"]
    assert up.done.outputs["sites"]["lindau"]["core_devices"] == ["lindau-core"]
    assert "lindau-core" in {thing["thingName"] for thing in things}
    with Cloud.start(tmp_path / "empty as the other was") as cloud:
        begin = time.perf_counter()
        deploy(ROOT, "local", cloud)
        figures["own_up_seconds"] = round(time.perf_counter() - begin, 1)
    figures["up_seconds"] = round(up.seconds, 1)


def test_a_second_preview_changes_nothing(up: Up, local: Engine, figures: dict[str, Any]) -> None:
    again = local.run("preview")
    figures["unchanged_after_up"] = again.changed == {}
    assert again.changed == {}
    assert again.changes == {"same": up.done.changes["create"]}


def test_a_refresh_sees_what_was_deleted_by_hand_and_an_update_mends_it(up: Up, local: Engine, served: Served) -> None:
    sqs = served.cloud.client("sqs")
    url = next(url for url in up.done.outputs["dead_letter_queues"] if "announcer" in url)
    sqs.delete_queue(QueueUrl=url)
    refreshed = local.run("refresh")
    assert refreshed.changes == {"delete": 1, "same": up.done.changes["create"] - 1}
    assert local.run("up").changed == {"create": ["alerting-announcer-dead-letters"]}
    assert url in sqs.list_queues(QueueNamePrefix="pm-local")["QueueUrls"]


def test_a_site_a_core_device_and_a_device_come_get_other_names_and_go(up: Up, other: Other, local: Engine) -> None:
    came = local.run("up", ADDED)
    _assert_steps(came, _with(creates=life.of_sites(*life.ADDED)))
    _assert_replaced_in_order(came)
    assert local.run("preview", ADDED).changed == {}
    renamed = local.run("up", RENAMED)
    _assert_steps(renamed, _with(creates=life.of_sites(*life.RENAMED), deletes=life.of_sites(*life.ADDED)))
    assert local.run("preview", RENAMED).changed == {}
    went = local.run("up")
    _assert_steps(went, _with(deletes=life.of_sites(*life.RENAMED)))
    assert local.run("preview").changed == {}


def test_they_do_so_again_and_what_a_certificate_hangs_on_goes_once_it_is_cleared(
    up: Up, other: Other, local: Engine, served: Served, folder: Path
) -> None:
    came = local.run("up", ADDED)
    _, core, _ = life.ADDED
    iot = served.cloud.client("iot")
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName=core, principal=certificate)
    iot.attach_policy(policyName=came.outputs["sites"]["lindau"]["device_policy"], target=certificate)

    with pytest.raises(EngineError, match=rf"(?s)lindau-{core}-thing.*principal"):
        local.run("up", RENAMED)
    (cleared,) = _clear_removed(local, served.cloud, folder, RENAMED)
    assert certificate.rpartition("/")[2] in cleared
    assert local.run("up", RENAMED).changed == {"delete": [f"lindau-{core}-thing"]}
    went = local.run("up")
    _assert_steps(went, _with(deletes=life.of_sites(*life.RENAMED)))
    assert local.run("preview").changed == {}


def test_each_setting_changes_what_it_is_of_and_nothing_else(up: Up, other: Other, local: Engine) -> None:
    config: dict[str, Any] = functools.reduce(lambda all_, one: {**all_, **one.config}, life.SETTINGS.values(), {})
    done = local.run("up", config)
    expected = [change.touched for change in life.SETTINGS.values()]
    _assert_steps(done, expected)
    assert local.run("preview", config).changed == {}


def test_another_release_changes_what_it_has_of_its_own(
    up: Up, other: Other, cli: Path, local: Engine, served: Served
) -> None:
    # From the settings of the test before back to those of the file, by the update that brings the release's tags.
    settings = {**read_project(ROOT, "local", {}).config, **life.TAGS}
    back = local.run("up", settings)
    tagged = {
        one["urn"].rsplit("::", 1)[-1]
        for one in local.deployment()["resources"]
        if "Owner" in one.get("inputs", {}).get("tags", {})
    }
    assert len(tagged) > 100
    changed = {name for kind, name, keys in back.steps if kind == "update" and "tags" in keys}
    assert tagged - changed == {"lindau-deployment"}, "that one is replaced, tags and all"
    release = Engine(cli, local.folder, served.port, program=life.NEXT_RELEASE)
    done = release.run("up", settings)
    _assert_steps(done, [life.RELEASED])
    assert release.run("preview", settings).changed == {}
    # Of its own, since that of the release wrote its project into their folder.
    before = Engine(cli, local.folder, served.port, file="local")
    assert before.run("up").changed["create"] == ["edge-device-simulator-artifact", "edge-device-simulator-component"]


def test_the_stack_beside_is_untouched(other: Other, served: Served) -> None:
    assert contents(served.cloud, other.engine.deployment()) == other.contents


def test_the_state_holds_no_secret_in_plain(up: Up, local: Engine, figures: dict[str, Any]) -> None:
    # The secrets of this stack: the provider's keys to the cloud.
    resources = local.deployment()["resources"]
    keys = [one["inputs"].get("secretKey") for one in resources if one["type"].startswith("pulumi:providers:")]
    figures["plain_secrets"] = sum(isinstance(key, str) for key in keys)
    assert len(keys) == 2, "one provider for each package"
    assert figures["plain_secrets"] == 0


def test_a_destroy_leaves_the_stack_beside_and_its_destroy_leaves_nothing(
    up: Up, other: Other, local: Engine, served: Served, figures: dict[str, Any]
) -> None:
    assert local.run("destroy").changes == {"delete": up.done.changes["create"]}
    assert contents(served.cloud, other.engine.deployment()) == other.contents
    assert other.engine.run("destroy", {"pm:sites": [OTHER_SITE]}).changes == {"delete": other.made}
    left = _left(served.cloud)
    figures["left_after_destroy"] = len(left)
    assert left == []


def _with(creates: Collection[str] = (), deletes: Collection[str] = ()) -> list[life.Touched]:
    """The steps by which sites, core devices and devices come and go."""
    return [life.Touched(creates, deletes), life.AROUND]


def _assert_steps(done: Done, expected: Iterable[life.Touched]) -> None:
    """Assert that these changes came, and no others."""
    names = {event.name for event in done.events}
    steps = [step for touched in expected for step in touched.steps(names)]
    assert len(steps) == len(set(steps)), "each change is expected once"
    # A replacement comes as three: itself, what is made, and what goes.
    came = [step for step in done.steps if step[0] not in ("create-replacement", "delete-replaced")]
    assert sorted(came) == sorted(steps)


def _assert_replaced_in_order(done: Done) -> None:
    """Assert that what others stand on is created before they are replaced, and deleted after them.

    The deployment goes before the new one is made, as the program asks: core devices have one of their group.
    """
    steps = [(kind, name.removeprefix("lindau-")) for kind, name, _ in done.steps]
    order = [
        ("create-replacement", "site-devices-artifact"),
        ("create-replacement", "site-devices-component"),
        ("delete-replaced", "deployment"),
        ("create-replacement", "deployment"),
        ("delete-replaced", "site-devices-component"),
        ("delete-replaced", "site-devices-artifact"),
    ]
    places = [steps.index(step) for step in order]
    assert places == sorted(places)


def _clear_removed(engine: Engine, cloud: Cloud, folder: Path, config: dict[str, Any]) -> list[str]:
    """Do what `pm clear --removed` does of a stack with this configuration; returns what was deleted."""
    export = folder / "exported.json"
    export.write_text(json.dumps({"deployment": engine.deployment()}))
    tagged = leftovers.tagged(cloud.client("resourcegroupstaggingapi"), "pm", engine.stack)
    kept = record(ROOT, engine.stack, config)
    found = list(
        leftovers.find(leftovers.scope(stack_state.read(export), tagged, kept, cloud.account_id), cloud.client)
    )
    for one in found:
        one.delete()
    return [one.text for one in found]


def _left(cloud: Cloud) -> list[str]:
    """The contents of a cloud that a stack could have made; keys that wait for their deletion are on their way."""
    left = []
    for service, operation, key in LISTS:
        client = cloud.client(service)
        pages = (
            client.get_paginator(operation).paginate()
            if client.can_paginate(operation)
            else [getattr(client, operation)()]
        )
        left += [f"{service} {item}" for page in pages for item in page.get(key, [])]
    return [one for one in left if "'Name': 'primary'" not in one and "'Name': 'default'" not in one]
