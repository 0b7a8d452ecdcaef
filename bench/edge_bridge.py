"""Debian's mosquitto as a store-and-forward bridge to the cloud: the reference of `catch_up_bridge`.

It has the same readings, persistence on, the same window of unacknowledged messages, and the device's own certificate.
Its queue is written at its end and read at its next start (it saves every 30 minutes otherwise, without waiting for the
disk), whereas our outbox commits each batch to the disk before it is acknowledged.
"""

import shutil
import socket
from collections.abc import Sequence

from bench.edge_device import Arrivals, EdgeDevice, Message, Stuck, end
from bench.edge_models import SITE
from pm_edge.components.uplink.cloud import WINDOW
from pm_edge.runtime.bus import BusError
from pm_edge.runtime.mqtt_bus import MqttBus

PROGRAM = "mosquitto"
_FLUSH_SECONDS = 300.0

_CONFIGURATION = """
user root
per_listener_settings false
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {directory}/
max_queued_messages 0
max_inflight_messages {window}
log_dest stderr
connection cloud
address {host}:{cloud_port}
bridge_protocol_version mqttv311
bridge_cafile {identity}/root-ca.pem
bridge_certfile {identity}/certificate.pem
bridge_keyfile {identity}/private-key.pem
remote_clientid {site}-bridge
local_clientid bridge
cleansession false
notifications false
try_private false
restart_timeout 1
topic pm/{site}/# out 1
"""


def program() -> str | None:
    """The path of mosquitto, None if it is not installed."""
    # Debian installs daemons where a user's PATH does not look.
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path="/usr/sbin:/usr/local/sbin")


def catch_up_seconds(edge: EdgeDevice, messages: Sequence[Message], first: str, last: str, arrivals: Arrivals) -> float:
    """Seconds from the first to the last message's arrival in the cloud, after an outage in which all were queued.

    Args:
        edge: with a cloud that is there.
        messages: what is queued.
        first: the topic of the first message alone.
        last: likewise of the last.
        arrivals: of a client that hears these two topics.

    Raises:
        Stuck: if mosquitto is not installed or the messages do not arrive.
    """
    path = program()
    if path is None:
        raise Stuck(f"{PROGRAM} is not installed")
    directory = edge.directory / f"bridge-{first.split('/')[2]}"
    directory.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def start(cloud_port: int) -> None:
        text = _CONFIGURATION.format(
            port=port, directory=directory, window=WINDOW["none"], host=edge.cloud.mqtt_host,
            cloud_port=cloud_port, identity=edge.identity, site=SITE,
        )  # fmt: skip
        (directory / "mosquitto.conf").write_text(text)
        processes.append(edge.run([path, "-c", str(directory / "mosquitto.conf")], directory / "mosquitto.log"))

    processes: list = []
    start(cloud_port=1)  # nobody listens there: the outage
    bus = MqttBus("127.0.0.1", port, f"{SITE}-feeder")
    try:
        for topic, payload in messages:
            bus.publish(topic, payload)
        if not bus.flush(_FLUSH_SECONDS):
            raise BusError("mosquitto did not take all messages")
    finally:
        bus.close()
    end(processes[-1])
    start(edge.cloud.mqtt_port)
    began, ended = arrivals.wait(first, last)
    end(processes[-1])
    return ended - began
