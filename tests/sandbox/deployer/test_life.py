"""Two stacks side by side in one cloud, of which one lives its whole life by our engine: see `life`.

The tests stand in the order of that life. Not proved: what core devices make of it (see tests/sandbox/core_device), and
that Pulumi's engine does the same (tests/engine).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, DeploymentError, deploy, destroy
from pm_sandbox.provider import Context, Provider
from tests.sandbox.deployer.life import ADDED, BESIDE, LIFE, RENAMED, START, Change
from tests.sandbox.deployer.listed import LISTED, kept_id, listed

PROGRAM = Path(__file__).parent / "programs" / "sites"
DEPLOYMENT = "aws-native:greengrassv2:Deployment"


class Account(NamedTuple):
    """An account with two stacks, of which the second stays as it is.

    Attributes:
        cloud: The cloud.
        start: The first stack as it began.
        beside: The second one.
        untouched: The cloud's answers for all that the second one has.
    """

    cloud: Cloud
    start: Deployment
    beside: Deployment
    untouched: dict[str, Any]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with Cloud.start(tmp_path_factory.mktemp("life")) as cloud:
        start = deploy(PROGRAM, "first", cloud, {"sites": START.sites})
        beside = deploy(PROGRAM, "second", cloud, {"sites": BESIDE.sites})
        yield Account(cloud, start, beside, _read(cloud, beside))


def _read(cloud: Cloud, deployment: Deployment) -> dict[str, Any]:
    """The cloud's answer for each resource, by URN."""
    provider = Provider(Context(cloud))
    return {
        one.urn: provider.read(one.type, one.physical_id, one.inputs, one.outputs)
        for one in deployment.resources
        if one.custom
    }


def _things(account: Account) -> set[str]:
    return listed(account.cloud, "aws:iot/thing:Thing") - BESIDE.things


def _lived(account: Account, change: Change) -> Deployment:
    done = deploy(PROGRAM, "first", account.cloud, {"sites": change.sites})
    assert _things(account) == change.things
    # Of a list of devices comes a version of a component, and of that the site's deployment.
    replaced = {
        step.name: step.inputs for step in done.steps if step.operation == "replace" and step.type == DEPLOYMENT
    }
    assert replaced == {name: ["components"] for name in change.replaced}
    for name in change.replaced:
        assert f"replaced {DEPLOYMENT} {name}: components changed" in done.summary()
    deployments = listed(account.cloud, DEPLOYMENT)
    for one in done.resources:
        assert one.type != DEPLOYMENT or one.physical_id in deployments
    return done


def test_devices_core_devices_and_sites_come_are_renamed_and_go_twice(account: Account) -> None:
    for change in LIFE:
        _lived(account, change)
    assert _read(account.cloud, account.beside) == account.untouched


def test_what_the_life_ends_with_is_what_it_began_with(account: Account) -> None:
    last = deploy(PROGRAM, "first", account.cloud, {"sites": START.sites})
    assert last.summary() == [f"resources: {len(account.start.resources)} unchanged"]
    assert {one.urn for one in last.resources} == {one.urn for one in account.start.resources}


def test_a_core_device_with_a_certificate_does_not_go_before_it_is_detached(account: Account) -> None:
    iot = account.cloud.client("iot")
    _lived(account, ADDED)
    certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName="ulm-second", principal=certificate)
    with pytest.raises(DeploymentError, match=r"ulm-ulm-second-thing.*attached") as refusal:
        deploy(PROGRAM, "first", account.cloud, {"sites": RENAMED.sites})
    assert "DeleteThing" in str(refusal.value)
    assert "ulm-third" in _things(account), "what comes came before"
    iot.detach_thing_principal(thingName="ulm-second", principal=certificate)
    done = deploy(PROGRAM, "first", account.cloud, {"sites": RENAMED.sites})
    assert {step.operation for step in done.steps} == {"same", "delete"}
    assert _things(account) == RENAMED.things


def test_a_destroyed_stack_leaves_nothing_and_the_other_as_it_was(account: Account) -> None:
    destroy(account.start, account.cloud)
    assert _read(account.cloud, account.beside) == account.untouched
    for type_ in LISTED:
        of_the_other = {kept_id(type_, one.physical_id) for one in account.beside.resources if one.type == type_}
        if of_the_other:
            assert listed(account.cloud, type_) == of_the_other, type_
    again = deploy(PROGRAM, "second", account.cloud, {"sites": BESIDE.sites})
    assert again.summary() == [f"resources: {len(account.beside.resources)} unchanged"]
