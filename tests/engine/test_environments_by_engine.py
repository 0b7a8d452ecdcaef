"""Pulumi's own engine previews each environment, and one of them lives its whole life in a running cloud.

The tests stand in the order of that life, and each starts where the one before ended.

Not proved: language hosts (the programs run inline), the real providers, or a real account.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cloud import Cloud
from sandbox.recorder import Recording
from tests.engine.conftest import Served
from tests.engine.engine import ROOT, Done, Engine

#: What lists the resources of each service that keeps some.
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
SECOND_SITE = {
    "name": "jena",
    "core_devices": ["jena-core"],
    "devices": [{"name": "air-2", "type": "air_quality"}],
}
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


class Up:
    """An update, and how long it took."""

    def __init__(self, engine: Engine) -> None:
        begin = time.perf_counter()
        self.done: Done = engine.run("up")
        self.seconds = time.perf_counter() - begin


@pytest.fixture(scope="module")
def up(local: Engine) -> Up:
    return Up(local)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "local"])
def test_each_environment_previews_with_no_output_known(
    cli: Path,
    served: Served,
    figures: dict[str, Any],
    recorded: Callable[..., Recording],
    tmp_path: Path,
    stack: str,
) -> None:
    engine = Engine(cli, tmp_path, served.port, stack=stack, file=stack)
    done = engine.run("preview", {"aws:region": served.cloud.region, "aws-native:region": served.cloud.region})
    figures["previews"][stack] = done.changes["create"]
    # The stack itself is a resource to the engine.
    assert done.changes == {"create": len(recorded(stack).resources) + 1}


def test_an_update_fills_the_cloud(up: Up, served: Served, figures: dict[str, Any]) -> None:
    figures["up_seconds"] = round(up.seconds, 1)
    things = served.cloud.client("iot").list_things()["things"]
    assert up.done.outputs["sites"]["lindau"]["core_devices"] == ["lindau-core"]
    assert "lindau-core" in {thing["thingName"] for thing in things}


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


def test_a_site_comes_and_goes_and_no_other_site_is_touched(up: Up, local: Engine, served: Served) -> None:
    sites = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]["pm:sites"]
    two = {"pm:sites": [*sites, SECOND_SITE]}
    came = local.run("up", two)
    assert set(came.changed) == {"create", "update"}
    assert all(name.startswith("jena") for name in came.changed["create"])
    assert not [name for name in came.changed["update"] if name.startswith("lindau")]
    names = {thing["thingName"] for thing in served.cloud.client("iot").list_things()["things"]}
    assert {"jena-core", "jena_air-2"} <= names
    went = local.run("up")
    assert went.changed == {"delete": came.changed["create"], "update": came.changed["update"]}
    assert local.run("preview").changed == {}


def test_the_state_holds_no_secret_in_plain(up: Up, local: Engine, figures: dict[str, Any]) -> None:
    # The secrets of this stack: the provider's keys to the cloud.
    resources = json.loads(local.state_text())["checkpoint"]["latest"]["resources"]
    keys = [one["inputs"].get("secretKey") for one in resources if one["type"].startswith("pulumi:providers:")]
    figures["plain_secrets"] = sum(isinstance(key, str) for key in keys)
    assert len(keys) == 2, "one provider for each package"
    assert figures["plain_secrets"] == 0


def test_a_destroy_leaves_nothing(up: Up, local: Engine, served: Served, figures: dict[str, Any]) -> None:
    done = local.run("destroy")
    assert done.changes == {"delete": up.done.changes["create"]}
    left = _left(served.cloud)
    figures["left_after_destroy"] = len(left)
    assert left == []


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
