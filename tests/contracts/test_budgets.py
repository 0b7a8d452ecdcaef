"""The budgets: each process has one, and its buffers fit into it.

Not proved here: that a process keeps to it; the tests of the uplink and of the local broker measure that.
"""

from pathlib import Path

import pm_edge.components
from pm_contracts import budgets
from pm_edge.runtime.settings import component_name

#: Components that install something, and end.
_WITHOUT_A_PROCESS = {"pm.PythonRuntime", "pm.SiteDevices", "pm.ForecastModel", "pm.FaultModel"}


def test_every_process_of_a_core_device_has_a_budget_of_memory():
    folders = {path.parent.name for path in Path(pm_edge.components.__path__[0]).glob("*/recipe.yaml")}
    processes = {component_name(folder) for folder in folders} - _WITHOUT_A_PROCESS
    assert processes | {budgets.LOCAL_BROKER, budgets.CLIENT_DEVICE_GATEWAY} == set(budgets.PROCESS_BYTES)


def test_the_buffers_of_a_process_fit_twice_into_its_memory():
    uplink = (
        budgets.INBOX_BYTES
        + budgets.BATCH_BYTES
        + max(budgets.FLIGHT_BYTES.values())
        + budgets.SUMMED_TOPICS * budgets.SAMPLE_BYTES
        + (budgets.STATUS_NAMES + len(budgets.PROCESS_BYTES)) * budgets.STATUS_BYTES
        + budgets.COMMANDS_BYTES
    )
    assert 2 * uplink + budgets.OUTBOX_MEMORY_BYTES < budgets.PROCESS_BYTES["pm.Uplink"]
    assert budgets.PROCESS_BYTES[budgets.LOCAL_BROKER] > 2 * budgets.BROKER_BYTES
    assert budgets.PROCESS_BYTES[budgets.CLIENT_DEVICE_GATEWAY] > 2 * budgets.CLIENT_DEVICES_BYTES


def test_what_is_for_one_is_a_part_of_what_is_for_all():
    assert budgets.DEVICE_PUBLISHES_PER_SECOND * 4 < budgets.CONNECTION_PUBLISHES_PER_SECOND
    assert budgets.DEVICE_BYTES_PER_SECOND * 4 < budgets.CONNECTION_BYTES_PER_SECOND
    assert budgets.BROKER_SESSION_BYTES < budgets.BROKER_BYTES
    assert budgets.CLIENT_DEVICE_BYTES < budgets.CLIENT_DEVICES_BYTES
