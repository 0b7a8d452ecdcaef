"""The names of thing groups: `GreengrassSite` makes the groups, `ForecastPipeline` deploys to two of them."""

from pm_components.aws import naming


def code_group_name(site: str) -> str:
    """The thing group that the components of `site` are deployed to; the site owns its deployments."""
    return naming.physical_name(site)


def canary_group_name(site: str) -> str:
    """The thing group of the core devices of `site` that try new models; the pipeline owns its deployments."""
    return naming.physical_name(site, "canary")


def model_group_name(site: str) -> str:
    """The thing group that models of `site` are deployed to; the pipeline that makes them owns its deployments."""
    return naming.physical_name(site, "model")
