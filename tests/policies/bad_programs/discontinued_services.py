"""Telemetry into a channel of AWS IoT Analytics."""

import pulumi_aws_native as native

names = ("Project", "Stack", "Tier", "Owner", "CostCentre")
native.iotanalytics.Channel(
    "telemetry", channel_name="telemetry", tags=[{"key": name, "value": "tests"} for name in names]
)
