"""No resource, rule action, permission or component of a service that AWS has ended or closed to new customers."""

from collections.abc import Iterator
from typing import NamedTuple

from pm_policies.inputs import at, document, items
from pm_policies.policy_documents import grants
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity, forms

_GUIDE = "https://docs.aws.amazon.com"


class Ended(NamedTuple):
    """A service that no new program may stand on."""

    service: str
    ended: str
    """The day of its end of support, or from which it takes no new customers, ISO 8601."""
    source: str
    instead: str
    types: tuple[str, ...] = ()
    """Beginning of its resources' type tokens."""
    actions: tuple[str, ...] = ()
    """Beginning of its IAM actions."""
    rule_actions: tuple[str, ...] = ()
    """Its actions in AWS IoT topic rules."""
    components: tuple[str, ...] = ()
    """Its AWS IoT Greengrass components."""


#: Days and wording as the notices on the pages named by `source` have them.
ENDED = (
    Ended(
        "AWS IoT Analytics",
        "2025-12-15",
        f"{_GUIDE}/iotanalytics/latest/userguide/iotanalytics-end-of-support.html",
        "Amazon Data Firehose, Amazon S3 and Amazon Athena (AnalyticsStore)",
        ("aws-native:iotanalytics:",),
        ("iotanalytics:",),
        ("iotAnalytics",),
    ),
    Ended(
        "AWS IoT Events",
        "2026-05-20",
        f"{_GUIDE}/iotevents/latest/developerguide/iotevents-end-of-support.html",
        "AWS Lambda and Amazon DynamoDB (FaultAlerting)",
        ("aws-native:iotevents:",),
        ("iotevents:",),
        ("iotEvents",),
    ),
    Ended(
        "AWS IoT Greengrass V1",
        "2026-10-07",
        f"{_GUIDE}/greengrass/v1/developerguide/maintenance-policy.html",
        "AWS IoT Greengrass V2 (GreengrassSite)",
        ("aws-native:greengrass:", "aws:greengrass/"),
        # V2 shares the prefix `greengrass:`; these are actions of V1 alone.
        ("greengrass:CreateGroup", "greengrass:CreateCoreDefinition", "greengrass:CreateFunctionDefinition"),
    ),
    Ended(
        "Amazon SageMaker Edge Manager",
        "2024-04-26",
        f"{_GUIDE}/greengrass/v2/developerguide/sagemaker-edge-manager-component.html",
        "ONNX Runtime in a component of your own (pm_edge/components/forecaster)",
        ("aws:sagemaker/device", "aws-native:sagemaker:Device"),
        ("sagemaker:CreateDeviceFleet", "sagemaker:RegisterDevices", "sagemaker:CreateEdge"),
        (),
        ("aws.greengrass.SageMakerEdgeManager",),
    ),
    Ended(
        "Amazon Lookout for Equipment",
        "2026-10-07",
        f"{_GUIDE}/lookout-for-equipment/latest/userguide/doc-history.html",
        "a fault model of your own (ForecastPipeline)",
        ("aws-native:lookoutequipment:",),
        ("lookoutequipment:",),
    ),
    Ended(
        "Amazon Lookout for Vision",
        "2025-10-31",
        f"{_GUIDE}/lookout-for-vision/latest/developer-guide/su-awscli-sdk.html",
        "a model of your own in Amazon SageMaker",
        ("aws-native:lookoutvision:",),
        ("lookoutvision:",),
        (),
        ("aws.iot.lookoutvision.EdgeAgent",),
    ),
    Ended(
        "Amazon Lookout for Metrics",
        "2025-10-09",
        f"{_GUIDE}/cdk/api/v2/docs/aws-cdk-lib.aws_lookoutmetrics-readme.html",
        "anomaly detection of Amazon CloudWatch, or a model of your own",
        ("aws-native:lookoutmetrics:",),
        ("lookoutmetrics:",),
    ),
    Ended(
        "Amazon Timestream for LiveAnalytics",
        "2025-06-20",
        f"{_GUIDE}/timestream/latest/developerguide/AmazonTimestreamForLiveAnalytics-availability-change.html",
        "Amazon S3 and Amazon Athena (AnalyticsStore), or Timestream for InfluxDB",
        (
            "aws:timestreamwrite/",
            "aws:timestreamquery/",
            "aws-native:timestream:Database",
            "aws-native:timestream:Table",
        ),
        ("timestream:WriteRecords", "timestream:CreateDatabase", "timestream:CreateTable", "timestream:Select"),
        ("timestreams", "timestream"),
    ),
    Ended(
        "AWS RoboMaker",
        "2025-09-10",
        f"{_GUIDE}/robomaker/latest/dg/chapter-development.html",
        "AWS Batch",
        ("aws-native:robomaker:",),
        ("robomaker:",),
    ),
    Ended(
        "AWS Panorama",
        "2026-05-31",
        f"{_GUIDE}/panorama/latest/dev/panorama-end-of-support.html",
        "AWS IoT Greengrass V2 with a model of your own",
        ("aws-native:panorama:",),
        ("panorama:",),
    ),
)


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Find uses of services that have ended."""
    for ended in ENDED:
        if resource.type.startswith(ended.types or ("?",)):
            yield _message(ended, f"type {resource.type}")
    if resource.type in ("aws-native:greengrassv2:Deployment", "aws-native:greengrassv2:ComponentVersion"):
        yield from _components(resource)
    for form in forms(resource):
        if form.type == "aws:iot/topicRule:TopicRule":
            yield from _rule_actions(form, resource)
        yield from _permissions(form)


def _rule_actions(rule: Resource, written: Resource) -> Iterator[str]:
    listed = items(at(written.inputs, "topicRulePayload", "actions"))  # as AWS Native has them
    for ended in ENDED:
        for action in ended.rule_actions:
            places = [rule.inputs, at(rule.inputs, "errorAction") or {}, *listed]
            if any(items(place.get(action)) for place in places):
                yield _message(ended, f"rule action {action}")


def _components(resource: Resource) -> Iterator[str]:
    used = {
        *(resource.inputs.get("components") or {}),
        *document(resource.inputs, "inlineRecipe").get("ComponentDependencies", {}),
    }
    for ended in ENDED:
        for component in sorted(used.intersection(ended.components)):
            yield _message(ended, f"component {component}")


def _permissions(resource: Resource) -> Iterator[str]:
    for statement in grants(resource.type, resource.inputs):
        for action in statement.actions:
            for ended in ENDED:
                # Names of actions are not case-sensitive: "IAM JSON policy elements: Action", IAM user guide.
                if action.lower().startswith(tuple(one.lower() for one in ended.actions) or ("?",)):
                    yield _message(ended, f"action {action}")


def _message(ended: Ended, found: str) -> str:
    return f"{found} is of {ended.service}, ended on {ended.ended} ({ended.source}); instead: {ended.instead}"


RULE = ResourceRule(
    name="discontinued-services",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="Nothing stands on a service that AWS has ended or closed to new customers.",
    why="It cannot be created in a new account, and where it still runs it stops on a day that AWS has set.",
    mend="use the service that the finding names instead",
    check=check,
    as_written=True,
)
