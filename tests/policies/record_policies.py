"""Prints, as JSON, the permissions that a stack of the project asks for: [[resource, policy document]].

ARNs in them have the form that AWS gives to each type, so that a linter can hold actions to them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from policies.policy_documents import POLICY_KEYS
from sandbox.deployer.program import run_program
from sandbox.deployer.project import read_project
from sandbox.recorder.monitor import ACCOUNT, RecordingMonitor

ROOT = Path(__file__).parents[2]

#: "Resource types defined by ...", Service Authorization Reference, with the inputs that an ARN is made of.
ARNS = {
    "aws:athena/workgroup:Workgroup": "athena:{region}:{account}:workgroup/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "logs:{region}:{account}:log-group:{name}",
    "aws:dynamodb/table:Table": "dynamodb:{region}:{account}:table/{name}",
    "aws:glue/catalogDatabase:CatalogDatabase": "glue:{region}:{account}:database/{name}",
    "aws:glue/catalogTable:CatalogTable": "glue:{region}:{account}:table/{databaseName}/{name}",
    "aws:iam/role:Role": "iam::{account}:role/{name}",
    "aws:iot/policy:Policy": "iot:{region}:{account}:policy/{name}",
    "aws:iot/roleAlias:RoleAlias": "iot:{region}:{account}:rolealias/{alias}",
    "aws:iot/thing:Thing": "iot:{region}:{account}:thing/{name}",
    "aws:iot/thingGroup:ThingGroup": "iot:{region}:{account}:thinggroup/{name}",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "firehose:{region}:{account}:deliverystream/{name}",
    "aws:kms/key:Key": "kms:{region}:{account}:key/11111111-2222-3333-4444-555555555555",
    "aws:lambda/function:Function": "lambda:{region}:{account}:function:{name}",
    "aws:s3/bucket:Bucket": "s3:::{bucket}",
    "aws:scheduler/schedule:Schedule": "scheduler:{region}:{account}:schedule/default/{name}",
    "aws:sfn/stateMachine:StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "aws:sns/topic:Topic": "sns:{region}:{account}:{name}",
    "aws:sqs/queue:Queue": "sqs:{region}:{account}:{name}",
}


class Monitor(RecordingMonitor):
    """Answers with ARNs of AWS's form."""

    def made(self, token: str, name: str, values: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
        """What AWS would make up of a resource."""
        id_, outputs, record_only = super().made(token, name, values)
        if token in ARNS:
            known = {key: value for key, value in values.items() if isinstance(value, str)}
            form = ARNS[token].format_map({"region": self._region, "account": ACCOUNT, **known})
            outputs["arn"] = f"arn:aws:{form}"
        return id_, outputs, record_only


def main(stack: str) -> None:
    """Record and print."""
    project = read_project(ROOT, stack, {})
    monitor = Monitor(project.name, stack, project.config["aws:region"])
    run_program(ROOT, stack, project, monitor)
    found = [
        [resource.name, json.loads(resource.inputs[key])]
        for _, resource in sorted(monitor.registered.items())
        for key in POLICY_KEYS.get(resource.type, ())
    ]
    json.dump(found, sys.stdout)


main(sys.argv[1])
