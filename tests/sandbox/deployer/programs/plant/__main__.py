"""One plant with each of the library's components, set up as little as they allow."""

import pulumi

from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting
from pm_components.forecast_pipeline.component import ForecastPipeline
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite

site = pulumi.Config().require("site")
alerting = FaultAlerting("alerting", {"emails": ["operator@example.com"], "sites": [site]})
store = AnalyticsStore("store", {"sites": [site]})
lake = {"lake_bucket": store.lake_bucket, "database": store.database, "workgroup": store.workgroup}
pipeline = ForecastPipeline("pipeline", {"sites": [site], **lake})
plant = GreengrassSite(
    "plant",
    {
        "site": site,
        "core_devices": [f"{site}-core"],
        "devices": {"press": "machine", "hall": "air_quality"},
        "artifact_bucket": pipeline.artifact_bucket,
    },
)
pulumi.export("artifact_bucket", pipeline.artifact_bucket)
pulumi.export("site", {output: getattr(plant, output) for output in OUTPUTS})
