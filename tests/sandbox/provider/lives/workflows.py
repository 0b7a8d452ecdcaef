"""Step Functions."""

import json
from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:sfn/stateMachine:StateMachine")
def _state_machine(lab: Lab) -> Life:
    def definition(state: str) -> str:
        return json.dumps({"StartAt": state, "States": {state: {"Type": "Pass", "End": True}}})

    trust = allow("sts:AssumeRole", Principal={"Service": "states.amazonaws.com"})
    other = lab.make("aws:iam/role:Role", name=lab.name(), assumeRolePolicy=trust)
    lab.make("aws:iam/rolePolicy:RolePolicy", role=other.id, name="all", policy=allow("*", Resource="*"))
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).outputs["arn"]

    def logging(level: str) -> dict[str, Any]:
        return {"level": level, "includeExecutionData": False, "logDestination": f"{group}:*"}

    return Life(
        {
            "name": lab.name(),
            "type": "STANDARD",
            "definition": definition("A"),
            "roleArn": lab.role,
            "loggingConfiguration": logging("ERROR"),
            "tags": TAGS,
        },
        {
            "definition": definition("B"),
            "roleArn": other.outputs["arn"],
            "loggingConfiguration": logging("ALL"),
            "tags": OTHER_TAGS,
        },
    )
