"""Lambda."""

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, code, function, life


@life("aws:lambda/function:Function")
def _function(lab: Lab) -> Life:
    trust = allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"})
    other = lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust).outputs["arn"]
    layer = lab.make("aws:lambda/layerVersion:LayerVersion", layerName=lab.name(), code=code("x = 1\n")).id
    return Life(
        function(
            lab.name(),
            lab.role,
            architectures=["x86_64"],
            description="a",
            environment={"variables": {"A": "1"}},
            layers=[],
            memorySize=128,
            timeout=5,
            tags=TAGS,
        ),
        {
            "role": other,
            "description": "b",
            "environment": {"variables": {"B": "2"}},
            "layers": [layer],
            "memorySize": 256,
            "timeout": None,
            "handler": "handler.other",
            "runtime": "python3.12",
            "code": code("def other(event, context):\n    return 2\n"),
            "architectures": ["arm64"],
            "reservedConcurrentExecutions": 2,
            "tags": OTHER_TAGS,
        },
        frozenset({"code"}),
    )


@life("aws:lambda/layerVersion:LayerVersion")
def _layer(lab: Lab) -> Life:
    return Life(
        {
            "layerName": lab.name(),
            "code": code("x = 1\n"),
            "compatibleArchitectures": ["x86_64"],
            "compatibleRuntimes": ["python3.11"],
        },
        untold=frozenset({"code"}),
    )


@life("aws:lambda/permission:Permission")
def _permission(lab: Lab) -> Life:
    return Life(
        {
            "function": lab.function,
            "statementId": lab.name(),
            "action": "lambda:InvokeFunction",
            "principal": "events.amazonaws.com",
            "sourceAccount": "000000000000",
            "sourceArn": lab.context.arn("events", "rule/a"),
        }
    )


@life("aws:lambda/eventSourceMapping:EventSourceMapping")
def _mapping(lab: Lab) -> Life:
    other = lab.make("aws:lambda/function:Function", **function(lab.name(), lab.role)).outputs["arn"]
    return Life(
        {
            "eventSourceArn": lab.queue().outputs["arn"],
            "functionName": lab.function,
            "batchSize": 5,
            "enabled": False,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "maximumBatchingWindowInSeconds": 0,
            "scalingConfig": {"maximumConcurrency": 2},
            "tags": TAGS,
        },
        {
            "functionName": other,
            "batchSize": 6,
            "functionResponseTypes": [],
            "maximumBatchingWindowInSeconds": 1,
            "scalingConfig": {"maximumConcurrency": 3},
            "enabled": True,
            "tags": OTHER_TAGS,
        },
    )


@life("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
def _invoke_config(lab: Lab) -> Life:
    return Life({"functionName": lab.function, "maximumRetryAttempts": 1}, {"maximumRetryAttempts": 2})
