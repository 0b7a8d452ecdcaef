"""The arguments of each component in an environment, from its configuration."""

import json

from pm_components.analytics_store.component import AnalyticsStore, AnalyticsStoreArgs
from pm_components.analytics_store.settings import AnalyticsStoreSettingsArgs, LakeArgs
from pm_components.aws.settings import arguments
from pm_components.fault_alerting.component import FaultAlerting, FaultAlertingArgs
from pm_components.fault_alerting.settings import FaultAlertingSettingsArgs
from pm_components.forecast_pipeline.component import ForecastPipeline, ForecastPipelineArgs
from pm_components.forecast_pipeline.settings import ForecastPipelineSettingsArgs, TrainingArgs
from pm_components.greengrass_site.component import GreengrassSiteArgs
from pm_components.greengrass_site.edge_components import EdgeComponents, EdgeComponentsArgs
from pm_components.greengrass_site.settings import GreengrassSiteSettingsArgs
from pm_components.stack.config import Config, Site


def of_alerting(stack: Config) -> FaultAlertingArgs:
    """The arguments of `FaultAlerting`."""
    return {
        **arguments(stack, FaultAlertingSettingsArgs),
        "ownership": stack.ownership,
        "sites": stack.site_names,
        "emails": stack.alert_emails,
        "escalation_emails": stack.escalation_emails,
        "announcement_days": stack.retention_days,
    }


def of_store(stack: Config, alerting: FaultAlerting) -> AnalyticsStoreArgs:
    """The arguments of `AnalyticsStore`."""
    return {
        **arguments(stack, AnalyticsStoreSettingsArgs),
        **arguments(stack.lake, LakeArgs),
        "ownership": stack.ownership,
        "sites": stack.site_names,
        "alarm_topic_arns": [alerting.topic_arn],
    }


def of_pipeline(stack: Config, store: AnalyticsStore, alerting: FaultAlerting) -> ForecastPipelineArgs:
    """The arguments of `ForecastPipeline`."""
    return {
        **arguments(stack, ForecastPipelineSettingsArgs),
        **arguments(stack.training, TrainingArgs),
        "ownership": stack.ownership,
        "sites": stack.site_names,
        "lake_bucket": store.lake_bucket,
        "database": store.database,
        "workgroup": store.workgroup,
        "alarm_topic_arns": [alerting.topic_arn],
    }


def of_edge(stack: Config, pipeline: ForecastPipeline) -> EdgeComponentsArgs:
    """The arguments of `EdgeComponents`."""
    return {"ownership": stack.ownership, "artifact_bucket": pipeline.artifact_bucket}


def of_site(
    stack: Config, site: Site, pipeline: ForecastPipeline, edge: EdgeComponents, alerting: FaultAlerting
) -> GreengrassSiteArgs:
    """The arguments of the `GreengrassSite` of `site`."""
    return {
        **arguments(stack, GreengrassSiteSettingsArgs),
        **arguments(site, GreengrassSiteSettingsArgs),
        "configuration": {name: json.dumps(own, sort_keys=True) for name, own in site.configuration.items()},
        "ownership": stack.ownership,
        "site": site.name,
        "core_devices": site.core_devices,
        "devices": site.device_types,
        "artifact_bucket": pipeline.artifact_bucket,
        "model_public_keys": pipeline.model_public_keys,
        "component_versions": edge.versions,
        "alarm_topic_arns": [alerting.topic_arn],
    }
