"""The demo's steps, in order; each does a part of the real job and counts what came of it."""

import contextlib
import functools
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pm_contracts.model_kinds import MODEL_KINDS
from pm_sandbox.cloud import Cloud
from pm_sandbox.demo import results
from pm_sandbox.demo.local_status_ear import LocalStatusEar
from pm_sandbox.demo.meter import Meter
from pm_sandbox.demo.plan import Plan
from pm_sandbox.demo.report import write_report
from pm_sandbox.deployer import deploy
from pm_sandbox.factory import Factory
from pm_sandbox.progress import Progress

#: Without any progress for so long, a step has failed: something is broken, and waiting would hide it.
STALLED_SECONDS = 90.0
#: Seconds between two looks whether a step is done.
_LOOK_EVERY = 0.2


#: In the folder of a demo: the lock that it holds while it runs.
LOCK_FILE = "demo.lock"


class DemoFailed(RuntimeError):
    """A step of the demo did not come to its end; the text says which, and how far it came."""


def run(plan: Plan, out: Path, progress: Progress) -> dict[str, Any]:
    """Play the demo and write `demo.json`, `report.html`, the e-mails and the announcements into `out`.

    Args:
        plan: The input.
        out: Folder for what it leaves; what an earlier demo left there is replaced.
        progress: Whom to tell.

    Returns:
        What `demo.json` holds.

    Raises:
        DemoFailed: if a step does not come to its end.
        RuntimeError: if the factory does not come up.
    """
    work = out / "demo"
    for leftover in (work, out / "mail", out / "announcements"):
        shutil.rmtree(leftover, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    seconds: dict[str, float] = {}

    with timed(seconds, "deploy"):
        factory = Factory.start(work, plan.config, progress=progress, deployer=deploy)
    with factory:
        [(site, site_outputs)] = factory.deployment.outputs["sites"].items()
        [core_device] = factory.core_devices.values()
        plan.hand_over(core_device.directory)
        with (
            LocalStatusEar(site, core_device.status()["broker_port"]) as statuses,
            Meter(factory.cloud, statuses, began) as meter,
        ):
            story = _Story(plan, factory, site, site_outputs["devices"], statuses, meter, progress)
            with timed(seconds, "ingest"):
                readings = story.ingest()
            with timed(seconds, "train"):
                training = story.train(out)
            seconds["rollout"] = training.pop("rollout_seconds")
            seconds["train"] = round(seconds["train"] - seconds["rollout"], 2)
            with timed(seconds, "live"):
                offline = story.live()
            with timed(seconds, "alert"):
                alerts = story.alerts(out)
            progress.step("Reading the results from the lake")
            live = results.read_live(factory.operator, site)
        injected = plan.injected_faults(site_outputs["devices"])
        seconds["total"] = round(time.monotonic() - began, 2)
        summary = {
            "data": plan.data.name if plan.data else f"simulator, seed {plan.seed}",
            "seconds": seconds,
            "readings": readings,
            "training": training,
            "forecast": results.forecast_figures(live.outcomes),
            "fault": results.fault_figures(injected, live),
            "offline": offline,
            "alerts": alerts,
            "resources": {
                "registered": len(factory.deployment.resources),
                "by_type": dict(Counter(record.type for record in factory.deployment.resources).most_common()),
            },
        }
        progress.step("Writing the report")
        (out / "demo.json").write_text(json.dumps(summary, indent=2) + "\n")
        write_report(out / "report.html", summary, live, injected, meter)
        progress.step("Stopping the factory")
    return summary


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note under `name` how many seconds the block took."""
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 2)


class _Story:
    def __init__(
        self,
        plan: Plan,
        factory: Factory,
        site: str,
        devices: dict[str, str],
        statuses: LocalStatusEar,
        meter: Meter,
        progress: Progress,
    ) -> None:
        self.plan, self.site, self.devices = plan, site, devices
        self.cloud: Cloud = factory.cloud
        self.operator = factory.operator
        self.outputs = factory.deployment.outputs
        self.outcome_queue = factory.deployment.physical_id("aws:sqs/queue:Queue", "alerting-detector-queue")
        self.alert_queue = factory.deployment.physical_id("aws:sqs/queue:Queue", "alerting-forwarder-queue")
        [self.core_device] = factory.core_devices.values()
        self.statuses, self.meter, self.progress = statuses, meter, progress

    def ingest(self) -> dict[str, Any]:
        """Replay the history through the core device and count it back from the lake."""
        expected = self.plan.expected(self.site, self.devices, live=False)
        total = sum(expected.values())
        self.progress.step(f"Replaying {total:,} readings of history", total)
        self.meter.mark("replay")
        before = self._delivered(expected)
        began = time.monotonic()
        self.operator.command(self.site, "replay", self.plan.command_parameters(live=False))
        self._until(lambda: self._delivered(expected) - before, total, "readings in the lake")
        elapsed = time.monotonic() - began
        stored, messages = self._stored(expected, self._window(live=False))
        figures = {
            "published": total,
            "in_lake": messages,
            "lost": total - messages,
            "duplicated": stored - messages,
            "per_second": round(messages / elapsed, 1),
            "by_table": expected,
        }
        self.progress.say(
            f"published {total:,} = in the lake {messages:,}; lost {figures['lost']}, doubled {figures['duplicated']}; "
            f"{figures['per_second']:,.0f} readings/s"
        )
        return figures

    def train(self, out: Path) -> dict[str, Any]:
        """Run the training state machine to its end, and see the models on the floor and their reports in `out`."""
        self.progress.step("Training both models on the lake")
        self.meter.mark("train")
        execution = self.operator.start_training()
        release_began: float | None = None
        seen = 0
        while True:
            status, entered = self.operator.training_states(execution)
            for name in entered[seen:]:
                self.progress.advance(0, name)
                if name == "Release":
                    release_began = time.monotonic()
                    self.meter.mark("rollout")
            seen = len(entered)
            if status != "RUNNING":
                break
            time.sleep(_LOOK_EVERY)
        output = self.operator.training_output(execution)
        if release_began is None:
            raise DemoFailed(f"the training ended without a release: {json.dumps(output)[:2000]}")
        for model in output["models"]:
            for report in self.cloud.directory.glob(f"training/*-{model['kind']}-*/output/data/model_report.html"):
                shutil.copy(report, out / f"{model['kind']}_model_report.html")
            if not model["passed"]:
                self.progress.say(f"{model['kind']} model stays at home: {'; '.join(model['reasons'])}")
                continue
            component = MODEL_KINDS[model["kind"]].component
            self._await(functools.partial(self._has_loaded_a_model, component), f"{component} to load its model")
            self.progress.say(f"{model['kind']} model {model['version']} runs on the floor")
        return {"models": output["models"], "rollout_seconds": round(time.monotonic() - release_began, 2)}

    def _live_has_ended(self) -> bool:
        return self.statuses.counter("pm.DeviceSimulator", "finished") > 0

    def _has_loaded_a_model(self, component: str) -> bool:
        return self.statuses.counter(component, "models_loaded") > 0

    def live(self) -> dict[str, Any]:
        """Stream the live year, cut the uplink in the middle, restore it, and count what arrived."""
        expected = self.plan.expected(self.site, self.devices, live=True)
        total = sum(expected.values())
        self.progress.step(f"Streaming {total:,} live readings", total)
        self.meter.mark("live")
        before = self._delivered(expected)

        def arrived() -> int:
            return self._delivered(expected) - before

        self.operator.command(self.site, "simulate", self.plan.command_parameters(live=True))
        self._until(lambda: self.statuses.counter("pm.DeviceSimulator", "published"), total // 5, "readings published")

        self.core_device.cut_uplink()
        self.meter.mark("uplink cut")
        cut_at = time.monotonic()
        self.progress.say("uplink cut: the floor goes on forecasting, scoring and alarming by itself")
        self._await(lambda: self.statuses.state("pm.Uplink") == "offline", "the uplink to notice")
        waiting = self.statuses.counter("pm.Uplink", "buffered")
        self._await(
            lambda: (
                self.statuses.counter("pm.Uplink", "buffered") >= waiting + self.plan.cut_messages
                or self._live_has_ended()
            ),
            "messages in the outbox",
        )
        buffered = self.statuses.counter("pm.Uplink", "buffered")
        self.core_device.restore_uplink()
        self.meter.mark("uplink restored")
        cut_seconds = round(time.monotonic() - cut_at, 2)
        self.progress.say(f"uplink restored after {cut_seconds:.0f} s with {buffered:,} messages in the outbox")

        self._until(arrived, total, "readings in the lake")
        self._until_settled()
        stored, messages = self._stored(expected, self._window(live=True))
        lost = total - messages
        return {
            "cut_seconds": cut_seconds,
            "buffered": buffered,
            "delivered": buffered - lost,
            "lost": lost,
            "live_readings": total,
            "live_in_lake": messages,
            "redelivered": stored - messages,
        }

    def alerts(self, out: Path) -> dict[str, Any]:
        """Wait until the alerts have been mailed and spoken, and put both where a person can open them."""
        waiting = self._waiting_in(self.outcome_queue)
        self.progress.step("Judging what came true", waiting)
        self._until(lambda: waiting - self._waiting_in(self.outcome_queue), waiting, "outcomes judged")
        alarms = self.operator.query(f"SELECT DISTINCT dedupe_key FROM alert WHERE site = '{self.site}'")
        _, raised = self.operator.count("alert", f"site = '{self.site}' AND state = 'active'")
        bucket = self.outputs["announcements_bucket"]
        self.progress.step("Waiting for e-mails and speech", len(alarms))
        self._until(
            lambda: min(len(self._announcements(bucket)), len(self._mails())), len(alarms), "alarms mailed and spoken"
        )
        mails: list[Path] = []
        spoken: list[str] = []

        def all_mailed_are_spoken() -> bool:
            nonlocal mails, spoken
            worked_off = self._waiting_in(self.alert_queue) == 0
            mails, spoken = self._mails(), self._announcements(bucket)
            return worked_off and len(mails) == len(spoken)

        # Not each alert has a mail of its own: a repeat is only counted.
        self._await(all_mailed_are_spoken, "the last announcement")
        (out / "mail").mkdir()
        for mail in mails:
            shutil.copy(mail, out / "mail")
        announcements = []
        for key in spoken:
            target = out / "announcements" / key.removeprefix("announcements/")
            target.parent.mkdir(parents=True, exist_ok=True)
            self.cloud.client("s3").download_file(bucket, key, str(target))
            announcements.append(str(target))
        self.progress.say(f"{raised} alerts of the floor, {len(mails)} e-mails, {len(announcements)} announcements")
        return {
            "raised": raised,
            "emails": len(mails),
            "mail_directory": str(out / "mail"),
            "announcements": sorted(announcements),
        }

    def _window(self, *, live: bool) -> str:
        start, end = (self.plan.live_start, self.plan.end) if live else (self.plan.start, self.plan.live_start)
        return (
            f"site = '{self.site}' AND event_time >= TIMESTAMP '{start:%Y-%m-%d %H:%M:%S}' "
            f"AND event_time < TIMESTAMP '{end:%Y-%m-%d %H:%M:%S}'"
        )

    def _stored(self, tables: dict[str, int], where: str) -> tuple[int, int]:
        counts = [self.operator.count(table, where) for table in tables]
        return sum(stored for stored, _ in counts), sum(messages for _, messages in counts)

    def _delivered(self, tables: dict[str, int]) -> int:
        counts = self.cloud.firehose_counts()
        streams = [self.outputs["streams"][table] for table in tables]
        # A stream is counted from its first record on.
        return sum(counts[stream]["delivered"] for stream in streams if stream in counts)

    def _until(self, done: Callable[[], int], total: int, what: str) -> None:
        """Wait until `done` reaches `total`; fail when it stands still."""
        best, moved = -1, time.monotonic()
        while (now := done()) < total:
            if now > best:
                best, moved = now, time.monotonic()
            self.progress.advance(now)
            if time.monotonic() - moved > STALLED_SECONDS:
                raise DemoFailed(f"stands still at {now:,} of {total:,} {what}")
            self.statuses.wait_for_news(_LOOK_EVERY)
        self.progress.advance(total)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + STALLED_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {STALLED_SECONDS:.0f} s for {what}")
            self.statuses.wait_for_news(_LOOK_EVERY)

    def _until_settled(self) -> None:
        """Nothing waits in the outbox, and the lake holds all that the cloud has accepted."""

        def settled() -> bool:
            counts = self.cloud.firehose_counts().values()
            return (
                self._live_has_ended()
                and self.statuses.counter("pm.Uplink", "buffered") == 0
                and all(c["accepted"] == c["delivered"] + c["refused"] for c in counts)
            )

        self._await(settled, "the outbox and the lake to settle")

    def _mails(self) -> list[Path]:
        return sorted((self.cloud.directory / "mail").glob("*.eml"))

    def _announcements(self, bucket: str) -> list[str]:
        pages = self.cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def _waiting_in(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in attributes.values())
