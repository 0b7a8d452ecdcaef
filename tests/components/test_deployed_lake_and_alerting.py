"""`AnalyticsStore` and `FaultAlerting`, deployed by the sandbox's deployer into the emulated AWS with IAM enforced.

Messages go in at IoT Core; what is looked at is what people get: rows in Athena, mail, recordings, dead letters.
Not proved here: that AWS's own IAM, Firehose and Athena agree with the emulator's, and the way from a device to IoT
Core.
"""

import datetime as dt
import email
import email.policy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements
from pm_contracts.messages import AirQualityReading, Alert, Outcome, encode
from pm_contracts.site_devices import thing_name
from pm_sandbox.alarms import AlarmRow, acknowledge, alarms
from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer import Deployment, deploy
from tests.waiting import eventually

PROGRAM = """
import pulumi
from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting

alerting = FaultAlerting("alerting", {
    "sites": ["lindau", "gera"],
    "emails": ["shift@example.com"],
    "escalation_emails": ["boss@example.com"],
    "alarms": {"escalation_seconds": 8, "digest_seconds": 10},
    "detector": {"window": 20, "minimum_count": 10, "maximum_share": 0.3, "clear_share": 0.1},
})
store = AnalyticsStore("store", {"sites": ["lindau", "bremen"], "alarm_topic_arns": [alerting.topic_arn]})
for name in ("database", "workgroup", "lake_bucket", "dead_letter_queue_url"):
    pulumi.export(name, getattr(store, name))
for name in ("announcements_bucket", "detector_table", "alarm_table", "alarm_queue_url", "dead_letter_queue_urls"):
    pulumi.export(name, getattr(alerting, name))
"""
START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


