"""A site and its core device, for the tests of deployments and of the device itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice
from tests.sandbox.core_device.site_by_hand import SITE, THING, Site


@pytest.fixture(scope="session")
def site(cloud: Cloud) -> Site:
    return Site(cloud)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The device's folder: each module starts the same device, with the same identity."""
    return tmp_path_factory.mktemp("devices") / THING


@pytest.fixture(scope="module")
def device(site: Site, folder: Path) -> Iterator[CoreDevice]:
    with CoreDevice.start(site.cloud, folder, THING, site.output) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test leaves the device with nothing deployed."""
    yield
    if "device" not in request.fixturenames:
        return
    site, device = request.getfixturevalue("site"), request.getfixturevalue("device")
    device.restore_uplink()
    ids = [site.deploy({}, group) for group in (SITE, f"{SITE}-model")]
    for deployment_id in ids:
        device.wait_for_deployment(deployment_id)
    assert device.status()["components"] == {}
