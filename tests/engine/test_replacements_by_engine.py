"""Pulumi's own engine replaces and renames, on a small program.

Not proved: that the real providers replace by the same inputs: `pm_sandbox/provider/replacements.py` has its sources.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import Served
from tests.engine.engine import Done, Engine
from tests.sandbox.provider.changes_of_a_life import REPLACED

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
CONFIG = {"component": "earlier", "queue": "replaced-one", "parent": "north"}


@pytest.fixture(scope="module")
def plant(cli: Path, served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine for the program once it is deployed, which is destroyed at the end."""
    engine = Engine(cli, tmp_path_factory.mktemp("plant"), served.port, program=REPLACED)
    engine.run("up", CONFIG)
    yield engine
    engine.run("destroy", CONFIG)


def test_a_component_that_an_alias_names_as_before_is_the_same_with_all_its_children(plant: Engine) -> None:
    # `same` to the engine, and the state has its new name.
    done = plant.run("up", {**CONFIG, "component": "later"})
    assert done.changed == {}
    assert done.changes == {"same": 9}
    assert "Plant::later" in plant.state_text()
    assert "Plant::earlier" not in plant.state_text()
    assert plant.run("up", {**CONFIG, "component": "later"}).changed == {}


def test_what_gets_another_name_is_there_before_the_old_one_goes(plant: Engine, served: Served) -> None:
    done = plant.run("up", {**CONFIG, "component": "later", "queue": "replaced-two"})
    assert _order(done) == [
        ("create-replacement", "queue"),
        ("create-replacement", "queue-policy"),
        ("delete-replaced", "queue-policy"),
        ("delete-replaced", "queue"),
    ]
    (url,) = served.cloud.client("sqs").list_queues(QueueNamePrefix="replaced-")["QueueUrls"]
    assert url.endswith("/replaced-two")


def test_what_keeps_its_name_goes_first_and_what_stands_on_it_before(plant: Engine, served: Served) -> None:
    config = {**CONFIG, "component": "later", "queue": "replaced-two", "parent": "south"}
    done = plant.run("up", config)
    assert _order(done) == [
        ("delete-replaced", "membership"),
        ("delete-replaced", "group"),
        ("create-replacement", "group"),
        ("create-replacement", "membership"),
    ]
    iot = served.cloud.client("iot")
    found = iot.describe_thing_group(thingGroupName="replaced-group")["thingGroupMetadata"]
    assert found["parentGroupName"] == "replaced-south"
    assert iot.list_things_in_thing_group(thingGroupName="replaced-group")["things"] == ["replaced-thing"]
    assert plant.run("preview", config).changed == {}


def _order(done: Done) -> list[tuple[str, str]]:
    """The steps that made and deleted something, in their order."""
    return [(kind, name) for kind, name, _ in done.steps if kind != "replace"]
