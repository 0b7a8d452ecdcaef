"""Carries a site's messages to AWS IoT Core, and its commands back."""

import argparse
import logging
import os
import sqlite3
import sys
from collections.abc import Sequence

from pm_contracts import budgets, topics
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.cloud import FLOW_CONTROLS, WINDOW, Cloud, Endpoint, EndpointError
from pm_edge.components.uplink.database import when_the_disk_has_room
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.uplink import Uplink
from pm_edge.runtime.component import Component, main
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.settings import argument_parser, settings_of

NAME = "pm.Uplink"
#: Stands before AWS IoT Core where a plant lets nothing else out; it wins over `--endpoint`.
ENDPOINT_VARIABLE = "PM_IOT_ENDPOINT"
THING_VARIABLE = "AWS_IOT_THING_NAME"
_MEBIBYTE = 1024 * 1024

_log = logging.getLogger(__name__)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argument_parser("pm_edge.components.uplink", __doc__ or "")
    parser.add_argument("--endpoint", default="", help=f"HOST or HOST:PORT; {ENDPOINT_VARIABLE} wins over it")
    parser.add_argument("--flow-control", choices=FLOW_CONTROLS, default=FLOW_CONTROLS[0])
    parser.add_argument("--outbox-mebibytes", type=_mebibytes, default=512, help="of messages that wait, at most")
    return parser.parse_args(arguments)


def _mebibytes(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are 1 to 1,000,000")
    return number


def run(parsed: argparse.Namespace) -> int:
    """Run the uplink until it is told to stop; the process's exit status."""
    settings = settings_of(parsed)
    thing_name = os.environ.get(THING_VARIABLE, "")

    def work(component: Component) -> None:
        if not thing_name:
            raise EndpointError(f"{THING_VARIABLE} is not set: a nucleus sets it to the core device's name")
        directory, maximum = settings.data_directory, parsed.outbox_mebibytes * _MEBIBYTE
        outbox, dead_letters = when_the_disk_has_room(
            lambda: (
                Outbox(directory / "outbox.sqlite", maximum, [int(p) for p in Priority], Priority.DEAD_LETTER),
                DeadLetterStore(directory / "dead-letters.sqlite"),
            ),
            component.stopping,
            # The disk may be full for longer than a nucleus waits for a component that starts.
            component.ready,
        )
        journal = Journal(directory / "journal", "uplink")
        uplink = Uplink(component, Admission(settings.site, settings.devices), outbox, dead_letters, journal)
        cloud = Cloud(
            Endpoint.parse(os.environ.get(ENDPOINT_VARIABLE) or parsed.endpoint),
            f"{thing_name}-uplink",
            directory / "identity",
            parsed.flow_control,
            command_filter=topics.command_topic(settings.site, "+"),
            on_command=uplink.commanded,
            on_up=uplink.up,
            on_down=uplink.down,
        )
        uplink.start(cloud, WINDOW[parsed.flow_control], budgets.FLIGHT_BYTES[parsed.flow_control])
        component.bus.subscribe(f"{topics.ROOT}/{settings.site}/#", uplink.arrived)
        component.run(uplink.finish, uplink.update_counters)

    try:
        return main(NAME, settings, work, state="offline")
    except (EndpointError, OSError, sqlite3.Error) as error:
        _log.error("%s ends: %s", NAME, error)
        return 1


if __name__ == "__main__":
    sys.exit(run(_arguments(None)))
