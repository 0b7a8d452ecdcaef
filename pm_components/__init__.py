"""The Pulumi library: four components and their arguments, to be used as `import pm_components as pm`."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pm_components.analytics_store.component import AnalyticsStore, AnalyticsStoreArgs
    from pm_components.fault_alerting.component import FaultAlerting, FaultAlertingArgs
    from pm_components.forecast_pipeline.component import ForecastPipeline, ForecastPipelineArgs
    from pm_components.greengrass_site.component import GreengrassSite, GreengrassSiteArgs
    from pm_components.greengrass_site.core_device_host import CoreDeviceHost, CoreDeviceHostArgs
    from pm_components.greengrass_site.edge_components import EdgeComponents, EdgeComponentsArgs

_MODULES = {
    "AnalyticsStore": "analytics_store.component",
    "AnalyticsStoreArgs": "analytics_store.component",
    "CoreDeviceHost": "greengrass_site.core_device_host",
    "CoreDeviceHostArgs": "greengrass_site.core_device_host",
    "EdgeComponents": "greengrass_site.edge_components",
    "EdgeComponentsArgs": "greengrass_site.edge_components",
    "FaultAlerting": "fault_alerting.component",
    "FaultAlertingArgs": "fault_alerting.component",
    "ForecastPipeline": "forecast_pipeline.component",
    "ForecastPipelineArgs": "forecast_pipeline.component",
    "GreengrassSite": "greengrass_site.component",
    "GreengrassSiteArgs": "greengrass_site.component",
}

__all__ = [
    "AnalyticsStore",
    "AnalyticsStoreArgs",
    "CoreDeviceHost",
    "CoreDeviceHostArgs",
    "EdgeComponents",
    "EdgeComponentsArgs",
    "FaultAlerting",
    "FaultAlertingArgs",
    "ForecastPipeline",
    "ForecastPipelineArgs",
    "GreengrassSite",
    "GreengrassSiteArgs",
]


def __getattr__(name: str) -> Any:
    """Import a component when it is asked for: a Lambda function has this package without Pulumi."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
