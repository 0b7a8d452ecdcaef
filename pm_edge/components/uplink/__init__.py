"""The uplink: what a site says goes to AWS IoT Core, through an outbox that survives outages and restarts."""
