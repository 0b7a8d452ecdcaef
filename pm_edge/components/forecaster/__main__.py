"""Forecasts the next hour of each of a site's air-quality stations, and says how each forecast turned out."""

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pm_contracts import topics
from pm_contracts.messages import AirQualityReading, Outcome
from pm_edge.forecasting.core import Forecaster
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.component import Component, main
from pm_edge.runtime.inference import Inference
from pm_edge.runtime.model_in_use import ModelInUse
from pm_edge.runtime.settings import parse_settings

NAME = "pm.Forecaster"


class Stations(Inference[AirQualityReading, ForecastModel]):
    """The forecasters of a site's stations, on the bus."""

    name = "forecaster"

    def begin(self, state: dict[str, Any], model: ForecastModel | None) -> None:
        """Go on with each station."""
        self._forecasters: dict[str, Forecaster] = {}
        for device in self._component.settings.devices_of(self._kind.device_type):
            try:
                forecaster = Forecaster(self._site, device, model, state.get(device))
            except Exception as error:  # of a file without a checksum, whatever it holds
                self._checkpoint.put_aside(str(error) or type(error).__name__)
                forecaster = Forecaster(self._site, device, model)
            self._forecasters[device] = forecaster

    def answer(self, reading: AirQualityReading) -> None:
        """Publish the outcome of the forecast of the reading's hour, and the forecast of the next."""
        forecaster = self._forecasters.get(reading.device)
        if forecaster is None:  # in the journal, of a device that the site no longer has
            return
        for answer in forecaster.observe(reading):
            channel = topics.OUTCOME if isinstance(answer, Outcome) else topics.FORECAST
            self._component.publish(topics.device_topic(answer.site, answer.device, channel), answer)

    def in_use(self) -> Mapping[str, ModelInUse[ForecastModel]]:
        """The models in use, by station."""
        return {device: forecaster.models for device, forecaster in self._forecasters.items()}

    def state(self) -> dict[str, Any]:
        """Each station's window and intervals."""
        return {device: forecaster.state() for device, forecaster in self._forecasters.items()}

    def counts(self) -> Mapping[str, int]:
        """The stations' counters, added up."""
        total: Counter[str] = Counter()
        for forecaster in self._forecasters.values():
            total.update(forecaster.counters)
        return total


def work(component: Component) -> None:
    """Forecast until the component is stopped."""
    Stations(component, ForecastModel).run()


if __name__ == "__main__":
    sys.exit(main(NAME, parse_settings("pm_edge.components.forecaster", __doc__ or ""), work))
