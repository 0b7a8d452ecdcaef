"""The emulated AWS as a process: loopback only, private, gone with its parent.

Not proved here: that what the emulator answers is what AWS would.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import psutil
import pytest

from pm_sandbox.cloud import Cloud, CloudError
from tests.waiting import eventually, has_ended


def emulator_of(cloud: Cloud) -> psutil.Process:
    return psutil.Process(json.loads((cloud.directory / "cloud.json").read_text())["pid"])


def listening(process: psutil.Process) -> list[Any]:
    """The addresses that a process listens on; none where it has ended meanwhile, as a function's may."""
    try:
        return [each.laddr for each in process.net_connections() if each.status == "LISTEN"]
    except psutil.NoSuchProcess:
        return []


def test_it_listens_on_loopback_only(cloud: Cloud) -> None:
    with socket.create_connection((cloud.mqtt_host, cloud.mqtt_port), timeout=30):
        pass
    emulator = emulator_of(cloud)
    addresses = {address for one in (emulator, *emulator.children(recursive=True)) for address in listening(one)}
    assert {address.port for address in addresses} == {
        int(cloud.endpoint.rsplit(":", 1)[1]),
        cloud.mqtt_port,
        cloud.device_port(),
    }
    assert {address.ip for address in addresses} == {"127.0.0.1"}


def test_it_plays_the_stated_account_and_region(cloud: Cloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == cloud.account_id
    arn = cloud.client("sqs").create_queue(QueueName="process-test")["QueueUrl"]
    assert cloud.account_id in arn
    assert cloud.client("s3").meta.region_name == cloud.region == "eu-central-1"


def test_an_unknown_key_is_refused(cloud: Cloud) -> None:
    stranger = boto3.client(
        "sqs",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id="AKIAAAAAAAAAAAAAAAAA",
        aws_secret_access_key="guessed",
    )
    with pytest.raises(botocore.exceptions.ClientError, match="token"):
        stranger.list_queues()


def test_its_files_are_private_and_do_not_hold_the_key_in_the_log(cloud: Cloud) -> None:
    state = cloud.directory / "cloud.json"
    assert state.stat().st_mode & 0o777 == 0o600
    assert cloud.environment()["AWS_SECRET_ACCESS_KEY"] not in cloud.log_file.read_text()


def test_another_process_can_attach(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(
        Bucket="attach-test", CreateBucketConfiguration={"LocationConstraint": cloud.region}
    )
    script = (
        "import sys; from pathlib import Path; from pm_sandbox.cloud import Cloud;"
        "c = Cloud.attach(Path(sys.argv[1])); c.client('s3').head_bucket(Bucket='attach-test');"
        "c.stop(); print(c.mqtt_port)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, str(cloud.directory)], check=True, capture_output=True, text=True
    ).stdout
    assert int(printed) == cloud.mqtt_port
    cloud.client("s3").head_bucket(Bucket="attach-test")


def test_attaching_where_no_cloud_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match="no cloud runs in"):
        Cloud.attach(tmp_path)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CloudError, match=f"port {port} .* cannot be used"):
            Cloud.start(tmp_path, port=port)
    assert list(tmp_path.iterdir()) == []


def test_stop_leaves_only_the_log_and_the_authority(tmp_path: Path) -> None:
    cloud = Cloud.start(tmp_path)
    with pytest.raises(CloudError, match=r"runs in .* already"):
        Cloud.start(tmp_path)
    emulator = emulator_of(cloud)
    assert (tmp_path / "temporary").is_dir()
    cloud.stop()
    assert not emulator.is_running()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate-authority.pem", "cloud.log"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    script = (
        "import sys, time; from pathlib import Path; from pm_sandbox.cloud import Cloud;"
        "c = Cloud.start(Path(sys.argv[1])); print(c._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        emulator = psutil.Process(int(parent.stdout.readline()))
        assert emulator.is_running()
        os.kill(parent.pid, how)
        parent.wait()
    eventually(lambda: has_ended(emulator), "the emulator to end")
