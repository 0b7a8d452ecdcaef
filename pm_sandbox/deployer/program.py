"""Run a Pulumi program in this process against a monitor. One program per process: the SDK keeps global state."""

import asyncio
import os
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf import empty_pb2
from pulumi.runtime import config as pulumi_config
from pulumi.runtime.mocks import MockEngine, MockSettings
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from pm_sandbox.deployer.monitor import Monitor
from pm_sandbox.deployer.project import Project

#: Registrations wait for the cloud's answers, not for a processor: more of them than cores.
_THREADS = 16


def run_program(program: Path, stack: str, project: Project, monitor: Monitor) -> None:
    """Run `__main__.py` of the program's directory, as Pulumi does: in that directory, with it on the module path.

    The program is told that this is a preview where the monitor is one of a preview.

    Raises:
        Exception: what the program or the monitor raised; the monitor's own `failure` says it best where it is set.
    """
    loop = asyncio.new_event_loop()
    pool = ThreadPoolExecutor(_THREADS)
    loop.set_default_executor(pool)
    # The SDK starts tasks on the thread's current loop, before any loop runs.
    asyncio.set_event_loop(loop)
    configure(
        MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures),
            engine=MockEngine(None),
            project=project.name,
            stack=stack,
            dry_run=monitor.preview,
            organization="sandbox",
            callbacks=None,
        )
    )
    pulumi_config.set_all_config(project.config)
    os.chdir(program)
    sys.path.insert(0, str(program))

    def run() -> None:
        runpy.run_path("__main__.py", run_name="__main__")

    try:
        loop.run_until_complete(run_in_stack(run))
    finally:
        # After a failure some registrations are still under way: what comes of them is to be known, too.
        pool.shutdown(cancel_futures=True)
