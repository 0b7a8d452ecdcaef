"""The uplink is cut for as many readings as 72 hours bring, and a machine breaks meanwhile.

72 hours of a reading a minute are 4,320; here they are as many hours of the station, published as fast as they are
taken. Not proved here: that a connection which dies without a word is noticed as fast as one that is refused.
"""

import email
import email.policy

from pm_contracts import topics
from pm_contracts.messages import Alert, Forecast, MachineReading, Outcome, decode

READINGS = 72 * 60
#: Messages under way when the plug is pulled may arrive twice: `WINDOW` of the uplink.
UNDER_WAY = 400


def test_72_hours_without_an_uplink_lose_nothing_and_the_floor_has_its_alarm_at_once(plant, break_machine):
    log_before = plant.device.logs("pm.Uplink")
    plant.device.cut_uplink()
    plant.until(lambda: plant.state("pm.Uplink") == "offline", "the uplink to notice")
    outages = plant.counter("pm.Uplink", "outages")
    air, machines = plant.air(READINGS), plant.machines(50)
    healthy = [reading for reading in machines if isinstance(reading, MachineReading)]
    broken = break_machine(healthy.pop())
    plant.publish(air[:2000])
    plant.publish(healthy)

    alerts_before = len(plant.on(topics.ALERT))
    scores_before = len(plant.on(topics.FAULT))
    plant.publish([broken])
    plant.until(lambda: len(plant.on(topics.ALERT)) > alerts_before, "the alarm on the floor")
    raised = decode(plant.on(topics.ALERT)[-1], Alert)
    assert (raised.device, raised.state, raised.raised_at) == (broken.device, "active", broken.event_time)
    plant.until(lambda: len(plant.on(topics.FAULT)) > scores_before, "its score")
    assert plant.device.status()["uplink"] == "cut"
    assert plant.mails(raised.message_id) == []

    plant.publish(air[2000:])
    expected = len(air) + 50
    plant.until(lambda: plant.counter("pm.Uplink", "buffered") >= 3 * len(air), "readings and answers in the outbox")
    assert plant.counter("pm.Uplink", "dropped") == 0
    waiting = plant.counter("pm.Uplink", "buffered")
    plant.device.restore_uplink()
    plant.settle()

    plant.assert_all_in_lake([*air, *healthy, broken])
    copies = plant.rows("air_quality_reading")
    doubled = sum(copies[reading.message_id] - 1 for reading in air)
    assert doubled <= UNDER_WAY
    times = {reading.event_time for reading in air}
    forecasts = [decode(p, Forecast) for p in plant.on(topics.FORECAST)]
    assert {forecast.issued_at for forecast in forecasts} >= times
    outcomes = {decode(p, Outcome).message_id for p in plant.on(topics.OUTCOME)}
    assert len(outcomes) >= len(air) - 1
    plant.wait_for_lake("forecast", {forecast.message_id for forecast in forecasts})
    plant.wait_for_lake("outcome", outcomes)
    plant.wait_for_lake("alert", {raised.message_id})

    plant.until(lambda: plant.mails(raised.message_id), "the mail about the alarm")
    # A second one would come with what is still under way to the mailbox: another alarm goes the same way behind it.
    second = break_machine(next(r for r in plant.machines(10) if r.device != broken.device))
    plant.publish([second])
    plant.until(lambda: len(plant.on(topics.ALERT)) > alerts_before + 1, "the second alarm")
    behind = next(a for a in (decode(p, Alert) for p in plant.on(topics.ALERT)) if a.device == second.device)
    plant.until(lambda: plant.mails(behind.message_id), "the mail behind it")
    [mail] = plant.mails(raised.message_id)
    assert (
        "faulty" in mail.read_text()
        or "fault" in email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)["Subject"]
    )
    assert plant.counter("pm.Uplink", "outages") == outages
    log = plant.device.logs("pm.Uplink").removeprefix(log_before)
    assert log.count("no uplink: ") == log.count("uplink is back after") == 1, "one line at each end of the outage"
    print(f"{expected} readings, {waiting} messages waited, {doubled} readings arrived twice, 1 mail")
