"""The core device's certificate is revoked, and a new one is put in its place.

Not proved here: how AWS IoT tells a device that its certificate is about to be rotated; that is the operator's way.
"""

from pathlib import Path

from pm_sandbox.core_device.identity import enroll


def test_a_revoked_certificate_stops_what_leaves_and_a_new_one_lets_all_of_it_go(plant):
    iot = plant.cloud.client("iot")
    thing = plant.device.thing_name
    [old] = iot.list_thing_principals(thingName=thing)["principals"]
    pid = plant.pid("pm.Uplink")
    air = plant.air(900)
    plant.publish(air[:300])
    plant.settle()
    iot.update_certificate(certificateId=old.rsplit("/")[-1], newStatus="REVOKED")
    # AWS ends the connections of a revoked certificate; here the next one is refused.
    plant.device.cut_uplink()
    plant.until(lambda: plant.state("pm.Uplink") == "offline", "the uplink to notice")
    plant.device.restore_uplink()
    plant.publish(air[300:600])
    plant.until(lambda: plant.counter("pm.Uplink", "buffered") >= 900, "readings and answers to wait")
    assert not plant.device.status()["connected"]
    assert not set(plant.rows("air_quality_reading")) & {reading.message_id for reading in air[300:600]}

    identity = plant.device.directory / "identity"
    (identity / "certificate.pem").unlink()
    policies = [plant.site["device_policy"], plant.site["serving_policy"]]
    enroll(identity, thing, policies, Path(plant.cloud.certificate_authority).read_bytes(), iot)
    iot.detach_thing_principal(thingName=thing, principal=old)
    plant.publish(air[600:])
    plant.settle()
    plant.assert_all_in_lake(air)
    assert plant.pid("pm.Uplink") == pid, "it took the new identity up without a restart"
