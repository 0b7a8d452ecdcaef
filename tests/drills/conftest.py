"""One factory for all drills, with small models of known answers on its floor."""

from collections.abc import Callable, Iterator

import pytest

from pm_contracts.measurements import MACHINE_MEASUREMENTS, MachineMeasurements
from pm_contracts.messages import MachineReading
from pm_sandbox.deployer import deploy
from pm_sandbox.factory import Factory
from resilience.plant import Plant
from resilience.small_models import BROKEN, TELLTALE, Files, fault_model, forecast_model


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    # The drills' models are bad on purpose: no better ones are to be trained and deployed meanwhile.
    training = {"watch_interval_seconds": 1, "drift_enabled": False}
    with Factory.start(tmp_path_factory.mktemp("drills"), {"training": training}, deployer=deploy) as factory:
        running = Plant(factory)
        for component, files in (("pm.ForecastModel", forecast_model(1.0)), ("pm.FaultModel", fault_model())):
            result = running.ship(component, files)
            assert result["status"] == "SUCCEEDED", result
        for component in ("pm.Forecaster", "pm.FaultDetector"):
            running.until(lambda c=component: running.counter(c, "models_loaded") >= 1, f"the model of {component}")
        running.settle()
        yield running
        running.close()


@pytest.fixture
def make_forecast_model() -> Callable[[float], Files]:
    return forecast_model


@pytest.fixture
def break_machine() -> Callable[[MachineReading], MachineReading]:
    """Makes of a reading one that the drills' fault model calls faulty."""

    def broken(reading: MachineReading) -> MachineReading:
        fields = {name: getattr(reading.measurements, name) for name in MACHINE_MEASUREMENTS} | {TELLTALE: BROKEN}
        return MachineReading(
            site=reading.site,
            device=reading.device,
            sequence=reading.sequence,
            event_time=reading.event_time,
            measurements=MachineMeasurements(**fields),
        )

    return broken
