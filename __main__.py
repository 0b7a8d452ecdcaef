"""One environment: the stack's configuration, the components made from it, and what others need to know of them."""

import pulumi

from pm_components.analytics_store.component import AnalyticsStore
from pm_components.fault_alerting.component import FaultAlerting
from pm_components.forecast_pipeline.component import ForecastPipeline
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite
from pm_components.greengrass_site.edge_components import EdgeComponents
from pm_components.stack import arguments, config, environment

stack = config.load()
environment.impose(stack)

alerting = FaultAlerting("alerting", arguments.of_alerting(stack))
store = AnalyticsStore("store", arguments.of_store(stack, alerting))
pipeline = ForecastPipeline("pipeline", arguments.of_pipeline(stack, store, alerting))
edge = EdgeComponents("edge", arguments.of_edge(stack, pipeline))
sites = {
    site.name: GreengrassSite(site.name, arguments.of_site(stack, site, pipeline, edge, alerting))
    for site in stack.sites
}
environment.guard(stack, [alerting, store, pipeline, edge, *sites.values()])

queues = pulumi.Output.all(store.dead_letter_queue_url, *(one.dead_letter_queue_urls for one in (pipeline, alerting)))
for name in ("lake_bucket", "database", "workgroup", "streams", "replay_function"):
    pulumi.export(name, getattr(store, name))
for name in ("artifact_bucket", "state_machine_arn"):
    pulumi.export(name, getattr(pipeline, name))
for name in ("announcements_bucket", "detector_table", "alarm_table", "alarm_queue_url"):
    pulumi.export(name, getattr(alerting, name))
pulumi.export("alert_topic_arn", alerting.topic_arn)
pulumi.export("dead_letter_queues", queues.apply(lambda urls: [urls[0], *urls[1], *urls[2]]))
described = {site.name: {"core_devices": site.core_devices, "devices": site.device_types} for site in stack.sites}
outputs = {name: {output: getattr(site, output) for output in OUTPUTS} for name, site in sites.items()}
pulumi.export("sites", {name: described[name] | outputs[name] for name in sites})
