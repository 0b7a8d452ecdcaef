"""The permission to invoke a Lambda function: its policy is asked for SNS and rules, its role for queues.

The emulator lets SNS and the rules engine invoke any function, and polls a queue whatever the function's role allows.
"""

import logging
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import lambda_svc, sns

from pm_sandbox.cloud import role_permissions, seams
from pm_sandbox.cloud.role_permissions import PermissionDenied

# "Execution role permissions", AWS Lambda developer guide, Amazon SQS event source.
_QUEUE_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")

_log = logging.getLogger("pm.lambda")


def require_function_policy(function_arn: str, service: str, source_arn: str) -> None:
    """Refuse where the function's policy does not let `service` invoke it in the name of `source_arn`.

    Raises:
        PermissionDenied: naming the service, the function and the source.
    """
    function, _, _ = lambda_svc._get_base_func_record_for_ref(function_arn)
    account = responses.get_account_id()
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=responses.get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account},
    )
    policy = (function or {}).get("policy")
    if iam_evaluator.evaluate_resource_policy(policy, context, service=service).decision != "Allow":
        raise PermissionDenied(f"the policy of {function_arn} does not let {service} invoke it for {source_arn}")


def install() -> None:
    """Check before SNS invokes a function, and before a queue is mapped to one."""
    role_permissions.check_seams()
    seams.require(lambda_svc, "_get_base_func_record_for_ref", "function_ref")
    seams.require(iam_evaluator, "evaluate_resource_policy", "doc", "ctx", "service", "named_only", "direct_only")
    deliver = seams.require(
        sns, "_deliver_to_lambda",
        "endpoint", "envelope", "topic_arn", "sub_arn", "msg_id", "raw_message", "message_attributes",
    )  # fmt: skip
    create = seams.require(lambda_svc, "_create_esm", "data")

    def deliver_where_allowed(endpoint: str, envelope: str, topic_arn: str, *more: Any) -> None:
        try:
            require_function_policy(endpoint, "sns.amazonaws.com", topic_arn)
        except PermissionDenied as error:
            _log.warning("SNS does not deliver: %s", error)
            return
        deliver(endpoint, envelope, topic_arn, *more)

    def create_where_allowed(data: dict[str, Any]) -> Any:
        source = data.get("EventSourceArn", "")
        function, _, _ = lambda_svc._get_base_func_record_for_ref(data.get("FunctionName", ""))
        if function and ":sqs:" in source:
            role = function["config"]["Role"]
            for action in _QUEUE_ACTIONS:
                try:
                    role_permissions.require_permission(role, "lambda.amazonaws.com", f"sqs:{action}", source)
                except PermissionDenied as error:
                    return responses.error_response_json(
                        "InvalidParameterValueException",
                        f"The function execution role does not have permissions to call {action} on SQS: {error}",
                        400,
                    )
        return create(data)

    sns._deliver_to_lambda = deliver_where_allowed
    lambda_svc._create_esm = create_where_allowed
