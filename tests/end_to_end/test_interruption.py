"""`pm demo` and `pm up`: what they start ends when a person stops them, and when a step fails.

Does not prove that a machine that loses power is clean; nothing of the sandbox outlives its processes but files.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.pulumi_stub import Stub
from tests.waiting import eventually

PM = Path(sys.executable).with_name("pm")


def processes_of(folder: Path) -> list[str]:
    lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


def assert_nothing_runs(folder: Path) -> None:
    """Assert that no process is left; one that was killed may take a moment to go."""
    eventually(lambda: not processes_of(folder), lambda: f"the end of {processes_of(folder)}", 20)


def test_ctrl_c_in_the_middle_of_the_demo_stops_all_that_it_started(tmp_path: Path):
    demo = subprocess.Popen(
        [str(PM), "demo", "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Starting the core devices" in line:  # printed when that step has ended: everything runs by now
            break
    assert processes_of(tmp_path)
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert_nothing_runs(tmp_path)


def test_a_program_that_cannot_be_deployed_leaves_nothing_running(tmp_path: Path):
    program = (
        "from pathlib import Path; from pm_sandbox.deployer import deploy; from pm_sandbox.factory import Factory; "
        "Factory.start(Path(%r), {'voice': 7}, deployer=deploy)"
    )
    failed = subprocess.run(
        [sys.executable, "-c", program % str(tmp_path)], capture_output=True, text=True, timeout=200
    )
    assert failed.returncode == 1
    assert "pm:voice" in failed.stderr
    assert_nothing_runs(tmp_path)


def test_a_factory_in_the_background_lives_until_it_is_told_to_stop(tmp_path: Path):
    stub = Stub(tmp_path.with_name("commands"), "echo v3.274.1")

    def pm(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COLUMNS": "200", "PATH": f"{stub.folder}:{os.environ['PATH']}"}
        return subprocess.run(
            [str(PM), *arguments, "--directory", str(tmp_path)],
            capture_output=True, text=True, timeout=200, env=environment,
        )  # fmt: skip

    try:
        up = pm("up", "--engine", "own")
        assert up.returncode == 0, up.stdout
        assert "Engine: our own, which needs no command line (--engine own)" in up.stdout
        assert stub.runs == [], "a command on the PATH is not taken"
        again = pm("up", "--engine", "own")
        assert again.returncode == 2
        assert "pm down" in again.stderr
        status = pm("status")
        assert "pm.Forecaster" in status.stdout
        assert "air_quality_reading" in status.stdout
        assert "pm.Uplink" in pm("logs", "pm.Uplink").stdout + pm("status").stdout
        unknown = pm("logs", "pm.Nobody")
        assert unknown.returncode == 2
        assert "pm.Forecaster" in unknown.stderr
    finally:
        down = pm("down")
    assert down.returncode == 0, down.stdout
    assert_nothing_runs(tmp_path)
