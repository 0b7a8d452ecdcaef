"""One plant with lake, alerts, models and core devices, by the installed library."""

import pm_components as pm

alerting = pm.FaultAlerting("alerting", {"emails": ["maintenance@example.com"]})
lake = pm.AnalyticsStore("lake", {"sites": ["lindau"]})
pipeline = pm.ForecastPipeline(
    "pipeline",
    {"sites": ["lindau"], "lake_bucket": lake.lake_bucket, "database": lake.database, "workgroup": lake.workgroup},
)
devices = {"air-1": "air_quality", "machine-01": "machine"}
bucket, keys = pipeline.artifact_bucket, pipeline.model_public_keys
site = pm.GreengrassSite("lindau", {"devices": devices, "artifact_bucket": bucket, "model_public_keys": keys})
