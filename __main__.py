"""One environment: the stack's configuration, the components made from it, and what others need to know of them."""

import pulumi

from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting
from pm_components.forecast_pipeline.component import ForecastPipeline
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite
from pm_components.greengrass_site.edge_components import EdgeComponents
from pm_components.stack import config, environment

stack = config.load()
sites = [site.name for site in stack.sites]
environment.impose(stack)

alerting = FaultAlerting("alerting", stack.alerting)
# What the store and the pipeline share.
kept = {
    "ownership": stack.ownership,
    "sites": sites,
    "retention_days": stack.retention_days,
    "disposable": stack.disposable,
    "alarm_topic_arns": [alerting.topic_arn],
}
store = AnalyticsStore("store", {**kept, **stack.lake.arguments})
lake = {"lake_bucket": store.lake_bucket, "database": store.database, "workgroup": store.workgroup}
pipeline = ForecastPipeline(
    "pipeline", {**kept, **lake, **stack.training.arguments, "data_directory": stack.data_directory}
)
edge = EdgeComponents("edge", {"ownership": stack.ownership, "artifact_bucket": pipeline.artifact_bucket})
core = {
    "ownership": stack.ownership,
    "artifact_bucket": pipeline.artifact_bucket,
    "component_versions": edge.versions,
    "python": stack.python,
    "data_directory": stack.data_directory,
    "flow_control": stack.flow_control,
    "alarm_topic_arns": [alerting.topic_arn],
}
made = {site.name: GreengrassSite(site.name, {**core, **site.arguments}) for site in stack.sites}
environment.guard(stack, [alerting, store, pipeline, edge, *made.values()])

queues = pulumi.Output.all(store.dead_letter_queue_url, *(one.dead_letter_queue_urls for one in (pipeline, alerting)))
for name, value in {**lake, "streams": store.streams, "replay_function": store.replay_function}.items():
    pulumi.export(name, value)
for name in ("artifact_bucket", "state_machine_arn"):
    pulumi.export(name, getattr(pipeline, name))
for name in ("announcements_bucket", "detector_table", "alarm_table", "alarm_queue_url"):
    pulumi.export(name, getattr(alerting, name))
pulumi.export("alert_topic_arn", alerting.topic_arn)
pulumi.export("dead_letter_queues", queues.apply(lambda urls: [urls[0], *urls[1], *urls[2]]))
described = {site.name: {"core_devices": site.core_devices, "devices": site.device_types} for site in stack.sites}
outputs = {name: {output: getattr(site, output) for output in OUTPUTS} for name, site in made.items()}
pulumi.export("sites", {name: {**described[name], **outputs[name]} for name in made})
