"""One plant with lake, alerts, models and core devices, by the installed library."""

import pm_components as pm

alerting = pm.FaultAlerting("alerting", {"emails": ["maintenance@example.com"]})
lake = pm.AnalyticsStore("lake", {"sites": ["lindau"]})
pipeline = pm.ForecastPipeline(
    "pipeline",
    {"sites": ["lindau"], "lake_bucket": lake.lake_bucket, "database": lake.database, "workgroup": lake.workgroup},
)
devices = {"air-1": "air_quality", "machine-01": "machine"}
bucket = pipeline.artifact_bucket
site = pm.GreengrassSite(
    "lindau", {"site": "lindau", "core_devices": ["lindau-core"], "devices": devices, "artifact_bucket": bucket}
)
