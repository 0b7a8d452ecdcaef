"""The running factory as those see it who hurt it: what its floor says, what comes of it, and ways to break it."""

import datetime as dt
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pm_components.aws import recipes
from pm_components.functions.component_versions import ComponentVersions, deployment_policies
from pm_contracts import topics
from pm_contracts.messages import MachineReading, Reading, Status, decode, encode
from pm_edge.devices.simulator import sources
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.core_device.supervisor import FAILURES_UNTIL_BROKEN
from pm_sandbox.factory import Factory
from pm_sandbox.status_ear import StatusEar
from resilience.signing import signed, trust
from resilience.small_models import Files

SITE = "lindau"
#: The first hour that the sensors report; a drill that simulates takes an earlier month, or they would be late.
_FIRST = dt.datetime(2011, 1, 1, tzinfo=dt.UTC)
_LOOK_EVERY = 0.05


class Plant:
    """The running factory, an ear and a mouth on its floor, and an eye in its lake."""

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.cloud = factory.cloud
        [self.device] = factory.core_devices.values()
        self.site = factory.deployment.outputs["sites"][SITE]
        self.heard: list[tuple[str, bytes]] = []
        self._statuses: dict[str, Status] = {}
        self._cloud_ear = StatusEar(self.cloud)
        self._listen()
        self._air = sources.readings(SITE, {"air-1": "air_quality"}, start=_FIRST)
        self._machines = sources.readings(SITE, {f"machine-{n:02}": "machine" for n in range(1, 11)}, start=_FIRST)
        bucket = factory.deployment.outputs["artifact_bucket"]
        prefix = f"arn:aws:greengrass:{self.cloud.region}:{self.cloud.account_id}:components:"
        self.greengrass = self.cloud.client("greengrassv2")
        self.versions = ComponentVersions(self.cloud.client("s3"), self.greengrass, bucket, prefix)
        self.models: dict[str, str] = {}
        trust(self.device.directory)  # by the stack's own key nobody may sign but its releases

    def close(self) -> None:
        """Hear and say no more."""
        for bus in (self.mouth, self._ear, self._cloud_ear):
            bus.close()

    def _listen(self) -> None:
        port = self.device.status()["broker_port"]
        self.mouth = MqttBus("127.0.0.1", port, "drill-sensor")
        self._ear = MqttBus("127.0.0.1", port, "drill-ear")
        self._ear.subscribe(f"{topics.ROOT}/{SITE}/#", self._arrived)

    # What is said on the floor.

    def _arrived(self, topic: str, payload: bytes) -> None:
        if topic.endswith(f"/{topics.STATUS}"):
            status = decode(payload, Status)
            self._statuses[status.component] = status
        else:
            self.heard.append((topic, payload))

    def on(self, channel: str) -> list[bytes]:
        """The messages on topics that end in `channel`, repeats and all."""
        return [payload for topic, payload in list(self.heard) if topic.endswith(f"/{channel}")]

    def counter(self, component: str, name: str) -> int:
        """A counter of a component's present process."""
        status = self._statuses.get(component)
        return status.counters.get(name, 0) if status else 0

    def state(self, component: str) -> str:
        """The state of a component as it has said last; empty if it never has."""
        status = self._statuses.get(component)
        return status.state if status else ""

    def reason_in_the_cloud(self, component: str) -> str:
        """The reason for a component's bad state, as the cloud has it."""
        return self._cloud_ear.reason(SITE, component)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
        """Wait until `condition` holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}; {self.told()}")
            time.sleep(_LOOK_EVERY)

    def told(self) -> dict[str, str]:
        """The state of each component, by the nucleus and by itself."""
        return {
            name: f"{component['state']} {component['problem']} {self._statuses.get(name, '')}"
            for name, component in self.device.status()["components"].items()
        }

    def settle(self, seconds: float = 120.0) -> None:
        """Wait until the floor is healthy and everything has left it: connected, all components up, outbox empty.

        All have reported since, so that their counters are what they have come to.
        """
        self.mouth.flush(seconds)
        self.until(self.is_healthy, "all components to run", seconds)
        # Twice: the first report may say "empty" of what had not come in yet.
        for _ in range(2):
            since = dt.datetime.now(dt.UTC)

            def settled(since: dt.datetime = since) -> bool:
                has_reported = all(status.reported_at > since for status in list(self._statuses.values()))
                return (
                    has_reported and self.state("pm.Uplink") == "running" and self.counter("pm.Uplink", "buffered") == 0
                )

            self.until(settled, "an empty outbox", seconds)

    def is_healthy(self) -> bool:
        """True if the device is connected and all its components are up."""
        status = self.device.status()
        states = {name: component["state"] for name, component in status["components"].items()}
        return status["connected"] and set(states.values()) <= {"RUNNING", "FINISHED"} and len(states) >= 8

    def wait_for_report(self, component: str) -> None:
        """Wait until a component reports from now on."""
        since = dt.datetime.now(dt.UTC)
        self.until(
            lambda: (status := self._statuses.get(component)) and status.reported_at > since, f"{component} to report"
        )

    # What happens to it.

    def air(self, count: int) -> list[Reading]:
        """The next hours of the station."""
        return list(itertools.islice(self._air, count))

    def machines(self, count: int) -> list[Reading]:
        """The next readings of the ten machines."""
        return list(itertools.islice(self._machines, count))

    def publish(self, readings: list[Reading], per_second: float = 0.0) -> None:
        """Have sensors say this on the floor; returns when the floor has it all."""
        began = time.monotonic()
        for number, reading in enumerate(readings):
            if per_second:
                time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            topic = topics.device_topic(SITE, reading.device, topics.READING)
            self.mouth.publish(topic, encode(reading))
        if not self.mouth.flush(60):
            raise TimeoutError("the floor did not take all readings")

    def pid(self, component: str) -> int:
        """The process of a component; 0 if it has none."""
        return int(self.device.status()["components"][component]["pid"] or 0)

    def kill(self, component: str) -> None:
        """Kill a component's process and see it come back as another.

        A nucleus gives a component up at its third failure in a row, so a drill waits until earlier ones are past.
        """

        def may_fail_once_more() -> bool:
            return self.device.status()["components"][component]["failures"] < FAILURES_UNTIL_BROKEN - 1

        self.until(may_fail_once_more, f"earlier failures of {component} to be past")
        before = self.pid(component)
        if not before:
            raise RuntimeError(f"{component} does not run: {self.told()}")
        os.kill(before, signal.SIGKILL)
        self.until(lambda: self.pid(component) not in (0, before), f"{component} to come back")

    def kill_nucleus(self) -> None:
        """Kill the core device's own process, and start it anew in its folder, as a restart of its machine does."""
        os.kill(self.device.status()["pid"], signal.SIGKILL)
        self.device.stop()
        for bus in (self.mouth, self._ear):
            bus.close()
        name = self.device.thing_name
        self.device = CoreDevice.start(self.cloud, self.device.directory, name, self.site)
        self.factory.core_devices[name] = self.device
        self._listen()

    def deploy(self, group: str, components: dict[str, Any]) -> dict[str, Any]:
        """Deploy to a thing group, and wait for how it went on the device."""
        arn = f"arn:aws:iot:{self.cloud.region}:{self.cloud.account_id}:thinggroup/{group}"
        made = self.greengrass.create_deployment(
            targetArn=arn, deploymentName="drill", components=components, deploymentPolicies=deployment_policies()
        )

        def results() -> list[dict[str, Any]]:
            done = self.device.status()["deployments"]
            return [each for each in done if each["deployment_id"] == made["deploymentId"]]

        self.until(results, "the deployment to end")
        return results()[0]

    def ship(self, component: str, files: Files) -> dict[str, Any]:
        """Deploy a model, signed by the plant's own key, beside the other one that is there."""
        folder = {"pm.ForecastModel": "forecast_model", "pm.FaultModel": "fault_model"}[component]
        recipe = recipes.load(folder).recipe
        _, version = self.versions.publish(recipe, signed(files, SITE))
        wanted = {**self.models, component: version}
        merge = f'{{"dataDirectory": "{self.device.directory.parent}"}}'
        components = {
            name: {"componentVersion": its, "configurationUpdate": {"merge": merge}} for name, its in wanted.items()
        }
        result = self.deploy(self.site["model_thing_group"], components)
        if result["status"] == "SUCCEEDED":
            self.models = wanted
        return result

    # What has become of it.

    def rows(self, table: str) -> Counter[str]:
        """The number of times that each message of a table is in the lake, by `message_id`."""
        found = self.factory.operator.query(f"SELECT message_id, count(*) AS copies FROM {table} GROUP BY message_id")
        return Counter({row["message_id"]: row["copies"] for row in found})

    def wait_for_lake(self, table: str, wanted: set[str], seconds: float = 120.0) -> Counter[str]:
        """Wait until the lake has all `wanted` messages; their copies."""
        found: Counter[str] = Counter()

        def complete() -> bool:
            nonlocal found
            found = self.rows(table)
            return wanted <= set(found)

        try:
            self.until(complete, f"{len(wanted)} messages in {table}", seconds)
        except TimeoutError:
            missing = wanted - set(found)
            raise TimeoutError(f"{len(missing)} of {len(wanted)} messages of {table} are not in the lake") from None
        return Counter({message_id: found[message_id] for message_id in wanted})

    def assert_all_in_lake(self, readings: list[Reading]) -> None:
        """All readings are in the lake, and nothing is in it that nobody has said on the floor."""
        for table, of_machines in (("air_quality_reading", False), ("machine_reading", True)):
            wanted = {r.message_id for r in readings if isinstance(r, MachineReading) is of_machines}
            self.wait_for_lake(table, wanted)

    def mails(self, alert_id: str) -> list[Path]:
        """The mails about an alert."""
        return [path for path in (self.cloud.directory / "mail").glob("*.eml") if alert_id in path.read_text()]
