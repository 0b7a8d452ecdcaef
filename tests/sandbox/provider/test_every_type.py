"""Each type has all that the protocol asks of a provider, and each input that the programs give is changed or replaces.

`unfinished.txt` lists, by name, what is not there yet; a line that is no longer true fails too.

Not proved: that a function does in the cloud what it should (the tests beside this one, and `make test-engine`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from pm_sandbox.provider import Context
from pm_sandbox.provider.inputs import Inputs
from pm_sandbox.provider.registry import DELETES, HANDLERS, READS, UPDATES
from pm_sandbox.provider.replacements import REPLACING
from pm_sandbox.recorder import Recording, Registered, record

SMALL = Path(__file__).parents[1] / "deployer" / "programs" / "small"
UNFINISHED = set((Path(__file__).parent / "unfinished.txt").read_text().splitlines())
#: Types of which each input replaces: what never changes in place needs no function that does.
NEVER_CHANGED = {
    "aws:athena/namedQuery:NamedQuery",
    "aws:cloudwatch/logStream:LogStream",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iot/thingGroupMembership:ThingGroupMembership",
    "aws:lambda/layerVersion:LayerVersion",
    "aws:lambda/permission:Permission",
}


@pytest.fixture(scope="module")
def registered(recorded: Callable[..., Recording]) -> list[Registered]:
    recordings = [recorded("dev"), recorded("prod"), record(SMALL, "dev")]
    return [one for recording in recordings for one in recording.resources if one.custom]


def test_each_type_says_what_replaces_it() -> None:
    assert set(REPLACING) == set(HANDLERS)


def test_each_type_is_read_changed_and_deleted() -> None:
    tables = {"reads": READS, "updates": UPDATES, "deletes": DELETES}
    missing = {f"{verb} {token}" for verb, table in tables.items() for token in HANDLERS if token not in table}
    missing -= {f"updates {token}" for token in NEVER_CHANGED}
    assert missing == {line for line in UNFINISHED if line.split()[0] in tables}


def test_each_input_of_the_programs_replaces_or_is_changed(registered: list[Registered]) -> None:
    dropped = set()
    for resource in registered:
        if resource.type not in UPDATES:
            continue
        entry = REPLACING[resource.type]
        for path in _not_asked_for(resource):
            if path.split(".")[0].split("[")[0] not in entry.inputs:
                dropped.add(f"drops {resource.type} {path}")
    assert dropped == {line for line in UNFINISHED if line.startswith("drops ")}


def _not_asked_for(resource: Registered) -> Iterator[str]:
    """The inputs that the type's update never asks for, in a cloud that says yes to everything."""
    cloud = SimpleNamespace(region="eu-central-1", account_id="0" * 12, mqtt_host="host", client=lambda _: MagicMock())
    news = Inputs(resource.inputs)
    state: dict[str, Any] = {"arn": "arn:aws:x:y:z:w", **resource.inputs, **resource.outputs}
    UPDATES[resource.type](f"{resource.name}-id", state, news, Context(cloud))
    ignores = HANDLERS[resource.type].ignores
    yield from (path for path in news.unread() if path not in ignores)


def test_what_never_changes_in_place_is_made_anew_by_each_input(registered: list[Registered]) -> None:
    for resource in registered:
        if resource.type in NEVER_CHANGED:
            ignores = HANDLERS[resource.type].ignores
            assert set(resource.inputs) <= REPLACING[resource.type].inputs | set(ignores), resource.type