class Deployed(NamedTuple):
    """A cloud with the two components in it."""

    cloud: Cloud
    outputs: dict[str, Any]

    def publish(self, topic: str, payload: bytes) -> None:
        self.cloud.client("iot-data").publish(topic=topic, qos=1, payload=payload)

    def rows(self, query: str) -> list[list[str | None]]:
        athena = self.cloud.client("athena")
        execution = athena.start_query_execution(
            QueryString=query,
            QueryExecutionContext={"Database": self.outputs["database"]},
            WorkGroup=self.outputs["workgroup"],
        )["QueryExecutionId"]

        def ended() -> dict[str, Any] | None:
            status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            return status if status["State"] not in ("QUEUED", "RUNNING") else None

        status = eventually(ended, "the query to end")
        assert status["State"] == "SUCCEEDED", status
        _, *rows = athena.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def mails(self) -> list[Any]:
        files = sorted((self.cloud.directory / "mail").glob("*.eml"))
        return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    program: Path = tmp_path_factory.mktemp("program")
    (program / "Pulumi.yaml").write_text("name: pm\nruntime: python\n")
    (program / "Pulumi.test.yaml").write_text("config: {}\n")
    (program / "__main__.py").write_text(PROGRAM)
    with Cloud.start(tmp_path_factory.mktemp("deployed-cloud")) as cloud:
        deployment: Deployment = deploy(program, "test", cloud)
        registered = {"lindau": ["air-1", "machine-03", "machine-07", "machine-08"]}
        registered["gera"] = [f"machine-{number:02}" for number in range(30)]
        for site, devices in registered.items():
            for device in devices:  # as `GreengrassSite` registers them
                cloud.client("iot").create_thing(
                    thingName=thing_name(site, device),
                    attributePayload={"attributes": {"site": site, "device": device}},
                )
        sqs = cloud.client("sqs")
        for word in ("detector", "forwarder"):  # not to wait three minutes before each further delivery
            url = sqs.get_queue_url(QueueName=f"pm-test-alerting-{word}")["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
        yield Deployed(cloud, deployment.outputs)


def reading(sequence: int) -> AirQualityReading:
    measured = {**dict.fromkeys(AIR_QUALITY_MEASUREMENTS), "pollution": float(sequence), "temp": -1.5}
    return AirQualityReading(
        site="lindau",
        device="air-1",
        sequence=sequence,
        event_time=START + dt.timedelta(hours=sequence),
        measurements=AirQualityMeasurements(**measured),
    )


def outcome(hour: int, inside: bool) -> Outcome:
    return Outcome(
        site="lindau",
        device="air-1",
        issued_at=START + dt.timedelta(hours=hour - 1),
        target_time=START + dt.timedelta(hours=hour),
        horizon_hours=1,
        value=10.0,
        lower=9.0,
        upper=11.0,
        interval_level=0.9,
        last_value=10.0,
        model_version="v1",
        actual=10.0 if inside else 20.0,
        inside_interval=inside,
    )


def test_readings_become_typed_rows_each_once_and_what_does_not_fit_is_kept_aside(deployed: Deployed) -> None:
    count = 200
    foreign = msgspec.structs.replace(reading(0), site="lindau-two", message_id="")
    deployed.publish("pm/lindau-two/air-1/reading", encode(foreign))  # of another stack of the account
    for sequence in range(count):
        channel = "history" if sequence % 2 else "reading"
        deployed.publish(f"pm/lindau/air-1/{channel}", encode(reading(sequence)))
    unfit = encode(reading(count)).replace(b'"sequence":200', b'"sequence":"many"')
    deployed.publish("pm/lindau/air-1/reading", unfit)

    def arrived() -> bool:
        return deployed.rows("SELECT count(*) FROM air_quality_reading") == [[str(count)]]

    eventually(arrived, "the messages in the lake")
    assert deployed.rows(
        "SELECT count(DISTINCT message_id), sum(measurements.pollution), min(measurements.temp), max(event_time),"
        " min(site) FROM air_quality_reading"
    ) == [["200", "19900.0", "-1.5", "2014-01-09 07:00:00.000", "lindau"]]
    (error,) = eventually(
        lambda: deployed.keys(deployed.outputs["lake_bucket"], "errors/air_quality_reading/"), "the refused record"
    )
    kept = deployed.cloud.client("s3").get_object(Bucket=deployed.outputs["lake_bucket"], Key=error)["Body"].read()
    assert b"format-conversion" in error.encode()
    assert len(kept.splitlines()) == 1
    data = deployed.keys(deployed.outputs["lake_bucket"], "air_quality_reading/")
    today = dt.datetime.now(dt.UTC).date()
    days = {f"air_quality_reading/site=lindau/ingest_day={today - dt.timedelta(days=late)}/" for late in (0, 1)}
    assert {key.rsplit("/", 1)[0] + "/" for key in data} <= days


def test_forecasts_out_of_range_reach_the_lake_the_mail_and_the_floor_once(deployed: Deployed) -> None:
    for hour in range(15):
        deployed.publish("pm/lindau/air-1/outcome", encode(outcome(hour, inside=False)))
        deployed.publish("pm/lindau/air-1/outcome", encode(outcome(hour, inside=False)))  # as at-least-once may do

    def row() -> list[Any]:
        # DISTINCT: forecast quality promises an alert at least once, and its identity tells.
        return deployed.rows("SELECT DISTINCT cause, severity, state, message_id FROM alert WHERE device = 'air-1'")

    ((*facts, message_id),) = eventually(row, "the alert in the lake")
    assert facts == ["forecast_quality", "warning", "active"]
    key = f"announcements/lindau/2014/01/01/{message_id}.mp3"
    eventually(
        lambda: key in deployed.keys(deployed.outputs["announcements_bucket"], "announcements/"), "the announcement"
    )
    audio = deployed.cloud.client("s3").get_object(Bucket=deployed.outputs["announcements_bucket"], Key=key)
    assert audio["ContentType"] == "audio/mpeg"
    (mail,) = eventually(lambda: [mail for mail in deployed.mails() if "lindau/air-1" in mail["Subject"]], "the mail")
    assert mail["Subject"] == "[WARNING] lindau/air-1: forecasts out of range"
    assert mail["To"] == "shift@example.com"
    assert "have left the acceptable range" in mail.get_content()
    assert f"Alert id:  {message_id}" in mail.get_content()
    item = deployed.cloud.client("dynamodb").get_item(
        TableName=deployed.outputs["detector_table"], Key={"detector": {"S": "lindau/air-1"}}
    )["Item"]
    assert item["alert"] == {"S": "active"}


def fault(machine: str, state: str = "active", site: str = "lindau", severity: str = "critical") -> Alert:
    return Alert(
        site=site,
        device=machine,
        cause="fault",
        severity=severity,
        state=state,
        raised_at=START if state == "active" else START + dt.timedelta(days=1),
        dedupe_key=f"fault/{machine}",
        text=f"{machine} at {site} is about to fail.",
    )


def test_an_alarm_that_nobody_acknowledges_is_escalated_and_one_that_somebody_does_is_not(deployed: Deployed) -> None:
    def told(machine: str) -> set[tuple[str, str]]:
        mails = [mail for mail in deployed.mails() if f"lindau/{machine}" in mail["Subject"]]
        return {(mail["Subject"].split("]")[0][1:], mail["To"]) for mail in mails}

    def known(machine: str) -> AlarmRow | None:
        rows = alarms(deployed.cloud, deployed.outputs)
        return next((row for row in rows if row.dedupe_key == f"fault/{machine}"), None)

    deployed.publish("pm/lindau/alert", encode(fault("machine-07")))
    # The alarm is noted when it has been told of.
    eventually(lambda: told("machine-07") and known("machine-07"), "the alarm")
    acknowledge(deployed.cloud, deployed.outputs, site="lindau", dedupe_key="fault/machine-07", by="Ada")
    eventually(lambda: ("ACKNOWLEDGED", "shift@example.com") in told("machine-07"), "its acknowledgement")
    # Raised later, so that when this one is escalated the other would have been.
    deployed.publish("pm/lindau/alert", encode(fault("machine-08")))
    eventually(lambda: ("ESCALATED", "boss@example.com") in told("machine-08"), "the escalation")
    assert told("machine-07") == {("CRITICAL", "shift@example.com"), ("ACKNOWLEDGED", "shift@example.com")}
    eventually(lambda: len(told("machine-08")) == 3, "the shift to be told as well")
    assert told("machine-08") == {
        ("CRITICAL", "shift@example.com"),
        ("ESCALATED", "shift@example.com"),
        ("ESCALATED", "boss@example.com"),
    }
    eventually(lambda: (row := known("machine-08")) and row.escalated, "the escalation to be noted")
    acknowledged = known("machine-07")
    assert acknowledged is not None
    assert (acknowledged.acknowledged_by, acknowledged.escalated) == ("Ada", False)

    deployed.publish("pm/lindau/alert", encode(fault("machine-08", "cleared")))
    eventually(lambda: ("CLEARED", "shift@example.com") in told("machine-08"), "the all-clear")
    scheduler = deployed.cloud.client("scheduler")
    eventually(
        lambda: not scheduler.list_schedules(GroupName="pm-test-alerting-escalations")["Schedules"], "no more to come"
    )


def test_an_alert_of_a_site_that_comes_twice_is_mailed_once(deployed: Deployed) -> None:
    alert = fault("machine-03")
    deployed.publish("pm/lindau/alert", encode(alert))
    deployed.publish("pm/lindau/alert", encode(alert))
    sent = [name for name in deployed.cloud.client("dynamodb").list_tables()["TableNames"] if "sent" in name]

    def of_machine() -> list[Any]:
        return [mail for mail in deployed.mails() if mail["Subject"].startswith("[CRITICAL] lindau/machine-03")]

    eventually(of_machine, "the mail")
    eventually(lambda: _drained(deployed, "pm-test-alerting-forwarder"), "an empty queue")
    assert len(of_machine()) == 1
    assert len(sent) == 1


def test_a_storm_is_mailed_and_spoken_as_one_digest_though_nothing_more_comes(deployed: Deployed) -> None:
    for number in range(30):
        deployed.publish("pm/gera/alert", encode(fault(f"machine-{number:02}", site="gera", severity="warning")))

    def subjects() -> list[str]:
        return [mail["Subject"] for mail in deployed.mails() if "gera" in mail["Subject"]]

    digest = "[DIGEST] gera: 20 notifications"
    eventually(lambda: digest in subjects(), "the digest")
    assert len(subjects()) == 11, "half of the limit is for critical alarms"
    today = f"announcements/gera/{dt.datetime.now(dt.UTC):%Y}/"
    eventually(lambda: deployed.keys(deployed.outputs["announcements_bucket"], today), "the digest to be spoken")
    assert sum(row.site == "gera" for row in alarms(deployed.cloud, deployed.outputs)) == 30


def test_a_message_that_is_no_outcome_ends_as_a_dead_letter(deployed: Deployed) -> None:
    sqs = deployed.cloud.client("sqs")
    body = {"site": "lindau", "device": "air-1"}
    deployed.publish("pm/lindau/air-1/outcome", json.dumps(body).encode())
    (dead_letters,) = (url for url in deployed.outputs["dead_letter_queue_urls"] if "detector" in url)

    def letters() -> list[Any]:
        return list(sqs.receive_message(QueueUrl=dead_letters).get("Messages", []))

    (letter,) = eventually(letters, "the dead letter")
    assert json.loads(letter["Body"]) == body


def test_whoever_speaks_for_another_is_heard_as_a_dead_letter_alone(deployed: Deployed) -> None:
    """A core device of lindau, on topics that its policy allows: as another site, as another device, as the cloud."""
    escalation = {"site": "lindau", "dedupe_key": "fault/machine-03", "raised_at": START.isoformat()}
    raised = {**json.loads(encode(fault("machine-99"))), "message_id": ""}
    said = {**json.loads(encode(outcome(500, inside=False))), "message_id": ""}
    read = {**json.loads(encode(reading(500))), "message_id": ""}
    in_2099 = "2099-01-01T00:00:00Z"
    to_alerting = [
        ("pm/lindau/alert", {**raised, "site": "bremen", "state": "cleared"}),
        ("pm/lindau/air-1/outcome", {**said, "site": "bremen"}),
        ("pm/lindau/air-1/outcome", {**said, "device": "air-2"}),
    ]
    to_store = [
        *((topic, {**read, **forged}) for topic in ("pm/lindau/air-1/reading", "pm/lindau/air-1/history")
          for forged in ({"site": "bremen"}, {"device": "air-2"}, {"site": "bremen/ingest_day=2020-01-01"})),
        *to_alerting,
    ]  # fmt: skip
    to_functions = {
        "forwarder": [
            ("pm/lindau/alert", raised),
            ("pm/lindau/alert", {**escalation, "kind": "Escalation"}),
            ("pm/lindau/alert", {**json.loads(encode(fault("machine-03"))), "message_id": "", "raised_at": in_2099}),
        ],
        "detector": [
            ("pm/lindau/air-1/outcome", {**said, "target_time": in_2099}),
            ("pm/lindau/air-9/outcome", {**said, "device": "air-9"}),
        ],
    }
    for topic, forged in [*to_store, *(one for forgeries in to_functions.values() for one in forgeries)]:
        deployed.publish(topic, json.dumps(forged).encode())
    (rules,) = (url for url in deployed.outputs["dead_letter_queue_urls"] if "alert-rules" in url)
    assert _letters(deployed, rules, len(to_alerting)) == sorted(topic for topic, _ in to_alerting)
    assert _letters(deployed, deployed.outputs["dead_letter_queue_url"], len(to_store)) == sorted(
        topic for topic, _ in to_store
    )
    for word, forgeries in to_functions.items():
        (url,) = (url for url in deployed.outputs["dead_letter_queue_urls"] if word in url)
        reasons = _reasons(deployed, url, {json.dumps(forged) for _, forged in forgeries})
        assert any("ahead of its arrival" in reason for reason in reasons)
        assert any("has none of that name in the registry" in reason for reason in reasons)
    subjects = " ".join(mail["Subject"] for mail in deployed.mails())
    for word in ("bremen", "machine-99"):
        assert word not in subjects
    assert {key.split("/")[1] for key in deployed.keys(deployed.outputs["lake_bucket"], "air_quality_reading/")} <= {
        "site=lindau"
    }


def _received(deployed: Deployed, url: str) -> list[Any]:
    sqs = deployed.cloud.client("sqs")
    found = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
    )
    return list(found.get("Messages", []))


def _letters(deployed: Deployed, url: str, count: int) -> list[str]:
    """The topics of so many dead letters of refusing rules, sorted."""
    letters: list[dict[str, Any]] = []

    def all_there() -> bool:
        letters.extend(json.loads(message["Body"]) for message in _received(deployed, url))
        return len([one for one in letters if "reason" in one]) >= count

    eventually(all_there, "the dead letters")
    return sorted(one["topic"] for one in letters if "reason" in one)


def _reasons(deployed: Deployed, url: str, bodies: set[str]) -> list[str]:
    """The reasons of the dead letters of a function with these bodies."""
    reasons: dict[str, str] = {}

    def all_there() -> bool:
        for message in _received(deployed, url):
            reasons[message["Body"]] = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue", "")
        return bodies <= reasons.keys()

    eventually(all_there, "the dead letters")
    return [reasons[body] for body in bodies]


def _drained(deployed: Deployed, name: str) -> bool:
    sqs = deployed.cloud.client("sqs")
    keys = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=keys)["Attributes"]
    return all(attributes[key] == "0" for key in keys)
