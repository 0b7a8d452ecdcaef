"""Plants as the configuration has them, and the bucket for what their core devices are to run."""

import pulumi
import pulumi_aws as aws

from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite

config = pulumi.Config()
artifacts = aws.s3.Bucket("artifacts", bucket=f"{pulumi.get_stack()}-artifacts", force_destroy=True)
sites = {
    site["name"]: GreengrassSite(
        site["name"],
        {
            "site": site["name"],
            "core_devices": site["core_devices"],
            "devices": site["devices"],
            "artifact_bucket": artifacts.bucket,
        },
    )
    for site in config.require_object("sites")
}
pulumi.export("sites", {name: {output: getattr(site, output) for output in OUTPUTS} for name, site in sites.items()})
