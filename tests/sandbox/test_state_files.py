"""State files: whole after a crash, private, and a damaged one is one line or is put aside.

Not proved here: that the disk keeps what fsync was told to keep.
"""

import asyncio
import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.cloud import Cloud, CloudError
from pm_sandbox.core_device import CoreDevice, CoreDeviceError
from pm_sandbox.core_device.broker import Broker
from pm_sandbox.core_device.client_devices.admission import Admission
from pm_sandbox.core_device.client_devices.cloud import DeviceCloud
from pm_sandbox.core_device.client_devices.shadows import Shadows
from pm_sandbox.core_device.cloud_access import CloudAccess
from pm_sandbox.core_device.nucleus import Nucleus
from pm_sandbox.core_device.plug_ins import RunningNucleus
from pm_sandbox.core_device.supervisor import Supervisor
from pm_sandbox.state_files import DamagedFileError, read_json, recovered, write_json

NOBODY = cast(DeviceCloud, None)
WHOLE = {"gera_air-1": {"desired": {}, "reported": {"state": "idle"}, "version": 1, "to_send": True}}
#: A file that a power cut has left in its middle, one of another shape, one that no parser gets through, and no text.
DAMAGED = [json.dumps(WHOLE)[:-9], "", "[]", '{"gera_air-1": 3}', "[" * 100_000, "\x00" * 512]


def test_a_write_is_synced_before_it_takes_the_old_one_s_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append("synced")
        sync(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        done.append("renamed")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    file = tmp_path / "state.json"
    write_json(file, {"a": 1})
    assert done == ["synced", "renamed"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_json(file, "a", advice="") == {"a": 1}


def test_a_disk_that_is_full_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.json"
    write_json(file, {"a": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(file, {"a": 2})
    assert read_json(file, advice="") == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_one_line(content: str, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    with pytest.raises(DamagedFileError) as caught:
        read_json(file, "endpoint", advice="start anew")
    said = str(caught.value)
    assert said.startswith(f"{file} is damaged (")
    assert said.endswith("): start anew")
    assert "\n" not in said


async def _shadows(file: Path) -> None:
    Shadows(file, NOBODY, [], lambda _topic, _payload: None).handle("gera_air-1", "get", b"")


async def _admission(file: Path) -> None:
    Admission(NOBODY, 60.0, file)._save()


async def _broker(file: Path) -> None:
    Broker(file).carry("pm/gera/air-1/reading", b"{}", None)


async def _nucleus(file: Path) -> None:
    supervisor = cast(Supervisor, SimpleNamespace(kind=NucleusKind.CLASSIC, programs={}))
    nucleus = Nucleus(file.parent, "gera", cast(CloudAccess, None), supervisor, RunningNucleus())
    await nucleus.resume()
    assert nucleus.not_run() == {}


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("take_up", [_shadows, _admission, _broker, _nucleus])
def test_what_runs_on_a_core_device_goes_on_without_a_damaged_file(
    take_up: Callable[[Path], Any], content: str, tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    asyncio.run(take_up(file))


def test_a_damaged_file_is_put_aside_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "shadows.json"
    file.write_text("{")
    with caplog.at_level(logging.ERROR):
        assert recovered(file) == {}
    assert (tmp_path / "shadows.json.damaged").read_text() == "{"
    assert not file.exists()
    assert "shadows.json is not used, and kept as shadows.json.damaged" in caplog.text


def test_clouds_and_core_devices_with_damaged_files_are_named(tmp_path: Path) -> None:
    for name in ("cloud.json", "settings.json", "device.json"):
        (tmp_path / name).write_text('{"endpoi')
    with pytest.raises(CloudError, match=r"cloud\.json is damaged"):
        Cloud.attach(tmp_path)
    with pytest.raises(CoreDeviceError, match=r"device\.json is damaged"):
        CoreDevice.attach(tmp_path)
