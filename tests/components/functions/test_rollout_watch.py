"""The progress of a release, from the states of its core devices.

Not proved here: that Greengrass tells these states (tests/components/forecast_pipeline/test_pipeline_execution.py asks
the emulated one).
"""

import datetime as dt

import pytest

from pm_components.functions.watch.core import progress

RELEASED = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("devices", "seconds", "expected"),
    [
        ({}, 0, "SUCCEEDED"),
        ({"a": "SUCCEEDED", "b": "COMPLETED"}, 0, "SUCCEEDED"),
        ({"a": "SUCCEEDED", "b": "IN_PROGRESS"}, 0, "IN_PROGRESS"),
        ({"a": "SUCCEEDED", "b": "NOT_SEEN"}, 10, "IN_PROGRESS"),
        ({"a": "SUCCEEDED", "b": "QUEUED"}, 11, "PENDING"),
        ({"a": "FAILED", "b": "QUEUED"}, 0, "FAILED"),
        ({"a": "SUCCEEDED", "b": "REJECTED"}, 11, "FAILED"),
        ({"a": "TIMED_OUT"}, 0, "FAILED"),
    ],
)
def test_the_state_of_a_release(devices: dict[str, str], seconds: int, expected: str) -> None:
    assert progress(devices, RELEASED, RELEASED + dt.timedelta(seconds=seconds), 10) == expected
